"""Fixed-point operations on integers, in the forms that LLVM's back ends turn into their instructions for them.

The averages without a wider type are those of Warren, "Hacker's Delight", 2-5.
"""

from __future__ import annotations

from ...compute.dtypes import DTYPES, DType
from .casts import cast
from .emitter import Emitter
from .long_integers import short_mul
from .values import Value, constant

Operands = tuple[Value, ...]
_SATURATING = {"saturating_add": "add.sat", "saturating_sub": "sub.sat"}
_COUNTS = {"count_leading_zeros": "ctlz", "count_trailing_zeros": "cttz"}


def emit(e: Emitter, name: str, operands: Operands, known: int | None) -> Value:
    """An operation of INTEGER_OPERATIONS; `known` is its literal count."""
    a, b = operands[0], operands[min(1, len(operands) - 1)]
    signed = a.dtype.kind == "int"
    match name:
        case "saturating_add" | "saturating_sub":
            return e.intrinsic(f"{'s' if signed else 'u'}{_SATURATING[name]}", a, b)
        case "halving_add" | "rounding_halving_add":
            return _average(e, a, b, up=name.startswith("rounding"))
        case "absd":
            sign = "s" if signed else "u"
            greater, less = e.intrinsic(f"{sign}max", a, b), e.intrinsic(f"{sign}min", a, b)
            return cast(e, e.binary("sub", greater, less), DTYPES[f"uint{a.dtype.bits}"])
        case "popcount":
            return e.intrinsic("ctpop", a)
        case "count_leading_zeros" | "count_trailing_zeros":
            return e.intrinsic(_COUNTS[name], a, extra=", i1 false")
        case "mul_hi":
            return mul_hi(e, a, b)
        case "mul_shift_right" | "rounding_mul_shift_right":
            assert known is not None, f"the count of {name} is a literal"
            return _shifted_product(e, a, b, known, rounding=name.startswith("rounding"))
    raise AssertionError(f"{name} is no operation on integers")


def _average(e: Emitter, a: Value, b: Value, *, up: bool) -> Value:
    half = e.binary(_right(a.dtype), e.binary("xor", a, b), constant(1, a.dtype, a.lanes))
    if up:
        return e.binary("sub", e.binary("or", a, b), half)
    return e.binary("add", e.binary("and", a, b), half)


def _right(dtype: DType) -> str:
    return "ashr" if dtype.kind == "int" else "lshr"


def mul_hi(e: Emitter, a: Value, b: Value) -> Value:
    """The upper half of the product of two integers."""
    if a.dtype.bits < 64:
        wide = _product(e, a, b)
        return cast(e, _shifted(e, wide, a.dtype.bits), a.dtype)
    if a.lanes > 1:
        return _mul_hi_of_halves(e, a, b)
    extend = "sext" if a.dtype.kind == "int" else "zext"
    wide_a, wide_b = (e.fn.pure(f"{extend} i64 {x.text} to i128") for x in (a, b))
    upper = e.fn.pure(f"lshr i128 {e.fn.pure(f'mul i128 {wide_a}, {wide_b}')}, 64")
    return Value(e.fn.pure(f"trunc i128 {upper} to i64"), a.dtype)


def _mul_hi_of_halves(e: Emitter, a: Value, b: Value) -> Value:
    """The upper half of a product of 64-bit integers, from products of their halves, which vectors have."""
    places, ones = constant(32, a.dtype, a.lanes), constant((1 << 32) - 1, a.dtype, a.lanes)
    a1, b1, a0, b0 = (*(e.binary("lshr", x, places) for x in (a, b)), *(e.binary("and", x, ones) for x in (a, b)))
    carried = e.binary("add", short_mul(e, a1, b0), e.binary("lshr", short_mul(e, a0, b0), places))
    middle = e.binary("add", short_mul(e, a0, b1), e.binary("and", carried, ones))
    carry = e.binary("add", e.binary("lshr", carried, places), e.binary("lshr", middle, places))
    upper = e.binary("add", short_mul(e, a1, b1), carry)
    if a.dtype.kind == "int":
        for x, y in ((a, b), (b, a)):
            # Taken without its sign, a negative x is too large by 2 ** 64.
            negative = e.binary("ashr", x, constant(63, x.dtype, x.lanes))
            upper = e.binary("sub", upper, e.binary("and", negative, y))
    return upper


def _shifted_product(e: Emitter, a: Value, b: Value, count: int, *, rounding: bool) -> Value:
    signed = a.dtype.kind == "int"
    if rounding and signed and count == a.dtype.bits - 1:
        return _rounded_fraction(e, a, b)
    wide = _product(e, a, b)
    if rounding and count:
        wide = e.binary("add", wide, constant(1 << (count - 1), wide.dtype, wide.lanes))
    wide = _shifted(e, wide, count)
    if count < a.dtype.bits:
        wide = e.intrinsic("smin" if signed else "umin", wide, constant(a.dtype.highest, wide.dtype, wide.lanes))
        if signed:
            wide = e.intrinsic("smax", wide, constant(a.dtype.lowest, wide.dtype, wide.lanes))
    return cast(e, wide, a.dtype)


def _rounded_fraction(e: Emitter, a: Value, b: Value) -> Value:
    """The product of two fractions, from its halves: 16 bits have instructions for both."""
    low, one = e.binary("mul", a, b), constant(1, a.dtype, a.lanes)
    carry = e.binary("add", e.binary("lshr", low, constant(a.dtype.bits - 2, a.dtype, a.lanes)), one)
    result = e.binary("add", e.binary("shl", mul_hi(e, a, b), one), e.binary("lshr", carry, one))
    # Only the square of the least integer is beyond the type, by one, and nothing else becomes the least integer.
    is_least = e.test("eq", result, a.lit(a.dtype.lowest))
    return e.choose(is_least, constant(a.dtype.highest, a.dtype, a.lanes), result)


def _product(e: Emitter, a: Value, b: Value) -> Value:
    """The whole product of integers of up to 32 bits."""
    wide = DTYPES[f"{a.dtype.kind}{2 * a.dtype.bits}"]
    return e.binary("mul", cast(e, a, wide), cast(e, b, wide))


def _shifted(e: Emitter, a: Value, count: int) -> Value:
    return e.binary(_right(a.dtype), a, constant(count, a.dtype, a.lanes))
