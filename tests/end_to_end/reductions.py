"""Reductions of rows whose results do not depend on the order, for tests that change it."""

from __future__ import annotations

from typing import Any

import numpy as np

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m")
KINDS = ("sum", "prod", "min", "max", "any", "all", "argmin", "argmax")


def reduced(kind: str, dtype: str, *, triangle: bool = False) -> ps.Tensor:
    """S[i], the reduction of A[i, r] over r, or over r >= i."""
    A = ps.placeholder((m if triangle else n, m), dtype, name="A")
    options = {"reassociate": True} if kind in ("sum", "prod") else {}

    def body(i: Any) -> Any:
        r = ps.reduce_axis((i if triangle else 0, m), name="r")
        return getattr(ps, kind)(A[i, r], axis=r, **options)

    return ps.compute((m if triangle else n,), body, name="S")


def elements(kind: str, dtype: str, *shape: int) -> Any:
    """Values that floats add and multiply exactly, with ties and, for what compares, NaNs and both zeros."""
    random = np.random.default_rng([len(kind), *shape])
    if kind == "prod":
        return random.choice([1, 1, 1, 1, -1, 2], shape).astype(dtype)
    if kind in ("any", "all"):
        return (random.random(shape) < (0.02 if kind == "any" else 0.98)).astype(dtype)
    values = random.integers(0, 9, shape).astype(dtype)
    if kind != "sum" and dtype.startswith("float"):
        values = np.where(random.random(shape) < 0.01, np.array(np.nan, dtype), values)
        values = np.where(values == 0, random.choice(np.array([0.0, -0.0], dtype), shape), values)
    return np.asarray(values, dtype)
