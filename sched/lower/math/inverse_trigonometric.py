"""asin, acos, atan, atan2: a polynomial in the square of an argument of at most 1 / 2, and a multiple of pi / 4.

asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)) and atan(x) = pi / 4 + atan((x - 1) / (x + 1)) (Cody and Waite, Software
Manual for the Elementary Functions, 1980; fdlibm). The multiple is in two parts, of which the second goes with the
small terms.
"""

from __future__ import annotations

from ...compute.expr import Expr
from ...compute.operations import apply
from .circular_coefficients import ASIN, ATAN, PI, PI_2, PI_3_4, PI_4
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
    """A multiple of pi / 4 and the angle of a quotient of at most 1 / 2: that of |x|, -1 / |x|, or between them
    (|x| - 1) / (|x| + 1)."""
    f = FORMATS[x.dtype.name]
    high, low = PI_2[x.dtype.name]
    magnitude, one = f.magnitude(x), f.const(1.0)
    large, middle = magnitude > f.const(2.0), magnitude > f.const(0.5)
    above = select(large, f.const(-1.0), select(middle, magnitude - one, magnitude))
    below = select(large, magnitude, select(middle, magnitude + one, one))
    turn = select(large, f.const(high), select(middle, f.const(high / 2), f.const(0.0)))
    q = above / below
    first = turn + q
    lost = fma(turn, f.const(low / high), (turn - first) + q)
    return f.with_sign_of(first + _atan_rest(q, lost), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """The same for the smaller through the larger of |x| and |y|, and all multiples of pi / 4.

    0 / 0 counts as 0, and infinity / infinity as 1, as in C.
    """
    f = FORMATS[x.dtype.name]
    a, b = f.magnitude(x), f.magnitude(y)
    steep, left = b > a, f.bits(x) < f.int(0)
    above, below = select(steep, a, b), at_least(select(steep, b, a), f.const(2.0 ** (1 - f.bias - f.fraction)))
    # So that the sums are finite. What is so small then that it loses bits is divided by something so large that it
    # counts for nothing.
    scale = select(below > f.const(2.0 ** (f.bias - 1)), f.const(0.25), f.const(1.0))
    above, below = above * scale, below * scale
    middle = above + above >= below
    difference = select(apply("eq", above, below), f.const(0.0), above - below)
    q = select(middle, difference, above) / select(middle, above + below, below)
    turns = zip(PI_4[x.dtype.name], PI_2[x.dtype.name], PI_3_4[x.dtype.name], PI[x.dtype.name], strict=True)
    high, low = (
        select(
            middle,
            select(left, f.const(three_quarters), f.const(quarter)),
            select(steep, f.const(half), select(left, f.const(whole), f.const(0.0))),
        )
        for quarter, half, three_quarters, whole in turns
    )
    q = select(apply("xor", steep, left), -q, q)
    first = high + q
    return f.with_sign_of(first + _atan_rest(q, (high - first) + q + low), y)


def _atan_rest(q: Expr, more: Expr) -> Expr:
    """atan(q) - q + more."""
    z = q * q
    return fma(q * z, polynomial(z, ATAN[q.dtype.name]), more)
