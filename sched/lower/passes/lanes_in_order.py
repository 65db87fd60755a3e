"""Run the lanes of vector loops one after the other where they update one element and others: loops over data and a
reduction at once, as fused loops are.

    vectorized for f in 0..8:                     for f in 0..8:
        P[f] = A[f] * B[f]              ->            P[f] = A[f] * B[f]
        C[f // 3] = C[f // 3] + P[f]              for f in 0..8:
                                                      C[f // 3] = C[f // 3] + P[f]

Each statement runs for all lanes before the next one, as lanes do. Several of them that update one element would lose
all updates but one if they did so at once, and there is no saying which of them are alone.
"""

from __future__ import annotations

import itertools

from ..ir import (
    Accumulator,
    Allocate,
    Block,
    Check,
    Comment,
    For,
    If,
    Let,
    Stmt,
    Store,
    map_statements,
    statements,
    values,
)
from ..rewrite import block, fresh, variables


def lanes_in_order(stmt: Stmt) -> Stmt:
    """The statement without vector loops whose lanes update one element and others."""
    stmt = map_statements(stmt, lanes_in_order)
    if not isinstance(stmt, For) or stmt.kind != "vectorize" or not any(is_mixed(stmt, a) for a in stmt.shared):
        return stmt
    return _distributed(stmt.body, stmt)


def is_mixed(loop: For, accumulator: Accumulator) -> bool:
    """Whether the elements of an accumulator that a loop updates depend on its counter."""
    following = {loop.var}
    for inner in statements(loop.body):
        if isinstance(inner, (For, Let)) and any(variables(value) & following for value in values(inner)):
            following.add(inner.var)
    stores = (inner for inner in statements(loop.body) if isinstance(inner, Store))
    return any(variables(index) & following for s in stores if s.buffer in accumulator.buffers for index in s.indices)


def _distributed(stmt: Stmt, loop: For) -> Stmt:
    """The statement for all lanes of the loop, in loops of its own around what has the lane in it."""
    match stmt:
        case Block(body):
            # Stores in a row go together: what one of them stores may be what the next one of the same lane reads.
            parts: list[Stmt] = []
            for simple, run in itertools.groupby(body, lambda inner: isinstance(inner, (Store, Check))):
                row = tuple(run)
                parts += [_around(block(*row), loop)] if simple else [_distributed(inner, loop) for inner in row]
            return block(*parts)
        case For() | If() | Let() | Allocate() if not any(loop.var in variables(value) for value in values(stmt)):
            return map_statements(stmt, lambda inner: _distributed(inner, loop))
        case Comment():
            return stmt
        case _:
            return _around(stmt, loop)


def _around(stmt: Stmt, loop: For) -> Stmt:
    return fresh(For(loop.var, loop.begin, loop.end, stmt))
