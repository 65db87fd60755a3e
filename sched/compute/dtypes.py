"""Element types, and how they combine: NumPy 2's promotion, asked of NumPy itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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
        return np.dtype(self.name)

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


def dtype(spec: Any) -> DType:
    """The element type that `spec` names: a name, a NumPy dtype or scalar type, or a DType."""
    if isinstance(spec, DType):
        return spec
    try:
        known = None if spec is None else np.dtype(spec)
    except (TypeError, ValueError, SyntaxError):
        known = None
    if known is None or not known.isnative or known.name not in DTYPES:
        shown = spec.__name__ if isinstance(spec, type) else str(spec)
        order = "" if known is None or known.isnative else " in this byte order"
        raise DefinitionError(f"dtype {shown[:80]!r} is not supported{order}; supported are {', '.join(DTYPES)}")
    return DTYPES[known.name]


@lru_cache(maxsize=4096)
def resolve(ufunc: str, operands: tuple[DType | type, ...]) -> tuple[DType, ...] | None:
    """The types at which NumPy's `ufunc` would run on `operands` and the type it returns, or None if it refuses.

    `int` and `float` stand for weak operands: Python scalars, sizes and axes, which take on the type of the others.
    """
    function = getattr(np, ufunc)
    spec = tuple(o.numpy if isinstance(o, DType) else o for o in operands)
    try:
        resolved = function.resolve_dtypes((*spec, *(None,) * function.nout))
    except TypeError:
        return None
    return tuple(_of_numpy(d) for d in resolved)
