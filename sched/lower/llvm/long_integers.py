"""Vectors of 64-bit integers, for which few targets have all instructions: LLVM would leave the vectors.

Conversions put 32 bits at a time below the exponent of a float64. A quotient is found in two steps, each a product with
a float64 reciprocal that never exceeds it, and one of 1.
"""

from __future__ import annotations

from ...compute.dtypes import DTYPES, DType
from .emitter import Emitter
from .rounding import rounded
from .values import DOUBLE, ELEMENTS, Value, constant, vector

_UINT64 = DTYPES["uint64"]
# 2 ** 52 and 2 ** 84: the lowest bit of their fractions stands for 1, and for 2 ** 32.
_LOW, _HIGH = 0x433 << 52, 0x453 << 52
_ONES = (1 << 32) - 1


def converts(e: Emitter) -> bool:
    """Whether the target has instructions that convert vectors of 64-bit integers from and to float64."""
    return e.machine.has_range or e.is_arm


def divides(e: Emitter) -> bool:
    """Whether `divided` is faster than a division a lane: not without such instructions (half as fast with AVX2)."""
    return e.machine.has_range


def to_double(e: Emitter, a: Value) -> Value:
    """The float64 nearest to each integer: of the halves, the sum is rounded once."""
    signed = a.dtype.kind == "int"
    low = e.binary("or", e.binary("and", a, _like(a, _ONES)), _like(a, _LOW))
    upper = e.binary("lshr", a, _like(a, 32))
    # A sign bit that is turned round makes a number larger by 2 ** 63.
    high = e.binary("xor", upper, _like(a, _HIGH | (1 << 31 if signed else 0)))
    excess = constant(2.0**84 + 2.0**52 + (2.0**63 if signed else 0.0), DOUBLE, a.lanes)
    return e.binary("fadd", e.binary("fsub", _as(e, high, DOUBLE), excess), _as(e, low, DOUBLE))


def from_double(e: Emitter, x: Value, to: DType) -> Value:
    """The integer next towards zero, for numbers between which and zero the type has one."""
    whole = rounded(e, "trunc", x)
    high = rounded(e, "floor", e.binary("fmul", whole, constant(2.0**-32, DOUBLE, x.lanes)))
    low = e.binary("fsub", whole, e.binary("fmul", high, constant(2.0**32, DOUBLE, x.lanes)))
    # What is added leaves a sign in the bits that are shifted out.
    upper = _as(e, e.binary("fadd", high, constant(1.5 * 2.0**52, DOUBLE, x.lanes)), to)
    lower = _as(e, e.binary("fadd", low, constant(2.0**52, DOUBLE, x.lanes)), to)
    lower = e.binary("and", lower, _like(lower, _ONES))
    return e.binary("or", e.binary("shl", upper, _like(upper, 32)), lower)


def exact_in_double(e: Emitter, a: Value) -> Value:
    """An integer that float64 has, and that rounds to the same number of any smaller type: where there are more digits
    than 53, it is enough to know of the last ones whether there is something."""
    cut = e.binary("and", a, _like(a, -0x1000))
    more = e.test("ne", e.binary("and", a, _like(a, 0xFFF)), a.lit(0))
    marked = e.choose(more, e.binary("or", cut, _like(a, 0x800)), cut)
    near = e.binary("add", a, _like(a, 1 << 52)) if a.dtype.kind == "int" else a
    return e.choose(e.test("ult", near, a.lit(1 << 53)), a, marked)


def short_mul(e: Emitter, a: Value, b: Value) -> Value:
    """The product of integers below 2 ** 32. Arm has instructions for such products only, by name: whether LLVM sees
    what size they are, and does not do them lane by lane, depends on what is around."""
    return _product_of_lower(e, a, b) if e.is_arm and a.lanes == 2 else e.binary("mul", a, b)


def mul(e: Emitter, a: Value, b: Value) -> Value:
    """The product modulo 2 ** 64."""
    if not e.is_arm or a.lanes != 2:
        return e.binary("mul", a, b)
    places = _like(a, 32)
    a_high, b_high = (e.binary("lshr", x, places) for x in (a, b))
    middle = e.binary("add", _product_of_lower(e, a_high, b), _product_of_lower(e, a, b_high))
    return e.binary("add", _product_of_lower(e, a, b), e.binary("shl", middle, places))


def _product_of_lower(e: Emitter, a: Value, b: Value) -> Value:
    short = (e.fn.pure(f"trunc {x.type} {x.text} to <2 x i32>") for x in (a, b))
    operands = ", ".join(f"<2 x i32> {text}" for text in short)
    return Value(e.fn.pure(f"call <2 x i64> @llvm.aarch64.neon.umull.v2i64({operands})"), a.dtype, a.lanes)


def divided(e: Emitter, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient and remainder towards zero, for b that is not 0; of the least integer by -1, modulo 2 ** 64.

    A ratio that is made smaller by more than its roundings is no more than the quotient, so that no remainder is below
    0. Of a remainder after one step, the quotient is below 2 ** 15, and the second step misses it by at most 1.
    """
    signed = a.dtype.kind == "int"
    if signed:
        positive = (Value(e.intrinsic("abs", x, extra=", i1 false").text, _UINT64, x.lanes) for x in (a, b))
        quotient, remainder = _unsigned(e, *positive)
        sign = e.binary("ashr", a, _like(a, 63))
        apart = e.binary("ashr", e.binary("xor", a, b), _like(a, 63))
        return _negated(e, quotient, apart), _negated(e, remainder, sign)
    return _unsigned(e, a, b)


def _unsigned(e: Emitter, a: Value, b: Value) -> tuple[Value, Value]:
    doubles, integers = vector("double", a.lanes), a.type

    def double(x: Value) -> Value:
        return Value(e.fn.pure(f"uitofp {integers} {x.text} to {doubles}"), DOUBLE, a.lanes)

    inverse = e.binary("fdiv", constant(1.0 - 2.0**-50, DOUBLE, a.lanes), double(b))
    quotient, remainder = _like(a, 0), a
    for _ in range(2):
        ratio = e.binary("fmul", double(remainder), inverse)
        share = Value(e.fn.pure(f"fptoui {doubles} {ratio.text} to {integers}"), a.dtype, a.lanes)
        quotient = e.binary("add", quotient, share)
        remainder = e.binary("sub", remainder, e.binary("mul", share, b))
    more = e.test("uge", remainder, b.text)
    quotient = e.choose(more, e.binary("add", quotient, _like(a, 1)), quotient)
    return quotient, e.choose(more, e.binary("sub", remainder, b), remainder)


def _negated(e: Emitter, a: Value, sign: Value) -> Value:
    """a, or -a where `sign` is -1."""
    flipped = Value(e.binary("xor", a, sign).text, sign.dtype, a.lanes)
    return e.binary("sub", flipped, sign)


def _as(e: Emitter, a: Value, to: DType) -> Value:
    """The bits of `a` at another type of 64 bits."""
    return Value(e.fn.pure(f"bitcast {a.type} {a.text} to {vector(ELEMENTS[to.name], a.lanes)}"), to, a.lanes)


def _like(a: Value, number: int) -> Value:
    return constant(number, a.dtype, a.lanes)
