"""pow: exp(y log |x|), with the logarithm to more digits than the result has; then the signs and special values of C.

float32 is computed in float64. float64 has the logarithm in two parts: log(1 + f) = 2 s + s ** 3 (2/3 + z P(z)) with
s = f / (2 + f) and z = s ** 2 (Dekker, A floating-point technique for extending the available precision, 1971; Shewchuk
1997 for sums in parts).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

from ...compute.expr import Cast, Expr
from ...compute.operations import apply
from .coefficients import LN2_LONG, POW_EXP2, POW_LOG, POW_LOG2, TWO_THIRDS
from .exponential import EXP_RANGE, power, reduced
from .parts import FORMATS, Format, at_least, at_most, fma, polynomial, power_of_shifted, product_rest, select

_DOUBLE = FORMATS["float64"]
# Beyond these a float32 is zero and infinite.
_SINGLE_RANGE = (-152.0, 129.0)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A number in two parts, the second within a rounding error of the first."""

    high: Expr
    low: Expr


def pow(x: Expr, y: Expr) -> Expr:
    """x to the power y."""
    f = FORMATS[x.dtype.name]
    value = _single(x, y) if f.fraction < 32 else _double(f, x, y)
    zero, one = f.const(0.0), f.const(1.0)
    whole = apply("eq", apply("round", y), y)
    half = y * f.const(0.5)
    odd = whole & apply("ne", apply("round", half), half)
    value = select(odd, f.with_sign_of(value, x), value)
    value = select((x < zero) & (x > f.const(-inf)) & apply("not", whole), f.const(nan), value)
    known = apply("eq", y, zero) | apply("eq", x, one)
    return select(known, one, value)


def _single(x: Expr, y: Expr) -> Expr:
    """|x| ** y of float32."""
    f = _DOUBLE
    magnitude = f.magnitude(Cast(x, f.dtype))
    exponent, fraction = _split_normal(f, magnitude)  # as all float32 but 0 are in float64
    log2 = fma(fraction, polynomial(fraction, POW_LOG2), exponent)
    low, high = (f.const(limit) for limit in _SINGLE_RANGE)
    product = at_least(at_most(_times(f, Cast(y, f.dtype), log2, magnitude), high), low)
    shifted = product + f.const(f.to_integer)
    r = product - (shifted - f.const(f.to_integer))
    return Cast(polynomial(r, (1.0, *POW_EXP2)) * power_of_shifted(f, shifted), x.dtype)


def _double(f: Format, x: Expr, y: Expr) -> Expr:
    """|x| ** y of float64."""
    magnitude = f.magnitude(x)
    log = _log(f, magnitude)
    product = _times(f, y, log.high, magnitude)
    rest = fma(y, log.low, product_rest(y, log.high, product))
    lowest, highest = EXP_RANGE[x.dtype.name]
    size = f.magnitude(product)
    inside = (f.const(0.0) < size) & (size < f.const(-lowest))
    parts = reduced(f, at_least(at_most(product, f.const(highest)), f.const(lowest)))
    return f.scaled(power(parts.rest + select(inside, rest, f.const(0.0))), parts.shifted)


def _times(f: Format, y: Expr, log: Expr, magnitude: Expr) -> Expr:
    """y log(magnitude): 0 for 1, infinite for 0 and infinity, and NaN for NaN."""
    log = select(magnitude < f.const(inf), log, magnitude)
    log = select(apply("eq", magnitude, f.const(0.0)), f.const(-inf), log)
    return select(apply("eq", magnitude, f.const(1.0)), f.const(0.0), y * log)


def _split(f: Format, x: Expr) -> tuple[Expr, Expr]:
    """k, a float, and m - 1, for a positive x = 2 ** k m with m between sqrt(1/2) and sqrt(2)."""
    tiny = x < f.const(2.0 ** (1 - f.bias))
    exponent, fraction = _split_normal(f, select(tiny, x * f.const(2.0 ** (f.fraction + 1)), x))
    extra = select(tiny, f.const(-1.0 - f.fraction), f.const(0.0))
    return exponent + extra, fraction


def _split_normal(f: Format, x: Expr) -> tuple[Expr, Expr]:
    offset = f.bits(x) - f.int(f.sqrt_half)
    mantissa = f.float((offset & f.int((1 << f.fraction) - 1)) + f.int(f.sqrt_half))
    exponent = f.count(offset >> f.int(f.fraction))
    return exponent, mantissa - f.const(1.0)


def _log(f: Format, x: Expr) -> _Sum:
    """log(x) to some 65 digits."""
    k, m = _split(f, x)
    two = f.const(2.0)
    bottom = m + two
    bottom_rest = (two - bottom) + m
    inverse = f.const(1.0) / bottom
    s = m * inverse
    s_rest = fma(-s, bottom_rest, fma_rest(s, bottom, m)) * inverse
    z = s * s
    z_rest = fma(s + s, s_rest, product_rest(s, s, z))
    cube = z * s
    cube_rest = fma(z_rest, s, fma(z, s_rest, product_rest(z, s, cube)))
    first, first_rest = (f.const(part) for part in TWO_THIRDS)
    more = z * polynomial(z, POW_LOG)
    factor = first + more
    factor_rest = ((first - factor) + more) + first_rest
    v = cube * factor
    v_rest = fma(cube_rest, factor, fma(cube, factor_rest, product_rest(cube, factor, v)))
    near = _sum(s + s, v)
    low = near.low + fma(two, s_rest, v_rest)
    ln2_high, ln2_low = (f.const(part) for part in LN2_LONG)
    total = _sum(k * ln2_high, near.high)
    return _sum(total.high, total.low + fma(k, ln2_low, low))


def fma_rest(a: Expr, b: Expr, c: Expr) -> Expr:
    """c - a b where a b is near c, exactly."""
    product = a * b
    return (c - product) - product_rest(a, b, product)


def _sum(a: Expr, b: Expr) -> _Sum:
    """a + b, where a is the larger or 0."""
    high = a + b
    return _Sum(high, (a - high) + b)
