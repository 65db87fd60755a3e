"""The chains of sweeps.py in C and Numba, each on one thread."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from c_library import c_library, pointer

Array = np.ndarray[Any, Any]
Peers = dict[str, Callable[[], Array]]


def peers(name: str, x: Array, steps: int) -> Peers:
    """Calls that return the result, by the name of the system."""
    found: Peers = {}
    if c_library("sweep_peers") is not None:
        kinds = {"C": ""} if name in ("scan_columns", "solve") else {"C": "", "C side by side": "_side_by_side"}
        found |= {peer: _c(name, x, steps, kind) for peer, kind in kinds.items()}
    return found | _numba(name, x, steps)


def _c(name: str, x: Array, steps: int, kind: str) -> Callable[[], Array]:
    n, m = map(ctypes.c_long, x.shape)
    if name == "solve":
        solved = np.empty(len(x), x.dtype)

        def substitute() -> Array:
            c_library("sweep_peers").solve(n, pointer(x), pointer(solved))
            return solved

        return substitute
    out, buffer = np.empty_like(x), np.empty(16 * (x.shape[1] + 1), x.dtype)
    if name != "implicit":
        function = getattr(c_library("sweep_peers"), name + kind)
        own = (buffer,) if name == "filter_rows" else ()

        def run() -> Array:
            function(n, m, pointer(x), pointer(out), *map(pointer, own))
            return out

        return run
    function = getattr(c_library("sweep_peers"), name + (kind or "_rows"))
    p, q, other = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def solve() -> Array:
        np.copyto(out, x)
        function(n, ctypes.c_long(steps), pointer(out), pointer(other), pointer(p), pointer(q))
        return other if steps % 2 and not kind else out

    return solve


def _numba(name: str, x: Array, steps: int) -> Peers:
    try:
        import numba
    except ImportError:
        return {}
    numba.set_num_threads(1)

    @numba.njit(parallel=True, fastmath=True)
    def scan_columns(a: Array) -> Any:
        p = np.empty_like(a)
        p[0] = a[0]
        for i in range(1, a.shape[0]):
            for j in range(a.shape[1]):
                p[i, j] = np.float32(0.9) * p[i - 1, j] + a[i, j]
        return p

    @numba.njit(parallel=True, fastmath=True)
    def scan_rows(a: Array) -> Any:
        p = np.empty_like(a)
        for i in numba.prange(a.shape[0]):
            p[i, 0] = a[i, 0]
            for j in range(1, a.shape[1]):
                p[i, j] = np.float32(0.9) * p[i, j - 1] + a[i, j]
        return p

    @numba.njit(parallel=True, fastmath=True)
    def filter_rows(x: Array) -> Any:
        y, m = np.empty_like(x), x.shape[1]
        for i in numba.prange(x.shape[0]):
            f = np.empty(m)
            f[0] = 0.5 * x[i, 0]
            f[1] = 0.5 * x[i, 1] + 0.3 * x[i, 0] + 0.4 * f[0]
            for j in range(2, m):
                f[j] = 0.5 * x[i, j] + 0.3 * x[i, j - 1] + 0.4 * f[j - 1] - 0.2 * f[j - 2]
            one, two = 0.3 * x[i, m - 1], 0.0
            y[i, m - 1], y[i, m - 2] = f[m - 1], f[m - 2] + one
            for j in range(m - 3, -1, -1):
                g = 0.3 * x[i, j + 1] + 0.1 * x[i, j + 2] + 0.4 * one - 0.2 * two
                y[i, j] = f[j] + g
                one, two = g, one
        return y

    @numba.njit(parallel=True, fastmath=True)
    def implicit(x: Array) -> Any:
        v, w, n = x.copy(), np.empty_like(x), len(x)
        for _ in range(steps):
            for i in numba.prange(n):
                p, q = np.empty(n), np.empty(n)
                p[0], q[0] = 0.0, v[0, i]
                for j in range(1, n):
                    d = 1.6 - 0.3 * p[j - 1]
                    p[j], q[j] = 0.3 / d, (v[j, i] + 0.3 * q[j - 1]) / d
                w[i, n - 1] = 1.0
                for j in range(n - 2, -1, -1):
                    w[i, j] = p[j + 1] * w[i, j + 1] + q[j + 1]
            v, w = w, v
        return v

    @numba.njit(parallel=True, fastmath=True)
    def solve(a: Array) -> Any:
        y = np.empty(len(a))
        for i in range(len(a)):
            total = 0.0
            for r in range(i):
                total += a[i, r] * y[r]
            y[i] = (1.0 - total) / a[i, i]
        return y

    known = {
        "scan_columns": scan_columns,
        "scan_rows": scan_rows,
        "filter_rows": filter_rows,
        "implicit": implicit,
        "solve": solve,
    }
    return {"numba": lambda: known[name](x)}
