"""Sums of products of narrow integers as the target's dot products: four of bytes, or two of 16 bits, in one operation.

Integer sums wrap, so that the products of one accumulator may be added in any order, and in groups:

    acc[j] = acc[j] + int32(A[4 * k]) * int32(B[k, j, 0])          acc[j] = dot_u8s8(acc[j],
    acc[j] = acc[j] + int32(A[4 * k + 1]) * int32(B[k, j, 1])  ->      pack(A[4 * k], A[4 * k + 1], ...),
    ...                                                                pack(B[k, j, 0], B[k, j, 1], ...))

`pack` puts the elements of a group into one integer of 32 bits, the first one lowest; where they lie side by side that
is a load. The instructions for bytes (vpdpbusd) multiply unsigned by signed ones. Of two signed ones the first is moved
by 128 in a loop, and 128 times the sum of the second is taken from the accumulators after it.

    acc = dot_s8s8(acc, x, y)   ->   acc = dot_m8s8(acc, x, y); moved = dot_m8s8(moved, 0, y)

Runs on loops that are written out, for targets with such instructions. Those without the ones for bytes make two
products of 16 bits of each four, of the even bytes and of the odd ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from ...compute.dtypes import DTYPES, INDEX
from ...compute.expr import Cast, Const, Expr, Op, walk
from ...compute.simplify import key
from ..ir import Allocate, Block, Buffer, For, Load, Ramp, Stmt, Store, lanes, map_statements, statements
from ..rewrite import block, loads, stored_buffers, variables

INT32, UINT32, INT16 = DTYPES["int32"], DTYPES["uint32"], DTYPES["int16"]
_SHORT = {"int8": "s8", "uint8": "u8", "int16": "s16"}
DOTS = {"dot_u8s8": 4, "dot_s8s8": 4, "dot_u8u8": 4, "dot_m8s8": 4, "dot_s16s16": 2}


@dataclass(frozen=True, slots=True)
class _Update:
    """A store that adds the product of `x` and `y`, of one of the narrow types each, to its own element."""

    store: Store
    x: Expr
    y: Expr

    @property
    def element(self) -> Hashable:
        """Equal for updates of one element under one mask."""
        mask = None if self.store.mask is None else key(self.store.mask)
        return id(self.store.buffer), mask, *map(key, self.store.indices)

    @property
    def operation(self) -> str:
        return f"dot_{_SHORT[self.x.dtype.name]}{_SHORT[self.y.dtype.name]}"


def dot_products(stmt: Stmt, vector_bits: int, *, vnni: bool) -> Stmt:
    """The statement with dot products in vectors of at most so many bits; 0 for a target that has none.

    vnni  the target multiplies bytes, of which one is signed and one is not; else all are made 16 bits
    """
    if not vector_bits:
        return stmt
    match stmt:
        case For(kind="serial", body=Block(body)):
            parts = tuple(_parts(body, vector_bits, vnni))
            if parts == body:
                return stmt
            loop = replace(stmt, body=block(*parts))
            return _moved(loop) if vnni else loop
        case Block(body):
            parts = tuple(_parts(body, vector_bits, vnni))
            return block(*parts) if parts != body else stmt
        case _:
            return map_statements(stmt, lambda inner: dot_products(inner, vector_bits, vnni=vnni))


def _parts(body: tuple[Stmt, ...], vector_bits: int, vnni: bool) -> Iterator[Stmt]:
    """The statements of a block, runs of updates that do not depend on each other combined: no operand is what the run
    stores, and none is stored to."""
    run: list[_Update] = []
    stored, read = set[Buffer](), set[Buffer]()
    for stmt in body:
        update = _update(stmt, vector_bits)
        operands = set() if update is None else {load.buffer for e in (update.x, update.y) for load in _loads(e)}
        if update is None or operands & stored or update.store.buffer in read | operands:
            yield from _combined(run)
            run, stored, read = [], set(), set()
        if update is None:
            yield dot_products(stmt, vector_bits, vnni=vnni)
        else:
            run.append(update)
            stored.add(update.store.buffer)
            read |= operands
    yield from _combined(run)


def _loads(expr: Expr) -> list[Load]:
    return [node for node in walk(expr) if isinstance(node, Load)]


def _update(stmt: Stmt, vector_bits: int) -> _Update | None:
    if not isinstance(stmt, Store) or stmt.buffer.dtype not in (INT32, UINT32):
        return None
    width = 32 * max(map(lanes, stmt.indices), default=1)
    if not 128 <= width <= vector_bits or width & (width - 1) or not isinstance(stmt.value, Op):
        return None
    match stmt.value:
        case Op("add", (a, b)) if _is_element(a, stmt):
            factors = _factors(b)
        case Op("add", (a, b)) if _is_element(b, stmt):
            factors = _factors(a)
        case _:
            return None
    if factors is None:
        return None
    x, y = factors
    if INT16 in (x.dtype, y.dtype):
        x, y = (f if f.dtype == INT16 else Cast(f, INT16) for f in factors)
    if (x.dtype.name, y.dtype.name) == ("int8", "uint8") or (x.dtype == y.dtype and lanes(x) > lanes(y)):
        x, y = y, x
    return _Update(stmt, x, y)


def _is_element(expr: Expr, store: Store) -> bool:
    return (
        isinstance(expr, Load)
        and expr.buffer is store.buffer
        and [key(index) for index in expr.indices] == [key(index) for index in store.indices]
    )


def _factors(expr: Expr) -> tuple[Expr, Expr] | None:
    """The narrow factors of a product that is exact in 32 bits."""
    match expr:
        case Op("mul", (Cast(x), Cast(y))) if x.dtype.name in _SHORT and y.dtype.name in _SHORT:
            return x, y
        case Cast(Op("mul", (Cast(x), Cast(y))) as product):
            kinds = {x.dtype.kind, y.dtype.kind}
            whole = product.dtype.name == ("int16" if "int" in kinds else "uint16")
            return (x, y) if whole and x.dtype.bits == y.dtype.bits == 8 and kinds <= {"int", "uint"} else None
        case _:
            return None


def _combined(run: list[_Update]) -> Iterator[Stmt]:
    """The updates of each element in groups; what fills no group stays as it is."""
    chains: dict[Hashable, list[_Update]] = {}
    for update in run:
        chains.setdefault((update.element, update.operation), []).append(update)
    rows = [list(_groups(chain)) for chain in chains.values()]
    for place in range(max(map(len, rows), default=0)):
        for row in rows:
            if place < len(row):
                yield from row[place]


def _groups(chain: list[_Update]) -> Iterator[list[Stmt]]:
    count = DOTS[chain[0].operation]
    for first in range(0, len(chain), count):
        group = chain[first : first + count]
        if len(group) < count:
            yield [update.store for update in group]
            continue
        store = group[0].store
        packs = (Op("pack", operands, UINT32) for operands in (tuple(u.x for u in group), tuple(u.y for u in group)))
        element = Load(store.buffer, store.indices, store.mask)
        value = Op(group[0].operation, (element, *packs), store.buffer.dtype)
        yield [Store(store.buffer, store.indices, value, store.mask)]


def _moved(loop: For) -> Stmt:
    """The loop with unsigned first operands where both are signed bytes, and what makes up for that after it.

    Accumulators that take the same second operands have one column of sums of them in common.
    """
    body = loop.body.body if isinstance(loop.body, Block) else (loop.body,)
    shared, stored = _shared(body), set(stored_buffers(loop))
    second: dict[Hashable, tuple[Store, list[Expr]]] = {}
    inside: list[Stmt] = []
    for stmt in body:
        dot = _signed_dot(stmt)
        if dot is None or not _only_sums(stmt, dot, loop, shared, stored):
            inside.append(stmt)
            continue
        assert isinstance(stmt, Store)
        element, x, y = dot.operands
        second.setdefault((stmt.buffer, *map(key, stmt.indices)), (stmt, []))[1].append(y)
        inside.append(replace(stmt, value=Op("dot_m8s8", (element, x, y), dot.dtype)))
    columns: dict[Hashable, tuple[list[Expr], list[Store]]] = {}
    for store, operands in second.values():
        columns.setdefault((store.buffer.dtype, *map(key, operands)), (operands, []))[1].append(store)
    result: Stmt = replace(loop, body=block(*inside))
    for operands, stores in columns.values():
        result = _with_column(result, operands, stores)
    return result


def _signed_dot(stmt: Stmt) -> Op | None:
    """The dot product of signed bytes that a statement adds to a register."""
    match stmt:
        case Store(Buffer(scope="register"), _, Op("dot_s8s8") as dot, None):
            return dot
        case _:
            return None


def _shared(body: tuple[Stmt, ...]) -> set[Buffer]:
    """The buffers that anything but such a statement reads or writes, or that one has its operands from."""
    found: set[Buffer] = set()
    for stmt in body:
        if (dot := _signed_dot(stmt)) is not None:
            found.update(load.buffer for operand in dot.operands[1:] for load in _loads(operand))
        else:
            found.update(stored_buffers(stmt))
            found.update(load.buffer for inner in statements(stmt) for load in loads(inner))
    return found


def _only_sums(stmt: Stmt, dot: Op, loop: For, shared: set[Buffer], stored: set[Buffer]) -> bool:
    """Whether the register is the same in all iterations, nothing sees what it holds before the loop ends, and the
    second operand has one value in an iteration."""
    assert isinstance(stmt, Store)
    fixed = all(loop.var not in variables(index) for index in stmt.indices)
    return fixed and stmt.buffer not in shared and not any(load.buffer in stored for load in _loads(dot.operands[2]))


def _with_column(stmt: Stmt, operands: list[Expr], stores: list[Store]) -> Stmt:
    """The statement, which ends with the loop, with 128 times the sums of the operands taken from the elements."""
    width, dtype = max(map(lanes, stores[0].indices)), stores[0].buffer.dtype
    column, place = Buffer("moved", dtype, (Const(width, INDEX),), "register"), (Ramp(Const(0, INDEX), width),)
    whole = Load(column, place)
    sums = [Store(column, place, Op("dot_m8s8", (whole, Const(0, UINT32), operand), dtype)) for operand in operands]
    after = [
        Store(store.buffer, store.indices, Op("sub", (Load(store.buffer, store.indices), whole), dtype))
        for store in stores
    ]

    def with_sums(inner: Stmt) -> Stmt:
        if isinstance(inner, For):
            return replace(inner, body=block(inner.body, *sums))
        return map_statements(inner, with_sums)

    return Allocate(column, block(Store(column, place, Const(0, dtype)), with_sums(stmt), *after))
