"""The recurrences of dynamic.py in other systems: C, Numba and NumPy's LAPACK, each on one thread.

What is computed in place starts from a copy of its input in every call, as it must. Halide cannot express mutual
recurrences, and its update definitions have no skewed loops; it is left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from c_library import c_library, pointer

Array = np.ndarray[Any, Any]
Peers = dict[str, Callable[[], Any]]


def _in_place(name: str, given: Array) -> Callable[[], Array]:
    own, n = given.copy(), ctypes.c_long(len(given))

    def run() -> Array:
        np.copyto(own, given)
        getattr(c_library("dynamic_peers"), name)(n, pointer(own))
        return own

    return run


def peers(name: str, given: tuple[Array, ...]) -> Peers:
    """Calls that return the result, by the name of the system."""
    found: Peers = {}
    if c_library("dynamic_peers") is not None:
        found |= _c(name, given)
    found |= _numba(name, given)
    if name == "cholesky":
        found["numpy (LAPACK)"] = lambda: np.linalg.cholesky(given[0])
    return found


def _c(name: str, given: tuple[Array, ...]) -> Peers:
    library = c_library("dynamic_peers")
    if name in ("lu", "cholesky", "floyd_warshall", "paths_compared"):
        return {"C": _in_place("floyd_warshall" if name == "paths_compared" else name, given[0])}
    if name == "triangular":
        solved = np.empty_like(given[1])

        def solve() -> Array:
            np.copyto(solved, given[1])
            library.triangular(
                ctypes.c_long(len(solved)), ctypes.c_long(solved.shape[1]), pointer(given[0]), pointer(solved)
            )
            return solved

        return {"C": solve}
    a = given[0]
    n = ctypes.c_long(len(a))
    if name == "nussinov":
        out = np.empty((len(a), len(a)), np.int32)

        def run(function: Callable[..., Any]) -> Array:
            function(n, pointer(a), pointer(out))
            return out

        return {"C": partial(run, library.nussinov), "C in blocks": partial(run, library.nussinov_blocks)}
    b = given[1]
    m, row, scratch = ctypes.c_long(len(b)), np.empty(len(b) + 1, np.int32), np.empty(len(b), np.int32)
    if name == "matrix":
        whole = np.empty((len(a) + 1, len(b) + 1), np.int32)

        def fill() -> Array:
            library.matrix_rows(n, m, pointer(a), pointer(b), pointer(whole), pointer(scratch))
            return whole

        buffer, turned = np.empty(66 * (len(a) + 16), np.int32), np.empty_like(b)

        def fill_skewed() -> Array:
            np.copyto(turned, b[::-1])
            library.matrix_diagonals(n, m, pointer(a), pointer(turned), pointer(whole), pointer(buffer))
            return whole

        return {"C by rows": fill, "C skewed by hand": fill_skewed}
    diagonals, backwards = np.empty(3 * (len(a) + 1), np.int32), np.empty_like(b)

    def skewed() -> Any:
        np.copyto(backwards, b[::-1])
        return library.score_diagonals(n, m, pointer(a), pointer(backwards), pointer(diagonals))

    return {
        "C by rows": lambda: library.score_rows(n, m, pointer(a), pointer(b), pointer(row), pointer(scratch)),
        "C skewed by hand": skewed,
    }


def _numba(name: str, given: tuple[Array, ...]) -> Peers:
    try:
        import numba
    except ImportError:
        return {}
    numba.set_num_threads(1)

    @numba.njit(parallel=True, fastmath=True)
    def score(a: Array, b: Array) -> Any:
        up, best = np.zeros(len(b) + 1, np.int32), 0
        for i in range(len(a)):
            diagonal = up[0]
            for j in range(len(b)):
                kept = up[j + 1]
                match = 3 if a[i] == b[j] else -3
                up[j + 1] = max(diagonal + match, 0, kept - 2, up[j] - 2)
                best = max(best, up[j + 1])
                diagonal = kept
        return best

    @numba.njit(parallel=True, fastmath=True)
    def matrix(a: Array, b: Array) -> Any:
        h = np.zeros((len(a) + 1, len(b) + 1), np.int32)
        for i in range(len(a)):
            for j in range(len(b)):
                match = 3 if a[i] == b[j] else -3
                h[i + 1, j + 1] = max(h[i, j] + match, 0, h[i, j + 1] - 2, h[i + 1, j] - 2)
        return h

    @numba.njit(parallel=True, fastmath=True)
    def nussinov(s: Array) -> Any:
        n = len(s)
        b = np.zeros((n, n), np.int32)
        for i in range(n - 1, -1, -1):
            for j in range(i + 2, n):
                b[i, j] = b[i + 1, j - 1] + (s[i] + s[j] == 3)
            for k in range(i, n - 1):
                for j in range(k + 1, n):
                    b[i, j] = max(b[i, j], b[i, k] + b[k + 1, j])
        return b

    @numba.njit(parallel=True, fastmath=True)
    def lu(given: Array) -> Any:
        a, n = given.copy(), len(given)
        for k in range(n):
            for i in numba.prange(k + 1, n):
                a[i, k] /= a[k, k]
                for j in range(k + 1, n):
                    a[i, j] -= a[i, k] * a[k, j]
        return a

    @numba.njit(parallel=True, fastmath=True)
    def floyd_warshall(given: Array) -> Any:
        d, n = given.copy(), len(given)
        for k in range(n):
            for i in numba.prange(n):
                via = d[i, k]
                for j in range(n):
                    d[i, j] = min(d[i, j], via + d[k, j])
        return d

    known = {
        "score": score, "matrix": matrix, "nussinov": nussinov, "lu": lu, "floyd_warshall": floyd_warshall
    }  # fmt: skip
    return {"numba": lambda: known[name](*given)} if name in known else {}
