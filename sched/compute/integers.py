"""Integer and fixed-point operations that Python has no operator for: exact, and instructions where targets have them.

Names and meanings are those of Halide's fixed-point operations (Root et al., "Fast Instruction Selection for Fast
Digital Signal Processing", ASPLOS 2023). Those that are one operation are rows of INTEGER_OPERATIONS; the widening ones
and the saturating conversion are definitions over casts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DefinitionError
from .dtypes import BOOL, DTYPES, INDEX, DType, dtype, resolve
from .expr import Cast, Const, Expr, Op
from .operations import apply, as_expr, convert, promotion_keys

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class IntegerOperation:
    """`reference` is the operation on NumPy's integers of one type; `arity` counts a literal count as well.

    The result has the type of the operands, or the unsigned one of their size.
    """

    name: str
    arity: int
    reference: Callable[..., Array]
    unsigned: bool = False

    def result(self, operand: DType) -> DType:
        return DTYPES[f"uint{operand.bits}"] if self.unsigned else operand


def saturating_add(a: Any, b: Any) -> Expr:
    """a + b, limited to what its integer type has, instead of wrapped.

    >>> import polysched as ps
    >>> A = ps.placeholder((16,), "uint8", name="A")
    >>> ps.compute((16,), lambda i: ps.saturating_add(A[i], 100), name="brighter")
    brighter: uint8[16]
    """
    return _apply("saturating_add", a, b)


def saturating_sub(a: Any, b: Any) -> Expr:
    """a - b, limited to what its integer type has: 0 where an unsigned difference would be negative."""
    return _apply("saturating_sub", a, b)


def saturating_cast(to: Any, value: Any) -> Expr:
    """`value` converted to the type `to`, limited to what that has; towards a float or bool the same as `cast`.

    A float becomes the nearest integer towards zero, NaN 0.

    >>> import polysched as ps
    >>> A = ps.placeholder((16,), "int32", name="A")
    >>> ps.compute((16,), lambda i: ps.saturating_cast("uint8", A[i]), name="pixels")
    pixels: uint8[16]
    """
    expr, target = as_expr(value), dtype(to)
    if expr.dtype.is_int and target.is_int:
        for name, limit, beyond in (
            ("max", target.lowest, target.lowest > expr.dtype.lowest),
            ("min", target.highest, target.highest < expr.dtype.highest),
        ):
            if beyond:
                expr = Op(name, (expr, Const(limit, expr.dtype)), expr.dtype)
    return Cast(expr, target) if expr.dtype != target or expr.weak else expr


def widening_add(a: Any, b: Any) -> Expr:
    """a + b in a type of twice the bits, where it never wraps: signed where an operand is.

    Integers of up to 32 bits, also of different types, or two floats of 16 or 32 bits.
    """
    return apply("add", *_widened("widening_add", a, b))


def widening_sub(a: Any, b: Any) -> Expr:
    """a - b in a type of twice the bits, where it never wraps: signed for all integers; for more see `widening_add`."""
    return apply("sub", *_widened("widening_sub", a, b, signed=True))


def widening_mul(a: Any, b: Any) -> Expr:
    """a * b in a type of twice the bits, which has every product: signed where an operand is.

    Integers of up to 32 bits, also of different types, or two floats of 16 or 32 bits.

    >>> import polysched as ps
    >>> A, B = ps.placeholder((16,), "uint8", name="A"), ps.placeholder((16,), "int8", name="B")
    >>> ps.compute((16,), lambda i: ps.widening_mul(A[i], B[i]), name="products")
    products: int16[16]
    """
    return apply("mul", *_widened("widening_mul", a, b))


def mul_hi(a: Any, b: Any) -> Expr:
    """The upper half of the product of two integers, of the type of each: floor(a * b / 2 ** bits)."""
    return _apply("mul_hi", a, b)


def mul_shift_right(a: Any, b: Any, count: int) -> Expr:
    """floor(a * b / 2 ** count) of the whole product, limited to what the type of a and b has.

    count  a number from 0 to the bits of the type, which is an integer of 8, 16 or 32 bits
    """
    return _shifted_product("mul_shift_right", a, b, count)


def rounding_mul_shift_right(a: Any, b: Any, count: int) -> Expr:
    """a * b / 2 ** count rounded to the nearest integer, halves up, limited to what the type of a and b has.

    With a count of 15 it is the product of two int16 fractions (the Q15 format), which x86 has as vpmulhrsw.
    The operands are those of `mul_shift_right`.

    >>> import polysched as ps
    >>> A, gain = ps.placeholder((16,), "int16", name="A"), ps.scalar("gain", "int16")
    >>> ps.compute((16,), lambda i: ps.rounding_mul_shift_right(A[i], gain, 15), name="scaled")
    scaled: int16[16]
    """
    return _shifted_product("rounding_mul_shift_right", a, b, count)


def rounding_shift_right(a: Any, count: int) -> Expr:
    """a / 2 ** count rounded to the nearest integer, halves up, for a literal count of at least 0; it never wraps."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise DefinitionError(f"the count of rounding_shift_right is {count!r}; a number of at least 0 is expected")
    (value,) = _operands("rounding_shift_right", a)
    if count == 0:
        return value
    beyond = value.dtype.bits + 1
    down, last = (apply("shr", value, Const(min(n, beyond), value.dtype)) for n in (count, count - 1))
    return apply("add", down, apply("and", last, Const(1, value.dtype)))


