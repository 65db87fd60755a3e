"""sin, cos and tan: x = k pi / 2 + r with an integer k, and polynomials in r ** 2.

The reductions of moderate x and of large x give the same kind of r, in two parts; what follows them is the same. The
second one is slow and seldom needed: it is a function of its own, one for all three, called where a lane needs it.
"""

from __future__ import annotations

from ...compute.expr import Expr
from ...compute.operations import apply
from ..ir import Rarely
from . import payne_hanek, reduction
from .circular_coefficients import COS, SIN, TAN
from .parts import FORMATS, Format, compensated_fma, fma, polynomial, select
from .reduction import NEAR, Reduced


def sin(x: Expr) -> Expr:
    """The sine of |x|: by turns that of r and its cosine, with the signs of the half turn and of x."""
    f, reduced = _reduced(x)
    value = _sine_or_cosine(f, reduced, reduced.quadrant)
    return _with_sign(f, value, f.bits(x) ^ _half_turn(f, reduced.quadrant))


def cos(x: Expr) -> Expr:
    """The sine a quarter turn further."""
    f, reduced = _reduced(x)
    quadrant = reduced.quadrant + f.int(1)
    return _with_sign(f, _sine_or_cosine(f, reduced, quadrant), _half_turn(f, quadrant))


def tan(x: Expr) -> Expr:
    """By turns r + r ** 3 T(r ** 2), and -1 divided by that."""
    f, reduced = _reduced(x)
    r, rest = reduced.r, reduced.rest
    z = r * r
    tangent = r + fma(r * z, polynomial(z, TAN[x.dtype.name]), fma(z, rest, rest))
    value = select(_is_odd(f, reduced.quadrant), f.const(-1.0) / tangent, tangent)
    return _with_sign(f, value, f.bits(x))


def far(x: Expr) -> tuple[Expr, Expr, Expr]:
    """The parts of |x| reduced, for large x; NaN for infinity."""
    f = FORMATS[x.dtype.name]
    reduced = payne_hanek.reduced(f, x)
    return reduced.quadrant, reduced.r + (x - x), reduced.rest


def _reduced(x: Expr) -> tuple[Format, Reduced]:
    """|x| reduced, whatever its size."""
    f = FORMATS[x.dtype.name]
    magnitude = f.magnitude(x)
    near = reduction.reduced(f, magnitude)
    usual = near.quadrant, near.r, near.rest
    large = magnitude > f.const(NEAR[x.dtype.name])
    return f, Reduced(*(Rarely(large, "far_turn", magnitude, usual, part) for part in range(3)))


def _sine_or_cosine(f: Format, reduced: Reduced, quadrant: Expr) -> Expr:
    """sin(r) = r + r ** 3 S(r ** 2), or cos(r) = 1 - r ** 2 / 2 + r ** 4 C(r ** 2) where `quadrant` is odd.

    The first terms are exact but for what is added to the last ones. Coefficients are chosen lane by lane, which is
    cheaper than a second polynomial: the units for multiplication are what the time is spent on.
    """
    name, r, rest, one = reduced.r.dtype.name, reduced.r, reduced.rest, f.const(1.0)
    odd = _is_odd(f, quadrant)
    z = r * r
    half = z * f.const(0.5)
    first = one - half
    lost = fma(r, -rest, (one - first) - half)
    value: Expr
    value, *lower = (select(odd, f.const(c), f.const(s)) for c, s in zip(COS[name][::-1], SIN[name][::-1], strict=True))
    for coefficient in lower:
        value = fma(value, z, coefficient)
    return select(odd, first, r) + compensated_fma(select(odd, z, r) * z, value, select(odd, lost, rest))


def _is_odd(f: Format, quadrant: Expr) -> Expr:
    return apply("ne", quadrant & f.int(1), f.int(0))


def _half_turn(f: Format, quadrant: Expr) -> Expr:
    """An integer with the second bit of `quadrant` in the place of the sign."""
    return quadrant << f.int(f.integer.bits - 2)


def _with_sign(f: Format, value: Expr, sign: Expr) -> Expr:
    """value, of the other sign where the sign bit of an integer is set."""
    return f.float(f.bits(value) ^ (sign & f.int(-1 << (f.integer.bits - 1))))
