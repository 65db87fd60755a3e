"""sigmoid, silu, and gelu by tanh: 1 or e over 1 + e for e = exp(-|w|), at most 1.

The rounding of 1 + e, and that of the quotient, are taken back by what 1 - q is more than q e, in which the difference
is exact, for the quotient q.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Expr
from .coefficients import GELU, GELU_SCALE
from .exponential import EXP_RANGE, power_less_1, power_of_two_less_1, reduced
from .parts import (
    FORMATS,
    Format,
    at_least,
    compensated_fma,
    fma,
    power_of_shifted,
    product_rest,
    select,
    where_fused,
)  # fmt: skip

# Of the remainder, what the quotient lacks is between all, where e is small, and half.
_SHARE = 0.75
# From there on silu and gelu are x, and below the negative of it zero.
_SILU_RANGE = {"float32": 112.0, "float64": 755.0}
_GELU_RANGE = {"float32": 11.0, "float64": 21.6}


@dataclass(frozen=True, slots=True)
class _Power:
    """(1 + rest) 2 ** k, at most 1; `shifted` is k + `to_integer`. `long` asks for products with it in two parts."""

    rest: Expr
    shifted: Expr
    long: bool = False

    def value(self, f: Format) -> Expr:
        power = f.scaled_down(f.const(1.0), self.shifted)
        return fma(self.rest, power, power)

    def added_to_1(self, f: Format) -> Expr:
        """The value, or 0 where 1 + value is 1: so that no product with it is subnormal, which is slow."""
        counts = self.shifted > f.const(f.to_integer - f.fraction - 10)
        power = select(counts, power_of_shifted(f, self.shifted), f.const(0.0))
        return fma(self.rest, power, power)


def sigmoid(x: Expr) -> Expr:
    """exp(-|x|) or 1, over 1 + exp(-|x|)."""
    f = FORMATS[x.dtype.name]
    one = f.const(1.0)
    e = _exp(f, at_least(-f.magnitude(x), f.const(EXP_RANGE[x.dtype.name][0]))).value(f)
    top = select(x < f.const(0.0), e, one)
    ratio = top / (e + one)
    remainder = fma(-ratio, e, top - ratio)
    return fma(remainder, f.const(_SHARE), ratio)


def silu(x: Expr) -> Expr:
    """x sigmoid(x)."""
    f = FORMATS[x.dtype.name]
    furthest = _SILU_RANGE[x.dtype.name]
    limited = at_least(x, f.const(-furthest))
    return _weighted(f, x, limited, furthest, _exp(f, -f.magnitude(limited)))


def gelu_tanh(x: Expr) -> Expr:
    """x sigmoid(2 u) for u = sqrt(2 / pi) (x + 0.044715 x ** 3) (Hendrycks and Gimpel, 2016), which does not cancel.

    2 u / ln 2 = B x (x ** 2 + C), in two parts, is taken apart into an integer and the exponent of exp2.
    """
    f = FORMATS[x.dtype.name]
    name = x.dtype.name
    furthest = _GELU_RANGE[name]
    limited = at_least(x, f.const(-furthest))
    m = f.magnitude(limited)
    (b_high, b_low), (c_high, c_low) = GELU_SCALE[name], GELU[name]
    minus_b, to_integer = f.const(-b_high), f.const(f.to_integer)
    factor = fma(m, m, f.const(c_high))
    v = m * factor
    factor_rest = compensated_fma(m, m, f.const(c_high) - factor) + fma(factor, f.const(b_low / b_high), f.const(c_low))
    v_rest = fma(m, factor_rest, product_rest(m, factor, v))
    shifted = fma(v, minus_b, to_integer)
    k = shifted - to_integer
    r = fma(v_rest, minus_b, compensated_fma(v, minus_b, -k))
    return _weighted(f, x, limited, furthest, _Power(power_of_two_less_1(r), shifted, long=f.fraction > 32))


def _exp(f: Format, x: Expr) -> _Power:
    """exp(x) for x <= 0."""
    parts = reduced(f, x)
    return _Power(power_less_1(parts.rest), parts.shifted)


def _weighted(f: Format, x: Expr, limited: Expr, furthest: float, power: _Power) -> Expr:
    """x times 1 / (1 + e) or e / (1 + e), for e = power; `limited` is x, or at least where that is zero."""
    one = f.const(1.0)
    e = power.added_to_1(f)
    q = one / (e + one)
    rest = compensated_fma(-q, e, one - q)
    negative, product = x < f.const(0.0), compensated_fma(limited, power.rest, limited)
    top = select(negative, f.scaled_down(product, power.shifted), x)
    more = top * q * rest
    if power.long:
        lost = compensated_fma(limited, power.rest, limited - product)
        more = fma(top, rest, select(negative, f.scaled_down(lost, power.shifted), f.const(-0.0))) * q
    value = compensated_fma(top, q, more)
    if f.fraction > 32:  # what makes up for the rounding of a zero has no sign
        value = where_fused(value, f.with_sign_of(f.magnitude(value), x))
    return select(x < f.const(furthest), value, top)
