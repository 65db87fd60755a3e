"""Write the iterations of unrolled loops out.

unrolled for i in 0..min(2, n - b):   ->   if 0 < n - b: body at 0
    body                                   if 1 < n - b: body at 1
"""

from __future__ import annotations

from ..compute.dtypes import BOOL
from ..compute.expr import Op
from ..compute.simplify import simplify
from .ir import For, If, Stmt, map_statements
from .rewrite import block, with_variables
from .tiles import most_iterations, partial_bounds


def unroll(stmt: Stmt) -> Stmt:
    """The statement without unrolled loops."""
    stmt = map_statements(stmt, unroll)
    if not isinstance(stmt, For) or stmt.kind != "unroll":
        return stmt
    count = most_iterations(stmt)
    assert count is not None, f"{stmt.var.name} has a literal bound"
    bounds = partial_bounds(stmt)
    copies: list[Stmt] = []
    for iteration in range(count):
        here = simplify(stmt.begin + iteration)
        copy = with_variables(stmt.body, {stmt.var: here})
        for bound in bounds:
            copy = If(simplify(Op("lt", (here, bound), BOOL)), copy)
        copies.append(copy)
    return block(*copies)
