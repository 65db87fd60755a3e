"""Address the vectors of a row by where the row is: its position is computed once, and not at both of its ends as well.

A row is a loop of vectors between two masked ends (see `rows`). Each of them would multiply the row's indices by the
extents of the dimensions; where these are sizes, that is as much work as a vector or two.

    first = ...                                  first = ...
    if ...: C[i, ramp(first - 8, 8)] = ...       row = i * m + first
    for v in 0..e:                         ->    if ...: C[row + ramp(-8, 8)] = ...
        C[i, ramp(first + 8 * v, 8)] = ...       for v in 0..e: C[row + ramp(8 * v, 8)] = ...
    last = ...                                   last = ...
    if ...: C[i, ramp(last, 8)] = ...            if ...: C[row + ramp(last - first, 8)] = ...

A single index on a buffer of several dimensions is a position in row-major order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, transform, walk
from ..compute.simplify import key, linear, simplify
from .ir import Buffer, For, Let, Load, Ramp, Stmt, Store, Var, lanes, map_statements, map_values, statements, values
from .rewrite import variables


def row_positions(stmt: Stmt) -> Stmt:
    """The statement with the positions of rows computed where the rows begin."""
    stmt = map_statements(stmt, row_positions)
    if (
        not isinstance(stmt, Let)
        or stmt.var.dtype != INDEX
        or not any(isinstance(s, For) for s in statements(stmt.body))
    ):
        return stmt
    rows = _rows(stmt)
    if not rows:
        return stmt
    body = _addressed(stmt.body, stmt.var, {k: row.var for k, row in rows.items()})
    for row, position in reversed(_positions(list(rows.values()), stmt.var)):
        body = Let(row.var, position, body)
    return replace(stmt, body=body)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """The elements of a buffer at these indices of all dimensions but the last."""

    buffer: Buffer
    outer: tuple[Expr, ...]
    var: Var

    def position(self, first: Var) -> Expr:
        """Where the element `first` of the row is."""
        position: Expr = Const(0, INDEX)
        for index, extent in zip(self.outer, self.buffer.shape, strict=False):
            position = position * extent + index
        return simplify(position * self.buffer.shape[-1] + first)


def _rows(first: Let) -> dict[Hashable, _Row]:
    """The rows that are accessed more than once, in vectors some of which begin at a distance from `first`."""
    bound = {s.var for s in statements(first.body) if isinstance(s, (For, Let))}
    found: dict[Hashable, _Row] = {}
    count: dict[Hashable, int] = {}
    near: set[Hashable] = set()
    for access in _accesses(first.body):
        if not _is_of_a_row(access) or any(variables(index) & bound for index in access.indices[:-1]):
            continue
        k = _key(access)
        found.setdefault(k, _Row(access.buffer, access.indices[:-1], Var(f"{access.buffer.name}_row")))
        count[k] = count.get(k, 0) + 1
        if any(first.var in variables(node) for node in walk(access.indices[-1]) if isinstance(node, Ramp)):
            near.add(k)
    return {k: row for k, row in found.items() if count[k] > 1 and k in near}


def _positions(rows: list[_Row], first: Var) -> list[tuple[_Row, Expr]]:
    """Where rows are: at a distance from one before, where that is a shorter sum."""
    whole = [row.position(first) for row in rows]
    found: list[tuple[_Row, Expr]] = []
    for k, (row, position) in enumerate(zip(rows, whole, strict=True)):
        near = [simplify(position - other) + before.var for before, other in zip(rows[:k], whole, strict=False)]
        found.append((row, min((position, *near), key=lambda sum_: len(linear(sum_)[0]))))
    return found


def _accesses(stmt: Stmt) -> Iterator[Load | Store]:
    for inner in statements(stmt):
        if isinstance(inner, Store):
            yield inner
        for value in values(inner):
            yield from (node for node in walk(value) if isinstance(node, Load))


def _is_of_a_row(access: Load | Store) -> bool:
    """Whether lanes are side by side in the last dimension of a row-major buffer, whose extents are no literals."""
    buffer, (*outer, last) = access.buffer, access.indices or (Const(0, INDEX),)
    packed = buffer.strides is None and buffer.scope != "register"
    if not outer or not packed or all(isinstance(extent, Const) for extent in buffer.shape[1:]):
        return False
    ramps = [node for node in walk(last) if isinstance(node, Ramp)]
    return len(ramps) == 1 and all(lanes(index) == 1 for index in outer)


def _key(access: Load | Store) -> Hashable:
    return id(access.buffer), *map(key, access.indices[:-1])


def _addressed(stmt: Stmt, first: Var, rows: dict[Hashable, Var]) -> Stmt:
    """The statement with accesses to rows by their positions."""

    def load(node: Expr) -> Expr:
        return replace(node, indices=_indices(node, first, rows)) if isinstance(node, Load) else node

    stmt = map_statements(stmt, partial(_addressed, first=first, rows=rows))
    if isinstance(stmt, Store):
        stmt = replace(stmt, indices=_indices(stmt, first, rows))
    return map_values(stmt, lambda value: transform(value, load))


def _indices(access: Load | Store, first: Var, rows: dict[Hashable, Var]) -> tuple[Expr, ...]:
    if len(access.indices) < 2 or not _is_of_a_row(access) or (row := rows.get(_key(access))) is None:
        return access.indices

    def moved(node: Expr) -> Expr:
        return Ramp(simplify(node.base - first), node.lanes) if isinstance(node, Ramp) else node

    last = access.indices[-1]
    return (simplify(row + transform(last, moved)),)
