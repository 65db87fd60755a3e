"""Tile loops: unrolled and vectorized loops, whose number of iterations has a literal bound."""

from __future__ import annotations

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, Op
from ..compute.simplify import constant_value, difference, linear, simplify
from .ir import For, Var


def is_tile(loop: For) -> bool:
    """Whether the loop is written out, lane by lane or copy by copy."""
    return loop.kind in ("vectorize", "unroll")


def most_iterations(loop: For) -> int | None:
    """The literal number of iterations of a loop at most."""
    bounds = [constant_value(Op("sub", (bound, loop.begin), INDEX)) for bound in minima(loop.end)]
    literals = [bound for bound in bounds if bound is not None]
    return max(0, min(literals)) if literals else None


def minima(expr: Expr) -> tuple[Expr, ...]:
    """The expressions whose minimum `expr` is."""
    if isinstance(expr, Op) and expr.name == "min":
        return tuple(bound for operand in expr.operands for bound in minima(operand))
    return (expr,)


def partial_bounds(loop: For) -> tuple[Expr, ...]:
    """What may make the loop shorter than its literal bound: it is full where all of these reach it."""
    most = most_iterations(loop)
    full = simplify(Op("add", (loop.begin, Const(most or 0, INDEX)), INDEX))
    return tuple(bound for bound in minima(loop.end) if difference(bound, full) is None)


def certainly_positive(expr: Expr, bounds: dict[Var, tuple[Expr, tuple[Expr, ...]]]) -> bool:
    """Whether an index expression is at least 1, given loop variables' begins and (alternative) ends.

    A sufficient test: variables are replaced by the end of their range that makes the expression least, and
    c * (x // c) is at most x.
    """
    return _least(simplify(expr), bounds, depth=4) >= 1


def _least(expr: Expr, bounds: dict[Var, tuple[Expr, tuple[Expr, ...]]], depth: int) -> int | float:
    terms, constant = linear(expr)
    if not terms:
        return constant
    if depth == 0:
        return -float("inf")
    for atom, coefficient in terms.values():
        for bound in _bounds(atom, coefficient, bounds):
            rest = simplify(expr - atom * Const(coefficient, INDEX) + bound)
            least = _least(rest, bounds, depth - 1)
            if least >= 1:
                return least
    return -float("inf")


def _bounds(atom: Expr, coefficient: int, bounds: dict[Var, tuple[Expr, tuple[Expr, ...]]]) -> list[Expr]:
    """Expressions that are at most coefficient * atom."""
    factor = Const(coefficient, INDEX)
    match atom:
        case Var() if atom in bounds:
            begin, ends = bounds[atom]
            return [begin * factor] if coefficient > 0 else [(end - 1) * factor for end in ends]
        case Op("floordiv", (x, Const(divisor))) if coefficient % divisor == 0:
            whole = Const(coefficient // divisor, INDEX)
            return [x * whole if coefficient < 0 else (x - (divisor - 1)) * whole]
        case Op("mod", (_, Const(divisor))) if divisor > 0:
            return [Const(0 if coefficient > 0 else coefficient * (divisor - 1), INDEX)]
    return []
