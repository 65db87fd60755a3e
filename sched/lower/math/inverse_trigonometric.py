"""asin, acos, atan, atan2: a polynomial in the square of an argument of at most 1 / 2 or 1, and a multiple of pi / 2.

asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)) and atan(x) = pi / 2 - atan(1 / x) (Cody and Waite, Software Manual for the
Elementary Functions, 1980; fdlibm). The multiple is in two parts, of which the second goes with the small terms.
"""

from __future__ import annotations

from ...compute.expr import Expr
from ...compute.operations import apply
from .circular_coefficients import ASIN, ATAN, PI_2
from .parts import FORMATS, Format, at_least, fma, polynomial, select


def asin(x: Expr) -> Expr:
    """s + s ** 3 P(s ** 2) for s = |x|, above 1 / 2 the complement of twice that for s = sqrt((1 - |x|) / 2)."""
    f = FORMATS[x.dtype.name]
    high, low = (f.const(part) for part in PI_2[x.dtype.name])
    beyond, s, rest = _asin_parts(f, x)
    minus_two = f.const(-2.0)
    first = fma(s, minus_two, high)
    lost = fma(s, minus_two, high - first) + low
    value = select(beyond, first, s) + select(beyond, fma(rest, minus_two, lost), rest)
    return f.with_sign_of(value, x)


def acos(x: Expr) -> Expr:
    """pi / 2 - asin(x), without cancellation where that is small."""
    f = FORMATS[x.dtype.name]
    beyond, s, rest = _asin_parts(f, x)
    positive = x > f.const(0.0)
    factor = select(
        beyond, select(positive, f.const(2.0), f.const(-2.0)), select(positive, f.const(-1.0), f.const(1.0))
    )
    high, low = (
        select(beyond, select(positive, f.const(0.0), f.const(2 * part)), f.const(part)) for part in PI_2[x.dtype.name]
    )
    return fma(factor, s, high) + fma(factor, rest, low)


def _asin_parts(f: Format, x: Expr) -> tuple[Expr, Expr, Expr]:
    """Whether |x| > 1 / 2; s as in `asin`; s ** 3 P(s ** 2). Beyond 1 the root, and so all, is NaN."""
    magnitude = f.magnitude(x)
    half = f.const(0.5)
    beyond = magnitude > half
    z = select(beyond, fma(magnitude, -half, half), magnitude * magnitude)
    s = select(beyond, apply("sqrt", z), magnitude)
    return beyond, s, s * z * polynomial(z, ASIN[x.dtype.name])


def atan(x: Expr) -> Expr:
    """q + q ** 3 P(q ** 2) for q = |x|, above 1 the complement of that for q = 1 / |x|."""
    f = FORMATS[x.dtype.name]
    high, low = (f.const(part) for part in PI_2[x.dtype.name])
    magnitude, one = f.magnitude(x), f.const(1.0)
    beyond = magnitude > one
    q = select(beyond, one, magnitude) / select(beyond, magnitude, one)
    rest = _atan_rest(q)
    return f.with_sign_of(select(beyond, high - q, q) + select(beyond, low - rest, rest), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The same for q = the smaller through the larger of |x| and |y|, added to or subtracted from 0, pi / 2 or pi.

    0 / 0 counts as 0, and infinity / infinity as 1, as in C.
    """
    f = FORMATS[x.dtype.name]
    a, b = f.magnitude(x), f.magnitude(y)
    steep = b > a
    below = at_least(select(steep, b, a), f.const(2.0 ** (1 - f.bias - f.fraction)))
    above = select(steep, a, b)
    q = select(apply("eq", above, below), f.const(1.0), above / below)
    left = f.bits(x) < f.int(0)
    q = select(apply("xor", steep, left), -q, q)
    high, low = (
        select(steep, f.const(part), select(left, f.const(2 * part), f.const(0.0))) for part in PI_2[x.dtype.name]
    )
    return f.with_sign_of((high + q) + (low + _atan_rest(q)), y)


def _atan_rest(q: Expr) -> Expr:
    """atan(q) - q."""
    z = q * q
    return q * z * polynomial(z, ATAN[q.dtype.name])
