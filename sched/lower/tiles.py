"""Tile loops: unrolled and vectorized loops, whose number of iterations has a literal bound."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from math import isfinite

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, Op, walk
from ..compute.simplify import Terms, apart, constant_value, from_linear, linear, simplify, summed
from .ir import Block, Buffer, For, Stmt, Store, Var

_MOST_TRIED = 40  # expressions, in the search for a bound: what is found is found early

# For each loop variable: its begin and the expressions whose minimum its end is.
Ranges = dict[Var, tuple[Expr, tuple[Expr, ...]]]


def is_tile(loop: For) -> bool:
    """Whether the loop is written out, lane by lane or copy by copy."""
    return loop.kind in ("vectorize", "unroll")


def literal_range(loop: For) -> tuple[Expr, int] | None:
    """The begin and the number of iterations of a full tile: of all lower and upper bounds of the loop, the two that
    are the least literal number of iterations apart, or never more than one."""
    if isinstance(loop.begin, Const) and isinstance(loop.end, Const):
        return loop.begin, max(0, int(loop.end.value) - int(loop.begin.value))
    lowest = (loop.begin, *(bound for bound in maxima(loop.begin) if bound is not loop.begin))
    pairs = [(begin, end) for begin in lowest for end in minima(loop.end)]
    found: tuple[Expr, int] | None = None
    for begin, end in pairs:
        count = constant_value(Op("sub", (end, begin), INDEX))
        if count is not None and (found is None or count < found[1]):
            found = begin, max(0, count)
    if found is None:
        most = [(begin, apart(simplify(end), simplify(begin))[1]) for begin, end in pairs]
        found = next(((begin, max(0, int(count))) for begin, count in most if isfinite(count)), None)
    return found


def most_iterations(loop: For) -> int | None:
    """The literal number of iterations of a loop at most."""
    found = literal_range(loop)
    return None if found is None else found[1]


def tile_begin(loop: For) -> Expr:
    """Where a full tile begins."""
    found = literal_range(loop)
    assert found is not None, f"{loop.var.name} has a literal bound"
    return found[0]


@dataclass(frozen=True, slots=True)
class PartialBound:
    """A bound that may make a loop shorter than a full tile; it does not where `slack` is not negative."""

    bound: Expr
    is_begin: bool
    slack: Expr


def partial_bounds(loop: For) -> tuple[PartialBound, ...]:
    """What may make the loop shorter than a full tile."""
    if isinstance(loop.begin, Const) and isinstance(loop.end, Const):
        return ()
    found = literal_range(loop)
    assert found is not None, f"{loop.var.name} has a literal bound"
    begin, end = found[0], found[0] + found[1]
    lower = () if begin is loop.begin else maxima(loop.begin)
    bounds = [PartialBound(bound, True, simplify(begin - bound)) for bound in lower]
    bounds += [PartialBound(bound, False, simplify(bound - end)) for bound in minima(loop.end)]
    return tuple(bound for bound in bounds if constant_value(bound.slack) is None)


def tile_stays_inside(
    buffer: Buffer, indices: tuple[Expr, ...], var: Var, tile: tuple[Expr, int], ranges: Ranges, ends: Iterable[Expr]
) -> bool:
    """Whether an access stays in a padded buffer in all iterations of a full tile, if it is in it for the first, and
    away from what other tiles have beyond the `ends` of this one.

    The variable is in the index of one dimension alone, and that is within the dimension's literal extent, whatever the
    variables of loops around are in their ranges. The ends are one place for all tiles that lie in the dimension after
    each other, so that none of them has an element there.
    """
    begin, count = tile
    moved = [(index, extent) for index, extent in zip(indices, buffer.shape, strict=True) if var in set(walk(index))]
    if not moved or (buffer.scope == "register" and buffer.padded):
        return True
    place, extent = simplify(moved[0][0] - var), constant_value(moved[0][1])
    others = {node for node in walk(place) if isinstance(node, Var)}
    if len(moved) > 1 or not buffer.padded or extent is None or var in others:
        return False
    if any(not others.isdisjoint(walk(simplify(place + end))) for end in ends):
        return False
    first = place + begin
    return certainly_positive(first + 1, ranges) and certainly_positive(extent - count + 1 - first, ranges)


def only_pads(stmt: Stmt) -> bool:
    """Whether tile loops around stores to padded register tiles are all there is."""
    match stmt:
        case For(body=body):
            return is_tile(stmt) and only_pads(body)
        case Block(body):
            return all(map(only_pads, body))
        case Store(buffer, mask=mask):
            return buffer.scope == "register" and buffer.padded and mask is None
        case _:
            return False


def bounded(loop: For, bounds: list[PartialBound]) -> For:
    """The loop over a full tile, but for these bounds."""
    found = literal_range(loop)
    assert found is not None, f"{loop.var.name} has a literal bound"
    begin, end = found[0], simplify(found[0] + found[1])
    for bound in bounds:
        if bound.is_begin:
            begin = Op("max", (begin, bound.bound), INDEX)
        else:
            end = Op("min", (end, bound.bound), INDEX)
    return replace(loop, begin=begin, end=end)


def minima(expr: Expr) -> tuple[Expr, ...]:
    """The expressions whose minimum `expr` is."""
    return _extrema(expr, "min")


def maxima(expr: Expr) -> tuple[Expr, ...]:
    """The expressions whose maximum `expr` is."""
    return _extrema(expr, "max")


def _extrema(expr: Expr, name: str) -> tuple[Expr, ...]:
    if isinstance(expr, Op) and expr.name == name:
        return tuple(bound for operand in expr.operands for bound in _extrema(operand, name))
    return (expr,)


def certainly_positive(expr: Expr, bounds: Ranges) -> bool:
    """Whether an index expression is at least 1, given loop variables' begins and (alternative) ends.

    A sufficient test: variables are replaced by the end of their range that makes the expression least, and
    c * (x // c) is at most x.
    """
    return _least(linear(simplify(expr)), bounds, 4, set()) >= 1


def _least(form: tuple[Terms, int], bounds: Ranges, depth: int, tried: set[Hashable]) -> int | float:
    """`tried` are the forms that were in vain: variables are replaced in every order, to one result."""
    terms, constant = form
    if not terms:
        return constant
    attempt = depth, constant, frozenset((k, coefficient) for k, (_, coefficient) in terms.items())
    if depth == 0 or attempt in tried or len(tried) >= _MOST_TRIED:
        return -float("inf")
    tried.add(attempt)
    for k, (atom, coefficient) in terms.items():
        others = {other: term for other, term in terms.items() if other != k}
        for bound in _bounds(atom, coefficient, bounds):
            rest = summed((others, constant), linear(bound))
            if any(isinstance(other, Op) and other.name == "mod" for other, _ in rest[0].values()):
                rest = linear(simplify(from_linear(*rest)))  # which joins quotients and remainders
            least = _least(rest, bounds, depth - 1, tried)
            if least >= 1:
                return least
    return -float("inf")


def _bounds(atom: Expr, coefficient: int, bounds: Ranges) -> list[Expr]:
    """Expressions that are at most coefficient * atom."""
    factor = Const(coefficient, INDEX)
    match atom:
        case Var() if atom in bounds:
            begin, ends = bounds[atom]
            return [begin * factor] if coefficient > 0 else [(end - 1) * factor for end in ends]
        case Op("max" | "min" as name, operands) if (name == "max") == (coefficient > 0):
            return [operand * factor for operand in operands]
        case Op("floordiv", (x, Const(divisor))) if coefficient % divisor == 0:
            whole = Const(coefficient // divisor, INDEX)
            return [x * whole if coefficient < 0 else (x - (divisor - 1)) * whole]
        case Op("mod", (_, Const(divisor))) if divisor > 0:
            return [Const(0 if coefficient > 0 else coefficient * (divisor - 1), INDEX)]
    return []
