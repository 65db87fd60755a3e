"""What is paid before a kernel runs: importing, building, calling."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import Claim, Report, interleaved, table
from matmul import definition, tiled

import polysched as ps

_STAGES = {
    "isl": ("isl",),
    "lowering": (
        "loops",
        "promote_accumulators",
        "separate_full_tiles",
        "vectorize",
        "split_vectors",
        "unroll",
        "simplify",
    ),
    "emitting LLVM IR": ("emit",),
    "LLVM": ("parse", "optimize", "codegen", "link"),
}


def run(report: Report, target: ps.Target) -> None:
    _build(report, target)
    _cached(report)
    _import(report)
    _call(report, target)


def _build(report: Report, target: ps.Target) -> None:
    """The tiled matmul with symbolic sizes, built again and again in a warm process, and once in a fresh one."""
    C = definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    schedule = tiled(C, target)
    measured = interleaved("build", {"tiled matmul": lambda: tiled(C, target).build(target, cache=False)}, rounds=9)
    kernels = [schedule.build(target, cache=False) for _ in range(9)]
    print("building the tiled matmul with symbolic sizes")
    print(table(measured, "tiled matmul"))
    for stage, names in _STAGES.items():
        print(f"  {stage:28s} {statistics.median(sum(k.timings[n] for n in names) for k in kernels):10.4f} ms")
    report.measurements += measured.values()
    report.claims.append(
        Claim("build of the tiled matmul in ms", measured["tiled matmul"].median * 1e3, 150, at_least=False)
    )


_CACHED = """
import sys, time
sys.path.insert(0, sys.argv[1])
import matmul
import polysched as ps
target = ps.Target("native", threads=1)
C = matmul.definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
schedule, build = matmul.tiled(C, target), ps.build
wall, used = time.perf_counter(), time.process_time()
kernel = build(schedule)
print(time.perf_counter() - wall, time.process_time() - used, "cache" in kernel.timings)
"""


def _cached(report: Report) -> None:
    """The same kernel in new processes, which find it in a cache that the first of them has filled."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-c", _CACHED, str(Path(__file__).parent)]
        environment = {**os.environ, "POLYSCHED_CACHE": "1", "POLYSCHED_CACHE_DIR": directory}
        runs = [subprocess.check_output(command, env=environment, text=True).split() for _ in range(16)]
    assert [found for _, _, found in runs] == ["False", *["True"] * 15]
    wall, used = (statistics.median(float(run[k]) for run in runs[1:]) * 1e3 for k in (0, 1))
    print("building it in a new process, from the cache (medians of 15; the first built it)")
    print(f"  {'elapsed':28s} {wall:10.4f} ms\n  {'processor time':28s} {used:10.4f} ms")
    report.claims.append(Claim("build from the cache in a new process in ms", wall, 10, at_least=False))


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
