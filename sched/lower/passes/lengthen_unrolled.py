"""Let unrolled loops run to their literal bounds where all that is in them is empty in the iterations beyond others.

Diagonals of a recurrence that are written out have conditions that their vectors' bounds imply:

    unrolled for d in                            unrolled for d in 0..4:
            0..min(4, n + m - t):        ->          vectorized for i in max(0, t + d - m)..min(16, n): ...
        vectorized for i in
                max(0, t + d - m)..min(16, n): ...

With them, tiles are full or partial in the loops outside, too, and each of these has versions of its own.
"""

from __future__ import annotations

from ...compute.dtypes import INDEX
from ...compute.expr import Expr, Op
from ...compute.simplify import constant_value
from ..ir import Block, For, If, Stmt, Var, map_statements
from ..rewrite import variables
from ..tiles import PartialBound, bounded, maxima, minima, partial_bounds


def lengthen_unrolled(stmt: Stmt) -> Stmt:
    """The statement without the bounds of unrolled loops beyond which their bodies do nothing."""
    stmt = map_statements(stmt, lengthen_unrolled)
    if not isinstance(stmt, For) or stmt.kind != "unroll":
        return stmt
    bounds = partial_bounds(stmt)
    needed = [bound for bound in bounds if not _is_empty(stmt.body, stmt.var, bound)]
    return stmt if len(needed) == len(bounds) else bounded(stmt, needed)


def _is_empty(stmt: Stmt, var: Var, bound: PartialBound) -> bool:
    """Whether no store is carried out where `var` is beyond a bound."""
    match stmt:
        case Block(body):
            return all(_is_empty(inner, var, bound) for inner in body)
        case If(_, then, otherwise):
            return _is_empty(then, var, bound) and (otherwise is None or _is_empty(otherwise, var, bound))
        case For():
            return _has_no_iteration(stmt, var, bound) or _is_empty(stmt.body, var, bound)
    return False


def _has_no_iteration(loop: For, var: Var, bound: PartialBound) -> bool:
    """Whether a begin of the loop exceeds an end of it by as much as the variable exceeds the bound."""
    beyond: Expr = bound.bound - 1 - var if bound.is_begin else var - bound.bound  # at least 0
    for begin in maxima(loop.begin):
        for end in minima(loop.end):
            if var in variables(begin) | variables(end):
                least = constant_value(Op("sub", (Op("sub", (begin, end), INDEX), beyond), INDEX))
                if least is not None and least >= 0:
                    return True
    return False
