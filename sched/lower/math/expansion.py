"""The table of the functions that are expanded to arithmetic where code is generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ...compute.dtypes import DTYPES
from ...compute.expr import Expr
from ..ir import Var
from . import exponential, logarithm

_FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "tanh": exponential.tanh,
    "log": logarithm.log,
    "log2": logarithm.log2,
}
EXPANDED = frozenset(_FUNCTIONS)


@dataclass(frozen=True, slots=True)
class Expansion:
    """`value` is the function of `argument`, of exactly rounded operations only."""

    argument: Var
    value: Expr


@lru_cache(maxsize=256)
def expansion(name: str, dtype: str) -> Expansion:
    """The expansion of a function for float32 or float64.

    It is made for a variable and once: the operand of the function is emitted before, whatever it is made of, and no
    contraction of the user's expressions reaches inside.
    """
    argument = Var("x", DTYPES[dtype])
    return Expansion(argument, _FUNCTIONS[name](argument))
