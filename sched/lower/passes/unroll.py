"""Write the iterations of unrolled loops out.

    unrolled for i in 0..min(2, n - b):   ->   if 0 < n - b: body at 0
        body                                   if 1 < n - b: body at 1

Where all that the body does is to write to a padded buffer, an iteration beyond the bounds may do so as well: it
repeats the last one's operands, and there is no branch.

    acc[i] = acc[i] + A[b + i]            ->   acc[0] = acc[0] + A[b + min(0, n - b - 1)]
                                               acc[1] = acc[1] + A[b + min(1, n - b - 1)]

Where all iterations store to the same places, as the last terms of sums do, and there are fewer than would be written
out, the loop stays.
"""

from __future__ import annotations

from dataclasses import replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op, transform, walk
from ...compute.simplify import simplify
from ..ir import Block, For, If, Load, Stmt, Store, Var, map_statements, statements, values
from ..rewrite import block, fresh, replaced, variables, with_variables
from ..tiles import Ranges, certainly_positive, literal_range, minima, partial_bounds, tile_stays_inside


def unroll(stmt: Stmt) -> Stmt:
    """The statement without unrolled loops."""
    return _unroll(stmt, {})


def _unroll(stmt: Stmt, ranges: Ranges) -> Stmt:
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: _unroll(inner, ranges))
    stmt = replace(stmt, body=_unroll(stmt.body, ranges | {stmt.var: (stmt.begin, minima(stmt.end))}))
    if stmt.kind != "unroll":
        return stmt
    found = literal_range(stmt)
    assert found is not None, f"{stmt.var.name} has a literal bound"
    begin, count = found
    bounds = partial_bounds(stmt)
    if bounds and not any(bound.is_begin for bound in bounds) and _only_pads(stmt.body, stmt, ranges):
        last = [bound.bound for bound in bounds]
        every = block(*(_padding(stmt, simplify(begin + k), last) for k in range(count)))
        if all(certainly_positive(end - begin, ranges) for end in last):
            return every
        return If(Op("lt", (begin, stmt.end), BOOL), every)
    if bounds and _adds_up(stmt):
        return replace(stmt, kind="serial")
    copies: list[Stmt] = []
    for iteration in range(count):
        here = simplify(begin + iteration)
        copy = with_variables(fresh(stmt.body), {stmt.var: here})
        for bound in bounds:
            copy = If(simplify(Op("ge" if bound.is_begin else "lt", (here, bound.bound), BOOL)), copy)
        copies.append(copy)
    return block(*copies)


def _only_pads(body: Stmt, loop: For, ranges: Ranges) -> bool:
    """Whether the body does nothing but store to padded buffers, within them in all iterations of a full tile, each to
    places of its own."""
    if isinstance(body, Block):
        return all(_only_pads(inner, loop, ranges) for inner in body.body)
    var, found = loop.var, literal_range(loop)
    if not isinstance(body, Store) or not any(var in variables(i) for i in body.indices):
        return False
    ends = [bound.bound for bound in partial_bounds(loop)]
    return found is not None and tile_stays_inside(body.buffer, body.indices, var, found, ranges, ends)


def _adds_up(loop: For) -> bool:
    """Whether the variable is only where it may stay one: in what is loaded from memory, and not divided."""
    for stmt in statements(loop.body):
        if isinstance(stmt, Store) and any(loop.var in variables(index) for index in stmt.indices):
            return False
        if any(_is_decided(node) and loop.var in variables(node) for value in values(stmt) for node in walk(value)):
            return False
    return True


def _is_decided(node: Expr) -> bool:
    """Whether an expression is better known, or must be."""
    return (isinstance(node, Op) and node.name in ("floordiv", "mod", "select")) or (
        isinstance(node, Load) and node.buffer.scope == "register"
    )


def _padding(loop: For, here: Expr, ends: list[Expr]) -> Stmt:
    """An iteration that goes to its own place in the tile, with the operands of the last one within the bounds."""
    inside = here
    for end in ends:
        inside = Op("min", (inside, Op("sub", (end, Const(1, INDEX)), INDEX)), INDEX)
    place: dict[Var, Expr] = {loop.var: here}

    def own(node: Expr) -> Expr:
        if isinstance(node, Load) and node.buffer.scope == "register":
            indices = tuple(simplify(replaced(index, place)) for index in node.indices)
            return replace(node, indices=indices)
        return node

    def placed(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store):
            indices = tuple(simplify(replaced(index, place)) for index in stmt.indices)
            return Store(stmt.buffer, indices, transform(stmt.value, own), stmt.mask)
        return map_statements(stmt, placed)

    return with_variables(placed(loop.body), {loop.var: simplify(inside)})
