"""The functions of elements that Python has no operator for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DefinitionError, one
from .dtypes import BOOL, INDEX, DType, dtype, resolve
from .expr import Cast, Const, Expr, Op
from .operations import apply, as_expr, convert, promotion_keys


def select(condition: Any, if_true: Any, if_false: Any) -> Expr:
    """`if_true` where the condition holds, else `if_false` (Halide's select, NumPy's where).

    An affine condition guards its sides: an access in `if_true` need only be in bounds where the condition holds.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "float32", name="A")
    >>> ps.compute((n,), lambda i: ps.select(i > 0, A[i - 1], 0.0), name="shifted").dtype.name
    'float32'
    """
    guard, a, b = as_expr(condition), as_expr(if_true), as_expr(if_false)
    if guard.dtype != BOOL:
        raise DefinitionError(
            f"the condition `{guard}` of ps.select is {one(guard.dtype.name)}; a condition is a bool, as in x != 0"
        )
    to = resolve("maximum", promotion_keys((a, b)))
    if to is None:
        raise DefinitionError(
            f"ps.select cannot choose between {one(a.dtype.name)} and {one(b.dtype.name)}; convert with ps.cast"
        )
    return Op("select", (guard, convert(a, to[-1]), convert(b, to[-1])), to[-1], a.weak and b.weak)


def cast(to: Any, value: Any) -> Expr:
    """`value` converted to the type `to`, as in Halide; `cast(value, to)`, as in NumPy's `astype`, is the same.

    Integers wrap; a float becomes the nearest integer towards zero, saturated (NaN gives 0); bool is `!= 0`.

    >>> import polysched as ps
    >>> ps.cast("int8", ps.scalar("x", "float32")).dtype.name
    'int8'
    """
    if isinstance(value, (str, type, np.dtype, DType)):  # none of which is a value
        to, value = value, to
    expr, target = as_expr(value), dtype(to)
    return Cast(expr, target) if expr.dtype != target or expr.weak else expr


def clamp(value: Any, low: Any, high: Any) -> Expr:
    """`value` limited to low..high, both included: min(max(value, low), high).

    As an index it makes every access provable, also one read from data. Between axes and sizes it is an int64, which
    a uint64 is limited to first.

    >>> import polysched as ps
    >>> n = ps.size_var("n", min=1)
    >>> A = ps.placeholder((n,), "float32", name="A")
    >>> edge = ps.compute((n,), lambda i: A[ps.clamp(i - 1, 0, n - 1)], name="edge")
    """
    expr, bounds = as_expr(value), (as_expr(low), as_expr(high))
    if expr.dtype.name == "uint64" and all(b.weak and b.dtype == INDEX for b in bounds) and not _are_literals(bounds):
        expr = cast(INDEX, apply("min", expr, INDEX.highest))
    return apply("min", apply("max", expr, bounds[0]), bounds[1])


def _are_literals(exprs: tuple[Expr, ...]) -> bool:
    return all(isinstance(expr, Const) for expr in exprs)


def checked(index: Any) -> Expr:
    """An index read from data that is checked when the kernel runs.

    A value outside the dimension it indexes raises `BoundsError` from the call, after which the outputs are not
    defined. `ps.clamp` is the alternative that cannot fail.

    >>> import polysched as ps
    >>> n, m = ps.size_var("n"), ps.size_var("m")
    >>> A, at = ps.placeholder((n,), "float32", name="A"), ps.placeholder((m,), "int32", name="at")
    >>> gathered = ps.compute((m,), lambda i: A[ps.checked(at[i])], name="gathered")
    """
    expr = as_expr(index)
    if not expr.dtype.is_int:
        raise DefinitionError(f"ps.checked takes an integer index, not {one(expr.dtype.name)}")
    return Op("checked", (expr,), expr.dtype)


def sqrt(x: Any) -> Expr:
    """The square root, correctly rounded (0.5 ulp), by the instruction for it."""
    return apply("sqrt", x)


def abs(x: Any) -> Expr:
    """The absolute value; that of the least integer wraps to itself, as in NumPy."""
    return apply("abs", x)


def floor(x: Any) -> Expr:
    """The greatest integer not above x, in the type of x. Exact."""
    return apply("floor", x)


def ceil(x: Any) -> Expr:
    """The least integer not below x, in the type of x. Exact."""
    return apply("ceil", x)


def trunc(x: Any) -> Expr:
    """x without its fraction, in the type of x. Exact."""
    return apply("trunc", x)


def round(x: Any) -> Expr:
    """The nearest integer in the type of x, halves to the even one, as NumPy's rint. Exact."""
    expr = as_expr(x)
    return apply("round", expr) if expr.dtype.is_float else expr


