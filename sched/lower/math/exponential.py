"""exp, exp2 and tanh: x = k ln 2 + r with an integer k, and a polynomial in r.

k ln 2 is subtracted in two parts of which the first is exact (Cody and Waite, Software Manual for the Elementary
Functions, 1980); 2 ** k is made of bits.
"""

from __future__ import annotations

from ...compute.expr import Expr
from .coefficients import EXP, EXP2, LN2, LOG2E, TANH, TANH_SMALL
from .parts import FORMATS, Format, at_least, at_most, fma, polynomial, select

# Beyond these the results are infinite and zero; exponents stay within what two powers of two can make.
_EXP_RANGE = {"float32": (-104.0, 89.0), "float64": (-746.0, 710.0)}
_EXP2_RANGE = {"float32": (-151.0, 128.0), "float64": (-1076.0, 1024.0)}


def exp(x: Expr) -> Expr:
    """1 + r + r ** 2 q(r), times 2 ** k; what r and 1 + r lose in rounding is added to the last term."""
    f = FORMATS[x.dtype.name]
    name = x.dtype.name
    minus_low, minus_high = (f.const(-part) for part in reversed(LN2[name]))
    low, high = _EXP_RANGE[name]
    x = at_least(at_most(x, f.const(high)), f.const(low))
    shifted = fma(x, f.const(sum(LOG2E[name])), f.const(f.to_integer))
    k = shifted - f.const(f.to_integer)
    exact = fma(k, minus_high, x)
    r = fma(k, minus_low, exact)
    lost = fma(k, minus_low, exact - r)
    one = f.const(1.0)
    first = r + one
    rest = fma(r * r, polynomial(r, EXP[name]), ((one - first) + r) + lost)
    return f.scaled(first + rest, _low_bits(f, shifted))


def exp2(x: Expr) -> Expr:
    """1 + r / 2 + r q(r), times 2 ** k; r = x - k is exact, and what 1 + r / 2 loses is added to the last term."""
    f = FORMATS[x.dtype.name]
    low, high = _EXP2_RANGE[x.dtype.name]
    x = at_least(at_most(x, f.const(high)), f.const(low))
    shifted = x + f.const(f.to_integer)
    r = x - (shifted - f.const(f.to_integer))
    one, half = f.const(1.0), r * f.const(0.5)
    first = half + one
    rest = fma(r, polynomial(r, EXP2[x.dtype.name]), (one - first) + half)
    return f.scaled(first + rest, _low_bits(f, shifted))


def tanh(x: Expr) -> Expr:
    """x + x ** 3 q(x ** 2) for small x, otherwise 1 - 2 / (exp(2 |x|) + 1)."""
    f = FORMATS[x.dtype.name]
    magnitude = f.magnitude(x)
    square = magnitude * magnitude
    small = fma(magnitude * square, polynomial(square, TANH[x.dtype.name]), magnitude)
    far = f.const(1.0) - f.const(2.0) / (exp(magnitude + magnitude) + f.const(1.0))
    return f.with_sign_of(select(magnitude < f.const(TANH_SMALL), small, far), x)


def _low_bits(f: Format, shifted: Expr) -> Expr:
    """The integer in a number to which `to_integer` was added."""
    return f.bits(shifted) - f.bits(f.const(f.to_integer))
