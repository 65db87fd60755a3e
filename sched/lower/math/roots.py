"""rsqrt, cbrt and hypot."""

from __future__ import annotations

from math import inf

from ...compute.expr import Expr, Op
from ...compute.operations import apply
from .coefficients import CBRT, CBRT_HALF
from .parts import FORMATS, fma, polynomial, power_of_shifted, select

# The least exponent, as it is in the bits, for which hypot scales: what is smaller may well be so.
_LEAST = {"float32": 32, "float64": 64}


def rsqrt(x: Expr) -> Expr:
    """The quotient of 1 and the square root, both correctly rounded."""
    return FORMATS[x.dtype.name].const(1.0) / apply("sqrt", x)


def cbrt(x: Expr) -> Expr:
    """2 ** q cbrt(m) for x = 2 ** (3 q) m, with m between sqrt(1/8) and sqrt(8) (Kahan, Computing a real cube root).

    A polynomial p is near 2 ** (j / 3) / cbrt(m) for m = 2 ** j ..., j from -1 to 1. Halley's iteration, for float64
    only, and Newton's for m p ** 2 make the result.
    """
    f = FORMATS[x.dtype.name]
    name = x.dtype.name
    magnitude = f.magnitude(x)
    tiny = magnitude < f.const(2.0 ** (1 - f.bias))
    up = 3 * ((f.fraction + 3) // 3)
    normal = select(tiny, magnitude * f.const(2.0**up), magnitude)
    offset = f.bits(normal) - f.int(f.sqrt_half)
    exponent = f.count(offset >> f.int(f.fraction))
    mantissa = f.float((offset & f.int((1 << f.fraction) - 1)) + f.int(f.sqrt_half))
    shifted = fma(exponent, f.const(1 / 3), f.const(f.to_integer))
    third = shifted - f.const(f.to_integer)
    j = fma(third, f.const(-3.0), exponent)
    zero, half = f.const(0.0), CBRT_HALF[name]
    m = mantissa * select(j < zero, f.const(0.5), select(j > zero, f.const(2.0), f.const(1.0)))
    step = select(j < zero, f.const(1 / half), select(j > zero, f.const(half), f.const(1.0)))
    p = polynomial(mantissa, CBRT[name]) * step
    if f.fraction > 32:
        h = fma(-m, p * p * p, f.const(1.0))
        p = fma(p * h, fma(h, f.const(2 / 9), f.const(1 / 3)), p)
    square = p * p
    root = m * square
    y = root * root
    rest = fma(-root, y, m) - root * fma(root, root, -y)
    root = fma(rest, square * f.const(1 / 3), root)
    down = select(tiny, f.const(-up / 3), zero)
    value = root * power_of_shifted(f, shifted + down)
    finite = (zero < magnitude) & (magnitude < f.const(inf))
    return select(finite, f.with_sign_of(value, x), x)


def hypot(x: Expr, y: Expr) -> Expr:
    """The root of the sum of squares, of numbers scaled by a power of two that is near the larger."""
    f = FORMATS[x.dtype.name]
    a, b = f.magnitude(x), f.magnitude(y)
    exponent = _larger(f.bits(a), f.bits(b)) & f.int(-1 << f.fraction)
    most = f.int((2 * f.bias - 2) << f.fraction)
    least = f.int(_LEAST[x.dtype.name] << f.fraction)
    exponent = select(exponent < least, least, select(exponent > most, most, exponent))
    down = f.float(f.int((2 * f.bias) << f.fraction) - exponent)
    c, d = a * down, b * down
    value = apply("sqrt", fma(c, c, d * d)) * f.float(exponent)
    infinite = apply("eq", a, f.const(inf)) | apply("eq", b, f.const(inf))
    return select(infinite, f.const(inf), value)


def _larger(a: Expr, b: Expr) -> Expr:
    return Op("max", (a, b), a.dtype)
