"""The lines that a printed schedule is made of: headers of loops, what tails leave out, assignments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..compute.expr import Axis, Expr, Read, substitute, transform
from ..compute.operations import OPERATIONS
from ..compute.printing import text
from ..compute.reductions import REDUCTIONS
from ..compute.simplify import constant_value, difference, simplify
from ..compute.tensor import Equation, Tensor
from ..polyhedral.definitions import as_read
from ..polyhedral.layout import shown_form
from ..polyhedral.placement import Box
from ..polyhedral.program import Program
from ..polyhedral.statement import Statement
from .binding import Binding, Bindings
from .nest import Loop, StageNest
from .primitives.base import State

Substitution = dict[Axis, Expr]

_KINDS = {"serial": "for", "parallel": "parallel for", "vectorize": "vectorized for", "unroll": "unrolled for"}


def primed(nest: StageNest, loop: Loop) -> Loop:
    """The loop as it is shown: with a prime where its counter is not the axis that it is named for."""
    named = any(axis.name == loop.name and not loop.reversed for axis in nest.axes_of(loop.value))
    return replace(loop, name=f"{loop.name}'") if named and not isinstance(loop.value, Axis) else loop


def header(nest: StageNest, loop: Loop, bindings: Bindings) -> str:
    begin, end = bindings.visible(loop.begin, upper=False), bindings.visible(loop.end, upper=True)
    span = f"{nest.shown(begin)}..{nest.shown(end)}"
    apart = "" if loop.peel is None else f"  # {_apart(*loop.peel)}"
    return f"{_KINDS[loop.kind]} {loop.name} in {f'reversed({span})' if loop.reversed else span}:{apart}"


def _apart(first: int, last: int) -> str:
    """What of a loop is peeled."""
    parts = [f"the {where} {count}" for where, count in (("first", first), ("last", last)) if count]
    return f"{' and '.join(parts)} apart" if parts else "in one piece"


def fetched(state: State, stage: Tensor, loop: str) -> list[str]:
    """What a loop of a stage fetches ahead."""
    return [
        f"prefetch {ahead.tensor.name} for {ahead.by} + {ahead.distance}"
        for ahead in state.ahead
        if ahead.stage is stage and ahead.at == loop
    ]


def guard_of(nest: StageNest, binding: Binding) -> str:
    """What is left out where an axis' bounds do not follow from its loops."""
    low = f"{nest.shown(binding.axis.lower)} <= " if binding.low else ""
    high = f" < {nest.shown(binding.axis.upper)}" if binding.high else ""
    return f"{low}{binding.axis.name}{high}" if low or high else ""


def comment(guards: Sequence[str]) -> str:
    present = [guard for guard in guards if guard]
    return f"  # {', '.join(present)}" if present else ""


def left_of(statement: Statement, names: Substitution) -> str:
    indices = ", ".join(text(substitute(index, names)) for index in statement.indices)
    return f"{statement.stage.name}[{indices}]" if indices else statement.stage.name


def init(statement: Statement, names: Substitution) -> str:
    reduce = statement.reduce
    assert reduce is not None
    without_value = REDUCTIONS[reduce.name].combine is None
    return f"{left_of(statement, names)} = {'-1' if without_value else text(statement.value)}"


def assignment(program: Program, statement: Statement, names: Substitution) -> str:
    """The definition as it was written, with inlined stages in their places."""
    left, reduce = left_of(statement, names), statement.reduce
    if statement.kind == "finish":
        finished = _equation(program, statement).finished(Read(statement.stage, statement.indices))
        return f"{left} = {text(_written(program, statement, finished))}"
    own = _equation(program, statement).value if statement.piece is None else statement.piece.written
    value = substitute(_written(program, statement, own), names)
    if reduce is None:
        return f"{left} = {text(value)}"
    combine = REDUCTIONS[reduce.name].combine
    if combine is None:
        position = reduce.axes[0].name if len(reduce.axes) == 1 else f"({', '.join(a.name for a in reduce.axes)})"
        return f"{left} = {reduce.name}({left}, {position}, key={text(value)})"
    symbol = OPERATIONS[combine].symbol
    return f"{left} {symbol}= {text(value)}" if symbol else f"{left} = {reduce.name}({left}, {text(value)})"


