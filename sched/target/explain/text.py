"""An explanation as text: rows of columns, of which the notebook's table is made, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...compute.expr import Expr
from ...compute.printing import text
from ...compute.simplify import constant_value
from .costs import Level, Roofline, capacities, operations_in

if TYPE_CHECKING:
    from .explanation import Explanation, StageCosts

HEADINGS = ("one iteration of", "iterations", "touches (bytes)", "sum", "fits in", "operations", "ops/byte", "moved")
LEGEND = (
    "moved: bytes in a call between a cache that holds one iteration and what is further out, at most. '<=' is a "
    "bound, all else is exact for the largest iteration."
)


def text_of(explanation: Explanation) -> str:
    lines = [title(explanation), machine(explanation)]
    for nest in explanation.nests:
        rows = [HEADINGS, *rows_of(nest.level, explanation)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(HEADINGS))]
        lines.append("")
        for row in rows:
            cells = [
                c.ljust(w) if k in (0, 2, 4) else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"bound by {bound}" for bound in bounds(nest.roofline)]
    lines += ["", *stages(explanation), *memory(explanation), "", LEGEND]
    return "\n".join([*lines, *explanation.notes])


def title(explanation: Explanation) -> str:
    at = ", ".join(f"{name}={value}" for name, value in explanation.sizes.items())
    where = f" {explanation.where}" if explanation.where else ""
    return f"{', '.join(explanation.stages)}{f' at {at}' if at else ''}{where} on {explanation.target}"


def machine(explanation: Explanation) -> str:
    target = explanation.target
    caches = ", ".join(f"{name} {_number(size)}" for name, size in capacities(target).items())
    return f"{caches} bytes; {target.vector_registers} registers of {target.vector_bits // 8} bytes"


def rows_of(level: Level, explanation: Explanation, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """The cells of a level and of all further in; the loops that only resolve fused ones are left out."""
    iteration = level.iteration
    if iteration.loop is None or iteration.loop.kind not in ("position", "component"):
        yield _row(level, explanation, depth)
        depth += 1
    for child in level.children:
        yield from rows_of(child, explanation, depth)


def _row(level: Level, explanation: Explanation, depth: int) -> tuple[str, ...]:
    iteration, loop = level.iteration, level.iteration.loop
    kind = "" if loop is None or loop.kind == "serial" else f" ({loop.kind})"
    name = "all loops" if loop is None else f"{level.stage}.{loop.name}{kind}"
    touched = ", ".join(f"{f.tensor.name} {'' if f.exact else '<='}{_amount(f.bytes)}" for f in iteration.footprints)
    bound = "" if all(f.exact for f in iteration.footprints) else "<="
    fewer = "" if all(i.exact or not operations_in(i.statement) for i in iteration.instances) else "<="
    return (
        "  " * depth + name,
        "" if iteration.iterations is None else _number(iteration.iterations),
        touched,
        "" if level.bytes is None else f"{bound}{_number(level.bytes)}",
        level.held_by(explanation.target),
        f"{fewer}{_amount(level.operations)}",
        "" if level.intensity is None else f"{level.intensity:.3g}",
        "" if level.moved is None else _number(level.moved),
    )


def bounds(roofline: Roofline | None) -> Iterator[str]:
    """What a nest waits for, in cycles of one core."""
    if roofline is not None:
        each = ", ".join(f"{what} {cycles:.3g}" for what, cycles in roofline.cycles.items())
        yield f"{roofline.bound}: {each} cycles of one core ({_number(roofline.operations)} operations)"


def stages(explanation: Explanation) -> Iterator[str]:
    for name, costs in explanation.stages.items():
        yield f"{name}: {', '.join(_about(costs, explanation))}"


def _about(costs: StageCosts, explanation: Explanation) -> Iterator[str]:
    if costs.recomputation is None:
        yield f"computes at most {text(costs.computed)} elements for {text(costs.needed)}"
    elif costs.recomputation != 1:
        yield f"recomputation {float(costs.recomputation):.4g} ({text(costs.computed)} for {text(costs.needed)})"
    else:
        yield "recomputation 1"
    lanes = costs.lanes
    if lanes.loop is None:
        yield f"scalar (1 of {lanes.there} lanes)"
    else:
        yield f"{lanes.used:.3g} of {lanes.there} lanes ({lanes.loop.name})"
    for tile in costs.tiles:
        verdict = "spills" if tile.spills(explanation.target) else "no spill"
        yield (
            f"{tile.rows} x {tile.columns} accumulators: {tile.vectors} + {tile.needed - tile.vectors - 1} + 1 = "
            f"{tile.needed} of {explanation.target.vector_registers} registers ({verdict})"
        )


def memory(explanation: Explanation) -> Iterator[str]:
    """Where intermediates are, and how many bytes of them there are at once."""
    found = explanation.memory
    if not found.stored:
        yield "memory: nothing but the arguments"
        return
    parts = []
    for one in found.stored:
        where = {"heap": "on the heap", "stack": "on the stack", "registers": "in registers"}[one.place]
        parts.append(f"{one.name} {_amount(one.bytes)} {where}{' of each thread' if one.private else ''}")
    yield f"memory (bytes): {', '.join(parts)}"
    if any(one.place != "registers" for one in found.stored):
        each = f" ({_amount(found.shared)} shared, {_amount(found.private)} for each of {found.threads} threads)"
        yield f"at once: {_amount(found.total)}{each if any(one.private for one in found.stored) else ''}"


def _amount(expr: Expr) -> str:
    value = constant_value(expr)
    return text(expr) if value is None else _number(value)


def _number(value: int) -> str:
    return f"{value:,}"
