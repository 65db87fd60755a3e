"""Loads and stores, by how the lanes lie in memory: all in one place, side by side, backwards, in steps, anywhere.

Lanes that a mask leaves out are neither read nor written. Nothing is read beyond the lanes of an access, except between
the elements of packed storage.
"""

from __future__ import annotations

from ...compute.dtypes import BOOL, DType
from . import horizontal, lane_index
from .emitter import Emitter
from .lane_index import LaneIndex
from .storage import Storage
from .streaming import can_stream, store_streaming
from .transposition import transposed
from .values import Value, mangled, memory_element, shuffle_mask, splat, vector

_SHUFFLED_STEPS = (2, 3, 4)


def load(e: Emitter, storage: Storage, index: LaneIndex, mask: Value | None) -> Value:
    """The elements at `index`, 0 where the mask does not hold."""
    access = _Access(e, storage, max(index.lanes, mask.lanes if mask else 1))
    if index.uniform:
        bits = _load_one(access, index, mask)
    elif index.vector is None and index.step in (1, -1):
        bits = _load_side_by_side(access, index, mask)
    elif _in_steps(storage, index):
        bits = _load_in_steps(access, index, mask)
    else:
        bits = _gather(access, index, mask)
    return access.value(bits)


def load_packed(e: Emitter, storage: Storage, index: LaneIndex, mask: Value | None, dtype: DType) -> Value | None:
    """The elements from each lane's `index` on that fill a `dtype`, as one; None where the lanes' lie apart."""
    if storage.slots is not None or index.vector is not None:
        return None
    access = _Access(e, storage, max(index.lanes, mask.lanes if mask else 1), dtype)
    if index.uniform:
        return Value(_load_one(access, index, mask), dtype, access.lanes)
    if index.step == dtype.bytes // storage.dtype.bytes:
        return Value(_load_side_by_side(access, index._replace(step=1), mask), dtype, access.lanes)
    return None


def store(e: Emitter, storage: Storage, index: LaneIndex, value: Value, mask: Value | None) -> None:
    """Write `value` at `index` where the mask holds; of lanes in one place the last one stays."""
    lanes = max(index.lanes, value.lanes, mask.lanes if mask else 1)
    access = _Access(e, storage, lanes)
    bits = access.bits(e.broadcast(value, lanes))
    if lanes == 1:
        _store_one(access, index, bits, mask)
    elif index.vector is None and index.step in (1, -1):
        _store_side_by_side(access, index, bits, mask)
    else:
        _scatter(access, index._replace(lanes=lanes), bits, mask)


def prefetch(e: Emitter, storage: Storage, index: LaneIndex) -> None:
    """Fetch the cache line of an element for reading, into all levels."""
    place = _Access(e, storage, 1).pointer(index.symbol, index.constant)
    e.fn.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")


def store_interleaved(e: Emitter, storage: Storage, index: LaneIndex, values: list[Value], mask: Value | None) -> None:
    """Write as many values as `index` has steps a lane beside each other: the first of all at `index`, the second of
    all after them."""
    count = len(values)
    parts = [_Access(e, storage, index.lanes).bits(value) for value in values]
    access = _Access(e, storage, index.lanes * count)
    bits = _between(access, parts, access.element)
    if mask is not None:
        whole = e.broadcast(mask, index.lanes).text
        mask = Value(_between(access, [whole] * count, "i1"), BOOL, access.lanes)
    _store_side_by_side(access, index._replace(step=1, lanes=access.lanes), bits, mask)