def _equation(program: Program, statement: Statement) -> Equation:
    """What a statement is made of, where its stage is placed."""
    if statement.rule is not None:
        return statement.rule
    return program.placements[statement.stage.uid].equation


def _written(program: Program, statement: Statement, value: Expr) -> Expr:
    """What an equation computes, in the user's words and not as it is contracted, with what is inlined in its place,
    and the copies that a recurrence reads."""
    if statement.rule is not None:
        value = as_read(program.rewrites, program.definitions, statement.stage, statement.equation, value)
    return _inlined(program, value)


def _inlined(program: Program, value: Expr) -> Expr:

    def inlined(expr: Expr) -> Expr:
        if not isinstance(expr, Read) or expr.tensor.uid not in program.inlined:
            return expr
        equation = program.definitions.equations[expr.tensor.uid]
        at: dict[Axis, Expr] = dict(zip(equation.axes, expr.indices, strict=True))
        return _inlined(program, substitute(equation.value, at))

    return transform(value, inlined)


def layout_text(state: State, stage: Tensor) -> str:
    """How a stage's elements lie in memory, where that is not row-major."""
    layout, names = state.program.layout(stage), [axis.name for axis in stage.equations[0].axes]
    shown = ""
    if layout.terms:
        shown += f" as [{', '.join(term.shown(names) for term in layout.terms)}]"
    for term, (multiple, offset) in layout.pads.items():
        shown += f", {term.shown(names)} aligned to {multiple}{f' + {offset}' if offset else ''}"
    for form, size in sorted(layout.folds.items()):
        shown += f", {shown_form(form, names)} modulo {size}"
    if layout.streaming is None:
        return shown
    return f"{shown}, streaming" + (f" from {layout.streaming} bytes on" if layout.streaming else "")


def grade(statement: Statement) -> str:
    """How free the order of a reduction's updates is."""
    reduce = statement.reduce
    if reduce is None:
        return ""
    return "re-associable" if reduce.reassociate else "in order"


def short_names(statement: Statement, nest: StageNest) -> Substitution:
    """Counters of loops around by the loops' names alone, where nothing else is called so."""
    loops = {axis: axis.name.rpartition(".")[2] for axis in statement.prefix}
    taken = Counter([*loops.values(), *nest.names, *(axis.name for axis in nest.axes)])
    return {axis: replace(axis, name=name) for axis, name in loops.items() if taken[name] == 1}


def title(state: State, stage: Tensor, statement: Statement) -> str:
    """What a stage is, and where and how it is stored in loops of others."""
    reduce, place = statement.reduce, state.places.get(stage.uid)
    summed = "" if reduce is None else f", {reduce.name} {grade(statement)}"
    layout = layout_text(state, stage)
    sharing = f", in the loops of {place.host.name}" if place is not None and place.shared else ""
    place = None if place is None else place.own
    if place is None:
        return f"{stage}{layout}{summed}{sharing}"
    extents = ", ".join(map(text, state.program.placements[stage.uid].stored.shape))
    here = place.is_at(place.store_host, place.store_loop) if place.store_host is not None else False
    where = " here" if here else " at the root" if place.store_host is None else f" at {place.store_loop}"
    placement = state.program.placements[stage.uid]
    again = _shared(placement.stored, placement.kept, placement.equation, "again", "in")
    sliding = placement.prefix[len(placement.kept) :]
    kept = _shared(placement.computed, sliding, placement.equation, "kept", "for")
    return f"{stage.name}: {stage.dtype}[{extents}] stored{where}{layout}{summed}{sharing}{comment([again, kept])}"


def _shared(box: Box, loops: Sequence[Axis], equation: Equation, word: str, where: str) -> str:
    """What of the elements of an iteration is in the box of the next one, too, for each of these loops around."""
    found = []
    for axis in loops:
        parts, common = [], True
        for own, origin, extent in zip(equation.axes, box.origin, box.shape, strict=True):
            step = difference(substitute(origin, {axis: axis + 1}), origin)
            left = None if step is None else simplify(extent - abs(step))
            size = None if left is None else constant_value(left)
            common = common and left is not None and (size is None or size > 0)
            if step and left is not None:
                parts.append(f"{text(left)} of {text(extent)} {own.name}")
        if common:
            found.append(f"{' and '.join(parts) or 'all'} {where} the next {axis.name.rpartition('.')[2]}")
    return f"{word}: {', '.join(found)}" if found else ""
