"""Definitions and schedules whose kernels have all that a kernel can have: several outputs, strides, scalars, checks,
intermediates on the heap, parallel loops, warnings, names given by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import polysched as ps

Case = tuple[ps.Schedule, tuple[Any, ...]]


def matmul() -> Case:
    n, m, k = ps.size_var("n"), ps.size_var("m", min=1), ps.size_var("k", multiple_of=2)
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B", strides="any")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].split("i", 4)
    s[C].reorder("i_o", "r", "i_i", "j")
    s[C].parallel("i_o")
    random = np.random.default_rng(0)
    return s, (random.standard_normal((7, 6), np.float32), random.standard_normal((5, 6), np.float32).T)


def pipeline() -> Case:
    n = ps.size_var("n", min=2)
    A, alpha = ps.placeholder((n + 2,), "float64", name="A"), ps.scalar("alpha", "float64")
    B = ps.compute((n,), lambda i: A[i] + alpha * A[i + 2], name="B")
    D = ps.compute((n,), lambda i: ps.sin(B[i]) * 2, name="D")
    E = ps.compute((n,), lambda i: D[i] - B[i], name="E")
    s = ps.Schedule([E, B], args=[alpha, A, B])
    s[D].vectorize(s[D].split("i", 8)[1])
    return s, (0.5, np.linspace(0, 1, 13), np.zeros(11))


def gather() -> Case:
    n = ps.size_var("n")
    A, index = ps.placeholder((9,), "int32", name="A"), ps.placeholder((n,), "int64", name="I")
    G = ps.compute((n,), lambda i: A[ps.checked(index[i])] // 2, name="G")
    return ps.Schedule(G), (np.arange(9, dtype=np.int32), np.array([3, 0, 8, 8]))


def halves() -> Case:
    n = ps.size_var("n")
    A, alpha = ps.placeholder((n, 3), "float16", name="A"), ps.scalar("alpha", "float16")
    flag = ps.scalar("flag", "bool")
    H = ps.compute((n, 3), lambda i, j: ps.select(flag, A[i, j] * alpha, A[i, j]), name="H")
    return ps.Schedule(H), (np.ones((4, 3), np.float16), np.float16(1.5), True)


def extrema() -> Case:
    n = ps.size_var("n")
    A = ps.placeholder((n, 40), "uint8", name="A")
    r = ps.reduce_axis((0, 40), name="r")
    best = ps.compute((n,), lambda i: ps.argmax(A[i, r], axis=r), name="best")
    some = ps.compute((n,), lambda i: ps.any(A[i, r] == 255, axis=r), name="some")
    s = ps.Schedule([best, some])
    s[best].parallel("i")
    return s, (np.random.default_rng(1).integers(0, 256, (6, 40), np.uint8),)


def constant() -> Case:
    A = ps.placeholder((5, 7), "int8", name="A")
    r, q = ps.reduce_axis((0, 5), name="r"), ps.reduce_axis((0, 7), name="q")
    total = ps.compute((), lambda: ps.sum(A[r, q], axis=(r, q), dtype="int16"), name="total")
    return ps.Schedule(total), (np.arange(35, dtype=np.int8).reshape(5, 7) - 20,)


def window() -> Case:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "uint16", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 3, name="B")
    W = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 1, j] + B[i + 2, j], name="W")
    s = ps.Schedule(W)
    i_o, i_i = s[W].split("i", 4)
    s[B].compute_at(W, i_i)
    s[B].store_at(W, i_o)
    s[W].parallel(i_o)
    s[B].vectorize(s[B].split("j", 16)[1])
    return s, (np.random.default_rng(2).integers(0, 999, (13, 21), np.uint16),)


CASES: dict[str, Callable[[], Case]] = {
    case.__name__: case for case in (matmul, pipeline, gather, halves, extrema, constant, window)
}


def results(kernel: Any, arguments: tuple[Any, ...]) -> list[bytes]:
    """The bytes of all outputs of a call."""
    made = kernel(*arguments)
    return [array.tobytes() for array in (made if isinstance(made, tuple) else (made,))]