def store_transposed(e: Emitter, storage: Storage, index: LaneIndex, values: list[Value], mask: Value | None) -> None:
    """Write the first lanes of all values beside each other at `index`, the second lanes a step after them.

    Where such rows lie side by side, a row may be written with more than it has, which the next ones replace.
    """
    access = _Access(e, storage, index.lanes)
    bits, whole = [access.bits(value) for value in values], None if mask is None else e.broadcast(mask, index.lanes)
    squares = [bits[first : first + access.lanes] for first in range(0, len(bits), access.lanes)]
    columns = [transposed(e.fn, access.element, storage.dtype.bytes, access.lanes, rows) for rows in squares]
    size = len(values) * access.lanes if index.step == len(values) and mask is None else 0
    start, step = index._replace(step=0, lanes=1), lane_index.of_operand(index.step)
    for lane in range(access.lanes):
        row = lane_index.linear(e.fn, (start, step), (1, lane))
        inside: Value | None = None
        if whole is not None:
            inside = Value(e.fn.pure(f"extractelement {whole.type} {whole.text}, i64 {lane}"), BOOL)
        for number, square in enumerate(columns):
            stays = lane * len(values) + (number + 1) * access.lanes <= size
            wanted = access.lanes if stays else len(squares[number])
            place = row._replace(constant=row.constant + number * access.lanes, step=1, lanes=wanted)
            write = _store_one if wanted == 1 else _store_side_by_side
            write(_Access(e, storage, wanted), place, access.first(square[lane], wanted), inside)


