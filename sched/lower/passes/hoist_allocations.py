"""Take allocations out of loops: no memory is allocated in a loop that runs in order.

What each iteration of a loop has for itself is of one size in all of them, and is done with when the iteration is; the
next one may have the same memory. Only the iterations of a parallel loop need memory of their own.

    for i_o:                          allocate B[34]
        allocate B[34]           ->   for i_o:
        for i: B[i] = ...                 for i: B[i] = ...
"""

from __future__ import annotations

from ..ir import Allocate, Buffer, For, Stmt, map_statements


def hoist_allocations(stmt: Stmt) -> Stmt:
    """The statement with allocations at its top, or at that of a parallel loop's body."""
    found: dict[Buffer, None] = {}
    bare = _without(stmt, found)
    return _allocated(found, bare)


def _without(stmt: Stmt, found: dict[Buffer, None]) -> Stmt:
    """The statement without allocations, which are added to `found`."""
    if isinstance(stmt, Allocate):
        found[stmt.buffer] = None
        return _without(stmt.body, found)
    if isinstance(stmt, For) and stmt.kind == "parallel":
        return map_statements(stmt, hoist_allocations)
    return map_statements(stmt, lambda inner: _without(inner, found))


def _allocated(buffers: dict[Buffer, None], body: Stmt) -> Stmt:
    for buffer in reversed(buffers):
        body = Allocate(buffer, body)
    return body
