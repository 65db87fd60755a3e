"""Operations that combine the lanes of a vector into a scalar."""

from __future__ import annotations

import math

from ...compute.dtypes import BOOL
from . import floats, halves
from .emitter import Emitter
from .values import Value, constant, mangled, shuffle_mask

_BOOLEAN = {"lanes_add": "or", "lanes_mul": "and", "lanes_min": "and", "lanes_max": "or"}


def combine(e: Emitter, name: str, a: Value) -> Value:
    """lanes_add, lanes_mul, lanes_min, lanes_max, lanes_and, lanes_or; of one lane, the lane."""
    if a.lanes == 1:
        return a
    operation = name.removeprefix("lanes_")
    if halves.is_half(a.dtype) and operation in ("min", "max"):
        return halves.narrow(e, combine(e, name, halves.widen(e, a)), a.dtype)
    if a.dtype.is_float:
        # min and max propagate NaN, and take -0.0 for less than 0.0, so that their order is free.
        return _extremum(e, operation, a) if operation in ("min", "max") else _by_halves(e, operation, a)
    if a.dtype.kind == "bool":
        operation = _BOOLEAN.get(name, operation)
    elif operation in ("min", "max"):
        operation = ("s" if a.dtype.kind == "int" else "u") + operation
    return _reduce(e, operation, a)


def any_lane(e: Emitter, condition: Value) -> str:
    """Whether a condition holds in any lane, as an i1."""
    return condition.text if condition.lanes == 1 else _reduce(e, "or", condition).text


def _reduce(e: Emitter, operation: str, a: Value) -> Value:
    call = f"@llvm.vector.reduce.{operation}.{mangled(a.element, a.lanes)}({a.type} {a.text})"
    return Value(e.fn.pure(f"call {a.element} {call}"), a.dtype)


def _extremum(e: Emitter, operation: str, a: Value) -> Value:
    """The upper half is put over the lower one, in registers of 128 bits at least: vectors have an instruction for what
    takes many on a single lane. Where that prefers numbers, all lanes together are asked for NaN."""
    register = 128 // a.dtype.bits
    if a.lanes < register or a.lanes & (a.lanes - 1):
        return _reduce(e, f"f{operation}imum", a)
    if floats.has_range(e, a):
        number, nan = _folded(e, f"{operation}_number", a), constant(math.nan, a.dtype)
        return e.choose(Value(any_lane(e, e.test("uno", a, a.lit(0.0))), BOOL), nan, number)
    return _folded(e, operation, a)


def _folded(e: Emitter, operation: str, a: Value) -> Value:
    register = 128 // a.dtype.bits
    first, half = a, a.lanes // 2
    while half:
        low = _lanes(e, first, 0, half) if half >= register else first
        high = _lanes(e, first, half, half if half >= register else register)
        first, half = floats.arithmetic(e, operation, (low, high)), half // 2
    return _lanes(e, first, 0, 1)


def _by_halves(e: Emitter, operation: str, a: Value) -> Value:
    """The lower half with the upper half, and so on with the result; an odd last lane after the others."""
    if a.lanes == 1:
        return a
    half = a.lanes // 2
    result = _by_halves(e, operation, _both(e, operation, _lanes(e, a, 0, half), _lanes(e, a, half, half)))
    return _both(e, operation, result, _lanes(e, a, a.lanes - 1, 1)) if a.lanes % 2 else result


def _lanes(e: Emitter, a: Value, first: int, count: int) -> Value:
    if count == 1:
        return Value(e.fn.pure(f"extractelement {a.type} {a.text}, i64 {first}"), a.dtype)
    chosen = e.fn.pure(f"shufflevector {a.type} {a.text}, {a.type} poison, {shuffle_mask(count, first)}")
    return Value(chosen, a.dtype, count)


def _both(e: Emitter, operation: str, a: Value, b: Value) -> Value:
    if not halves.is_half(a.dtype):
        return floats.arithmetic(e, operation, (a, b))
    wide = halves.widen(e, a), halves.widen(e, b)
    return halves.narrow(e, floats.arithmetic(e, operation, wide), a.dtype)
