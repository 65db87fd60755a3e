"""erf, erfc, and gelu by erf: for positive a, exp(-a ** 2) times a function that is nearly flat.

(1 + 2 a) exp(a ** 2) erfc(a) is a polynomial in (a - K) / (a + K) (Shepherd and Laframboise, Chebyshev approximation of
(1 + 2x) exp(x^2) erfc x, 1981), whose last step is one in u = a / (a + K), which has all digits near 0. The square is
in two parts, and so is all that is multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Const, Expr
from .coefficients import ERF, ERFC, ERFC_CENTRE, EXP, GELU_TAIL, GELU_TAIL_CENTRE
from .exponential import reduced
from .parts import FORMATS, Format, at_most, compensated_fma, fma, polynomial, product_rest, select

_ERF_SMALL = 0.9375
_ERFC_SMALL = 0.5
# Above these the results are zero.
_ERFC_HIGHEST = {"float32": 10.3, "float64": 27.4}
_GELU_HIGHEST = {"float32": 14.6, "float64": 38.8}


@dataclass(frozen=True, slots=True)
class _Tail:
    """(high + low) 2 ** k; `shifted` is k + `to_integer`."""

    high: Expr
    low: Expr
    shifted: Expr


def erf(x: Expr) -> Expr:
    """x + x P(x ** 2) for small x, otherwise 1 - erfc(|x|)."""
    f = FORMATS[x.dtype.name]
    magnitude = f.magnitude(x)
    square = magnitude * magnitude
    near = fma(magnitude, polynomial(square, ERF[x.dtype.name]), magnitude)
    far = f.const(1.0) - _erfc(f, magnitude)
    return f.with_sign_of(select(magnitude < f.const(_ERF_SMALL), near, far), x)


def erfc(x: Expr) -> Expr:
    """That of |x|, or 2 less it; 1 - erf(x) for small x."""
    f = FORMATS[x.dtype.name]
    magnitude = f.magnitude(x)
    value = _erfc(f, magnitude)
    value = select(x < f.const(0.0), f.const(2.0) - value, value)
    near = f.const(1.0) - fma(x, polynomial(x * x, ERF[x.dtype.name]), x)
    return select(magnitude < f.const(_ERFC_SMALL), near, value)


def gelu_erf(x: Expr) -> Expr:
    """x erfc(-x / sqrt(2)) / 2: for y = |x| the share w = y exp(-y ** 2 / 2) H(y), which is missing from x or, below 0,
    is left of it."""
    f = FORMATS[x.dtype.name]
    name = x.dtype.name
    y = at_most(f.magnitude(x), f.const(_GELU_HIGHEST[name]))
    square = y * y
    half = f.const(0.5)
    ratio = (y, GELU_TAIL[name], GELU_TAIL_CENTRE[name], f.const(1.0))
    tail = _tail(f, ratio, square * half, product_rest(y, y, square) * half)
    w = f.scaled(compensated_fma(y, tail.high, y * tail.low), tail.shifted)
    return select(x < f.const(0.0), -w, x - w)


def _erfc(f: Format, magnitude: Expr) -> Expr:
    name = magnitude.dtype.name
    a = at_most(magnitude, f.const(_ERFC_HIGHEST[name]))
    square = a * a
    ratio = (a, ERFC[name], ERFC_CENTRE[name], f.const(2.0))
    tail = _tail(f, ratio, square, product_rest(a, a, square))
    return f.scaled(tail.high + tail.low, tail.shifted)


def _tail(f: Format, ratio: tuple[Expr, tuple[float, ...], float, Const], exponent: Expr, exponent_rest: Expr) -> _Tail:
    """exp(-(exponent + rest)) (slope / 2 + u P(2 u - 1)) / (1 + slope a) for a ratio (a, P, K, slope), u = a / (a + K).

    exp(r) is 1 + r + r ** 2 q(r), of which the parts are multiplied one by one, from the smallest on.
    """
    a, coefficients, centre, slope = ratio
    one = f.const(1.0)
    u = a / (a + f.const(centre))
    steep = polynomial(fma(u, f.const(2.0), f.const(-1.0)), coefficients)
    first = slope * f.const(0.5)
    top = fma(u, steep, first)
    top_rest = compensated_fma(u, steep, first - top)
    bottom = fma(a, slope, one)
    bottom_rest = compensated_fma(a, slope, one - bottom)
    inverse = one / bottom
    quotient = top * inverse
    rest = (fma(-quotient, bottom_rest, compensated_fma(-quotient, bottom, top)) + top_rest) * inverse
    parts = reduced(f, -exponent, -exponent_rest)
    square = parts.rest * parts.rest
    small = fma(square, polynomial(parts.rest, EXP[a.dtype.name]), parts.second)
    low = fma(quotient, parts.first, fma(quotient, small, fma(rest, parts.first, rest)))
    return _Tail(quotient, low, parts.shifted)
