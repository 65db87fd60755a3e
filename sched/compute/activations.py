"""The functions that neural networks apply to each element."""

from __future__ import annotations

from typing import Any

from ..errors import DefinitionError
from .dtypes import DTYPES, resolve
from .expr import Expr
from .functions import clamp, exp, log1p
from .operations import apply, as_expr, convert, promotion_keys


def sigmoid(x: Any) -> Expr:
    """The logistic function 1 / (1 + exp(-x)), without overflow for any x."""
    return apply("sigmoid", x)


def silu(x: Any) -> Expr:
    """x * sigmoid(x) (Elfwing et al., 2017), -0.0 at minus infinity."""
    return apply("silu", x)


def gelu(x: Any, approximate: str = "tanh") -> Expr:
    """x times the normal distribution at x (Hendrycks and Gimpel, 2016), -0.0 at minus infinity.

    approximate  "tanh": 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x ** 3))); "erf": 0.5 x (1 + erf(x / sqrt(2))),
                 the exact one
    """
    if approximate not in ("tanh", "erf"):
        raise DefinitionError(f'ps.gelu takes approximate="tanh" or approximate="erf", not {approximate!r:.40}')
    return apply(f"gelu_{approximate}", x)


def softplus(x: Any) -> Expr:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|))."""
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
