"""The table of the functions that are expanded to arithmetic where code is generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ...compute.dtypes import DTYPES
from ...compute.expr import Expr
from ...compute.operations import OPERATIONS
from ..ir import Var
from . import (
    error_function,
    exponential,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    logistic,
    power,
    roots,
    trigonometric,
)

_FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "tanh": exponential.tanh,
    "rsqrt": roots.rsqrt,
    "cbrt": roots.cbrt,
    "hypot": roots.hypot,
    "erf": error_function.erf,
    "erfc": error_function.erfc,
    "gelu_erf": error_function.gelu_erf,
    "pow": power.pow,
    "sigmoid": logistic.sigmoid,
    "silu": logistic.silu,
    "gelu_tanh": logistic.gelu_tanh,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log1p": logarithm.log1p,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "asin": inverse_trigonometric.asin,
    "acos": inverse_trigonometric.acos,
    "atan": inverse_trigonometric.atan,
    "atan2": inverse_trigonometric.atan2,
    "sinh": hyperbolic.sinh,
    "cosh": hyperbolic.cosh,
}
EXPANDED = frozenset(_FUNCTIONS)
# What these call for some arguments (ir.Rarely): several functions of one.
_OUTLINED: dict[str, Callable[[Expr], tuple[Expr, ...]]] = {"far_turn": trigonometric.far}


@dataclass(frozen=True, slots=True)
class Expansion:
    """`values` are the functions of `arguments`, of exactly rounded operations only."""

    arguments: tuple[Var, ...]
    values: tuple[Expr, ...]


@lru_cache(maxsize=256)
def expansion(name: str, dtype: str) -> Expansion:
    """The expansion of a function for float32 or float64.

    It is made for variables and once: the operands of the function are emitted before, whatever they are made of, and
    no contraction of the user's expressions reaches inside.
    """
    arguments = tuple(Var(letter, DTYPES[dtype]) for letter in "xy"[: OPERATIONS[name].arity])
    return Expansion(arguments, (_FUNCTIONS[name](*arguments),))


@lru_cache(maxsize=16)
def outlined(name: str, dtype: str) -> Expansion:
    """The same of what is called for some arguments."""
    argument = Var("x", DTYPES[dtype])
    return Expansion((argument,), _OUTLINED[name](argument))
