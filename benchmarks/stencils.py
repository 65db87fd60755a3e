"""Stencils iterated in time: jacobi-2d, heat-3d, seidel-2d (in place) and fdtd-2d, all in float64.

Schedules are those of `recipes.time_tile`. Peers where they are installed: C (gcc -O3 -march=native -ffast-math), Numba
and Halide, which sweep or, where it can be written, run several steps in windows that slide over the planes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import stencil_peers
from harness import Claim, Report, interleaved, table

import polysched as ps

Array = np.ndarray[Any, Any]


def jacobi_2d(T: Any, n: Any) -> list[ps.Tensor]:
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, n), "float64", name="u")
    u[0, i, j] = A[i, j]
    inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1)
    total = u[t, i, j] + u[t, i, j - 1] + u[t, i, j + 1] + u[t, i + 1, j] + u[t, i - 1, j]
    u[t + 1, i, j] = ps.select(inside, 0.2 * total, u[t, i, j])
    return [u[T]]


def heat_3d(T: Any, n: Any) -> list[ps.Tensor]:
    A = ps.placeholder((n, n, n), "float64", name="A")
    t, i, j, k = ps.axes("t i j k")
    u = ps.recurrence((T + 1, n, n, n), "float64", name="u")
    u[0, i, j, k] = A[i, j, k]
    inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1) & (k > 0) & (k < n - 1)
    c = u[t, i, j, k]
    around = u[t, i + 1, j, k] + u[t, i - 1, j, k] + u[t, i, j + 1, k] + u[t, i, j - 1, k]
    around = around + u[t, i, j, k + 1] + u[t, i, j, k - 1]
    u[t + 1, i, j, k] = ps.select(inside, 0.25 * c + 0.125 * around, c)
    return [u[T]]


def seidel_2d(T: Any, n: Any) -> list[ps.Tensor]:
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, n), "float64", name="u")
    u[0, i, j] = A[i, j]
    new = u[t + 1, i - 1, j - 1] + u[t + 1, i - 1, j] + u[t + 1, i - 1, j + 1]
    old = u[t, i, j] + u[t, i, j + 1] + u[t, i + 1, j - 1] + u[t, i + 1, j] + u[t, i + 1, j + 1]
    inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1)
    u[t + 1, i, j] = ps.select(inside, (1 / 9) * u[t + 1, i, j - 1] + (1 / 9) * (new + old), u[t, i, j])
    return [u[T]]


def fdtd_2d(T: Any, n: Any) -> list[ps.Tensor]:
    X, Y, H = (ps.placeholder((n, n), "float64", name=name) for name in "XYH")
    F = ps.placeholder((T,), "float64", name="F")
    t, i, j = ps.axes("t i j")
    ex, ey, hz = (ps.recurrence((T + 1, n, n), "float64", name=name) for name in ("ex", "ey", "hz"))
    ey[0, i, j] = Y[i, j]
    ey[t + 1, 0, j] = F[t]
    ey[t + 1, i + 1, j] = ey[t, i + 1, j] - 0.5 * (hz[t, i + 1, j] - hz[t, i, j])
    ex[0, i, j] = X[i, j]
    ex[t + 1, i, 0] = ex[t, i, 0]
    ex[t + 1, i, j + 1] = ex[t, i, j + 1] - 0.5 * (hz[t, i, j + 1] - hz[t, i, j])
    hz[0, i, j] = H[i, j]
    inside = (i < n - 1) & (j < n - 1)
    curl = ex[t + 1, i, j + 1] - ex[t + 1, i, j] + ey[t + 1, i + 1, j] - ey[t + 1, i, j]
    hz[t + 1, i, j] = ps.select(inside, hz[t, i, j] - 0.7 * curl, hz[t, i, j])
    return [ex[T], ey[T], hz[T]]


@dataclass(frozen=True)
class Case:
    """A stencil of T steps over n points a dimension; what it is to reach against the best peer."""

    define: Callable[[Any, Any], list[ps.Tensor]]
    T: int
    n: int
    rank: int
    bound: float
    fields: int = 1
    overlaps: bool = False  # whether tiles that overlap are measured, too

    @property
    def name(self) -> str:
        return self.define.__name__


CASES = (
    Case(jacobi_2d, 40, 4000, 2, 2.5, overlaps=True),
    Case(heat_3d, 20, 200, 3, 1.5, overlaps=True),
    Case(seidel_2d, 10, 2000, 2, 3.0),
    Case(fdtd_2d, 20, 2000, 2, 2.0, fields=3),
)


def scheduled(case: Case, target: ps.Target, shape: str | None = None) -> ps.Schedule:
    """For so many steps and any number of points."""
    outputs = case.define(case.T, ps.size_var("n", min=3))
    s = ps.Schedule(outputs)
    ps.recipes.time_tile(s[s.stages[0]], target, shape=shape)
    return s


def tiled(case: Case, target: ps.Target, shape: str | None = None) -> tuple[Any, float]:
    """A kernel, and the seconds that scheduling and building it took."""
    begin = time.perf_counter()
    return scheduled(case, target, shape).build(target, cache=False), time.perf_counter() - begin


def inputs(case: Case) -> list[Array]:
    random = np.random.default_rng(6)
    given = [random.random((case.n,) * case.rank) for _ in range(case.fields)]
    return [*given, random.random(case.T)] if case.fields > 1 else given


def several(result: Any) -> list[Array]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def run(report: Report, target: ps.Target) -> None:
    for case in CASES:
        measure(case, report, {"polysched": target, "polysched, 2 threads": ps.Target("native", threads=2)})


def measure(case: Case, report: Report, targets: dict[str, ps.Target]) -> None:
    """Our kernels and the peers, side by side, with results that agree."""
    given = inputs(case)  # whose shapes tell the sizes: given by name they take Python's way in, 30 us of it
    contenders: dict[str, stencil_peers.Peer] = {}
    for name, target in targets.items():
        kernel, seconds = tiled(case, target)
        out = several(kernel(*given))
        filled = tuple(out) if len(out) > 1 else out[0]
        call = partial(kernel, *given, out=filled)
        contenders[name] = stencil_peers.Peer(call, partial(list, out))
        report.claims.append(Claim(f"{case.name}: seconds until {name} is built", seconds, 1.0, at_least=False))
    if case.overlaps:
        for name, target in targets.items():
            kernel, _ = tiled(case, target, "overlapped")
            out = several(kernel(*given))
            label = name.replace("polysched", "polysched, overlapped")
            contenders[label] = stencil_peers.Peer(partial(kernel, *given, out=out[0]), partial(list, out))
    contenders |= stencil_peers.peers(case.name, given, case.T)
    wanted: list[Array] | None = None
    for name, contender in contenders.items():
        contender.run()
        found = contender.results()
        wanted = found if wanted is None else wanted
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"{case.name}, {name}")
    points = case.T * case.n**case.rank * 1e-9
    calls = {name: contender.run for name, contender in contenders.items()}
    measured = interleaved(case.name, calls, rounds=7, work=points, unit="Gpoint")
    print(
        f"{case.name}, {case.n} points a dimension, {case.T} steps, float64\n{table(measured, 'polysched')}", flush=True
    )
    report.measurements += measured.values()
    own = measured["polysched"].median
    others = [m.median for name, m in measured.items() if not name.startswith("polysched")]
    if others:
        report.claims.append(Claim(f"{case.name}: speed relative to the best peer", min(others) / own, case.bound))
    both = {name: calls[name] for name in targets}  # with no peers between, so that threads are awake
    steady = interleaved(case.name, both, rounds=9, work=points, unit="Gpoint", threads=2)
    report.measurements += steady.values()
    ratio = steady["polysched"].median / steady["polysched, 2 threads"].median
    report.claims.append(Claim(f"{case.name}: two threads relative to one", ratio, 1.7))
