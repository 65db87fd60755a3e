"""Dot products of narrow integers in 32-bit lanes: x86's VNNI and its predecessor, and the same in plain arithmetic."""

from __future__ import annotations

from ...compute.dtypes import DTYPES, DType
from ..passes.dot_products import DOTS
from .casts import cast
from .emitter import Emitter
from .values import Value, constant, vector

_INSTRUCTIONS = {"dot_u8s8": ("vpdpbusd", "i8"), "dot_s16s16": ("vpdpwssd", "i16")}
_PAIRS = {4: "@llvm.x86.sse2.pmadd.wd", 8: "@llvm.x86.avx2.pmadd.wd", 16: "@llvm.x86.avx512.pmaddw.d.512"}


def pack(e: Emitter, parts: tuple[Value, ...], dtype: DType) -> Value:
    """The elements of a group in one integer, the first one lowest."""
    whole: Value | None = None
    for place, part in enumerate(parts):
        extended = e.fn.pure(f"zext {part.type} {part.text} to {vector(f'i{dtype.bits}', part.lanes)}")
        wide = Value(extended, dtype, part.lanes)
        shifted = e.binary("shl", wide, constant(place * part.dtype.bits, dtype, part.lanes))
        whole = shifted if whole is None else e.binary("or", whole, shifted)
    assert whole is not None, "a group has elements"
    return whole


def emit(e: Emitter, name: str, total: Value, x: Value, y: Value) -> Value:
    """total and the sum of the products of the elements that x and y are packed of."""
    if not 128 <= 32 * total.lanes <= e.machine.dot_bits or total.lanes & (total.lanes - 1):
        return _in_parts(e, name, total, x, y)
    if name == "dot_m8s8":
        x, name = _moved(e, x), "dot_u8s8"
    if name == "dot_s16s16" or (name in _INSTRUCTIONS and e.machine.has_vnni):
        return _instruction(e, name, total, x, y)
    # The even bytes and the odd ones.
    for odd in (False, True):
        total = _instruction(e, "dot_s16s16", total, *(_half(e, v, odd, k) for v, k in ((x, name[4:6]), (y, name[6:]))))
    return total


def _moved(e: Emitter, x: Value) -> Value:
    """Each signed byte plus 128. In lanes of bytes: LLVM would do it before one element is spread to all lanes, which
    then came from an integer register and not from memory."""
    signed = Value(_lanes_of(e, x, "int8"), DTYPES["int8"], 4 * x.lanes)
    return e.binary("xor", signed, constant(-128, signed.dtype, signed.lanes))


def _lanes_of(e: Emitter, x: Value, element: str) -> str:
    """The operand in lanes of an element type of its own."""
    dtype = DTYPES[element]
    if x.dtype.bits == dtype.bits:
        return x.text
    type_ = vector(f"i{dtype.bits}", x.lanes * x.dtype.bits // dtype.bits)
    return e.fn.pure(f"bitcast {x.type} {x.text} to {type_}")


def _instruction(e: Emitter, name: str, total: Value, x: Value, y: Value) -> Value:
    opcode, element = _INSTRUCTIONS[name]
    type_ = vector(element, total.lanes * 32 // int(element[1:]))
    operands = ", ".join(f"{type_} {_lanes_of(e, v, f'int{element[1:]}')}" for v in (x, y))
    if not e.machine.has_vnni:
        sums = e.fn.pure(f"call {total.type} {_PAIRS[total.lanes]}({operands})")
        return e.binary("add", total, Value(sums, total.dtype, total.lanes))
    callee = f"@llvm.x86.avx512.{opcode}.{32 * total.lanes}"
    summed = e.fn.pure(f"call {total.type} {callee}({total.type} {total.text}, {operands})")
    return Value(summed, total.dtype, total.lanes)


def _half(e: Emitter, x: Value, odd: bool, kind: str) -> Value:
    """The odd bytes, or the even ones, as integers of 16 bits."""
    pairs = Value(_lanes_of(e, x, "int16"), DTYPES["int16"], x.lanes * x.dtype.bits // 16)
    if not odd:
        pairs = e.binary("shl", pairs, constant(8, pairs.dtype, pairs.lanes))
    return e.binary("ashr" if kind == "s8" else "lshr", pairs, constant(8, pairs.dtype, pairs.lanes))


def _in_parts(e: Emitter, name: str, total: Value, x: Value, y: Value) -> Value:
    """Product by product."""
    count = DOTS[name]
    kinds = (name[4:6].replace("m", "u"), name[6:]) if count == 4 else ("s16", "s16")
    if name == "dot_m8s8":
        x = e.binary("xor", x, constant(0x80808080, x.dtype, x.lanes))
    for place in range(count):
        product = e.binary("mul", *(_part(e, v, place, 32 // count, k) for v, k in zip((x, y), kinds, strict=True)))
        total = e.binary("add", total, cast(e, product, total.dtype))
    return total


def _part(e: Emitter, x: Value, place: int, bits: int, kind: str) -> Value:
    highest = e.binary("shl", x, constant(32 - bits * (place + 1), x.dtype, x.lanes))
    opcode = "ashr" if kind.startswith("s") else "lshr"
    return e.binary(opcode, highest, constant(32 - bits, x.dtype, x.lanes))
