"""Stores past the caches, for what is written once and not read soon: memory is not read before it is written.

Only aligned vectors can be stored so, and arrays come with any alignment, so each store looks at its address: the whole
vector if that is aligned to it, in pieces of 16 bytes if it is aligned to those, and as any other store otherwise. (The
branches always go the same way.) Such stores are ordered by nothing, so a fence ends every function that makes them.

Of a line that is written by both kinds of stores, each part goes to memory and back. So where rows are not whole lines,
only vectors that are one go past the caches, and only of long rows, which begin and end elsewhere (`align_rows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..align_rows import LINE, LONG
from .emitter import Emitter
from .module import Function
from .storage import Storage
from .values import memory_element, vector

PIECE = 16  # bytes: the least that x86-64 and aarch64 store past the caches


def can_stream(storage: Storage, lanes: int) -> bool:
    """Whether vectors of so many lanes are stored past the caches, where rows are found to be whole lines."""
    size = storage.dtype.bytes * lanes
    small = isinstance(storage.size, int) and storage.size * storage.dtype.bytes < (storage.streaming or 0)
    whole = not _is_ragged(storage) or (size == LINE and min(_rows(storage)) >= LONG * LINE)
    return storage.streaming is not None and not small and whole and size >= PIECE and size & (size - 1) == 0


def _is_ragged(storage: Storage) -> bool:
    """Whether rows are known to be no whole lines."""
    return any(size % LINE != 0 for size in _rows(storage))


def _rows(storage: Storage) -> list[int]:
    """The bytes of rows, as far as they are known."""
    strides = (stride for stride in storage.strides if isinstance(stride, int) and stride != 1)
    return [stride * storage.dtype.bytes for stride in strides]


def store_streaming(e: Emitter, storage: Storage, lanes: int, bits: str, place: str, plain: str) -> None:
    """Store a vector at `place` past the caches, or with the instruction `plain`."""
    fn, element, hint = e.fn, memory_element(storage.dtype), e.module.nontemporal()
    e.streams = True
    size, after = storage.dtype.bytes * lanes, fn.label()
    address = fn.pure(f"ptrtoint ptr {place} to i64")
    with_ends = _with_ends_of_rows(fn, storage, address)
    whole_lines = _with_ends_of_rows(fn, storage, address, long=True) if size == LINE else with_ends
    with fn.region():  # nothing in here is known after it
        with _aligned(fn, whole_lines, size, after):
            whole = f"store {vector(element, lanes)} {bits}, ptr {place}, align {size}, {hint}"
            fn.store(storage.pointer, whole)
        if size > PIECE and not _is_ragged(storage):
            with _aligned(fn, with_ends, PIECE, after):
                for first in range(0, lanes, PIECE // storage.dtype.bytes):
                    _store_piece(fn, storage, lanes, first, bits, place, hint)
        fn.store(storage.pointer, plain)
        fn.jump(after)
    fn.start(after)


def _with_ends_of_rows(fn: Function, storage: Storage, address: str, *, long: bool = False) -> str:
    """An address that is as little aligned as the rows: its lowest bit is set where some are no whole lines, and where
    all rows together are too few. With `long`, only where those rows are short."""
    plain: list[str] = []
    distances = [stride for stride in storage.strides if isinstance(stride, str)]
    if distances:
        together = distances[0]
        for distance in distances[1:]:
            together = fn.pure(f"or i64 {together}, {distance}")
        within = fn.pure(f"and i64 {fn.pure(f'mul i64 {together}, {storage.dtype.bytes}')}, {LINE - 1}")
        plain.append(fn.pure(f"icmp ne i64 {within}, 0"))
        if long:
            short = fn.pure(f"icmp ult i64 {distances[-1]}, {LONG * LINE // storage.dtype.bytes}")
            plain[0] = fn.pure(f"and i1 {plain[0]}, {short}")
    if isinstance(storage.size, str) and storage.streaming:
        plain.append(fn.pure(f"icmp ult i64 {storage.size}, {-(-storage.streaming // storage.dtype.bytes)}"))
    for condition in plain:
        address = fn.pure(f"or i64 {address}, {fn.pure(f'zext i1 {condition} to i64')}")
    return address


@contextmanager
def _aligned(fn: Function, address: str, size: int, after: str) -> Iterator[None]:
    """What is done, before going on at `after`, where an address is aligned; what follows is done where it is not."""
    inside, otherwise = fn.label(), fn.label()
    low = fn.pure(f"and i64 {address}, {size - 1}")
    fn.branch(fn.pure(f"icmp eq i64 {low}, 0"), inside, otherwise)
    fn.start(inside)
    with fn.region():
        yield
    fn.jump(after)
    fn.start(otherwise)


def _store_piece(fn: Function, storage: Storage, lanes: int, first: int, bits: str, place: str, hint: str) -> None:
    element, count = memory_element(storage.dtype), PIECE // storage.dtype.bytes
    type_, picked = vector(element, lanes), ", ".join(f"i32 {first + lane}" for lane in range(count))
    piece = fn.pure(f"shufflevector {type_} {bits}, {type_} poison, <{count} x i32> <{picked}>")
    target = fn.pure(f"getelementptr {element}, ptr {place}, i64 {first}")
    fn.store(storage.pointer, f"store {vector(element, count)} {piece}, ptr {target}, align {PIECE}, {hint}")