def rsqrt(x: Any) -> Expr:
    """1 / sqrt(x); infinite with the sign of a zero.

    The quotient of 1 and the root.
    Largest error 1.50 ulp in float32, 1.51 ulp in float64.
    """
    return apply("rsqrt", x)


def cbrt(x: Any) -> Expr:
    """The cube root, also of negative numbers.

    A polynomial for 1 / cbrt, and a step of Newton's (float64: one of Halley's before it) with an exact remainder
    (Kahan, Computing a real cube root).
    Largest error 0.97 ulp in float32, 0.96 ulp in float64.
    """
    return apply("cbrt", x)


def hypot(x: Any, y: Any) -> Expr:
    """sqrt(x * x + y * y), without overflow on the way; infinite if either is, even if the other is NaN.

    The operands are scaled by a power of two.
    Largest error 1.20 ulp in float32, 1.20 ulp in float64.
    """
    return apply("hypot", x, y)


def fmod(x: Any, y: Any) -> Expr:
    """x less the multiple of y that is next towards zero, exactly: C's remainder, with the sign of x.

    Long division in steps of some 20 (float32) or 50 binary digits; `%` and `//` of floats, which round down, are made
    of it. Of integers, 0 for y = 0.
    """
    return apply("fmod", x, y)


def isnan(x: Any) -> Expr:
    """Whether x is not a number."""
    return apply("isnan", x)


def exp(x: Any) -> Expr:
    """e to the power x.

    Cody and Waite's reduction by ln 2, and a polynomial of degree 6 (float32) or 12.
    Largest error 0.97 ulp in float32, 0.92 ulp in float64.
    """
    return apply("exp", x)


def exp2(x: Any) -> Expr:
    """2 to the power x.

    The exact difference to the nearest integer, and a polynomial of degree 6 (float32) or 12.
    Largest error 0.94 ulp in float32, 0.93 ulp in float64.
    """
    return apply("exp2", x)


def expm1(x: Any) -> Expr:
    """exp(x) - 1, accurate where x is small.

    As exp, with 2 ** k (exp(r) - 1) + (2 ** k - 1).
    Largest error 1.74 ulp in float32, 1.98 ulp in float64.
    """
    return apply("expm1", x)


def log(x: Any) -> Expr:
    """The natural logarithm.

    Reduced to sqrt(1/2) to sqrt(2), then an odd polynomial in f / (2 + f) of degree 9 (float32) or 15.
    Largest error 0.84 ulp in float32, 0.90 ulp in float64.
    """
    return apply("log", x)


def log2(x: Any) -> Expr:
    """The logarithm to the base 2.

    As log, times 1 / ln 2, both in two parts.
    Largest error 0.85 ulp in float32, 0.91 ulp in float64.
    """
    return apply("log2", x)


def log1p(x: Any) -> Expr:
    """log(1 + x), accurate where x is small.

    As log, with the exponent k of 1 + x and f = 2 ** -k x + (2 ** -k - 1).
    Largest error 1.41 ulp in float32, 1.45 ulp in float64.
    """
    return apply("log1p", x)


def erf(x: Any) -> Expr:
    """The error function.

    A polynomial in x ** 2 below 0.9375, above it 1 - erfc.
    Largest error 1.54 ulp in float32, 1.71 ulp in float64.
    """
    return apply("erf", x)


def erfc(x: Any) -> Expr:
    """1 - erf(x), accurate where it is small.

    exp(-x ** 2) with the square in two parts, times a polynomial of degree 11 (float32) or 23 in a quotient (Shepherd
    and Laframboise, 1981).
    Largest error 1.65 ulp in float32, 1.87 ulp in float64.
    """
    return apply("erfc", x)


