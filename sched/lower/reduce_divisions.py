"""Divisions by literals whose outcome the loops around decide are replaced by it.

Where 0 <= x < c for all iterations, x // c is 0 and x % c is x. Layouts and folds of tiles leave many of these: in

    for j_o:
        for j_i in 0..64:
            B[(64 * j_o + j_i) // 64, (64 * j_o + j_i) % 64]

the element is B[j_o, j_i]. Runs before loops become vectors, while their variables have ranges.
"""

from __future__ import annotations

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, Op, transform
from ..compute.simplify import simplify, simplify_node
from .ir import For, Stmt, map_statements, map_values
from .tiles import Ranges, certainly_positive, minima


def reduce_divisions(stmt: Stmt) -> Stmt:
    """The statement without divisions that its loops decide."""
    return _reduced(stmt, {})


def _reduced(stmt: Stmt, ranges: Ranges) -> Stmt:
    stmt = map_values(stmt, lambda expr: _simplified(expr, ranges))
    if isinstance(stmt, For):
        ranges = {**ranges, stmt.var: (stmt.begin, minima(stmt.end))}
    return map_statements(stmt, lambda inner: _reduced(inner, ranges))


def _simplified(expr: Expr, ranges: Ranges) -> Expr:
    changed = False

    def decided(node: Expr) -> Expr:
        nonlocal changed
        match node:
            case Op("floordiv" | "mod" as name, (x, Const(divisor))) if node.dtype == INDEX and divisor > 0:
                if certainly_positive(x + 1, ranges) and certainly_positive(divisor - x, ranges):
                    changed = True
                    return Const(0, INDEX) if name == "floordiv" else x
        return simplify_node(node) if changed else node

    result = transform(expr, decided)
    return simplify(result) if changed else expr
