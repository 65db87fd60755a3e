"""round, floor, ceil and trunc of floats: an instruction, or arithmetic where the processor has none for vectors.

Added to a number that has no digits behind the point and is larger, a number is rounded to the nearest integer, halves
to the even one; what is left of it when that is subtracted again is right or one off.
"""

from __future__ import annotations

from .emitter import Emitter
from .values import FLOAT32, Value, constant

_INTRINSICS = {"round": "rint"}


def rounded(e: Emitter, name: str, x: Value) -> Value:
    """x as an integer, with its sign; NaN, infinities and what is an integer already stay."""
    if e.machine.has_rounding:
        whole = e.intrinsic(_INTRINSICS.get(name, name), x)
        return _with_sign(e, whole, x) if x.text in e.widened else whole  # it has that sign, and hides what is rounded
    one, limit = constant(1.0, x.dtype, x.lanes), constant(2.0 ** (23 if x.dtype == FLOAT32 else 52), x.dtype, x.lanes)
    magnitude = e.intrinsic("fabs", x)
    near = e.binary("fsub", e.binary("fadd", magnitude, limit), limit)
    signed = near if name in ("round", "trunc") else _with_sign(e, near, x)
    match name:
        case "trunc":
            signed = e.choose(e.test("ogt", near, magnitude.text), e.binary("fsub", near, one), near)
        case "floor":
            signed = e.choose(e.test("ogt", signed, x.text), e.binary("fsub", signed, one), signed)
        case "ceil":
            signed = e.choose(e.test("olt", signed, x.text), e.binary("fadd", signed, one), signed)
    return e.choose(e.test("olt", magnitude, limit.text), _with_sign(e, signed, x), x)


def _with_sign(e: Emitter, magnitude: Value, x: Value) -> Value:
    return e.intrinsic("copysign", magnitude, x)
