"""Stores past the caches, for what is written once and not read soon: memory is not read before it is written.

Only aligned vectors can be stored so, and arrays come with any alignment, so each store looks at its address: the whole
vector if that is aligned to it, in pieces of 16 bytes if it is aligned to those, and as any other store otherwise. (The
branches always go the same way.) Such stores are ordered by nothing, so a fence ends every function that makes them.

Of a line that is written by both kinds of stores, each part goes to memory and back. So where rows are not whole lines,
only vectors that are one go past the caches, only of long rows, which begin and end elsewhere (`align_rows`), and only
in loops along one row: of several rows, few would begin at a line at the same place.

Of symbolic sizes that is asked before each innermost loop, and whether there is enough to be streamed. There are two of
these loops then, one that streams and one with nothing but plain stores (loop unswitching).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

from ...compute.simplify import constant_value, key
from ..ir import Allocate, For, Store, lanes, statements
from ..passes.align_rows import LINE, LONG
from ..tiles import minima
from .emitter import Emitter
from .module import Function
from .storage import Storage
from .values import memory_element, vector

_SHORT = 4  # iterations
PIECE = 16  # bytes: the least that x86-64 and aarch64 store past the caches


def can_stream(e: Emitter, storage: Storage, lanes: int) -> bool:
    """Whether vectors of so many lanes are stored past the caches, where rows are found to be whole lines."""
    size = storage.dtype.bytes * lanes
    small = isinstance(storage.size, int) and storage.size * storage.dtype.bytes < (storage.streaming or 0)
    whole = not _is_ragged(storage) or (_is_lines(e, storage, size) and min(_rows(storage)) >= LONG * LINE)
    return storage.streaming is not None and not small and whole and size >= PIECE and size & (size - 1) == 0


def _is_lines(e: Emitter, storage: Storage, size: int) -> bool:
    """Whether vectors of so many bytes are one line after the other in a row."""
    return size == LINE and storage.pointer in e.in_a_row


def _is_ragged(storage: Storage) -> bool:
    """Whether rows are known to be no whole lines."""
    return any(size % LINE != 0 for size in _rows(storage))


def _rows(storage: Storage) -> list[int]:
    """The bytes of rows, as far as they are known."""
    strides = (stride for stride in storage.strides if isinstance(stride, int) and stride != 1)
    return [stride * storage.dtype.bytes for stride in strides]


def in_versions(e: Emitter, loop: For, emit: Callable[[], None]) -> None:
    """Emit a loop: twice, if it is an innermost one and a question about sizes decides what all of its stores are."""
    fn, vectors = e.fn, _vectors(loop)
    e.in_a_row = _in_a_row(e, vectors)
    widths = {(e.storage(store.buffer), max(map(lanes, store.indices), default=1)) for store in vectors}
    streamed = [(storage, storage.dtype.bytes * count) for storage, count in widths if can_stream(e, storage, count)]
    found = {_is_plain(e, storage, size) for storage, size in streamed} - {None}
    condition = found.pop() if len(found) == 1 and not _is_short(loop) else None
    if condition is None:
        emit()
    else:
        plain, streaming, after = fn.label(), fn.label(), fn.label()
        fn.branch(condition, plain, streaming)
        for label, decided in ((plain, True), (streaming, False)):
            fn.start(label)
            e.decided[condition] = decided
            with fn.region():
                emit()
            fn.jump(after)
        del e.decided[condition]
        fn.start(after)
    e.in_a_row = frozenset()


def _is_short(loop: For) -> bool:
    """Whether there are so few iterations that what is done before the loop, in two versions, counts."""
    counts = (constant_value(bound - loop.begin) for bound in minima(loop.end))
    return any(count is not None and count <= _SHORT for count in counts)


def _vectors(loop: For) -> list[Store]:
    """The stores of an innermost loop that may be streamed; none of other loops."""
    inside = list(statements(loop.body))
    if any(isinstance(stmt, For) for stmt in inside):
        return []
    own = {stmt.buffer for stmt in inside if isinstance(stmt, Allocate)}
    stores = [stmt for stmt in inside if isinstance(stmt, Store) and stmt.mask is None and stmt.buffer not in own]
    return [stmt for stmt in stores if stmt.buffer.streaming is not None]


def _in_a_row(e: Emitter, stores: Sequence[Store]) -> frozenset[str]:
    """The pointers of what these store in one row each."""
    rows = dict[str, set[Hashable]]()
    for store in stores:
        rows.setdefault(e.storage(store.buffer).pointer, set()).add(tuple(map(key, store.indices[:-1])))
    return frozenset(pointer for pointer, found in rows.items() if len(found) == 1)


def store_streaming(e: Emitter, storage: Storage, lanes: int, bits: str, place: str, plain: str) -> None:
    """Store a vector at `place` past the caches, or with the instruction `plain`."""
    fn, element, hint = e.fn, memory_element(storage.dtype), e.module.nontemporal()
    size = storage.dtype.bytes * lanes
    is_plain = _is_plain(e, storage, size)
    if is_plain is not None and e.decided.get(is_plain):
        fn.store(storage.pointer, plain)
        return
    e.streams = True
    after, address = fn.label(), fn.pure(f"ptrtoint ptr {place} to i64")
    in_pieces = _is_plain(e, storage, PIECE)
    asked, in_pieces = (None if condition in e.decided else condition for condition in (is_plain, in_pieces))
    with fn.region():  # nothing in here is known after it
        with _aligned(fn, address, asked, size, after):
            whole = f"store {vector(element, lanes)} {bits}, ptr {place}, align {size}, {hint}"
            fn.store(storage.pointer, whole)
        if size > PIECE and not _is_ragged(storage):
            with _aligned(fn, address, in_pieces, PIECE, after):
                for first in range(0, lanes, PIECE // storage.dtype.bytes):
                    _store_piece(fn, storage, lanes, first, bits, place, hint)
        fn.store(storage.pointer, plain)
        fn.jump(after)
    fn.start(after)


def _is_plain(e: Emitter, storage: Storage, size: int) -> str | None:
    """A condition on sizes for which vectors of so many bytes are stored as any others: rows that are no whole lines,
    unless they are long and gone along by lines, or too few bytes in all. None where no such vectors are."""
    fn, found = e.fn, list[str]()
    distances = [stride for stride in storage.strides if isinstance(stride, str)]
    if distances:
        together = distances[0]
        for distance in distances[1:]:
            together = fn.pure(f"or i64 {together}, {distance}")
        within = fn.pure(f"and i64 {fn.pure(f'mul i64 {together}, {storage.dtype.bytes}')}, {LINE - 1}")
        found.append(fn.pure(f"icmp ne i64 {within}, 0"))
        if _is_lines(e, storage, size):
            short = fn.pure(f"icmp ult i64 {distances[-1]}, {LONG * LINE // storage.dtype.bytes}")
            found[0] = fn.pure(f"and i1 {found[0]}, {short}")
    if isinstance(storage.size, str) and storage.streaming:
        found.append(fn.pure(f"icmp ult i64 {storage.size}, {-(-storage.streaming // storage.dtype.bytes)}"))
    return None if not found else found[0] if len(found) == 1 else fn.pure(f"or i1 {found[0]}, {found[1]}")


@contextmanager
def _aligned(fn: Function, address: str, is_plain: str | None, size: int, after: str) -> Iterator[None]:
    """What is done, before going on at `after`, where an address is aligned, unless vectors are plain by their sizes;
    what follows is done where it is not."""
    inside, otherwise = fn.label(), fn.label()
    if is_plain is not None:  # as if the address were odd
        address = fn.pure(f"or i64 {address}, {fn.pure(f'zext i1 {is_plain} to i64')}")
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
