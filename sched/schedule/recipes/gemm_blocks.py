"""Sizes of the tiles and blocks of a matrix product, and which operands are worth packing.

The register tile is the one that wastes least: of all that fit the registers, the one whose tiles cover the result in
the least time, edges included. The blocks follow Low et al. (Analytical Modeling Is Enough for High-Performance BLIS,
TOMS 2016). An operand is packed for two reasons: rows that are a power of two apart fall into the same few sets of a
cache, and a panel of long rows needs more pages than there are entries for. Where neither holds, and for a few tiles of
rows, packing costs more than it gains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ...target.machine import Target

_LINE = 64
_WAY = 4096  # bytes of one way of a first-level cache: that is what a page allows
_WAYS = 8  # of a second-level cache, at least
_WIDEST = 4  # vectors in a register tile of more than a few rows
_UNKNOWN = (64, 96, 128, 250, 384, 512, 768, 1000, 1024)  # what an extent that is not known may be
_ROWS = 28  # of a block that the right operand is read for, from the second-level cache
_COLUMNS = 512  # of a block at most: rows of the result that are longer leave the second-level cache
_PACKING = 0.5  # cycles an element
_STARTING = 40  # cycles a tile
_FETCHING = 1 / 1536  # cycles a byte from the second-level cache that are not hidden
_LOADING = 0.1  # of a multiply-add, what a load costs beside it


@dataclass(frozen=True, slots=True)
class Operand:
    """size      bytes of an element
    step      bytes from one position of its other axis to the next, None where that is not known
    contiguous  the axis whose elements lie side by side: the one of the result ("own"), the sum's ("sum"), or none
    """

    size: int
    step: int | None
    contiguous: str


@dataclass(frozen=True, slots=True)
class Extents:
    """Rows, columns and terms; None where they are symbolic."""

    rows: int | None
    columns: int | None
    terms: int | None


@dataclass(frozen=True, slots=True)
class Blocks:
    """mr, nr      rows and columns of the register tile
    kc, mc, nc  terms, rows and columns of a block
    lanes       elements of a vector
    few         all rows are one block, which is then packed once, outside of the columns
    left, right  whether the operand is packed
    group       terms that one instruction sums up
    """

    mr: int
    nr: int
    kc: int
    mc: int
    nc: int
    lanes: int
    few: bool
    left: bool
    right: bool
    group: int = 1


def blocks(
    extents: Extents,
    size: int,
    operands: tuple[Operand, Operand],
    target: Target,
    given: tuple[int | None, int | None, int | None, int | None, int | None],
    group: int = 1,
) -> Blocks:
    """The blocks of a product of elements of so many bytes; what is given stays.

    group  so many terms are summed up by one instruction
    """
    lanes = max(1, target.vector_bits // (8 * size))
    mr, nr, kc, mc, nc = given
    left, right = operands
    kc = kc or -(-_even(extents.terms, max(64, target.l2_bytes // (8 * lanes * right.size))) // group) * group

    def packed(height: int) -> tuple[bool, bool]:
        return not _left_as_it_is(left, extents, height, kc, target), not _right_as_it_is(
            right, extents, height, kc, target
        )

    mr, nr = _register_tile(extents, lanes, size, kc, group, target, (mr, nr), packed)
    pack_left, pack_right = packed(mr)
    rows, block = extents.rows, None if extents.columns is None else kc * extents.columns * right.size
    cached = block is not None and block <= target.l2_bytes // 2  # the block of the right operand
    most = target.l2_bytes // (2 * kc * left.size)
    few = rows is not None and rows <= min(most, 16 * mr) and not (pack_right and cached)
    if mc is not None:
        few = rows is not None and rows <= mc
    else:
        mc = -(-(rows or 1) // mr) * mr if few else max(1, min(_ROWS if cached else 2 * _ROWS, most) // mr) * mr
    if nc is None:
        room = target.l2_bytes // (4 * kc * right.size) if few else target.l3_bytes // (8 * kc * right.size)
        nc = max(1, min(room, _COLUMNS) // nr) * nr
    return Blocks(mr, nr, kc, mc, nc, lanes, few, pack_left, pack_right or group > 1, group)


def is_narrow(extents: Extents, size: int, target: Target) -> bool:
    """Whether rows fill the lanes of vectors better than the columns, of elements of so many bytes, do."""
    lanes = max(1, target.vector_bits // (8 * size))
    return extents.columns is not None and 2 * extents.columns <= lanes <= (extents.rows or lanes)


def _register_tile(
    extents: Extents,
    lanes: int,
    size: int,
    kc: int,
    group: int,
    target: Target,
    given: tuple[int | None, int | None],
    packed: Callable[[int], tuple[bool, bool]],
) -> tuple[int, int]:
    """Rows and columns: mr * nr accumulators, nr / lanes vectors of the right operand and one of the left are in
    registers at a time; with groups of terms also the sums of the right operand's columns, and a constant (see
    `lower/passes/dot_products.py`). `packed` says which operands are packed for so many rows."""
    mr, nr = given
    counts = [_tiles(extent, 1) for extent in (extents.rows, extents.columns)]

    def time(height: int, vectors: int) -> float:
        """Cycles for one term of the sums of a tile."""
        added = (height + (group > 1)) * vectors
        work = (
            max(added, 8) + _LOADING * (height + vectors)
        ) / 2 + _STARTING / kc  # 8: two in each of 4 cycles of latency
        panel = vectors * lanes * size  # which stays in the first-level cache, or comes from the second time after time
        return work + (height * size + (panel if panel * kc > target.l1_bytes // 2 else 0)) * _FETCHING

    def cost(tile: tuple[int, int]) -> tuple[float, int]:
        """Cycles for one term of all sums."""
        height, vectors = tile
        copies = packed(height)
        widths = _halves(vectors) if copies[1] else [vectors]  # see `lower/passes/fill_tiles.py`
        across = _covered(extents.columns, [width * lanes for width in widths], [time(height, w) for w in widths])
        copied = sum(count for count, copy in zip(counts, copies, strict=True) if copy)
        return _tiles(extents.rows, height) * across + _PACKING * copied, -height * vectors

    tiles: list[tuple[int, int]] = []
    few = extents.rows is not None and extents.rows <= 2  # then memory is what takes time, in long rows
    widest = (target.vector_registers - 1) // 3 if few else _WIDEST
    least = 1 if extents.columns is not None and extents.columns <= lanes else 2
    for vectors in range(least, widest + 1) if nr is None else (max(1, nr // lanes),):
        others = 1 + vectors if group == 1 else 2 + 2 * vectors
        most = max(1, (target.vector_registers - others) // vectors)
        tiles += [(height, vectors) for height in (range(1, most + 1) if mr is None else (mr,))]
    height, vectors = min(tiles, key=cost)
    return height, nr or vectors * lanes


def _tiles(extent: int | None, size: int) -> float:
    """How many tiles cover an extent; of one that is not known, a thousand as the usual ones are covered."""
    return _covered(extent, [size], [1])


def _covered(extent: int | None, sizes: list[int], costs: list[float]) -> float:
    """What covering an extent costs with tiles of the first size, and one of the smallest that will do for the rest."""
    if extent is None:
        return 1000 * sum(_covered(usual, sizes, costs) / usual for usual in _UNKNOWN) / len(_UNKNOWN)
    full, rest = divmod(extent, sizes[0])
    return full * costs[0] + min((c for s, c in zip(sizes, costs, strict=True) if s >= rest), default=0) * (rest > 0)


def _halves(vectors: int) -> list[int]:
    """The number, half of it, and so on, down to one."""
    return [vectors] if vectors == 1 else [vectors, *_halves((vectors + 1) // 2)]


def _even(terms: int | None, most: int) -> int:
    """The length of a block of the sum: blocks of nearly one length, where it is known."""
    return most if not terms else -(-terms // -(-terms // most))


def _left_as_it_is(left: Operand, extents: Extents, mr: int, kc: int, target: Target) -> bool:
    """Whether single elements can be read from where they are: rows of the sum that do not meet in the first-level
    cache, or all of a small operand."""
    if left.contiguous == "sum":
        meeting = mr if left.step is None else _meeting(left.step, mr, _WAY)
        return meeting <= max(1, target.l1_bytes // (2 * _WAY) + 1)
    if left.step is None or left.contiguous == "none":
        return False
    small = extents.terms is not None and left.step * extents.terms <= target.l2_bytes // 4
    return small and _meeting(left.step, kc, target.l2_bytes // _WAYS) <= _WAYS // 2


def _right_as_it_is(right: Operand, extents: Extents, mr: int, kc: int, target: Target) -> bool:
    """Whether vectors can be read from where they are: for one tile of rows; or for a few, or all of a small operand,
    whose rows do not meet in the second-level cache."""
    if right.step is None or right.contiguous != "own" or extents.rows is None:
        return False
    tiles = _tiles(extents.rows, mr)
    small = extents.terms is not None and right.step * extents.terms <= target.l2_bytes // 2
    apart = _meeting(right.step, kc, target.l2_bytes // _WAYS) <= _WAYS // 2
    return tiles <= 1 or ((small or tiles <= 16) and apart)


@lru_cache(maxsize=256)
def _meeting(step: int, count: int, way: int) -> int:
    """How many cache lines, of those in which so many rows begin, a step of bytes apart, are in one set of a cache."""
    lines = {row * step // _LINE for row in range(count)}
    return max(Counter(line % (way // _LINE) for line in lines).values(), default=0)
