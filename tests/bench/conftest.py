"""Workloads and results that the tests of the bench share."""

from __future__ import annotations

from pathlib import Path

import pytest

from polysched.target.bench.counting import Work
from polysched.target.bench.peaks import Peaks
from polysched.target.bench.results import Checked, Described, Results, Row
from polysched.target.benchmark import Benchmark

WORKLOAD = """
import numpy as np
import polysched as ps

@ps.Workload
def product(n=20, m=19, k=18):
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")

@product.reference
def reference(A, B):
    return A @ B

@product.schedule
def tiled(s, mr=3, nr=8):
    i_o, j_o, i_i, j_i = s["C"].tile("i", "j", mr, nr)
    s["C"].reorder(i_o, j_o, "r", i_i, j_i)
    s["C"].unroll(i_i)
    s["C"].vectorize(j_i)

@product.schedule
def threads(s):
    s["C"].parallel("i")

@product.schedule
def illegal(s):
    s["C"].reverse("r")

@product.peer
def absent(A, B):
    import polysched_has_no_such_peer

@product.peer
def einsum(A, B, threads):
    assert threads >= 1
    return lambda: np.einsum("ir,rj->ij", A, B)

@product.peer
def wrong(A, B):
    return lambda: A @ B + 1

@product.peer
def broken(A, B):
    return lambda: np.dot(A, A)
"""
SCHEDULE = """# polysched schedule, version 1
C.split("j", 8, outer="j_o", inner="j_i")
C.vectorize("j_i")
"""


@pytest.fixture
def workload_file(tmp_path: Path) -> Path:
    """product.py, with a schedule in a file beside it."""
    file = tmp_path / "product.py"
    file.write_text(WORKLOAD, encoding="utf-8")
    (tmp_path / "product.saved.sched").write_text(SCHEDULE, encoding="utf-8")
    (tmp_path / "other.saved.sched").write_text(SCHEDULE, encoding="utf-8")
    return file


@pytest.fixture
def results() -> Results:
    """Made-up results with names that must be escaped, one noisy row, one failed row, two sizes."""
    work = Work(flops=2_000_000, operations=2_000_000, bytes_read=80_000, bytes_written=20_000)
    steady = Benchmark(tuple(1e-3 + k * 1e-9 for k in range(12)), 2)
    noisy = Benchmark(tuple(1e-3 * (1 + k % 4) for k in range(12)), 2)
    right = Checked(True, "same bits")
    rows = [
        Row("default", "schedule", {"n": n}, 1, "warm", work, "float32", right, slow, 10.0)
        for n, slow in ((8, Benchmark(tuple(4e-3 for _ in range(12)))), (16, Benchmark((8e-3,) * 12)))
    ]
    rows += [
        Row("fast<b>", "schedule", {"n": 8}, 1, "warm", work, "float32", right, steady, 20.0, warnings=("P001: <i>",)),
        Row("fast<b>", "schedule", {"n": 16}, 1, "warm", work, "float32", right, noisy, 20.0),
        Row("numpy", "peer", {"n": 8}, 2, "warm", work, "float32", right, steady, events={"cycles": 5e6}),
        Row("torch", "peer", {"n": 8}, 2, "warm", work, "float32", failure="not installed: torch"),
    ]
    peaks = {
        t: Peaks(t, {"float32": 10e9 * t}, {"L1": 40e9, "L2": 30e9, "L3": 20e9, "memory": 0.05e9 * t}, {"L1": 1000})
        for t in (1, 2)
    }
    schedules = {
        "default": Described(
            "# polysched schedule, version 1\n", "B: float32[n]\n    for i in 0..n:\n        B[i] = 1"
        ),
        "fast<b>": Described("# polysched schedule, version 1\nB.split()\n", "B: <b>\n    for i in 0..n:"),
    }
    context = {"cpu": "a <cpu>", "num_cpus": 2, "load_avg": [0.1], "versions": {"llvm": "22"}}
    return Results("scale", tuple(rows), peaks, schedules, context)
