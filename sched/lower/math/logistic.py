"""sigmoid, silu, and gelu by tanh: 1 or e over 1 + e for e = exp(-|w|), at most 1.

To the quotient q is added what it lacks by its remainder (top - q) - q e, in which the difference is exact, so that
the rounding of 1 + e counts little. Where e may be subnormal, a multiple of it that is not is the top.
"""

from __future__ import annotations

from ...compute.expr import Const, Expr
from .coefficients import EXP2, GELU, GELU_SCALE
from .exponential import EXP_RANGE, power, reduced
from .parts import FORMATS, Format, at_least, at_most, fma, polynomial, power_of_shifted, product_rest, select

# Of the remainder, what the quotient lacks is between all, where e is small, and half.
_SHARE = 0.75
# Below these silu is zero; beyond the others gelu is zero or x. Up to there 2 ** (k + _RAISED) is a normal number.
_SILU_LOWEST = {"float32": -112.0, "float64": -755.0}
_GELU_RANGE = {"float32": 11.0, "float64": 21.6}
_RAISED = {"float32": 40, "float64": 69}


def sigmoid(x: Expr) -> Expr:
    """exp(-|x|) or 1, over 1 + exp(-|x|)."""
    f = FORMATS[x.dtype.name]
    parts = reduced(f, at_least(-f.magnitude(x), f.const(EXP_RANGE[x.dtype.name][0])))
    e = f.scaled(power(parts.rest), parts.shifted)
    top = select(x < f.const(0.0), e, f.const(1.0))
    ratio, remainder = _quotient(f, top, e)
    return fma(remainder, f.const(_SHARE), ratio)


def silu(x: Expr) -> Expr:
    """x sigmoid(x)."""
    f = FORMATS[x.dtype.name]
    lowest = f.const(_SILU_LOWEST[x.dtype.name])
    parts = reduced(f, at_least(-f.magnitude(x), lowest))
    return _weighted(f, x, lowest, power(parts.rest), parts.shifted)


def gelu_tanh(x: Expr) -> Expr:
    """x sigmoid(2 u) for u = sqrt(2 / pi) (x + 0.044715 x ** 3) (Hendrycks and Gimpel, 2016), which does not cancel.

    2 u / ln 2 = B x (x ** 2 + C), in two parts, is taken apart into an integer and the exponent of exp2.
    """
    f = FORMATS[x.dtype.name]
    name = x.dtype.name
    furthest = _GELU_RANGE[name]
    magnitude = at_most(f.magnitude(x), f.const(furthest))
    (b_high, b_low), (c_high, c_low) = GELU_SCALE[name], GELU[name]
    factor = fma(magnitude, magnitude, f.const(c_high))
    factor_rest = fma(magnitude, magnitude, f.const(c_high) - factor) + f.const(c_low)
    v = magnitude * factor
    v_rest = fma(magnitude, factor_rest, product_rest(magnitude, factor, v))
    v_rest = fma(v, f.const(b_low / b_high), v_rest)
    shifted = fma(v, f.const(-b_high), f.const(f.to_integer))
    r = fma(v, f.const(-b_high), f.const(f.to_integer) - shifted)
    mantissa = polynomial(fma(v_rest, f.const(-b_high), r), (1.0, *EXP2[name]))
    return _weighted(f, x, f.const(-furthest), mantissa, shifted)


def _weighted(f: Format, x: Expr, lowest: Const, mantissa: Expr, shifted: Expr) -> Expr:
    """x times 1 / (1 + e) or e / (1 + e) for e = mantissa 2 ** k.

    No infinity is to meet a zero: below `lowest` the value is zero, and as far above zero it is x.
    """
    limited = at_least(x, lowest)
    negative = x < f.const(0.0)
    one = f.const(1.0)
    binades = _RAISED[x.dtype.name]
    raised = mantissa * power_of_shifted(f, shifted, binades)
    top = select(negative, raised, one)
    ratio, remainder = _quotient(f, top, raised * f.const(2.0**-binades))
    rest = remainder * f.const(_SHARE)
    value = fma(limited, ratio, at_most(limited, f.const(-lowest.value)) * rest)
    return value * select(negative, f.const(2.0**-binades), one)


def _quotient(f: Format, top: Expr, e: Expr) -> tuple[Expr, Expr]:
    """top / (1 + e), and its remainder."""
    ratio = top / (e + f.const(1.0))
    return ratio, fma(-ratio, e, top - ratio)
