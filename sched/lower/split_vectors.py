"""Cut statements on long vectors into statements on the target's vectors.

A vector has as many lanes as the widest element in the statement allows; a rest gets shorter vectors, powers of two.
The pieces run in lane order; lanes are independent of each other, so that any order is right.

    C[ramp(b, 24)] = ...   ->   C[ramp(b, 16)] = ...
                                C[ramp(b + 16, 8)] = ...
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.dtypes import BOOL
from ..compute.expr import Expr, Op, rebuild
from ..compute.simplify import simplify
from .ir import HORIZONTAL, Check, Load, Ramp, Stmt, Store, lanes, map_statements, map_values, values
from .rewrite import block


def split_vectors(stmt: Stmt, vector_bits: int) -> Stmt:
    """The statement with no vector longer than the target's."""
    stmt = map_statements(stmt, lambda inner: split_vectors(inner, vector_bits))
    if not isinstance(stmt, (Store, Check)):
        return stmt
    width = max(lanes(value) for value in values(stmt))
    native = max(1, vector_bits // _widest_bits(stmt))
    if width <= native:
        return stmt
    copies: list[Stmt] = []
    for first, count in _pieces(width, native):
        copies.append(map_values(stmt, lambda expr, f=first, c=count: simplify(_piece(expr, f, c))))  # type: ignore[misc]
    return block(*copies)


def _widest_bits(stmt: Stmt) -> int:
    """The bits of the widest element that the statement computes with; indices do not count."""
    widest = 8
    for value in (*((stmt.value,) if isinstance(stmt, Store) else values(stmt)),):
        widest = max(widest, value.dtype.bits)
        for node in _elements(value):
            if node.dtype != BOOL:
                widest = max(widest, node.dtype.bits)
    return widest


def _elements(expr: Expr) -> Iterator[Expr]:
    """The nodes of an expression that are vectors of elements: not what indices and masks are made of."""
    if lanes(expr) == 1:
        return
    yield expr
    if isinstance(expr, Load) or expr.dtype == BOOL:
        return
    for child in expr.children:
        yield from _elements(child)


def _pieces(width: int, native: int) -> Iterator[tuple[int, int]]:
    first = 0
    while first < width:
        count = min(native, width - first)
        count = 1 << (count.bit_length() - 1)
        yield first, count
        first += count


def _piece(expr: Expr, first: int, count: int) -> Expr:
    if isinstance(expr, Ramp):
        base = simplify(expr.base + first)
        return Ramp(base, count) if count > 1 else base
    assert not (isinstance(expr, Op) and expr.name in HORIZONTAL), "combined lanes stand in scalar statements"
    return rebuild(expr, tuple(_piece(child, first, count) for child in expr.children))