def halving_add(a: Any, b: Any) -> Expr:
    """floor((a + b) / 2) of the whole sum, which never wraps."""
    return _apply("halving_add", a, b)


def rounding_halving_add(a: Any, b: Any) -> Expr:
    """ceil((a + b) / 2) of the whole sum, which never wraps: the average, halves up.

    >>> import polysched as ps
    >>> A = ps.placeholder((16,), "uint8", name="A")
    >>> ps.compute((15,), lambda i: ps.rounding_halving_add(A[i], A[i + 1]), name="between")
    between: uint8[15]
    """
    return _apply("rounding_halving_add", a, b)


def absd(a: Any, b: Any) -> Expr:
    """The absolute difference of two integers, in the unsigned type of their size, which always has it."""
    return _apply("absd", a, b)


def popcount(x: Any) -> Expr:
    """How many bits of an integer are set, in its own type; of a negative one those of its two's complement.

    (NumPy's bitwise_count takes the absolute value first.)

    >>> import polysched as ps
    >>> A, B = ps.placeholder((16,), "uint64", name="A"), ps.placeholder((16,), "uint64", name="B")
    >>> ps.compute((16,), lambda i: ps.popcount(A[i] ^ B[i]), name="hamming")
    hamming: uint64[16]
    """
    return _apply("popcount", x)


def count_leading_zeros(x: Any) -> Expr:
    """How many bits of an integer above its highest set bit are 0, in its own type; all of them for 0."""
    return _apply("count_leading_zeros", x)


def count_trailing_zeros(x: Any) -> Expr:
    """How many bits of an integer below its lowest set bit are 0, in its own type; all of them for 0."""
    return _apply("count_trailing_zeros", x)


def _apply(name: str, *values: Any) -> Expr:
    operands = _operands(name, *values)
    result = INTEGER_OPERATIONS[name].result(operands[0].dtype)
    return Op(name, operands, result, all(as_expr(value).weak for value in values))


def _operands(name: str, *values: Any) -> tuple[Expr, ...]:
    """The operands in the one type of integers to which NumPy promotes them."""
    exprs = tuple(as_expr(value) for value in values)
    types = resolve("bitwise_and", promotion_keys((exprs[0], exprs[-1])))
    if types is None or types[0] == BOOL:
        kinds = " and ".join(e.dtype.name for e in exprs)
        raise DefinitionError(
            f"{name} is not defined on {kinds}, which have no integer type in common; convert with ps.cast, as in "
            f'ps.cast("int32", x)'
        )
    return tuple(convert(e, types[0]) for e in exprs)


def _shifted_product(name: str, a: Any, b: Any, count: Any) -> Expr:
    operands = _operands(name, a, b)
    to = operands[0].dtype
    if to.bits == INDEX.bits:
        raise DefinitionError(f"{name} is defined on integers of 8, 16 and 32 bits, not on {to}; ps.mul_hi is on all")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= to.bits:
        raise DefinitionError(f"the count of {name} is {count!r}; a number from 0 to the {to.bits} of {to} is expected")
    return Op(name, (*operands, Const(count, to)), to, all(as_expr(value).weak for value in (a, b)))


def _widened(name: str, a: Any, b: Any, *, signed: bool = False) -> tuple[Expr, Expr]:
    """Two operands in a type of twice the bits; a literal takes on the type of the other first."""
    exprs = as_expr(a), as_expr(b)
    if any(isinstance(e, Const) and e.weak for e in exprs):
        types = resolve("add", promotion_keys(exprs))
        exprs = exprs if types is None else (convert(exprs[0], types[0]), convert(exprs[1], types[1]))
    kinds = {e.dtype.kind for e in exprs}
    bits = 2 * max(e.dtype.bits for e in exprs)
    kind = "float" if kinds == {"float"} else "int" if signed or "int" in kinds else "uint"
    wide = f"{kind}{bits}"
    if wide not in DTYPES or not (kinds == {"float"} or kinds <= {"int", "uint"}):
        raise DefinitionError(
            f"{name} is not defined on {exprs[0].dtype} and {exprs[1].dtype}: there is no type of {bits} bits for the "
            "result, or they are not both integers; convert with ps.cast"
        )
    return convert(exprs[0], DTYPES[wide]), convert(exprs[1], DTYPES[wide])


