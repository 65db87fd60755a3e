"""The workloads that come with polysched are right under all their schedules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polysched.target.bench.files import load_workload

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = sorted((ROOT / "benchmarks" / "workloads").glob("*.py"))


def test_there_are_workloads() -> None:
    assert {file.stem for file in WORKLOADS} >= {"matmul", "blur", "softmax", "conv", "jacobi"}


def test_the_workload_of_the_manual(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    file = tmp_path / "scale.py"
    file.write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    workload = load_workload(file)
    results = workload.benchmark(
        sizes=[{"n": 9, "m": 33}], parameters={"lanes": [8, 16]}, peers=["numpy", "numexpr"], seconds=0.001, peaks=False
    )
    assert results.right and [row.name for row in results.rows][:3] == [
        "default",
        "vectors(lanes=8)",
        "vectors(lanes=16)",
    ]


@pytest.mark.parametrize("file", WORKLOADS, ids=lambda file: file.stem)
def test_workload(file: Path) -> None:
    workload = load_workload(file)
    sizes = {name: min(value, 18 + k) for k, (name, value) in enumerate(workload.sizes.items())}
    results = workload.benchmark(sizes=[sizes], peers=["numpy"], threads=[1], seconds=0.001, peaks=False)
    assert results.right
    assert all(row.benchmark is not None for row in results.rows), [row.failure for row in results.rows]
    assert len(results.rows) >= 4
    assert all(row.checked.words.startswith(("within", "=")) for row in results.rows if row.kind == "peer")


@pytest.mark.parametrize("file", WORKLOADS, ids=lambda file: file.stem)
def test_peers_are_right_where_they_are_installed(file: Path) -> None:
    workload = load_workload(file)
    sizes = {name: min(value, 21 + k) for k, (name, value) in enumerate(workload.sizes.items())}
    assert {"torch", "halide", "numba"} <= set(workload.peers)
    results = workload.benchmark("default", sizes=[sizes], peers=list(workload.peers), seconds=0.001, peaks=False)
    for row in results.rows:
        assert (row.checked is not None and row.checked.right) or row.failure.startswith("not installed"), row
