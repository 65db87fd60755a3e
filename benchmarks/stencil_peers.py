"""The stencils of stencils.py in other systems: C, Numba and Halide, each on one thread.

Each peer starts from the same planes in every call: it copies them into its own first, as our kernels do. Sweeps go
between two planes, or in place; Halide runs several steps in one pass over the planes, in windows of rows that slide.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from c_library import c_library, pointer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Peer:
    """A call that computes all steps, and the fields that it has computed then."""

    run: Callable[[], object]
    results: Callable[[], list[Array]]


def peers(name: str, given: list[Array], steps: int) -> dict[str, Peer]:
    """The peers that are installed."""
    made = {"c": _c(name, given, steps), "numba": _numba(name, given, steps), "halide": _halide(name, given, steps)}
    return {system: peer for system, peer in made.items() if peer is not None}


def _stepped(name: str, given: list[Array], call: Callable[..., int]) -> Peer:
    """A peer whose function takes its planes and returns which of two the result is in."""
    count = 3 if name == "fdtd_2d" else 1
    planes = [a.copy() for a in given[:count]]
    if name in ("jacobi_2d", "heat_3d"):
        planes.append(given[0].copy())
    last = [0]

    def run() -> None:
        for plane, a in zip(planes, given[:count], strict=False):  # of the other plane, only the boundary is read
            np.copyto(plane, a)
        last[0] = call(*planes) or 0

    return Peer(run, lambda: planes if count == 3 else [planes[last[0]]])


# --- C


def _c(name: str, given: list[Array], steps: int) -> Peer | None:
    library = c_library("stencil_peers")
    if library is None:
        return None
    function, n = getattr(library, name), given[0].shape[0]
    row = np.zeros(n)

    sizes = [ctypes.c_long(steps), ctypes.c_long(n)]
    if name == "fdtd_2d":
        return _stepped(name, given, lambda x, y, h: function(*sizes, sizes[1], *map(pointer, (x, y, h, given[3]))) * 0)
    if name == "seidel_2d":
        return _stepped(name, given, lambda u: function(*sizes, pointer(u), pointer(row)) * 0)
    return _stepped(name, given, lambda a, b: function(*sizes, pointer(a), pointer(b)))


# --- Numba


def _numba(name: str, given: list[Array], steps: int) -> Peer | None:
    try:
        import numba
    except ImportError:
        return None
    numba.set_num_threads(1)
    jit = numba.njit(parallel=name != "seidel_2d", fastmath=True)
    prange = numba.prange

    @jit
    def jacobi_2d(u, v):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                v[i, j] = 0.2 * (u[i, j] + u[i, j - 1] + u[i, j + 1] + u[i + 1, j] + u[i - 1, j])

    @jit
    def heat_3d(u, v):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                for k in range(1, u.shape[2] - 1):
                    around = u[i + 1, j, k] + u[i - 1, j, k] + u[i, j + 1, k] + u[i, j - 1, k]
                    v[i, j, k] = 0.25 * u[i, j, k] + 0.125 * (around + u[i, j, k + 1] + u[i, j, k - 1])

    @jit
    def seidel_2d(u, row):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                up = u[i - 1, j - 1] + u[i - 1, j] + u[i - 1, j + 1]
                down = u[i + 1, j - 1] + u[i + 1, j] + u[i + 1, j + 1]
                row[j] = (1 / 9) * (up + u[i, j] + u[i, j + 1] + down)
            for j in range(1, u.shape[1] - 1):
                u[i, j] = row[j] + (1 / 9) * u[i, j - 1]

    @jit
    def fdtd_2d(ex, ey, hz, f):
        n, m = ex.shape
        for j in range(m):
            ey[0, j] = f
        for i in prange(1, n):
            for j in range(m):
                ey[i, j] -= 0.5 * (hz[i, j] - hz[i - 1, j])
        for i in prange(n):
            for j in range(1, m):
                ex[i, j] -= 0.5 * (hz[i, j] - hz[i, j - 1])
        for i in prange(n - 1):
            for j in range(m - 1):
                hz[i, j] -= 0.7 * (ex[i, j + 1] - ex[i, j] + ey[i + 1, j] - ey[i, j])

    def swept(a: Array, b: Array) -> int:
        step = jacobi_2d if name == "jacobi_2d" else heat_3d
        for t in range(steps):
            step(*((a, b) if t % 2 == 0 else (b, a)))
        return steps % 2

    def in_place(*planes: Array) -> int:
        row = np.zeros(planes[0].shape[1])
        for t in range(steps):
            fdtd_2d(*planes, given[3][t]) if name == "fdtd_2d" else seidel_2d(*planes, row)
        return 0

    return _stepped(name, given, swept if name in ("jacobi_2d", "heat_3d") else in_place)


# --- Halide

_PASS = {"jacobi_2d": 10, "heat_3d": 4}  # steps in one pass


def _halide(name: str, given: list[Array], steps: int) -> Peer | None:
    """Several steps in a pass: each is computed by rows (by planes), as the next one needs them, and keeps three."""
    try:
        import halide as hl
    except ImportError:
        return None
    if name not in _PASS or steps % _PASS[name]:
        return None  # in place, or worse than what numba does with it
    n, rank = given[0].shape[0], given[0].ndim
    axes = [hl.Var(v) for v in "xyz"[:rank]]
    image = hl.ImageParam(hl.Float(64), rank)
    stages = [hl.Func("u0")]
    bounded = hl.BoundaryConditions.repeat_edge(image)
    stages[0][tuple(axes)] = bounded[tuple(axes)]

    def at(f: Any, axis: int, by: int) -> Any:
        return f[tuple(v + by if k == axis else v for k, v in enumerate(axes))]

    inside = axes[0] > 0
    for v in axes:
        inside = inside & (v > 0) & (v < n - 1)
    for step in range(_PASS[name]):
        before, after = stages[-1], hl.Func(f"u{step + 1}")
        around = sum((at(before, k, by) for k in range(rank) for by in (-1, 1)), hl.f64(0.0))
        new = hl.f64(0.2) * (before[tuple(axes)] + around)
        if name == "heat_3d":
            new = hl.f64(0.25) * before[tuple(axes)] + hl.f64(0.125) * around
        after[tuple(axes)] = hl.select(inside, new, before[tuple(axes)])
        stages.append(after)
    last = stages[-1]
    last.vectorize(axes[0], 8, hl.TailStrategy.GuardWithIf)
    for stage in stages[1:-1]:
        stage.store_root().compute_at(last, axes[-1]).vectorize(axes[0], 8)
    last.compile_jit()
    planes = [given[0].copy(), given[0].copy()]
    buffers = [hl.Buffer(plane) for plane in planes]

    def run() -> None:
        np.copyto(planes[0], given[0])
        for number in range(steps // _PASS[name]):
            image.set(buffers[number % 2])
            last.realize(buffers[1 - number % 2])

    return Peer(run, lambda: [planes[(steps // _PASS[name]) % 2]])