def _between(access: _Access, parts: list[str], element: str, times: int = 1) -> str:
    """The lanes of two or four vectors, the first of all, then the second of all; `times` as many fill the access."""
    if len(parts) == 1:
        return parts[0]
    # Every other part goes together first, so that the last step brings neighbours together.
    first, second = (_between(access, parts[place::2], element, 2 * times) for place in (0, 1))
    count = access.lanes // times
    half, name = vector(element, count // 2), f"@llvm.vector.interleave2.{mangled(element, count)}"
    return access.fn.pure(f"call {vector(element, count)} {name}({half} {first}, {half} {second})")


class _Access:
    """What the forms of one access share: `type` is what is in memory, `align` what LLVM may rely on.

    A lane is an element of the storage, or as many as fill a `whole`.
    """

    __slots__ = ("align", "e", "element", "fn", "lanes", "storage", "type", "unit")

    def __init__(self, e: Emitter, storage: Storage, lanes: int, whole: DType | None = None) -> None:
        self.e, self.fn, self.storage, self.lanes = e, e.fn, storage, lanes
        self.unit = memory_element(storage.dtype)
        self.element = self.unit if whole is None else memory_element(whole)
        self.type = vector(self.element, lanes)
        self.align = f"align {storage.align}"

    def pointer(self, symbol: str | None, constant: int) -> str:
        """The address of an element."""
        place = self.storage.pointer
        if symbol is not None:
            place = self.fn.pure(f"getelementptr {self.unit}, ptr {place}, i64 {symbol}")
        return self.fn.pure(f"getelementptr {self.unit}, ptr {place}, i64 {constant}") if constant else place

    def value(self, bits: str) -> Value:
        """What is in memory as a value: any byte but 0 is true."""
        if self.storage.dtype == BOOL:
            bits = self.fn.pure(f"icmp ne {self.type} {bits}, {splat('i8', '0', self.lanes)}")
        return Value(bits, self.storage.dtype, self.lanes)

    def bits(self, value: Value) -> str:
        """A value as it is in memory."""
        if value.dtype == BOOL:
            return self.fn.pure(f"zext {value.type} {value.text} to {self.type}")
        return value.text

    def load(self, instruction: str) -> str:
        return self.fn.load(self.storage.pointer, instruction)

    def store(self, instruction: str) -> None:
        self.fn.store(self.storage.pointer, instruction)

    def owned(self, index: LaneIndex) -> bool:
        """Whether all lanes are in a register buffer, which may then be read and written under any mask."""
        slots = self.storage.slots
        if slots is None or index.symbol is not None or index.vector is not None or isinstance(index.step, str):
            return False
        ends = (index.constant, index.constant + index.step * (index.lanes - 1))
        return min(ends) >= 0 and max(ends) < slots

    def kept(self, mask: Value, yes: str, no: str) -> str:
        return self.fn.pure(f"select {mask.type} {mask.text}, {self.type} {yes}, {self.type} {no}")

    def reversed(self, type_: str, operand: str) -> str:
        places = shuffle_mask(self.lanes, self.lanes - 1, -1)
        return self.fn.pure(f"shufflevector {type_} {operand}, {type_} poison, {places}")

    def first(self, bits: str, count: int) -> str:
        """The first lanes of what is in memory."""
        if count == self.lanes:
            return bits
        if count == 1:
            return self.fn.pure(f"extractelement {self.type} {bits}, i64 0")
        return self.fn.pure(f"shufflevector {self.type} {bits}, {self.type} poison, {shuffle_mask(count, 0, 1)}")

    def mask(self, mask: Value | None, backwards: bool = False) -> str:
        """The operand of a masked access."""
        type_ = vector("i1", self.lanes)
        if mask is None:
            return f"{type_} {splat('i1', 'true', self.lanes)}"
        whole = self.e.broadcast(mask, self.lanes).text
        return f"{type_} {self.reversed(type_, whole) if backwards and mask.lanes > 1 else whole}"

    def addresses(self, index: LaneIndex) -> str:
        """The address of each lane's element."""
        spread = lane_index.offsets(self.fn, index) or splat("i64", "0", self.lanes)
        place = self.pointer(index.symbol, index.constant)
        return self.fn.pure(f"getelementptr {self.element}, ptr {place}, <{self.lanes} x i64> {spread}")


def _load_one(access: _Access, index: LaneIndex, mask: Value | None) -> str:
    """One element for all lanes; where it is masked out, a zero is read in its place."""
    fn = access.fn
    place = access.pointer(index.symbol, index.constant)
    owned = access.owned(index)
    if mask is not None and not owned:
        zero = access.e.module.constant("zero", "i64 0, align 8")
        place = fn.pure(f"select i1 {horizontal.any_lane(access.e, mask)}, ptr {place}, ptr {zero}")
    scalar = access.load(f"load {access.element}, ptr {place}, {access.align}")
    spread = lane_index.broadcast(fn, access.element, scalar, access.lanes)
    if mask is not None and (owned or mask.lanes > 1):
        spread = access.kept(mask, spread, "zeroinitializer")
    return spread


def _load_side_by_side(access: _Access, index: LaneIndex, mask: Value | None) -> str:
    backwards = index.step == -1
    first = index.constant - (access.lanes - 1 if backwards else 0)
    place = access.pointer(index.symbol, first)
    owned = access.owned(index)
    if mask is None or owned:
        bits = access.load(f"load {access.type}, ptr {place}, {access.align}")
    else:
        suffix = mangled(access.element, access.lanes)
        operands = f"ptr {access.align} {place}, {access.mask(mask, backwards)}, {access.type} zeroinitializer"
        bits = access.load(f"call {access.type} @llvm.masked.load.{suffix}.p0({operands})")
    if backwards:
        bits = access.reversed(access.type, bits)
    return access.kept(mask, bits, "zeroinitializer") if mask is not None and owned else bits


def _in_steps(storage: Storage, index: LaneIndex) -> bool:
    return storage.packed and index.vector is None and index.step in _SHUFFLED_STEPS


def _load_in_steps(access: _Access, index: LaneIndex, mask: Value | None) -> str:
    """`step` loads side by side that end with the last lane's element, and a shuffle for each but the first."""
    fn, count, step = access.fn, access.lanes, int(index.step)
    last_start = (step - 1) * (count - 1)
    starts = [min(part * count, last_start) for part in range(step)]
    parts = [_load_every(access, index, start, mask) for start in starts]
    collected = parts[0]
    for number, part in enumerate(parts[1:], 1):
        places = []
        for lane in range(count):
            home = step * lane // count
            kept = lane if number > 1 else step * lane
            place = count + step * lane - starts[number] if home == number else kept
            places.append(f"i32 {place}" if home <= number else "i32 poison")
        chosen = f"<{count} x i32> <{', '.join(places)}>"
        collected = fn.pure(f"shufflevector {access.type} {collected}, {access.type} {part}, {chosen}")
    return collected


def _load_every(access: _Access, index: LaneIndex, start: int, mask: Value | None) -> str:
    """Elements side by side, from so many after the first lane's on. Of those, a mask leaves the ones of its lanes."""
    fn, place = access.fn, access.pointer(index.symbol, index.constant + start)
    if mask is None:
        return access.load(f"load {access.type}, ptr {place}, {access.align}")
    step, type_ = int(index.step), vector("i1", access.lanes)
    lanes = [divmod(start + number, step) for number in range(access.lanes)]
    chosen = ", ".join(f"i32 {access.lanes if between else lane}" for lane, between in lanes)
    whole = access.e.broadcast(mask, access.lanes).text
    spread = fn.pure(f"shufflevector {type_} {whole}, {type_} zeroinitializer, <{access.lanes} x i32> <{chosen}>")
    operands = f"ptr {access.align} {place}, {type_} {spread}, {access.type} zeroinitializer"
    return access.load(f"call {access.type} @llvm.masked.load.{mangled(access.element, access.lanes)}.p0({operands})")


def _gather(access: _Access, index: LaneIndex, mask: Value | None) -> str:
    access.e.note("gather", access.storage.name, access.lanes)
    suffix = f"{mangled(access.element, access.lanes)}.{mangled('ptr', access.lanes)}"
    places = f"<{access.lanes} x ptr> {access.align} {access.addresses(index)}"
    operands = f"{places}, {access.mask(mask)}, {access.type} zeroinitializer"
    return access.load(f"call {access.type} @llvm.masked.gather.{suffix}({operands})")


def _store_one(access: _Access, index: LaneIndex, bits: str, mask: Value | None) -> None:
    fn = access.fn
    place = access.pointer(index.symbol, index.constant)
    if mask is not None and access.owned(index):
        old = access.load(f"load {access.type}, ptr {place}, {access.align}")
        bits, mask = access.kept(mask, bits, old), None
    writing = f"store {access.type} {bits}, ptr {place}, {access.align}"
    if mask is None:
        access.store(writing)
        return
    inside, after = fn.label(), fn.label()
    fn.branch(mask.text, inside, after)
    fn.start(inside)
    access.store(writing)
    fn.jump(after)
    fn.start(after)


def _store_side_by_side(access: _Access, index: LaneIndex, bits: str, mask: Value | None) -> None:
    fn, backwards = access.fn, index.step == -1
    first = index.constant - (access.lanes - 1 if backwards else 0)
    place = access.pointer(index.symbol, first)
    if backwards:
        bits = access.reversed(access.type, bits)
    chosen = "" if mask is None else access.mask(mask, backwards)
    if mask is not None and not access.owned(index):
        suffix = mangled(access.element, access.lanes)
        operands = f"{access.type} {bits}, ptr {access.align} {place}, {chosen}"
        access.store(f"call void @llvm.masked.store.{suffix}.p0({operands})")
        return
    if mask is not None:
        old = access.load(f"load {access.type}, ptr {place}, {access.align}")
        bits = fn.pure(f"select {chosen}, {access.type} {bits}, {access.type} {old}")
    plain = f"store {access.type} {bits}, ptr {place}, {access.align}"
    if can_stream(access.e, access.storage, access.lanes):
        store_streaming(access.e, access.storage, access.lanes, bits, place, plain)
    else:
        access.store(plain)


def _scatter(access: _Access, index: LaneIndex, bits: str, mask: Value | None) -> None:
    access.e.note("scatter", access.storage.name, access.lanes)
    suffix = f"{mangled(access.element, access.lanes)}.{mangled('ptr', access.lanes)}"
    places = f"<{access.lanes} x ptr> {access.align} {access.addresses(index)}"
    operands = f"{access.type} {bits}, {places}, {access.mask(mask)}"
    access.store(f"call void @llvm.masked.scatter.{suffix}({operands})")
