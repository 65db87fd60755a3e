"""Definitions to be scheduled wrongly, and the registry of the cases that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polysched as ps

Case = Callable[[], Iterator[ps.Schedule]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Register a generator: what it does before `yield` succeeds, its last line is refused."""
    CASES[function.__name__] = function
    return function


def matmul(**kwargs):
    n, m, k = (ps.size_var(name) for name in ("n", "m", "k"))
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r, **kwargs), name="C")
    s = ps.Schedule(C)
    return s, s["C"]


def pipeline():
    n = ps.size_var("n")
    A = ps.placeholder((n, 3000), "float32", name="A")
    scaled = ps.compute((n, 3000), lambda i, j: A[i, j] * 2, name="scaled")
    r = ps.reduce_axis((0, 3000), name="r")
    total = ps.compute((n,), lambda i: ps.sum(scaled[i, r], axis=r), name="total")
    out = ps.compute((n, 3000), lambda i, j: scaled[i, j] / total[i], name="out")
    return ps.Schedule(out)


def two_reduction_axes(make=ps.sum, dtype="float32", **kwargs):
    A = ps.placeholder((ps.size_var("n"), 8, 16), dtype, name="A")
    p, q = ps.reduce_axis((0, 8), name="p"), ps.reduce_axis((0, 16), name="q")
    S = ps.compute((A.shape[0],), lambda i: make(A[i, p, q], axis=(p, q), **kwargs), name="S")
    s = ps.Schedule(S)
    return s, s["S"]
