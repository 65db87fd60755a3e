"""Statements of one iteration, made apart, put together: the buffers of the iteration are there once."""

from __future__ import annotations

from collections.abc import Iterator

from .ir import Allocate, Block, Buffer, For, Stmt, map_statements, sub_statements


def together(parts: list[Stmt]) -> Stmt:
    """The statements in order. Those of one iteration of a loop that isl has left out may each have been given the
    buffers of the iteration: they have them in common."""
    allocated = [buffer for part in parts for buffer in _allocated(part)]
    shared = {buffer: None for buffer in allocated if allocated.count(buffer) > 1}
    result: Stmt = Block(tuple(_without(part, shared) for part in parts) if shared else tuple(parts))
    for buffer in shared:
        result = Allocate(buffer, result)
    return result


def _allocated(stmt: Stmt) -> Iterator[Buffer]:
    """The buffers that are allocated in a statement, but not anew in each iteration of a loop in it."""
    if isinstance(stmt, Allocate):
        yield stmt.buffer
    if not isinstance(stmt, For):
        for inner in sub_statements(stmt):
            yield from _allocated(inner)


def _without(stmt: Stmt, buffers: dict[Buffer, None]) -> Stmt:
    """The statement without the allocations of these buffers."""
    if isinstance(stmt, For):
        return stmt
    if isinstance(stmt, Allocate) and stmt.buffer in buffers:
        return _without(stmt.body, buffers)
    return map_statements(stmt, lambda inner: _without(inner, buffers))
