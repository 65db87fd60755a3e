"""Comparisons, as NumPy makes them: with NaN only `ne` holds, and integers compare by their mathematical values."""

from __future__ import annotations

from ...compute.dtypes import INDEX
from .casts import cast
from .emitter import Emitter
from .values import Value

_FLOAT = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_NEGATIVE_FIRST = {"lt": "true", "le": "true", "gt": "false", "ge": "false", "eq": "false", "ne": "true"}
_SWAPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


def integer_predicate(name: str, signed: bool) -> str:
    return name if name in ("eq", "ne") else ("s" if signed else "u") + name


def compare(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """A comparison of values of one type, or of integers of any two types; in the same lanes."""
    if a.dtype.is_float:
        return e.test(_FLOAT[name], a, b.text)
    if a.dtype != b.dtype:
        a, b = _widened(e, a), _widened(e, b)
    if a.dtype == b.dtype:
        return e.test(integer_predicate(name, a.dtype.kind == "int"), a, b.text)
    if a.dtype != INDEX:
        name, a, b = _SWAPPED[name], b, a
    # a is signed and b is not: where a is negative it is less, elsewhere both compare as unsigned.
    unsigned = e.test(integer_predicate(name, False), a, b.text)
    negative = e.test("slt", a, a.lit(0))
    below = Value(_all(_NEGATIVE_FIRST[name], a.lanes), unsigned.dtype, a.lanes)
    return e.choose(negative, below, unsigned)


def _all(truth: str, lanes: int) -> str:
    return truth if lanes == 1 else f"splat (i1 {truth})"


def _widened(e: Emitter, value: Value) -> Value:
    """An int64, or a uint64 that has no int64."""
    return value if value.dtype.name == "uint64" else cast(e, value, INDEX)
