"""sinh and cosh: |x| = k ln 2 + r with an integer k, as in exponential.py, and polynomials in r ** 2.

sinh(x) = cosh(k ln 2) sinh(r) + sinh(k ln 2) cosh(r), and cosh(x) likewise, where cosh(k ln 2) = (2 ** k + 2 ** -k) / 2
costs no exponential and no division: an addition theorem in the place of e ** x and 1 / e ** x. For k = 0 the small
sinh(r) is left, to its last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Expr
from ...compute.operations import apply
from .circular_coefficients import COSH, SINH
from .coefficients import LN2, LOG2E
from .parts import FORMATS, Format, at_most, fma, polynomial, select

# The results are infinite, and 2 ** (k - 2) is not yet.
_INFINITE = {"float32": 89.5, "float64": 710.5}
# From here down sinh(x) is x.
_SMALL = {"float32": 2.0**-13, "float64": 2.0**-28}


@dataclass(frozen=True, slots=True)
class _Parts:
    """|x| = k ln 2 + r + rest; halves of sinh(k ln 2) and cosh(k ln 2), and what the latter lost in rounding;
    sinh(r) - r and cosh(r) - 1."""

    r: Expr
    rest: Expr
    sinh_k: Expr
    cosh_k: Expr
    lost: Expr
    sinh_rest: Expr
    cosh_rest: Expr


def sinh(x: Expr) -> Expr:
    """The largest terms first, with what their sum loses."""
    f = FORMATS[x.dtype.name]
    parts = _parts(f, x)
    first = fma(parts.cosh_k, parts.r, parts.sinh_k)
    lost = fma(parts.cosh_k, parts.r, parts.sinh_k - first)
    rest = fma(parts.sinh_k, parts.cosh_rest, fma(parts.cosh_k, parts.sinh_rest + parts.rest, lost))
    value = first + rest
    magnitude = f.magnitude(x)
    return f.with_sign_of(select(magnitude < f.const(_SMALL[x.dtype.name]), magnitude, value + value), x)


def cosh(x: Expr) -> Expr:
    f = FORMATS[x.dtype.name]
    parts = _parts(f, x)
    rest = fma(parts.cosh_k, parts.cosh_rest, fma(parts.sinh_k, parts.sinh_rest, parts.lost))
    value = fma(parts.sinh_k, parts.r, parts.cosh_k) + rest
    return value + value


def _parts(f: Format, x: Expr) -> _Parts:
    name = x.dtype.name
    x = at_most(f.magnitude(x), f.const(_INFINITE[name]))
    minus_high, minus_low = (f.const(-part) for part in LN2[name])
    shifted = fma(x, f.const(sum(LOG2E[name])), f.const(f.to_integer))
    k = shifted - f.const(f.to_integer)
    exact = fma(k, minus_high, x)
    r = fma(k, minus_low, exact)
    rest = fma(k, minus_low, exact - r)
    z = r * r
    exponent = f.bits(shifted) - f.bits(f.const(f.to_integer))
    up = f.power_of_two(exponent - f.int(2))
    # 2 ** (-k - 2), or 0 where that is no normal number and far too small to count.
    down = f.float(apply("max", f.int(f.bias - 2) - exponent, f.int(0)) << f.int(f.fraction))
    total = up + down
    sinh_rest, cosh_rest = r * z * polynomial(z, SINH[name]), z * polynomial(z, COSH[name])
    return _Parts(r, rest, up - down, total, (up - total) + down, sinh_rest, cosh_rest)
