"""Begin loops of vectors that store past the caches at a cache line, behind a masked vector.

Only whole lines may go past the caches: of a line that is written in parts, each part goes to memory and back. Rows
that are not whole lines begin anywhere in one, so that none of their vectors would be a line.

    for j_o in 0..(m + 63) // 64:              let first = -(m * i) % 16 if m >= 512 else 0:
        vectorized for j_i in                      if first > 0: C[i, ramp(0, 16)] = ... where ramp(0, 16) < first
                0..min(64, m - 64 * j_o):  ->      for j_o in 0..(m - first + 63) // 64:
            C[i, 64 * j_o + j_i] = ...                 vectorized for j_i in 0..min(64, m - first - 64 * j_o):
                                                           C[i, 64 * j_o + j_i + first] = ...

Which elements are in one vector changes, so the loop must be one in which no element is made of another: a single store
of what does not read the buffer.

Also called: loop peeling for alignment (Eichenberger, Wu and O'Brien, PLDI 2004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op
from ...compute.simplify import constant_value, simplify
from ..ir import Buffer, For, If, Let, Ramp, Stmt, Store, Var, map_statements
from ..rewrite import block, loads, variables, with_variables
from ..tiles import literal_range, minima
from .vectorize import Vectorizer

LINE = 64  # bytes
LONG = 32  # lines: the ends of shorter rows are too much of them


def align_rows(stmt: Stmt) -> Stmt:
    """The statement with loops over rows of what is streamed cut at the first cache line."""
    stmt = map_statements(stmt, align_rows)
    match stmt:
        case For(kind="serial", begin=Const(0), body=For(kind="vectorize", begin=Const(0), body=Store()) as vectors):
            return _aligned(stmt, vectors, vectors.body) if isinstance(vectors.body, Store) else stmt
        case _:
            return stmt


def _aligned(loop: For, vectors: For, store: Store) -> Stmt:
    buffer, (_, lanes) = store.buffer, literal_range(vectors) or (None, 0)
    count = LINE // buffer.dtype.bytes
    plain = buffer.streaming is None or buffer.strides is not None or len(store.indices) != len(buffer.shape)
    if plain or lanes < count:
        return loop
    counters = {loop.var, vectors.var}
    *outer, last = store.indices
    begin = simplify(last - loop.var * lanes - vectors.var)
    length = _length(loop, vectors, lanes)
    if store.mask is not None or length is None or any(load.buffer is buffer for load in loads(store)):
        return loop
    if any(variables(index) & counters for index in (*outer, begin, length)):
        return loop
    to_line = simplify(_position(buffer, (*outer, begin)) * -1 % count)
    known = constant_value(length)
    if constant_value(to_line) == 0 or (known is not None and known < LONG * count):
        return loop
    if known is None:
        to_line = Op("select", (Op("ge", (length, Const(LONG * count, INDEX)), BOOL), to_line, Const(0, INDEX)), INDEX)
    first = Var(f"{vectors.var.name}_first")
    j_o, j_i = Var(loop.var.name), Var(vectors.var.name)
    left = simplify(length - first)
    bound = simplify(Op("min", (Const(lanes, INDEX), left - j_o * lanes), INDEX))
    body = with_variables(store, {loop.var: j_o, vectors.var: j_i + first})
    rest = replace(vectors, var=j_i, end=bound, body=body)
    ramp = Ramp(Const(0, INDEX), count)
    head = with_variables(store, {loop.var: Const(0, INDEX)})
    return Let(
        first,
        simplify(to_line),
        block(
            If(
                Op("gt", (first, Const(0, INDEX)), BOOL),
                Vectorizer({vectors.var: ramp}).run(head, Op("lt", (ramp, first), BOOL)),
            ),
            replace(loop, var=j_o, end=simplify((left + (lanes - 1)) // lanes), body=rest),
        ),
    )


def _length(loop: For, vectors: For, lanes: int) -> Expr | None:
    """How many iterations both loops have together."""
    bounds = [bound for bound in minima(vectors.end) if constant_value(bound) is None]
    if not bounds:
        return simplify(loop.end * lanes)
    (bound,) = bounds if len(bounds) == 1 else (None,)
    return None if bound is None else simplify(bound + loop.var * lanes)


def _position(buffer: Buffer, indices: Iterable[Expr]) -> Expr:
    """Where an element of a row-major buffer is."""
    position: Expr = Const(0, INDEX)
    for index, extent in zip(indices, buffer.shape, strict=True):
        position = position * extent + index
    return position
