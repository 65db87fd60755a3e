"""What the operations mean that NumPy does not have: functions of arrays, computed wider and rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_erf = np.frompyfunc(math.erf, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def _rounded(function: Callable[[Array], Any]) -> Callable[[Any], Any]:
    """`function` of x in a wider type, in the type of x."""

    def reference(x: Any) -> Any:
        given = np.asarray(x)
        wide = given.astype(np.longdouble if given.dtype.itemsize >= 8 else np.float64)
        with np.errstate(all="ignore"):
            return np.asarray(function(wide)).astype(given.dtype)

    return reference


def _of_floats(function: Any) -> Callable[[Array], Array]:
    """A function of Python's floats, of every element."""
    return lambda x: np.asarray(function(x.astype(np.float64)), np.float64)


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _limited(x: Array) -> Array:
    """x, where minus infinity times zero is to be zero."""
    return np.where(x == -np.inf, np.finfo(x.dtype).min, x)


def _gelu_tanh(x: Array) -> Array:
    scale = 2 * np.sqrt(2 / np.arctan2(x.dtype.type(0), x.dtype.type(-1)))
    return _limited(x) * _logistic(scale * (x + x.dtype.type(44715) / 1000000 * x**3))


def _gelu_erf(x: Array) -> Array:
    a = -x * np.sqrt(x.dtype.type(0.5))
    near = np.where(np.isfinite(a), a, 0).astype(np.float64)
    # The rest of a in a wider type counts far from 0; the first derivative is enough for it.
    slope = 2 / np.sqrt(np.arctan2(x.dtype.type(0), x.dtype.type(-1))) * np.exp(-(near.astype(x.dtype) ** 2))
    tail = _of_floats(_erfc)(a) - np.where(np.isfinite(a), a - near, 0) * slope
    return np.asarray(_limited(x) * np.maximum(tail, 0) / 2)


rsqrt = _rounded(lambda x: 1 / np.sqrt(x))
erf = _rounded(_of_floats(_erf))
erfc = _rounded(_of_floats(_erfc))
sigmoid = _rounded(_logistic)
silu = _rounded(lambda x: _limited(x) * _logistic(x))
gelu_tanh = _rounded(_gelu_tanh)
gelu_erf = _rounded(_gelu_erf)
