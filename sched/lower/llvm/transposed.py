"""Square tiles that are read by columns: loaded by rows, and transposed in registers.

B[0, ramp(0, 16)] = A[ramp(0, 16), 0]
B[1, ramp(0, 16)] = A[ramp(0, 16), 1]
...
B[15, ramp(0, 16)] = A[ramp(0, 16), 15]

Each of these loads would gather an element a lane. As many of them as they have lanes, one element apart, read the rows
of a tile: one load a lane, and log2(lanes) shuffles a vector. Within 128 bits, two vectors are put between each other
(unpack); pieces of 128 bits are exchanged after that. All of these are single instructions.

Of a partial tile at the end of rows or columns, the loads are masked: columns that are not read, or that are read where
a condition holds, in each of the loads, and rows that the mask of the columns leaves out as a whole. So exactly those
elements are read that would be gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...compute.dtypes import BOOL
from ...compute.expr import Expr
from ...compute.simplify import key
from ..ir import Buffer, If, Load, Stmt, Store, lanes
from ..rewrite import loads
from . import lane_index, memory
from .emitter import Emitter, Tile, TileKey
from .expressions import mask_of, offset, value_of
from .lane_index import LaneIndex
from .storage import Storage
from .values import Value, vector

_PIECE = 128  # bits
_PIECES = 4  # of a vector, at most
_STEP = 4  # up to which elements in literal steps are picked from vectors side by side
_MASKS, _WORD = 512, 32  # bits
_FEW = 4  # of so many columns at least one must be read, or gathering is as good


class _Column(NamedTuple):
    """A load of a column, and the condition under which its statement runs, if there is one."""

    place: LaneIndex
    load: Load
    condition: Expr | None


def plan(e: Emitter, stmts: tuple[Stmt, ...]) -> int:
    """Find the tiles in the stores that a run of statements begins with; returns the length of the run.

    Nothing in the run writes what a tile reads. Where there are conditions, tiles are loaded before the first of them.
    """
    run = list(_run(stmts))
    e.tiles = {}
    candidates = [(load, condition) for store, condition in run for load in loads(store) if _is_column(load)]
    if len(candidates) < 2:
        return len(run)
    written, found = {store.buffer for store, _ in run}, dict[TileKey, list[_Column]]()
    for load, condition in candidates:
        if load.buffer not in written:
            place = offset(e, load.buffer, load.indices)
            if _is_tiled(e.storage(load.buffer), place):
                group = found.setdefault(_key(load, place._replace(constant=0)), [])
                group.append(_Column(place, load, condition))
    for (buffer, _, _), columns in found.items():
        for tile in _cut(e, buffer, sorted(_once(columns), key=lambda column: column.place.constant)):
            e.tiles |= {_key(tile.load, place): tile for place in tile.places}
            if any(condition is not None for _, condition in run):
                tile.columns = _loaded(e, tile)
    return len(run)


def _run(stmts: tuple[Stmt, ...]) -> Iterator[tuple[Store, Expr | None]]:
    """The stores that statements begin with, some of them under a condition that reads nothing."""
    for stmt in stmts:
        match stmt:
            case Store():
                yield stmt, None
            case If(condition, Store() as store, None) if not loads(stmt):
                yield store, condition
            case _:
                return


def _key(load: Load, place: LaneIndex) -> TileKey:
    return load.buffer, place, None if load.mask is None else key(load.mask)


def _is_column(load: Load) -> bool:
    if load.buffer.scope == "register" or len(load.indices) < 2:
        return False
    *front, last = map(lanes, load.indices)
    return last == 1 and max(front) > 1


def _is_tiled(storage: Storage, place: LaneIndex) -> bool:
    count, picked = place.lanes, isinstance(place.step, int) and abs(place.step) <= _STEP
    fits = count & (count - 1) == 0 and count * storage.dtype.bits <= _PIECES * _PIECE
    return fits and not picked and place.vector is None


def _once(columns: Sequence[_Column]) -> Iterator[_Column]:
    """Each column once. Of those that several conditions ask for, none."""
    by_place = dict[LaneIndex, list[_Column]]()
    for column in columns:
        by_place.setdefault(column.place, []).append(column)
    for same in by_place.values():
        always = [column for column in same if column.condition is None]
        asked = {key(column.condition) for column in same if column.condition is not None}
        if always or len(asked) == 1:
            yield (always or same)[0]


def _cut(e: Emitter, buffer: Buffer, columns: list[_Column]) -> Iterator[Tile]:
    """Tiles of as many columns as there are lanes, from the first one on, where enough of these are read."""
    while columns:
        first, count = columns[0].place, columns[0].place.lanes
        inside = [column for column in columns if column.place.constant < first.constant + count]
        whole = len(inside) == count and all(c.condition is None and c.load.mask is None for c in inside)
        many = len(inside) >= 2 and len(inside) * _FEW >= count
        taken = whole or (many and _has_masks(e, buffer))
        if taken:
            places, conditions = tuple(c.place for c in inside), tuple(c.condition for c in inside)
            yield Tile(buffer, inside[0].load, places, conditions)
        columns = columns[len(inside) if taken else 1 :]


def _has_masks(e: Emitter, buffer: Buffer) -> bool:
    """Whether the target loads elements of this type under a mask, in one instruction: those of 256 bits do so for
    32 and 64 bits."""
    return e.machine.vector_bits >= _MASKS or (e.machine.vector_bits >= _MASKS // 2 and buffer.dtype.bits >= _WORD)


def load_tiles(e: Emitter, stmt: Stmt) -> None:
    """Load the tiles of which a statement reads the first column, before the statement itself."""
    for load in loads(stmt) if e.tiles else ():
        place = offset(e, load.buffer, load.indices) if _is_column(load) else None
        tile = None if place is None else e.tiles.get(_key(load, place))
        if place is not None and tile is not None:
            if not tile.columns:
                tile.columns = _loaded(e, tile)
            e.memo[id(load)] = tile.column(place)


def _loaded(e: Emitter, tile: Tile) -> list[Value]:
    storage, place = e.storage(tile.buffer), tile.places[0]
    row, down = place._replace(step=1), lane_index.of_operand(place.step)
    read, there = _columns_read(e, tile), mask_of(e, tile.load.mask)
    rows = list[Value]()
    for lane in range(place.lanes):
        rows.append(memory.load(e, storage, row, _both(e, read, there, lane)))
        row = lane_index.add(e.fn, row, down)
    return _transposed(e, rows, min(place.lanes, _PIECE // storage.dtype.bits))


def _columns_read(e: Emitter, tile: Tile) -> Value | None:
    """Which columns of a tile are read, in lanes; None if all are."""
    place = tile.places[0]
    count, first = place.lanes, place.constant
    if len(tile.places) == count and all(condition is None for condition in tile.conditions):
        return None
    type_, bits = vector("i1", count), ["false"] * count
    asked = list[tuple[int, Value]]()
    for each, condition in zip(tile.places, tile.conditions, strict=True):
        bits[each.constant - first] = "true"
        if condition is not None:
            asked.append((each.constant - first, value_of(e, condition)))
    mask = f"<{', '.join(f'i1 {bit}' for bit in bits)}>"
    for lane, holds in asked:
        mask = e.fn.pure(f"insertelement {type_} {mask}, i1 {holds.text}, i64 {lane}")
    return Value(mask, BOOL, count)


def _both(e: Emitter, read: Value | None, there: Value | None, row: int) -> Value | None:
    """The mask of one row: of the columns that are read, if the lane of the columns is there."""
    if there is None:
        return read
    one = there if there.lanes == 1 else Value(e.fn.pure(f"extractelement {there.type} {there.text}, i64 {row}"), BOOL)
    return one if read is None else e.binary("and", read, e.broadcast(one, read.lanes))


def _transposed(e: Emitter, rows: list[Value], size: int) -> list[Value]:
    """The columns of a square, of which a piece has `size` elements."""
    groups = [_unpacked(e, rows[k : k + size], size) for k in range(0, len(rows), size)]
    columns = [_exchanged(e, [group[k] for group in groups], size) for k in range(size)]
    return [columns[k][piece] for piece in range(len(groups)) for k in range(size)]


def _unpacked(e: Emitter, rows: list[Value], size: int) -> list[Value]:
    """The squares that a few rows have in each piece, transposed: perfect shuffles, as often as they halve the rows."""
    half, count = size // 2, rows[0].lanes
    halves = [
        [piece + part * half + k // 2 + k % 2 * count for piece in range(0, count, size) for k in range(size)]
        for part in range(2)
    ]
    for _ in range(size.bit_length() - 1):
        rows = [_shuffled(e, rows[k], rows[k + half], places) for k in range(half) for places in halves]
    return rows


def _exchanged(e: Emitter, vectors: list[Value], size: int) -> list[Value]:
    """Each vector's first pieces as one vector, their second pieces as the next, and so on."""
    if len(vectors) == 1:
        return vectors
    pieces = range(2 * len(vectors))
    if len(vectors) == 2:
        return [_of_pieces(e, vectors[0], vectors[1], pieces[part::2], size) for part in range(2)]
    a, b, c, d = vectors
    found = []
    for first in (0, 2):  # each vector's half
        half = (first, first + 1, first + 4, first + 5)
        left, right = _of_pieces(e, a, b, half, size), _of_pieces(e, c, d, half, size)
        found += [_of_pieces(e, left, right, pieces[part::2], size) for part in range(2)]
    return found


def _of_pieces(e: Emitter, a: Value, b: Value, pieces: Sequence[int], size: int) -> Value:
    return _shuffled(e, a, b, [piece * size + k for piece in pieces for k in range(size)])


def _shuffled(e: Emitter, a: Value, b: Value, places: list[int]) -> Value:
    chosen = f"<{len(places)} x i32> <{', '.join(f'i32 {place}' for place in places)}>"
    text = e.fn.pure(f"shufflevector {a.type} {a.text}, {b.type} {b.text}, {chosen}")
    return Value(text, a.dtype, len(places))
