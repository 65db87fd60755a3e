"""A square of vectors transposed in registers: lane c of row r goes to lane r of row c.

The network of unpacks and exchanges of blocks that compilers and libraries use for 128 to 512 bits. A stage works on
pairs of rows whose numbers differ in one bit, and exchanges that bit for one of the lane's number. Inside of 16 bytes
one instruction interleaves the lower, or the upper, halves of two rows, which shifts the lane's bits up: the rows'
upper bits go first. Between blocks of 16 bytes one takes the even, or the odd, blocks of both, which shifts them down.
"""

from __future__ import annotations

from .module import Function
from .values import vector

_BLOCK = 16  # bytes


def transposed(fn: Function, element: str, size: int, lanes: int, rows: list[str]) -> list[str]:
    """The columns of at most as many rows as they have lanes, a power of two; what is beyond the last row may be
    anything.

    size  bytes of an element
    """
    type_ = vector(element, lanes)
    rows = [*rows, *["poison"] * (lanes - len(rows))]
    inside = min(lanes, max(1, _BLOCK // size))
    stages = [*_below(inside), *(bit for bit in reversed(_below(lanes)) if bit >= inside)]
    for bit in stages:
        pick = _unpacked if bit < inside else _unblocked
        chosen = [pick(lanes, inside, odd) for odd in (False, True)]
        for first in range(lanes):
            if not first & bit:
                pair = rows[first], rows[first | bit]
                rows[first], rows[first | bit] = (_shuffled(fn, type_, *pair, places) for places in chosen)
    return rows


def _below(size: int) -> list[int]:
    """The powers of two below a power of two, largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length() - 1))]


def _unpacked(lanes: int, block: int, upper: bool) -> list[int]:
    """Of each block of two vectors: the lower or upper halves, one element of each in turn."""
    starts = range(block // 2 if upper else 0, lanes, block)
    return [start + k + side * lanes for start in starts for k in range(block // 2) for side in (0, 1)]


def _unblocked(lanes: int, block: int, odd: bool) -> list[int]:
    """The even or odd blocks of one vector, and those of another."""
    starts = [side * lanes + start for side in (0, 1) for start in range(block * odd, lanes, 2 * block)]
    return [start + k for start in starts for k in range(block)]


def _shuffled(fn: Function, type_: str, a: str, b: str, places: list[int]) -> str:
    if a == b == "poison":
        return "poison"
    chosen = ", ".join(f"i32 {place}" for place in places)
    return fn.pure(f"shufflevector {type_} {a}, {type_} {b}, <{len(places)} x i32> <{chosen}>")
