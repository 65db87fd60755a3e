"""The functions that neural networks apply to each element."""

from __future__ import annotations

from typing import Any

from ..errors import DefinitionError
from .dtypes import DTYPES, resolve
from .expr import Expr
from .functions import clamp, exp, log1p
from .operations import apply, as_expr, convert, promotion_keys


def sigmoid(x: Any) -> Expr:
    """The logistic function 1 / (1 + exp(-x)), without overflow for any x.

    1 or e over 1 + e for e = exp(-|x|), and what the quotient lacks by its remainder.
    Largest error 1.68 ulp in float32, 1.67 ulp in float64.
    """
    return apply("sigmoid", x)


def silu(x: Any) -> Expr:
    """x * sigmoid(x) (Elfwing et al., 2017), -0.0 at minus infinity.

    In one, as sigmoid, rounded once at the end.
    Largest error 1.85 ulp in float32, 1.82 ulp in float64.
    """
    return apply("silu", x)


def gelu(x: Any, approximate: str = "tanh") -> Expr:
    """x times the normal distribution at x (Hendrycks and Gimpel, 2016), -0.0 at minus infinity.

    approximate  "tanh": 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x ** 3))); "erf": 0.5 x (1 + erf(x / sqrt(2))),
                 the exact one

    By tanh it is x * sigmoid(2 u), with the exponent in two parts, so that it is accurate where it is small; by erf,
    x * erfc(-x / sqrt(2)) / 2 in one.
    Largest errors 1.94 and 1.62 ulp in float32, 1.44 and 1.65 ulp in float64.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "float32", name="A")
    >>> ps.compute((n,), lambda i: ps.gelu(A[i], approximate="erf"), name="activated").dtype.name
    'float32'
    """
    if approximate not in ("tanh", "erf"):
        raise DefinitionError(f'ps.gelu takes approximate="tanh" or approximate="erf", not {approximate!r:.40}')
    return apply(f"gelu_{approximate}", x)


def softplus(x: Any) -> Expr:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)), which neither overflows nor cancels.

    Largest error 1.79 ulp in float32, 1.81 ulp in float64.
    """
    expr = as_expr(x)
    types = resolve("exp", promotion_keys((expr,)))
    assert types is not None, "NumPy's exp takes every type"
    given, wide = types[0], DTYPES["float32"] if types[0].bits == 16 else types[0]
    expr = convert(convert(expr, given), wide)
    return convert(apply("max", expr, 0) + log1p(exp(-abs(expr))), given)


def relu(x: Any) -> Expr:
    """The larger of x and 0; NaN if x is NaN."""
    return apply("max", x, 0)


def clip(x: Any, low: Any, high: Any) -> Expr:
    """x limited to low..high, both included: min(max(x, low), high), as NumPy's clip; `ps.clamp` is the same."""
    return clamp(x, low, high)
