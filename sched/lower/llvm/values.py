"""LLVM's types for ours, values, and literals.

A float16 is an i16 everywhere: `half` values would be promoted through library calls on machines without them. So is a
bfloat16. A bool is an i1 as a value and a byte in memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...compute.dtypes import BFLOAT16, BOOL, DTYPES, EVERY_DTYPE, DType

FLOAT16, FLOAT32, DOUBLE = DTYPES["float16"], DTYPES["float32"], DTYPES["float64"]
ELEMENTS = {
    name: {"float32": "float", "float64": "double", "bool": "i1"}.get(name, f"i{t.bits}")
    for name, t in EVERY_DTYPE.items()
}
_MANGLED = {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}


@lru_cache(maxsize=1024)
def vector(element: str, lanes: int) -> str:
    """The type of `lanes` elements: the element itself for one."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


@lru_cache(maxsize=1024)
def mangled(element: str, lanes: int) -> str:
    """How the names of intrinsics spell `vector(element, lanes)`."""
    name = _MANGLED.get(element, element)
    return name if lanes == 1 else f"v{lanes}{name}"


@lru_cache(maxsize=4096)
def splat(element: str, literal: str, lanes: int) -> str:
    """The operand that has a literal in all lanes."""
    return literal if lanes == 1 else f"splat ({element} {literal})"


@lru_cache(maxsize=1024)
def iota(element: str, lanes: int, step: int = 1) -> str:
    """The operand 0, step, 2 * step, ..."""
    return f"<{', '.join(f'{element} {lane * step}' for lane in range(lanes))}>" if lanes > 1 else "0"


@lru_cache(maxsize=1024)
def shuffle_mask(lanes: int, first: int = 0, step: int = 1) -> str:
    """The operand of a shuffle that takes every `step`-th lane from `first` on."""
    return f"<{lanes} x i32> <{', '.join(f'i32 {first + step * lane}' for lane in range(lanes))}>"


def memory_element(dtype: DType) -> str:
    """The type of an element in memory."""
    return "i8" if dtype.kind == "bool" else ELEMENTS[dtype.name]


def wrapped(value: int, bits: int = 64) -> int:
    """The signed integer of `bits` bits that is `value` modulo 2 ** bits."""
    if -128 <= value < 128:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant, exactly: floats by their bits."""
    match dtype.kind:
        case "bool":
            return "true" if value else "false"
        case "int" | "uint":
            return str(wrapped(int(value), dtype.bits))
        case "float":
            if dtype == BFLOAT16:
                return str(wrapped(struct.unpack("<I", struct.pack("<f", value))[0] >> 16, 16))
            if dtype.bits == 16:
                return str(int(np.float16(value).view(np.int16)))
            exact = float(np.float32(value)) if dtype.bits == 32 else float(value)
            return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"


@dataclass(frozen=True, slots=True)
class Value:
    """An operand: `text` is a name or a literal, of `lanes` elements of type `dtype`."""

    text: str
    dtype: DType
    lanes: int = 1

    @property
    def element(self) -> str:
        return ELEMENTS[self.dtype.name]

    @property
    def type(self) -> str:
        return vector(ELEMENTS[self.dtype.name], self.lanes)

    @property
    def constant(self) -> int | None:
        """The value of a scalar integer literal."""
        if self.lanes != 1 or not self.dtype.is_int or self.text.startswith("%"):
            return None
        return int(self.text) if self.dtype.kind == "int" else int(self.text) % (1 << self.dtype.bits)

    def lit(self, number: int | float) -> str:
        """The operand that has a number in all lanes of this value's type."""
        return splat(self.element, literal(number, self.dtype), self.lanes)


def constant(number: bool | int | float, dtype: DType, lanes: int = 1) -> Value:
    """A literal in all lanes."""
    return Value(splat(ELEMENTS[dtype.name], literal(number, dtype), lanes), dtype, lanes)


def truth(text: str, lanes: int = 1) -> Value:
    return Value(text, BOOL, lanes)
