"""Square tiles that are read by columns: loaded by rows, and transposed in registers.

B[0, ramp(0, 16)] = A[ramp(0, 16), 0]
B[1, ramp(0, 16)] = A[ramp(0, 16), 1]
...
B[15, ramp(0, 16)] = A[ramp(0, 16), 15]

Each of these loads would gather an element a lane. As many of them as they have lanes, one element apart, read the rows
of a tile: one load a lane, and log2(lanes) shuffles a vector. Within 128 bits, two vectors are put between each other
(unpack); pieces of 128 bits are exchanged after that. All of these are single instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from ..ir import Buffer, Load, Stmt, Store, lanes
from ..rewrite import loads
from . import lane_index, memory
from .emitter import Emitter, Tile
from .expressions import offset
from .lane_index import LaneIndex
from .storage import Storage
from .values import Value

_PIECE = 128  # bits
_PIECES = 4  # of a vector, at most
_STEP = 4  # up to which elements in literal steps are picked from vectors side by side

Columns = dict[tuple[Buffer, LaneIndex], list[LaneIndex]]


def plan(e: Emitter, stmts: tuple[Stmt, ...]) -> int:
    """Find the tiles in the stores that a run of statements begins with; returns the length of the run.

    Nothing in the run writes what a tile reads, and no load of a tile is masked, so all of its elements are read.
    """
    run = [stmt for stmt in takewhile(lambda stmt: isinstance(stmt, Store), stmts) if isinstance(stmt, Store)]
    e.tiles = {}
    candidates = [load for stmt in run for load in loads(stmt) if _is_column(load)]
    if len(candidates) < 2:
        return len(run)
    written, found = {stmt.buffer for stmt in run}, Columns()
    for load in candidates:
        if load.buffer not in written:
            place = offset(e, load.buffer, load.indices)
            if _is_tiled(e.storage(load.buffer), place):
                found.setdefault((load.buffer, place._replace(constant=0)), []).append(place)
    for (buffer, _), places in found.items():
        e.tiles |= _cut(buffer, sorted(set(places), key=lambda place: place.constant))
    return len(run)


def _is_column(load: Load) -> bool:
    if load.mask is not None or load.buffer.scope == "register" or len(load.indices) < 2:
        return False
    *front, last = map(lanes, load.indices)
    return last == 1 and max(front) > 1


def _is_tiled(storage: Storage, place: LaneIndex) -> bool:
    count, picked = place.lanes, isinstance(place.step, int) and abs(place.step) <= _STEP
    fits = count & (count - 1) == 0 and count * storage.dtype.bits <= _PIECES * _PIECE
    return fits and not picked and place.vector is None


def _cut(buffer: Buffer, places: list[LaneIndex]) -> dict[tuple[Buffer, LaneIndex], Tile]:
    """Tiles of as many columns as there are lanes, from the first one on."""
    count, found = places[0].lanes, dict[tuple[Buffer, LaneIndex], Tile]()
    while len(places) >= count:
        whole = places[count - 1].constant - places[0].constant == count - 1
        if whole:
            tile = Tile(buffer, places[0])
            found |= {(buffer, place): tile for place in places[:count]}
        places = places[count if whole else 1 :]
    return found


def load_tiles(e: Emitter, stmt: Stmt) -> None:
    """Load the tiles of which a statement reads the first column, before the statement itself."""
    for load in loads(stmt) if e.tiles else ():
        place = offset(e, load.buffer, load.indices) if _is_column(load) else None
        tile = None if place is None else e.tiles.get((load.buffer, place))
        if place is not None and tile is not None:
            if not tile.columns:
                tile.columns = _loaded(e, tile)
            e.memo[id(load)] = tile.column(place)


def _loaded(e: Emitter, tile: Tile) -> list[Value]:
    storage, place = e.storage(tile.buffer), tile.place
    row, down = place._replace(step=1), lane_index.of_operand(place.step)
    rows = list[Value]()
    for _ in range(place.lanes):
        rows.append(memory.load(e, storage, row, None))
        row = lane_index.add(e.fn, row, down)
    return _transposed(e, rows, min(place.lanes, _PIECE // storage.dtype.bits))


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
