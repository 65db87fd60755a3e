"""What is paid before a kernel runs: importing, building, calling."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import images
import matmul
import numpy as np
import stencils
from harness import STAGES, Claim, Report, interleaved, stages, table

import polysched as ps


def run(report: Report, target: ps.Target) -> None:
    _build(report, target)
    _cached(report)
    _import(report)
    _call(report, target)


def _build(report: Report, target: ps.Target) -> None:
    """The tiled matmul with symbolic sizes, built again and again in a warm process, and once in a fresh one."""
    C = matmul.definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    schedule = matmul.tiled(C, target)
    measured = interleaved(
        "build", {"tiled matmul": lambda: matmul.tiled(C, target).build(target, cache=False)}, rounds=9
    )
    kernels = [schedule.build(target, cache=False) for _ in range(9)]
    print("building the tiled matmul with symbolic sizes")
    print(table(measured, "tiled matmul"))
    for stage in STAGES:
        print(f"  {stage:28s} {statistics.median(stages(k)[stage] for k in kernels):10.4f} ms")
    report.measurements += measured.values()
    report.claims.append(
        Claim("build of the tiled matmul in ms", measured["tiled matmul"].median * 1e3, 150, at_least=False)
    )


_CACHED = """
import sys, time
import polysched as ps
sys.path.insert(0, sys.argv[1])
import overhead
schedule = overhead.CACHED[sys.argv[2]]()
start = time.perf_counter()
kernel = schedule.build()
print(time.perf_counter() - start, "cache" in kernel.timings)
"""


def _copy() -> ps.Schedule:
    A = ps.placeholder((ps.size_var("n"),), "float32", name="A")
    return ps.Schedule(ps.compute(A.shape, lambda i: A[i], name="B"))


def _product(by_recipe: bool) -> ps.Schedule:
    C = matmul.definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    if not by_recipe:
        return matmul.tiled(C, ps.Target())
    s = ps.Schedule(C)
    ps.recipes.gemm(s[C])
    return s


def _harris() -> ps.Schedule:
    return images.by_recipe(images.harris(ps.size_var("n"), ps.size_var("m")), ps.Target())


def _jacobi() -> ps.Schedule:
    s = ps.Schedule(*stencils.jacobi_2d(ps.size_var("T"), ps.size_var("n")))
    ps.recipes.time_tile(s[s.stages[0]])
    return s


# All with symbolic sizes.
CACHED: dict[str, Callable[[], ps.Schedule]] = {
    "copy": _copy,
    "tiled matmul": lambda: _product(by_recipe=False),
    "recipes.gemm": lambda: _product(by_recipe=True),
    "Harris, recipes.stencil2d": _harris,
    "jacobi-2d, recipes.time_tile": _jacobi,
}


def _cached(report: Report) -> None:
    """Kernels in new processes, which find them in a cache that a first process has filled. Whatever a process does for
    the first time when it builds, such as making LLVM's linker, is in the time; what it imports is not."""
    print("building in a new process, from the cache (medians of 9 processes after the one that built)")
    slowest = 0.0
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "POLYSCHED_CACHE": "1", "POLYSCHED_CACHE_DIR": directory}
        commands = {name: [sys.executable, "-c", _CACHED, str(Path(__file__).parent), name] for name in CACHED}
        for command in commands.values():
            subprocess.check_output(command, env=environment)
        runs: dict[str, list[float]] = {name: [] for name in CACHED}
        for _ in range(9):
            for name, command in commands.items():
                elapsed, found = subprocess.check_output(command, env=environment, text=True).split()
                assert found == "True"
                runs[name].append(float(elapsed) * 1e3)
        for name, times in runs.items():
            print(f"  {name:28s} {statistics.median(times):10.4f} ms ({min(times):.1f} - {max(times):.1f})")
            slowest = max(slowest, statistics.median(times))
    report.claims.append(Claim("build from the cache in a new process in ms", slowest, 10, at_least=False))


def _import(report: Report) -> None:
    code = "import time; t = time.perf_counter(); import polysched; print(time.perf_counter() - t)"
    runs = [float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(7)]
    print(f"import polysched, NumPy included\n  {'median of 7 processes':28s} {statistics.median(runs) * 1e3:10.4f} ms")
    report.claims.append(Claim("import in s", statistics.median(runs), 0.3, at_least=False))


def _call(report: Report, target: ps.Target) -> None:
    n = ps.size_var("n")
    a, b = ps.placeholder((n,), "float32", name="a"), ps.placeholder((n,), "float32", name="b")
    c = ps.compute((n,), lambda i: a[i] + b[i], name="c")
    kernel, returning = ps.Schedule(c, args=[a, b, c]).build(target), ps.Schedule(c).build(target)
    x, y, z = (np.ones(8, np.float32) for _ in range(3))
    measured = interleaved(
        "call",
        {
            "kernel(a, b, c)": lambda: kernel(x, y, z),
            "kernel(a, b, out=c)": lambda: returning(x, y, out=z),
            "kernel(a, b)": lambda: returning(x, y),
            "np.add(a, b, out=c)": lambda: np.add(x, y, out=z),
        },
        rounds=25,
    )
    print("a call with arrays of 8 float32, all checks included")
    print(table(measured, "np.add(a, b, out=c)"))
    report.measurements += measured.values()
    microseconds = measured["kernel(a, b, c)"].median * 1e6
    report.claims.append(Claim("call with three small arrays in us", microseconds, 0.6, at_least=False))
