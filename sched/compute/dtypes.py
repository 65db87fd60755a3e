"""Element types, and how they combine: NumPy 2's promotion, asked of NumPy itself.

bfloat16 is a float32 without the lower half of its bits. NumPy has it from the package ml_dtypes, whose promotion it
follows, and which is asked for when an array of it is made or passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

import numpy as np

from ..errors import DefinitionError

Kind = Literal["float", "int", "uint", "bool"]

_KINDS: dict[str, Kind] = {"f": "float", "i": "int", "u": "uint", "b": "bool"}


@dataclass(frozen=True, slots=True)
class DType:
    """An element type. `bits` counts storage: a bool is stored in 8."""

    name: str
    kind: Kind
    bits: int

    @property
    def bytes(self) -> int:
        return self.bits // 8

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.name if self.name != "bfloat16" else _bfloat16())

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        return self.kind in ("int", "uint")

    @property
    def lowest(self) -> int | float:
        """The least value: minus infinity for floats."""
        if self.is_float:
            return -float("inf")
        return -(1 << (self.bits - 1)) if self.kind == "int" else 0

    @property
    def highest(self) -> int | float:
        """The greatest value: infinity for floats."""
        if self.is_float:
            return float("inf")
        if self.kind == "bool":
            return 1
        return (1 << (self.bits - (self.kind == "int"))) - 1

    def __str__(self) -> str:
        return self.name


def _of_numpy(dtype: np.dtype[Any]) -> DType:
    return DType(dtype.name, _KINDS[dtype.kind], dtype.itemsize * 8)


DTYPES: dict[str, DType] = {
    name: _of_numpy(np.dtype(name))
    for name in (
        *("float16", "float32", "float64"),
        *("int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
        "bool",
    )
}
BOOL, INDEX, FLOAT64 = DTYPES["bool"], DTYPES["int64"], DTYPES["float64"]
BFLOAT16 = DType("bfloat16", "float", 16)
# Every element type that there is; DTYPES are those that need no other package than NumPy.
EVERY_DTYPE = {**DTYPES, "bfloat16": BFLOAT16}


def _bfloat16() -> Any:
    try:
        return import_module("ml_dtypes").bfloat16
    except ImportError:
        raise DefinitionError(
            "bfloat16 needs the package ml_dtypes, which gives NumPy that type: pip install 'polysched[bfloat16]'"
        ) from None


def dtype(spec: Any) -> DType:
    """The element type that `spec` names: a name, a NumPy dtype or scalar type, or a DType."""
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str) and spec == "bfloat16":
        _bfloat16()
    try:
        known = None if spec is None else np.dtype(spec)
    except (TypeError, ValueError, SyntaxError):
        known = None
    if known is None or not known.isnative or known.name not in EVERY_DTYPE:
        shown = spec.__name__ if isinstance(spec, type) else str(spec)
        order = "" if known is None or known.isnative else " in this byte order"
        raise DefinitionError(f"dtype {shown[:80]!r} is not supported{order}; supported are {', '.join(EVERY_DTYPE)}")
    return EVERY_DTYPE[known.name]


@lru_cache(maxsize=4096)
def resolve(ufunc: str, operands: tuple[DType | type, ...]) -> tuple[DType, ...] | None:
    """The types at which NumPy's `ufunc` would run on `operands` and the type it returns, or None if it refuses.

    `int` and `float` stand for weak operands: Python scalars, sizes and axes, which take on the type of the others.
    """
    if BFLOAT16 in operands:
        return _resolve_bfloat16(ufunc, operands)
    function = getattr(np, ufunc)
    spec = tuple(o.numpy if isinstance(o, DType) else o for o in operands)
    try:
        resolved = function.resolve_dtypes((*spec, *(None,) * function.nout))
    except TypeError:
        return None
    return tuple(_of_numpy(d) for d in resolved)


def _resolve_bfloat16(ufunc: str, operands: tuple[DType | type, ...]) -> tuple[DType, ...] | None:
    """As float16 with what both have exactly, and as float32 beside others."""
    others = {o.name for o in operands if isinstance(o, DType)} - {"bfloat16"}
    stand_in = DTYPES["float16" if others <= {"bool", "int8", "uint8"} else "float32"]
    resolved = resolve(ufunc, tuple(stand_in if o == BFLOAT16 else o for o in operands))
    return resolved and tuple(BFLOAT16 if t == DTYPES["float16"] else t for t in resolved)


def to_bfloat16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bfloat16 nearest to each number, rounded once, ties to even; NaN is quiet and keeps its sign."""
    single = _rounded_to_odd(array)
    bits = single.view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    quiet = bits >> 16 | 0x40
    upper: np.ndarray[Any, Any] = np.where(np.isnan(single), quiet, rounded).astype(np.uint16)
    return upper.view(BFLOAT16.numpy)


def _rounded_to_odd(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A float32 next to each number, the one with an odd last bit where it is not exact: rounding that further gives
    what rounding the number itself gives (Boldo and Melquiond, "When double rounding is odd", 2005)."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        # What is beyond a float64 only says whether there is something.
        beyond = array.dtype.type(0xFFF)
        cut = (array & ~beyond) | np.where(array & beyond, array.dtype.type(0x800), array.dtype.type(0))
        small = (array < 1 << 52) & (array > -(1 << 52) if array.dtype.kind == "i" else True)
        array = np.where(small, array, cut)
    if array.dtype != np.float64 and (array.dtype.kind in "fb" or array.dtype.itemsize <= 2):
        return array.astype(np.float32)
    exact = array.astype(np.float64)
    with np.errstate(all="ignore"):
        nearest = exact.astype(np.float32)
        back = nearest.astype(np.float64)
        towards_zero = np.where(np.abs(back) > np.abs(exact), np.nextafter(nearest, np.float32(0)), nearest)
    odd = (towards_zero.view(np.uint32) | 1).view(np.float32)
    result: np.ndarray[Any, Any] = np.where((back == exact) | np.isnan(exact), nearest, odd)
    return result


def rounded(value: float, to: DType) -> float:
    """The nearest value of a float type."""
    array = np.asarray(value)
    return float((to_bfloat16(array) if to == BFLOAT16 else array.astype(to.numpy))[()])
