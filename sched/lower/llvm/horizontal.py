"""Operations that combine the lanes of a vector into a scalar."""

from __future__ import annotations

from . import floats, halves
from .emitter import Emitter
from .values import Value, mangled, shuffle_mask

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
        return _reduce(e, f"f{operation}imum", a) if operation in ("min", "max") else _by_halves(e, operation, a)
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
