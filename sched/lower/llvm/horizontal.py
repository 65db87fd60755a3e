"""Operations that combine the lanes of a vector into a scalar."""

from __future__ import annotations

from . import floats, halves
from .emitter import Emitter
from .values import Value, mangled

_BOOLEAN = {"lanes_add": "or", "lanes_mul": "and", "lanes_min": "and", "lanes_max": "or"}


def combine(e: Emitter, name: str, a: Value) -> Value:
    """lanes_add, lanes_mul, lanes_min, lanes_max, lanes_and, lanes_or; of one lane, the lane."""
    if a.lanes == 1:
        return a
    operation = name.removeprefix("lanes_")
    if halves.is_half(a.dtype):
        if operation in ("min", "max"):
            return halves.narrow(e, combine(e, name, halves.widen(e, a)), a.dtype)
        return _halves_in_order(e, operation, a)
    if a.dtype.is_float:
        return _floats(e, operation, a)
    if a.dtype.kind == "bool":
        operation = _BOOLEAN.get(name, operation)
    elif operation in ("min", "max"):
        operation = ("s" if a.dtype.kind == "int" else "u") + operation
    return _reduce(e, operation, a)


def any_lane(e: Emitter, condition: Value) -> str:
    """Whether a condition holds in any lane, as an i1."""
    return condition.text if condition.lanes == 1 else _reduce(e, "or", condition).text


def _reduce(e: Emitter, operation: str, a: Value, start: str = "") -> Value:
    call = f"@llvm.vector.reduce.{operation}.{mangled(a.element, a.lanes)}({start}{a.type} {a.text})"
    return Value(e.fn.pure(f"call {a.element} {call}"), a.dtype)


def _floats(e: Emitter, operation: str, a: Value) -> Value:
    """Sums and products from the first lane on; least and greatest propagate NaN, and -0.0 is less than 0.0."""
    match operation:
        case "add":
            return _reduce(e, "fadd", a, f"{a.element} -0.0, ")
        case "mul":
            return _reduce(e, "fmul", a, f"{a.element} 1.0, ")
        case "min":
            return _reduce(e, "fminimum", a)
        case "max":
            return _reduce(e, "fmaximum", a)
    raise AssertionError(f"lanes_{operation} is not defined on floats")


def _halves_in_order(e: Emitter, operation: str, a: Value) -> Value:
    """Rounded after every lane."""
    parts = [Value(e.fn.pure(f"extractelement {a.type} {a.text}, i64 {lane}"), a.dtype) for lane in range(a.lanes)]
    total = parts[0]
    for part in parts[1:]:
        both = (halves.widen(e, total), halves.widen(e, part))
        total = halves.narrow(e, floats.arithmetic(e, operation, both), a.dtype)
    return total
