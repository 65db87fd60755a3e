"""What is paid before a kernel runs: importing, building, calling."""

from __future__ import annotations

import statistics
import subprocess
import sys

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
    _import(report)
    _call(report, target)


def _build(report: Report, target: ps.Target) -> None:
    """The tiled matmul with symbolic sizes, built again and again in a warm process, and once in a fresh one."""
    C = definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    schedule = tiled(C, target)
    measured = interleaved("build", {"tiled matmul": lambda: tiled(C, target).build(target)}, rounds=9)
    kernels = [schedule.build(target) for _ in range(9)]
    print("building the tiled matmul with symbolic sizes")
    print(table(measured, "tiled matmul"))
    for stage, names in _STAGES.items():
        print(f"  {stage:28s} {statistics.median(sum(k.timings[n] for n in names) for k in kernels):10.4f} ms")
    report.measurements += measured.values()
    report.claims.append(
        Claim("build of the tiled matmul in ms", measured["tiled matmul"].median * 1e3, 150, at_least=False)
    )


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
