"""print(schedule): the loop nests as pseudo-code, with the user's names, extents and kinds."""

from __future__ import annotations

from ..compute.expr import Expr, Read, Size, transform, walk
from ..compute.operations import OPERATIONS
from ..compute.printing import text
from ..compute.reductions import REDUCTIONS
from ..compute.simplify import simplify
from ..polyhedral.program import Statement
from .nest import Loop, StageNest
from .primitives.base import State

_KINDS = {"serial": "for", "parallel": "parallel for", "vectorize": "vectorized for", "unroll": "unrolled for"}


def nest_text(state: State) -> str:
    """All stages in the order in which they run."""
    return "\n".join(_stage(state, state.nests[stage.uid]) for stage in state.program.live_stages())


def grade(statement: Statement) -> str:
    """How free the order of a reduction's updates is."""
    reduce = statement.reduce
    if reduce is None:
        return ""
    return "re-associable" if reduce.reassociate else "in order"


def _stage(state: State, nest: StageNest) -> str:
    statements = state.program.of_stage(nest.stage)
    reduce = statements[-1].reduce
    note = "" if reduce is None else f", {reduce.name} {grade(statements[-1])}"
    lines = [f"{nest.stage}{note}"]
    depth = 1
    first = next((k for k, loop in enumerate(nest.loops) if nest.is_reduction(loop)), None)
    for k, loop in enumerate(nest.loops):
        if k == first:
            inner = [other for other in nest.loops[k:] if not nest.is_reduction(other)]
            over = f" for {', '.join(other.name for other in inner)}" if inner else ""
            lines.append("    " * depth + _assignment(statements[0]) + over)
        lines.append("    " * depth + _header(nest, loop))
        depth += 1
    lines.append("    " * depth + _assignment(statements[-1]))
    return "\n".join(lines)


def _header(nest: StageNest, loop: Loop) -> str:
    begin, end = (_shown(nest, e) for e in (loop.begin, simplify(loop.begin + loop.extent)))
    return f"{_KINDS[loop.kind]} {loop.name} in {begin}..{end}:"


def _shown(nest: StageNest, expr: Expr) -> str:
    """The expression with the counts of fused loops as products."""
    products = {f.count.name: f.product for f in nest.fused.values() if isinstance(f.count, Size)}

    def visible(node: Expr) -> Expr:
        return products.get(node.name, node) if isinstance(node, Size) else node

    return text(simplify(transform(expr, visible)))


def _assignment(statement: Statement) -> str:
    left = f"{statement.stage.name}[{', '.join(map(text, statement.indices))}]"
    reduce = statement.reduce
    if statement.kind == "update" and reduce is not None:
        combine = REDUCTIONS[reduce.name].combine
        symbol = OPERATIONS[combine].symbol if combine else None
        operand = text(reduce.operand if not _inlined(statement) else statement.value)
        if symbol is None or _inlined(statement):
            return f"{left} = {reduce.name}({left}, {operand})" if not _inlined(statement) else f"{left} = {operand}"
        return f"{left} {symbol}= {operand}"
    return f"{left} = {text(statement.value)}"


def _inlined(statement: Statement) -> bool:
    """Whether the update's expression is no longer the one that the user wrote."""
    reduce = statement.reduce
    assert reduce is not None
    written = {node.tensor.uid for node in _reads(reduce.operand)} | {statement.stage.uid}
    return any(read.tensor.uid not in written for read in _reads(statement.value))


def _reads(expr: Expr) -> list[Read]:
    return [node for node in walk(expr) if isinstance(node, Read)]
