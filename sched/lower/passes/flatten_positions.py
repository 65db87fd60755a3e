"""Address what a fused loop visits by its position.

The components of a fused loop's position are its quotients and remainders. Where an element's row-major position in
its buffer is the loop's position again, the element is addressed by that, so that the lanes of a flattened loop lie
side by side in memory and nothing is divided.

    C[ramp(f, 16) // m, ramp(f, 16) % m] = ...   ->   C[ramp(f, 16)] = ...
"""

from __future__ import annotations

from dataclasses import replace

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, Op, transform, walk
from ...compute.simplify import simplify
from ..ir import Buffer, Load, Stmt, Store, lanes, map_statements, map_values


def flatten_positions(stmt: Stmt) -> Stmt:
    """The statement with divided vectors of indices replaced by positions where those need no division."""
    stmt = map_statements(stmt, flatten_positions)
    if isinstance(stmt, Store):
        stmt = replace(stmt, indices=_flattened(stmt.buffer, stmt.indices))
    return map_values(stmt, lambda expr: transform(expr, _load))


def _load(node: Expr) -> Expr:
    return replace(node, indices=_flattened(node.buffer, node.indices)) if isinstance(node, Load) else node


def _flattened(buffer: Buffer, indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
    if buffer.strides is not None or buffer.scope == "register" or not any(map(_is_divided, indices)):
        return indices
    position: Expr = Const(0, INDEX)
    for index, extent in zip(indices, buffer.shape, strict=True):
        position = position * extent + index
    position = simplify(position)
    return indices if _is_divided(position) else (position,)


def _is_divided(index: Expr) -> bool:
    """Whether the index divides something that differs from lane to lane."""
    divisions = (node for node in walk(index) if isinstance(node, Op) and node.name in ("floordiv", "mod"))
    return any(lanes(division) > 1 for division in divisions)
