"""log and log2: x = 2 ** k m with m between sqrt(1/2) and sqrt(2), and a polynomial in s = f / (2 + f) of f = m - 1.

log(1 + f) = f - (f ** 2 / 2 - s (f ** 2 / 2 + R(s ** 2))): the first term is exact and the rest small
(fdlibm; Tang, Table-driven implementation of the logarithm function, 1990; Muller, Elementary Functions). Special
values replace the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

from ...compute.expr import Expr
from ...compute.operations import apply
from .coefficients import LN2, LOG, LOG2E
from .parts import FORMATS, Format, fma, polynomial, select

_HUGE = 64


@dataclass(frozen=True, slots=True)
class _Parts:
    """x = 2 ** k (1 + f); `half` is f ** 2 / 2 and `rest` is s (half + R)."""

    k: Expr
    f: Expr
    half: Expr
    rest: Expr


def log(x: Expr) -> Expr:
    """k ln 2 + log(1 + f), from the smallest to the largest term."""
    form = FORMATS[x.dtype.name]
    high, low = LN2[x.dtype.name]
    parts = _parts(form, x)
    small = parts.half - fma(parts.k, form.const(low), parts.rest)
    return _special(form, x, fma(parts.k, form.const(high), parts.f - small))


def log2(x: Expr) -> Expr:
    """k + log(1 + f) / ln 2, with log(1 + f) and 1 / ln 2 in two parts whose product of first parts is exact."""
    form = FORMATS[x.dtype.name]
    high, low = LOG2E[x.dtype.name]
    parts = _parts(form, x)
    upper_bits = form.int(-1 << (form.fraction // 2 + 2))
    first = form.float(form.bits(parts.f - parts.half) & upper_bits)
    second = ((parts.f - first) - parts.half) + parts.rest
    product = first * form.const(high)
    rest = fma(second + first, form.const(low), second * form.const(high))
    total = parts.k + product
    return _special(form, x, total + (rest + ((parts.k - total) + product)))


def log1p(x: Expr) -> Expr:
    """As log of u = 1 + x, with f = 2 ** -k x + (2 ** -k - 1), which is x itself where k is zero.

    Far above 1, where k is too large for 2 ** -k, it is log(x), of a part of x.
    """
    form = FORMATS[x.dtype.name]
    high, low = LN2[x.dtype.name]
    huge = x > form.const(2.0**_HUGE)
    near = select(huge, x * form.const(2.0**-_HUGE), x)
    one = select(huge, form.const(0.0), form.const(1.0))
    exponent = _exponent(form, near + one)
    inverse = form.power_of_two(form.int(0) - exponent)
    f = fma(near, inverse, fma(inverse, one, form.const(-1.0)))
    half, rest = _tail(form, f)
    k = form.count(exponent) + select(huge, form.const(float(_HUGE)), form.const(0.0))
    value = fma(k, form.const(high), f - (half - fma(k, form.const(low), rest)))
    value = select(x < form.const(inf), value, x)
    value = select(x < form.const(-1.0), form.const(nan), value)
    value = select(apply("eq", x, form.const(-1.0)), form.const(-inf), value)
    return select(apply("eq", x, form.const(0.0)), x, value)


def _parts(form: Format, x: Expr) -> _Parts:
    tiny = x < form.const(2.0 ** (1 - form.bias))
    normal = select(tiny, x * form.const(2.0 ** (form.fraction + 1)), x)
    offset = form.bits(normal) - form.int(form.sqrt_half)
    exponent = offset >> form.int(form.fraction)
    mantissa = (offset & form.int((1 << form.fraction) - 1)) + form.int(form.sqrt_half)
    extra = select(tiny, form.const(-1.0 - form.fraction), form.const(0.0))
    f = form.float(mantissa) - form.const(1.0)
    half, rest = _tail(form, f)
    return _Parts(form.count(exponent) + extra, f, half, rest)


def _exponent(form: Format, x: Expr) -> Expr:
    """k of x = 2 ** k m, for a normal number."""
    return (form.bits(x) - form.int(form.sqrt_half)) >> form.int(form.fraction)


def _tail(form: Format, f: Expr) -> tuple[Expr, Expr]:
    """f ** 2 / 2 and s (f ** 2 / 2 + R): log(1 + f) is f less the first and with the second."""
    s = f / (f + form.const(2.0))
    z = s * s
    half = f * form.const(0.5) * f
    return half, s * fma(z, polynomial(z, LOG[f.dtype.name]), half)


def _special(form: Format, x: Expr, value: Expr) -> Expr:
    """What NumPy gives: NaN for negative numbers, infinities for zeros and infinity."""
    value = select(x < form.const(inf), value, x)
    value = select(x < form.const(0.0), form.const(nan), value)
    return select(apply("eq", x, form.const(0.0)), form.const(-inf), value)
