"""The functions with their references, and errors in units in the last place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import polysched as ps
from polysched.compute import references

Array = np.ndarray[Any, Any]
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": ps.exp, "exp2": ps.exp2, "log": ps.log, "log2": ps.log2, "tanh": ps.tanh, "sigmoid": ps.sigmoid,
    "expm1": ps.expm1, "log1p": ps.log1p, "rsqrt": ps.rsqrt, "cbrt": ps.cbrt, "erf": ps.erf, "erfc": ps.erfc,
    "silu": ps.silu, "gelu": ps.gelu, "gelu_erf": lambda x: ps.gelu(x, approximate="erf"), "softplus": ps.softplus,
    "sin": ps.sin, "cos": ps.cos, "tan": ps.tan, "asin": ps.asin, "acos": ps.acos, "atan": ps.atan,
    "sinh": ps.sinh, "cosh": ps.cosh,
}  # fmt: skip


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


NUMPY: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "tanh": np.tanh, "sigmoid": sigmoid,
    "expm1": np.expm1, "log1p": np.log1p, "rsqrt": references.rsqrt, "cbrt": np.cbrt, "erf": references.erf,
    "erfc": references.erfc, "silu": references.silu, "gelu": references.gelu_tanh, "gelu_erf": references.gelu_erf,
    "softplus": softplus,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh,
}  # fmt: skip
EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "exp2": lambda x: mp.power(2, x),
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "expm1": mp.expm1,
    "log1p": mp.log1p,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "erf": mp.erf,
    "erfc": lambda x: mp.erfc(min(x, 100)) if x > -100 else mp.mpf(2),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "gelu": lambda x: x / (1 + mp.exp(-mp.sqrt(8 / mp.pi) * (x + x**3 * 44715 / 1000000))),
    "gelu_erf": lambda x: x * mp.erfc(min(-x / mp.sqrt(2), 100)) / 2 if x < 100 else x,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
}
# The largest errors of float32 and float64 on any target: those of the docstrings, no less than docs/math.md has.
BOUNDS = {
    "exp": (0.97, 0.92), "exp2": (0.94, 0.93), "log": (0.84, 0.90), "log2": (0.85, 0.91), "tanh": (1.81, 1.97),
    "sigmoid": (1.68, 1.67), "sin": (0.95, 0.97), "cos": (0.98, 0.97), "tan": (1.72, 1.77), "asin": (1.39, 1.63),
    "acos": (1.36, 1.49), "atan": (1.41, 1.42), "sinh": (1.29, 1.37), "cosh": (1.53, 1.58), "expm1": (1.74, 1.98),
    "log1p": (1.41, 1.45), "rsqrt": (1.50, 1.51), "cbrt": (0.97, 0.96), "silu": (1.85, 1.82), "gelu": (1.94, 1.44),
    "softplus": (1.79, 1.81), "erf": (1.54, 1.71), "erfc": (1.65, 1.87), "gelu_erf": (1.62, 1.65),
}  # fmt: skip
TARGETS = {
    "128": ps.Target("x86-64-v2"),
    "256": ps.Target("x86-64-v3"),
    "512": ps.Target("x86-64-v4"),
    "native": ps.Target("native"),
}


def kernel(name: str, dtype: str, lanes: int = 16, target: str = "native") -> ps.Kernel:
    """A function of a whole array, in vectors of so many lanes; the tail is masked."""
    n = ps.size_var("n")
    x = ps.placeholder((n,), dtype, name="x")
    y = ps.compute((n,), lambda i: FUNCTIONS[name](x[i]), name="y")
    schedule = ps.Schedule(y)
    if lanes > 1:
        schedule[y].split("i", lanes)
        schedule[y].vectorize("i_i")
    return ps.build(schedule, TARGETS[target])


def bits(array: Array) -> Array:
    """The bits, with one pattern for all NaNs."""
    plain = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return plain.view(f"u{array.itemsize}")


def edges(dtype: str) -> Array:
    """Special values, the ends of ranges, and every power of two with its neighbours, of both signs."""
    info = np.finfo(dtype)
    ends = [87.3, 88.72, 88.73, 103.9, 104.0, 126, 127, 128, 149, 150, 151, 708.3, 709.78, 709.79, 745.1, 745.2, 746]
    # float16 makes infinities of the large ones.
    ends += [89.41, 89.42, 89.5, 710.47, 710.48, 710.5, 1608, 1647099, np.pi / 4, np.pi / 2, np.pi, 3 * np.pi]
    ends += [1022, 1023, 1024, 1074, 1075, 1076, 0.625, np.sqrt(0.5), np.sqrt(2), 9.01, 10, 19.06, 20, np.log(2) / 2]
    ends += [1.5 * np.log(2), 0.5, 0.9375, 1.86, 9.0, 10.06, 11.0, 13.2, 14.6, 17.4, 21.6, 27.2, 37.5, 38.6, 112, 755]
    powers = 2.0 ** np.arange(np.log2(float(info.smallest_subnormal)), info.maxexp)
    with np.errstate(all="ignore"):
        positive = np.concatenate([[0, np.inf, np.nan, info.max, info.tiny], ends, powers]).astype(dtype)
        below, above = (np.nextafter(positive, np.array(to, dtype)) for to in (0, np.inf))
    near = np.concatenate([positive, below, above])
    return np.concatenate([near, -near]).astype(dtype)


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    """This file, as a module: tests are not a package, and import nothing of each other."""
    return sys.modules[__name__]