def sin(x: Any) -> Expr:
    """The sine of x radians.

    Cody and Waite's reduction by pi / 2 in four parts up to 1608 (float32) and 1.6e6, beyond it Payne and Hanek's in
    integers, of any x; polynomials of degree 7 and 8 (float32) or 13 and 14.
    Largest error 0.95 ulp in float32, 0.97 ulp in float64.

    >>> import polysched as ps
    >>> ps.sin(ps.scalar("x", "float32")).dtype.name
    'float32'
    """
    return apply("sin", x)


def cos(x: Any) -> Expr:
    """The cosine of x radians.

    As sin, a quarter turn further.
    Largest error 0.98 ulp in float32, 0.97 ulp in float64.
    """
    return apply("cos", x)


def tan(x: Any) -> Expr:
    """The tangent of x radians.

    Reduced as for sin, then a polynomial of degree 15 (float32) or 29, and -1 divided by that in every other quarter.
    Largest error 1.72 ulp in float32, 1.77 ulp in float64.
    """
    return apply("tan", x)


def asin(x: Any) -> Expr:
    """The angle from -pi / 2 to pi / 2 whose sine is x; NaN beyond 1.

    A polynomial of degree 11 (float32) or 25 up to 1 / 2, beyond it the complement of that of sqrt((1 - x) / 2).
    Largest error 1.39 ulp in float32, 1.63 ulp in float64.
    """
    return apply("asin", x)


def acos(x: Any) -> Expr:
    """The angle from 0 to pi whose cosine is x; NaN beyond 1.

    As asin.
    Largest error 1.36 ulp in float32, 1.49 ulp in float64.
    """
    return apply("acos", x)


def atan(x: Any) -> Expr:
    """The angle from -pi / 2 to pi / 2 whose tangent is x.

    A multiple of pi / 4 and a polynomial of degree 13 (float32) or 25 in x, (x - 1) / (x + 1) or -1 / x.
    Largest error 1.41 ulp in float32, 1.42 ulp in float64.
    """
    return apply("atan", x)


def atan2(y: Any, x: Any) -> Expr:
    """The angle from -pi to pi of the point (x, y), with the sign of y; the signs of zeros count, as in C.

    As atan, of the smaller of |x| and |y| divided by the larger.
    Largest error 1.60 ulp in float32, 1.60 ulp in float64.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> y, x = (ps.placeholder((n,), "float32", name=name) for name in "yx")
    >>> angle = ps.compute((n,), lambda i: ps.atan2(y[i], x[i]), name="angle")
    """
    return apply("atan2", y, x)


def sinh(x: Any) -> Expr:
    """The hyperbolic sine.

    Cody and Waite's reduction by ln 2, an addition theorem, and polynomials of degree 7 and 6 (float32) or 11 and 12.
    Largest error 1.29 ulp in float32, 1.37 ulp in float64.
    """
    return apply("sinh", x)


def cosh(x: Any) -> Expr:
    """The hyperbolic cosine.

    As sinh.
    Largest error 1.53 ulp in float32, 1.58 ulp in float64.
    """
    return apply("cosh", x)


def tanh(x: Any) -> Expr:
    """The hyperbolic tangent.

    expm1(2 |x|) / (expm1(2 |x|) + 2), and what the quotient lacks by its remainder.
    Largest error 1.81 ulp in float32, 1.97 ulp in float64.
    """
    return apply("tanh", x)


def pow(x: Any, y: Any) -> Expr:
    """x to the power y; an integer x needs a literal exponent from 0 to 63.

    exp(y log x), in float64 for float32, and for float64 with the logarithm in two parts (Dekker, 1971); special values
    as in C.
    Largest error 0.51 ulp in float32, 1.45 ulp in float64.
    """
    return apply("pow", x, y)


def minimum(x: Any, y: Any) -> Expr:
    """The smaller of two elements; NaN if either is NaN."""
    return apply("min", x, y)


def maximum(x: Any, y: Any) -> Expr:
    """The larger of two elements; NaN if either is NaN."""
    return apply("max", x, y)
