"""Cut statements on long vectors into statements on the target's vectors.

A vector has as many lanes as the widest element in the statement allows; a rest gets shorter vectors, powers of two, or
one of any length where it is kept in registers, of which each holds one vector. The pieces run in lane order; lanes are
independent of each other, so that any order is right. Where all lanes of a piece are at one element, which at most one
of them stores, they are cut one by one.

    C[ramp(b, 24)] = ...   ->   C[ramp(b, 16)] = ...
                                C[ramp(b + 16, 8)] = ...

In a tail, pieces of which no lane runs are left out: short rows then cost as many vectors as they have.

    C[ramp(0, 32)] = ... where ramp(0, 32) < m   ->   C[ramp(0, 16)] = ... where ramp(0, 16) < m
                                                      if 16 < m:
                                                          C[ramp(16, 16)] = ... where ramp(16, 16) < m
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ...compute.dtypes import BOOL
from ...compute.expr import Const, Expr, Op, transform
from ...compute.operations import joined_by
from ...compute.simplify import simplify
from ..ir import HORIZONTAL, Block, Check, If, Load, Ramp, Stmt, Store, lanes, map_statements, map_values, values
from ..rewrite import block, divided_ramp, is_element, loads

_MOST_NESTED = 16  # conditions of pieces, one in the other


def split_vectors(stmt: Stmt, vector_bits: int) -> Stmt:
    """The statement with no vector longer than the target's."""
    stmt = map_statements(stmt, lambda inner: split_vectors(inner, vector_bits))
    if not isinstance(stmt, (Store, Check)):
        return stmt
    width = max(lanes(value) for value in values(stmt))
    native = max(1, vector_bits // _widest_bits(stmt))
    if width <= native:
        return _alone(stmt)
    whole = isinstance(stmt, Store) and _is_in_registers(stmt)
    return _pieces_of(stmt, list(_pieces(width, native, whole)), _tail(stmt, width))


def _pieces_of(stmt: Store | Check, pieces: list[tuple[int, int]], tail: tuple[Expr, Expr] | None) -> Stmt:
    """Pieces of a statement, each but the first only if the tail reaches it: one after the other, or, of many, by
    halves, so that conditions are not nested without end."""
    if len(pieces) == 1:
        return block(*_cut(stmt, *pieces[0]))
    count = 1 if len(pieces) <= _MOST_NESTED else len(pieces) // 2
    rest = _pieces_of(stmt, pieces[count:], tail)
    if tail is not None:
        runs = simplify(Op("lt", (tail[0] + pieces[count][0], tail[1]), BOOL))
        rest = (rest if runs.value else Block(())) if isinstance(runs, Const) else If(runs, rest)
    return block(_pieces_of(stmt, pieces[:count], tail), rest)


def _tail(stmt: Store | Check, width: int) -> tuple[Expr, Expr] | None:
    """The counter of the first lane, and where those of all lanes end that run, if the statement says so."""
    mask = stmt.mask
    match stmt:
        case Store(buffer, _, Op("select", (condition, _, Load() as kept)), None) if kept.buffer is buffer:
            mask = condition if is_element(kept, stmt) else None
    for condition in () if mask is None else joined_by("and", mask):
        match condition:
            case Op("lt", (Ramp(base, count), bound)) if count == width and lanes(bound) == 1:
                return base, bound
    return None


def _alone(stmt: Store | Check) -> Stmt:
    """The store of the only lane that runs, where a literal mask leaves one.

    LLVM 22 makes a scalar store of a masked one of a single lane; of an integer that is made narrower for it, it writes
    all bytes that it had before, beyond the element."""
    if not isinstance(stmt, Store) or stmt.mask is None:
        return stmt
    running: set[int] | None = None
    for condition in joined_by("and", stmt.mask):
        match condition:
            case Op(name, (Ramp(Const(first), count), Const(bound))) if name in _COMPARED:
                holding = {lane for lane in range(count) if _COMPARED[name](first + lane, bound)}
                running = holding if running is None else running & holding
            case _:
                return stmt
    if running is None or len(running) != 1:
        return stmt
    return map_values(replace(stmt, mask=None), partial(_piece, first=running.pop(), count=1))


_COMPARED = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq}


def _is_in_registers(stmt: Store) -> bool:
    """Whether vectors of a register buffer are stored or loaded."""
    accesses = [(stmt.buffer, stmt.indices), *((load.buffer, load.indices) for load in loads(stmt))]
    return any(buffer.scope == "register" and max(map(lanes, indices), default=1) > 1 for buffer, indices in accesses)


def _cut(stmt: Store | Check, first: int, count: int) -> Iterator[Stmt]:
    """Lanes first, ..., first + count - 1; one by one where they are all at one element."""
    piece = map_values(stmt, partial(_piece, first=first, count=count))
    if isinstance(piece, Store) and isinstance(piece.mask, Const):
        piece = replace(piece, mask=None) if piece.mask.value else Block(())
    if isinstance(piece, Store) and isinstance(piece.value, Load) and piece.value.buffer is piece.buffer:
        piece = Block(()) if is_element(piece.value, piece) else piece
    if isinstance(piece, Store):
        piece = _alone(piece)
    if count > 1 and isinstance(piece, Store) and max(map(lanes, piece.indices), default=1) == 1:
        for lane in range(first, first + count):
            yield map_values(stmt, partial(_piece, first=lane, count=1))
    else:
        yield piece


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
    """The nodes of an expression that are vectors of elements, each once: not what indices and masks are made of."""
    pending, seen = [expr], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen or lanes(node) == 1:
            continue
        seen.add(id(node))
        yield node
        if not isinstance(node, Load) and node.dtype != BOOL:
            pending += node.children


def _pieces(width: int, native: int, whole: bool) -> Iterator[tuple[int, int]]:
    """The first lane of each piece and their number; the rest is one piece if it is to be `whole`."""
    first = 0
    while first < width:
        count = min(native, width - first)
        count = count if whole else 1 << (count.bit_length() - 1)
        yield first, count
        first += count


def _decided(node: Expr) -> Expr:
    """A comparison that comes out the same in all lanes as what it is, and what it decides."""
    match node:
        case Op("lt" | "ge" as name, (Ramp(Const(first), count), Const(bound))):
            if first >= bound or first + count <= bound:
                return Const((first < bound) == (name == "lt"), BOOL)
        case Op("select", (Const(taken), yes, no)):
            return yes if taken else no
    return node


def _piece(expr: Expr, *, first: int, count: int) -> Expr:
    """Lanes first, ..., first + count - 1 of the vectors in an expression."""

    def cut(node: Expr) -> Expr:
        if isinstance(node, Load) and node.mask is not None and max(map(lanes, node.indices), default=1) == 1:
            return replace(node, mask=Op("lanes_or", (node.mask,), BOOL)) if lanes(node.mask) > 1 else node
        if isinstance(node, Load) and isinstance(node.mask, Const) and node.mask.value:
            return replace(node, mask=None)
        if not isinstance(node, Ramp):
            return divided_ramp(_decided(node))
        base = simplify(node.base + first)
        return Ramp(base, count) if count > 1 else base

    return simplify(transform(expr, cut, leave=lambda node: isinstance(node, Op) and node.name in HORIZONTAL))
