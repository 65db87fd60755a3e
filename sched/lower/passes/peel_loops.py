"""Run the first and the last iterations of peeled loops in code of their own, and leave out what the others decide.

    peeled for i in 0..n:                    for i in 0..min(1, n): ...        # as it is, but for what i = 0 decides
        C[i] = select(i > 0, A[i - 1], 0)    for i in 1..n - 1:
               + select(i < n - 1, ...)  ->      C[i] = A[i - 1] + ...
                                             for i in max(1, n - 1)..n: ...

In each of the three, the bounds of the counters decide conditions, masks and bounds of loops inside: those that
`certainly_positive` finds out. Tiles within the first and the last iterations are left as they are, with masks. In a
vector loop, nothing is cut off where lanes begin, or end, apart.
"""

from __future__ import annotations

from dataclasses import replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op, const, transform
from ...compute.simplify import simplify, simplify_node
from ..ir import Block, For, If, Load, Stmt, Store, Var, lanes, map_statements, map_values
from ..rewrite import EMPTY, block, fresh, variables, with_lanes
from ..tiles import Ranges, bounded, certainly_positive, is_tile, maxima, minima, partial_bounds

WHOLE = (0, 0)  # as `For.peel`: nothing is cut off


def peel_loops(stmt: Stmt) -> Stmt:
    """The statement without loops that are to be peeled; those of which nothing is keep that mark."""
    return _peeled(stmt, {}, frozenset())


def _peeled(stmt: Stmt, ranges: Ranges, of_lanes: frozenset[Var]) -> Stmt:
    inside = with_lanes(stmt, of_lanes)
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: _peeled(inner, ranges, inside))
    if stmt.peel is None or stmt.peel == WHOLE:
        inner = _inside(stmt, ranges)
        return map_statements(stmt, lambda child: _peeled(child, inner, inside))
    first, last = (
        0 if variables(end) & of_lanes else n for end, n in zip((stmt.begin, stmt.end), stmt.peel, strict=True)
    )
    if not first and not last:
        return _peeled(replace(stmt, peel=WHOLE), ranges, of_lanes)
    begin = simplify(stmt.begin + first)
    ends = tuple(simplify(end - last) for end in minima(stmt.end))
    end = _extremum("min", ends)
    after = _extremum("max", tuple(dict.fromkeys((begin, end)))) if last else begin
    edges = replace(stmt, peel=WHOLE, kind=stmt.kind if max(first, last) > 1 else "serial")
    parts = [replace(stmt, begin=begin, end=end, peel=None)]
    if first:
        parts.insert(0, replace(edges, end=_extremum("min", (begin, *minima(stmt.end)))))
    if last:
        parts.append(replace(edges, begin=after))
    return block(*(_peeled(_decided(fresh(part), ranges), ranges, of_lanes) for part in parts))


def _extremum(name: str, values: tuple[Expr, ...]) -> Expr:
    result = values[0]
    for value in values[1:]:
        result = Op(name, (result, value), INDEX)
    return simplify(result)


def _inside(loop: For, ranges: Ranges) -> Ranges:
    return ranges | {loop.var: (loop.begin, minima(loop.end))}


def _decided(stmt: Stmt, ranges: Ranges) -> Stmt:
    """The statement without the conditions that the ranges of the loops around decide."""

    def known(node: Expr) -> Expr:
        match node:
            case Op("lt" | "le" | "gt" | "ge" as name, (a, b)) if a.dtype == b.dtype == INDEX and lanes(node) == 1:
                holds = holds_within(name, a, b, ranges)
                return node if holds is None else Const(holds, BOOL)
            case Op("select", (Const(value), yes, no)):
                return yes if value else no
            case Load(_, _, Const(value)):
                return replace(node, mask=None) if value else Const(node.dtype.numpy.type(0).item(), node.dtype)
            case _:
                return simplify_node(node)

    def decided(expr: Expr) -> Expr:
        return transform(simplify(expr), known)

    stmt = map_values(stmt, decided)
    match stmt:
        case For():
            stmt = _bounded(stmt, ranges)
            inside = _inside(stmt, ranges)
            return map_statements(stmt, lambda inner: _decided(inner, inside))
        case If(Const(value), then, otherwise):
            taken = then if value else otherwise
            return EMPTY if taken is None else _decided(taken, ranges)
        case Store(mask=Const(value)):
            return replace(stmt, mask=None) if value else Block(())
        case _:
            return map_statements(stmt, lambda inner: _decided(inner, ranges))


def holds_within(name: str, a: Expr, b: Expr, ranges: Ranges) -> bool | None:
    """Whether a comparison holds for all counters, or for none; None where that is not known."""
    less, more = {"lt": (b - a, a - b + 1), "ge": (a - b + 1, b - a)}.get(name, (None, None))
    if less is None or more is None:
        less, more = (b - a + 1, a - b) if name == "le" else (a - b, b - a + 1)
    if certainly_positive(less, ranges):
        return True
    return False if certainly_positive(more, ranges) else None


def _bounded(loop: For, ranges: Ranges) -> For:
    """The loop without bounds that others keep it within."""
    if is_tile(loop):
        partial = partial_bounds(loop)
        left = [bound for bound in partial if not certainly_positive(bound.slack + 1, ranges)]
        return loop if len(left) == len(partial) else bounded(loop, left)
    begin = _extremum("max", _needed(maxima(loop.begin), 1, ranges))
    return replace(loop, begin=begin, end=_extremum("min", _needed(minima(loop.end), -1, ranges)))


def _needed(bounds: tuple[Expr, ...], sign: int, ranges: Ranges) -> tuple[Expr, ...]:
    """Without those of several lower bounds (upper ones, with the sign -1) that another one is always at least."""
    left = dict(enumerate(bounds))
    for number, bound in enumerate(bounds):
        others = (other for k, other in left.items() if k != number)
        if any(certainly_positive((other - bound) * const(sign) + 1, ranges) for other in others):
            del left[number]
    return tuple(left.values())
