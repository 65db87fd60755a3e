"""x = k pi / 2 + r with an integer k, for moderate x of the trigonometric functions; payne_hanek.py is for large x.

k pi / 2 is subtracted in four parts (Cody and Waite, Software Manual for the Elementary Functions, 1980). The first
three have so few bits that their products with k are exact, also without fma. So are the first two differences; the
rounding error of the third one is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Expr
from .circular_coefficients import QUARTER_TURN, TWO_OVER_PI
from .parts import Format, exact_fma, fma

# Up to here k has no more bits than the parts of pi / 2 leave for it.
NEAR = {"float32": 1608.0, "float64": 1647099.0}


@dataclass(frozen=True, slots=True)
class Reduced:
    """`r` + `rest`, from -pi / 4 to pi / 4; the lowest two bits of `quadrant` are those of k."""

    quadrant: Expr
    r: Expr
    rest: Expr


def reduced(f: Format, x: Expr) -> Reduced:
    """0 <= x <= NEAR, in 8 operations; 9 where there is no fma."""
    name = x.dtype.name
    first, second, third, last = QUARTER_TURN[name]
    shifted = fma(x, f.const(TWO_OVER_PI[name]), f.const(f.to_integer))
    k = shifted - f.const(f.to_integer)
    x = exact_fma(k, (-first, -second), x)
    product = k * f.const(third)
    r = x - product
    return Reduced(f.bits(shifted), r, fma(k, f.const(-last), (x - r) - product))
