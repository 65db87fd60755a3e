"""exp, exp2, expm1 and tanh: x = k ln 2 + r with an integer k, and a polynomial in r.

k ln 2 is subtracted in two parts of which the first is exact (Cody and Waite, Software Manual for the Elementary
Functions, 1980); 2 ** k is made of bits, or the target multiplies by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Const, Expr
from .coefficients import EXP, EXP2, LN2, LOG2E
from .parts import (
    FORMATS,
    Format,
    at_least,
    at_most,
    compensated_fma,
    fma,
    polynomial,
    power_of_shifted,
    where_fused,
)  # fmt: skip

# Beyond these the results are infinite and zero; exponents stay within what two powers of two can make.
EXP_RANGE = {"float32": (-104.0, 89.0), "float64": (-746.0, 710.0)}
_EXP2_RANGE = {"float32": (-151.0, 128.0), "float64": (-1076.0, 1024.0)}
# Below these expm1 is -1; above half of the others tanh is 1.
_EXPM1_LOWEST = {"float32": -18.0, "float64": -38.0}
_TANH_HIGHEST = {"float32": 20.0, "float64": 40.0}


@dataclass(frozen=True, slots=True)
class Reduced:
    """x = k ln 2 + rest; `shifted` is k + `to_integer`; `rest` is `first`, which is exact, plus `second`, rounded."""

    shifted: Expr
    rest: Expr
    first: Expr
    second: Expr


def exp(x: Expr) -> Expr:
    """1 + r + r ** 2 q(r), times 2 ** k."""
    f = FORMATS[x.dtype.name]
    low, high = EXP_RANGE[x.dtype.name]
    parts = reduced(f, at_least(at_most(x, f.const(high)), f.const(low)))
    return f.scaled(where_fused(power(parts.rest), _power_in_parts(f, parts)), parts.shifted)


def exp2(x: Expr) -> Expr:
    """1 + r q(r), times 2 ** k; r = x - k is exact."""
    f = FORMATS[x.dtype.name]
    low, high = _EXP2_RANGE[x.dtype.name]
    x = at_least(at_most(x, f.const(high)), f.const(low))
    shifted = x + f.const(f.to_integer)
    r = x - (shifted - f.const(f.to_integer))
    return f.scaled(compensated_fma(polynomial(r, EXP2[x.dtype.name]), r, f.const(1.0)), shifted)


def expm1(x: Expr) -> Expr:
    """2 ** k (r + r ** 2 q(r)) + (2 ** k - 1), halved until the end, where the result may be infinite."""
    f = FORMATS[x.dtype.name]
    at_end = f.const(EXP_RANGE[x.dtype.name][1])
    limited = at_least(at_most(x, at_end), f.const(_EXPM1_LOWEST[x.dtype.name]))
    parts = reduced(f, limited)
    half = power_of_shifted(f, parts.shifted, -1)
    value = fma(half, power_less_1(parts.rest), half - f.const(0.5))
    return f.with_sign_of(f.magnitude(value + value), x)


def tanh(x: Expr) -> Expr:
    """expm1(2 |x|) / (expm1(2 |x|) + 2), to which is added what the denominator and the division lose."""
    f = FORMATS[x.dtype.name]
    magnitude = f.magnitude(x)
    parts = reduced(f, at_most(magnitude + magnitude, f.const(_TANH_HIGHEST[x.dtype.name])))
    scale = power_of_shifted(f, parts.shifted)
    value = fma(scale, power_less_1(parts.rest), scale - f.const(1.0))
    bottom = value + f.const(2.0)
    ratio = value / bottom
    rest = compensated_fma(-ratio, value, fma(ratio, f.const(-2.0), value))
    inverse = fma(ratio, f.const(-0.5), f.const(0.5))  # of the bottom
    return f.with_sign_of(at_most(fma(rest, inverse, ratio), f.const(1.0)), x)


def reduced(f: Format, x: Expr, rest: Expr | None = None) -> Reduced:
    """x, or x + rest, within the range of exp, between -ln(2) / 2 and ln(2) / 2."""
    high, low = LN2[x.dtype.name]
    shifted = fma(x, f.const(sum(LOG2E[x.dtype.name])), f.const(f.to_integer))
    k = shifted - f.const(f.to_integer)
    first = fma(k, f.const(-high), x)
    if rest is None:
        return Reduced(shifted, fma(k, f.const(-low), first), first, k * f.const(-low))
    second = fma(k, f.const(-low), rest)
    return Reduced(shifted, first + second, first, second)


def power(r: Expr) -> Expr:
    """exp(r), of which what is small is added in two steps."""
    one = Const(1.0, r.dtype)
    return fma(fma(polynomial(r, EXP[r.dtype.name]), r, one), r, one)


def _power_in_parts(f: Format, parts: Reduced) -> Expr:
    """The same from the sum of 1 and `first`, in two parts, and what is small: products are rounded in that only."""
    one = f.const(1.0)
    total = one + parts.first
    lost = (one - total) + parts.first
    return total + (lost + fma(parts.rest * parts.rest, polynomial(parts.rest, EXP[one.dtype.name]), parts.second))


def power_less_1(r: Expr) -> Expr:
    """exp(r) - 1."""
    return fma(r * r, polynomial(r, EXP[r.dtype.name]), r)


def power_of_two_less_1(r: Expr) -> Expr:
    """2 ** r - 1: the largest term last, so that what the others are rounded by counts little."""
    first, *others = EXP2[r.dtype.name]
    return compensated_fma(r, Const(first, r.dtype), r * r * polynomial(r, tuple(others)))