# The references: any integer type at a time, in arithmetic of NumPy that wraps.


def _saturated(wrapped: Array, overflows: Array, negative: Array) -> Array:
    info = np.iinfo(wrapped.dtype)
    low, high = wrapped.dtype.type(info.min), wrapped.dtype.type(info.max)
    return np.where(overflows, np.where(negative, low, high), wrapped)


def _add_saturated(a: Array, b: Array) -> Array:
    total = np.asarray(a + b)
    signed = total.dtype.kind == "i"
    return _saturated(total, (a ^ total) & (b ^ total) < 0 if signed else total < a, np.asarray(signed & (a < 0)))


def _sub_saturated(a: Array, b: Array) -> Array:
    rest = np.asarray(a - b)
    signed = rest.dtype.kind == "i"
    return _saturated(rest, (a ^ b) & (a ^ rest) < 0 if signed else a < b, np.asarray((not signed) | (a < 0)))


def _average(a: Array, b: Array) -> Array:
    return np.asarray((a & b) + ((a ^ b) >> 1))


def _average_up(a: Array, b: Array) -> Array:
    return np.asarray((a | b) - ((a ^ b) >> 1))


def _difference(a: Array, b: Array) -> Array:
    return np.asarray(np.where(a < b, b - a, a - b)).astype(f"u{np.asarray(a).itemsize}")


def _bits(x: Array) -> Array:
    """The bits as an unsigned integer."""
    array = np.asarray(x)
    return array.astype(f"u{array.itemsize}")


def _ones(x: Array) -> Array:
    return np.bitwise_count(_bits(x)).astype(np.asarray(x).dtype)


def _leading_zeros(x: Array) -> Array:
    smeared, to = _bits(x), np.asarray(x).dtype
    for shift in (1, 2, 4, 8, 16, 32):
        smeared = smeared | smeared >> shift
    zeros: Array = np.bitwise_count(~smeared).astype(to)
    return zeros


def _trailing_zeros(x: Array) -> Array:
    bits = _bits(x)
    zeros: Array = np.bitwise_count(~bits & (bits - 1)).astype(np.asarray(x).dtype)
    return zeros


def _upper_half(a: Array, b: Array) -> Array:
    """From the products of the halves of both, without signs, from which the other one goes where one is negative."""
    to, x, y = np.asarray(a).dtype, _bits(a), _bits(b)
    half = to.itemsize * 4
    low = (1 << half) - 1
    carried = (x >> half) * (y & low) + ((x & low) * (y & low) >> half)
    middle = (x & low) * (y >> half) + (carried & low)
    upper = (x >> half) * (y >> half) + (carried >> half) + (middle >> half)
    if to.kind == "i":
        upper = upper - np.where(a < 0, y, 0).astype(y.dtype) - np.where(b < 0, x, 0).astype(x.dtype)
    return np.asarray(upper).astype(to)


def _product_shifted(a: Array, b: Array, count: Any, rounding: int = 0) -> Array:
    to = np.asarray(a).dtype
    wide = np.int64 if to.kind == "i" else np.uint64
    info, places = np.iinfo(to), int(count)
    product = np.asarray(a).astype(wide) * np.asarray(b).astype(wide)
    shifted = (product + wide(rounding << places >> 1)) >> wide(places)
    result: Array = np.clip(shifted, wide(info.min), wide(info.max)).astype(to)
    return result


def _product_rounded(a: Array, b: Array, count: Any) -> Array:
    return _product_shifted(a, b, count, rounding=1)


INTEGER_OPERATIONS: dict[str, IntegerOperation] = {
    row.name: row
    for row in (
        IntegerOperation("saturating_add", 2, _add_saturated),
        IntegerOperation("saturating_sub", 2, _sub_saturated),
        IntegerOperation("halving_add", 2, _average),
        IntegerOperation("rounding_halving_add", 2, _average_up),
        IntegerOperation("absd", 2, _difference, unsigned=True),
        IntegerOperation("mul_hi", 2, _upper_half),
        IntegerOperation("mul_shift_right", 3, _product_shifted),
        IntegerOperation("rounding_mul_shift_right", 3, _product_rounded),
        IntegerOperation("popcount", 1, _ones),
        IntegerOperation("count_leading_zeros", 1, _leading_zeros),
        IntegerOperation("count_trailing_zeros", 1, _trailing_zeros),
    )
}
