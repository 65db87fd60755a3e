"""Dynamic programming and factorizations: recurrences, scheduled by recipes, against C, Numba and NumPy's LAPACK.

Smith and Waterman's alignment of two sequences (its best score, and the whole matrix), Nussinov's folding of one, LU
and Cholesky factors without pivoting, a triangular matrix and many right-hand sides, and all shortest paths, with
`minimum` and with a comparison, which is what C computes. Each is defined for all sizes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import dynamic_peers
import numpy as np
from definitions import EXAMPLES
from harness import Claim, Report, interleaved, table

import polysched as ps

Array = np.ndarray[Any, Any]


def _alignment(*, matrix: bool) -> tuple[ps.Tensor, ps.Tensor]:
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, m + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int32", 3), ps.cast("int32", -3))
    H[i + 1, j + 1] = ps.max(ps.max(H[i, j] + match, 0), ps.max(H[i, j + 1], H[i + 1, j]) - 2)
    r, q = ps.reduce_axis((0, n + 1), name="i"), ps.reduce_axis((0, m + 1), name="j")
    return H, H if matrix else ps.compute((), lambda: ps.max(H[r, q], axis=(r, q)), name="best")


def _triangular() -> ps.Tensor:
    n, m = ps.size_var("n", min=1), ps.size_var("m", min=1)
    L, B = ps.placeholder((n, n), "float64", name="L"), ps.placeholder((n, m), "float64", name="B")
    i, j = ps.axes("i j")
    r = ps.reduce_axis((0, i), name="r")
    X = ps.recurrence((n, m), "float64", name="X")
    X[i, j] = (B[i, j] - ps.sum(L[i, r] * X[r, j], axis=r)) / L[i, i]
    return X


def _paths_compared() -> ps.Tensor:
    n = ps.size_var("n", min=1)
    W = ps.placeholder((n, n), "float32", name="W")
    k, i, j = ps.axes("k i j")
    d = ps.recurrence((n + 1, n, n), "float32", name="d")
    d[0, i, j] = W[i, j]
    via, before = d[k, i, k] + d[k, k, j], d[k, i, j]
    d[k + 1, i, j] = ps.select(via < before, via, before)
    return d[n]


def schedule(name: str, target: ps.Target) -> ps.Schedule:
    """The schedule of a benchmark."""
    match name:
        case "score" | "matrix":
            H, output = _alignment(matrix=name == "matrix")
            s = ps.Schedule(output)
            ps.recipes.wavefront(s[H], target)
        case "nussinov":
            s = ps.Schedule(EXAMPLES[name].define())
            ps.recipes.factorization(s["B"], target)
        case "lu" | "cholesky":
            s = ps.Schedule(EXAMPLES[name].define())
            ps.recipes.factorization(s["L"], target)
        case "triangular":
            s = ps.Schedule(_triangular())
            ps.recipes.factorization(s["X"], target)
        case _:
            s = ps.Schedule(_paths_compared() if name == "paths_compared" else EXAMPLES[name].define())
            ps.recipes.closure(s["d"], target)
    return s


def _given(name: str, n: int) -> tuple[Array, ...]:
    random = np.random.default_rng(1)
    match name:
        case "score" | "matrix":
            return random.integers(0, 4, n, np.int32), random.integers(0, 4, n, np.int32)
        case "nussinov":
            return (random.integers(0, 4, n, np.int32),)
        case "lu":
            return (random.standard_normal((n, n)) + n * np.eye(n),)
        case "cholesky":
            a = random.standard_normal((n, n))
            return (a @ a.T + n * np.eye(n),)
        case "triangular":
            return random.standard_normal((n, n)) + n * np.eye(n), random.standard_normal((n, n))
    return (random.random((n, n), np.float32),)


def _check(name: str, peer: str, own: Any, other: Any, a: Array) -> None:
    """Compare what is computed; factors by their product where the peer computes in place."""
    if name == "lu":
        other = np.tril(other, -1) + np.eye(len(a)), np.triu(other)
        np.testing.assert_allclose(own[0] @ own[1], a, rtol=1e-8, atol=1e-8 * len(a))
        np.testing.assert_allclose(own[1], other[1], rtol=1e-6, atol=1e-6, err_msg=peer)
    elif name in ("cholesky", "floyd_warshall", "paths_compared", "triangular"):
        other = np.tril(other) if name == "cholesky" else other
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6, err_msg=peer)
    else:
        np.testing.assert_array_equal(own, other, err_msg=peer)


# A name, its size, what a call does, its unit, and how many times as fast as the best peer it is to be.
CASES: tuple[tuple[str, int, Callable[[int], float], str, float | None], ...] = (
    ("score", 4096, lambda n: 1e-9 * n * n, "Gcell", 2.5),
    ("matrix", 4096, lambda n: 1e-9 * n * n, "Gcell", None),
    ("nussinov", 1000, lambda n: 1e-9 * n**3 / 6, "Gupdate", None),
    ("lu", 1024, lambda n: 2e-9 * n**3 / 3, "GFLOP", 1.8),
    ("cholesky", 1024, lambda n: 1e-9 * n**3 / 3, "GFLOP", None),
    ("triangular", 1024, lambda n: 1e-9 * n**3, "GFLOP", None),
    ("floyd_warshall", 800, lambda n: 2e-9 * n**3, "GFLOP", 1.2),
    ("paths_compared", 800, lambda n: 2e-9 * n**3, "GFLOP", None),
)


def run(report: Report, target: ps.Target, names: tuple[str, ...] = (), rounds: int = 7) -> None:
    """Measure all of CASES, or those named."""
    for name, n, work, unit, bound in CASES:
        if names and name not in names:
            continue
        start = time.perf_counter()
        s = schedule(name, target)
        scheduled = time.perf_counter()
        kernel = ps.build(s, target, cache=False)
        built = time.perf_counter()
        given = _given(name, n)
        own = kernel(*given)
        found = dynamic_peers.peers(name, given)
        for peer, call in found.items():
            _check(name, peer, own, call(), given[0])
        if name == "lu":
            outputs = {"out": tuple(np.empty_like(x) for x in own)}
        else:
            outputs = {} if np.ndim(own) == 0 else {"out": np.empty_like(own)}
        contenders = {"polysched": partial(kernel, *given, **outputs), **found}
        measured = interleaved(f"{name} {n}", contenders, rounds=rounds, work=work(n), unit=unit)
        print(f"{name}, n = {n}: scheduled in {scheduled - start:.2f} s, built in {built - scheduled:.2f} s")
        print(table(measured, "polysched"))
        report.measurements += measured.values()
        peers = [m.median for contender, m in measured.items() if contender != "polysched"]
        if bound is not None and peers:
            value = min(peers) / measured["polysched"].median
            report.claims.append(Claim(f"{name} {n}: times as fast as the best peer", value, bound))
