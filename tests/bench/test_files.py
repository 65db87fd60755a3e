"""Files of results: Google Benchmark's JSON there and back, strictly read; CSV; comparisons."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.target.bench.compare import bootstrap_ratio, compare, mann_whitney
from polysched.target.bench.json_format import Recorded, read_json
from polysched.target.bench.results import Results
from polysched.target.benchmark import Benchmark


def test_json_is_google_benchmarks(results: Results) -> None:
    document = json.loads(results.to_json())
    assert set(document) == {"context", "benchmarks"}
    first = document["benchmarks"][0]
    assert first["name"] == first["run_name"] == "default/n:8/threads:1/warm"
    assert first["run_type"] == "iteration" and first["repetitions"] == 12
    assert first["time_unit"] == "ns" and first["real_time"] == pytest.approx(4e6)
    aggregates = [b for b in document["benchmarks"] if b.get("run_type") == "aggregate"]
    assert {b["aggregate_name"] for b in aggregates} == {"mean", "median", "stddev"}
    (failed,) = [b for b in document["benchmarks"] if b.get("error_occurred")]
    assert failed["error_message"] == "not installed: torch"
    schedule = document["context"]["schedules"]["fast<b>"]
    assert schedule["text"].endswith("B.split()\n") and len(schedule["hash"]) == 64
    assert first["schedule_hash"] == document["context"]["schedules"]["default"]["hash"]


def test_json_there_and_back(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(results.to_json())
    recorded = read_json(file)
    measured = [row for row in results.rows if row.benchmark is not None]
    assert list(recorded.benchmarks) == [row.title for row in measured]
    for row in measured:
        assert recorded.benchmarks[row.title].samples == pytest.approx(row.benchmark.samples)
        assert recorded.benchmarks[row.title].calls == row.benchmark.calls


ENTRY = {"name": "a", "real_time": 1.0, "iterations": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "no JSON"),
        ("{", "no JSON"),
        ("[]", 'no list "benchmarks"'),
        ('{"benchmarks": 3}', 'no list "benchmarks"'),
        ('{"benchmarks": [], "context": []}', '"context" is no object'),
        ('{"benchmarks": [NaN]}', "NaN is no number"),
        ('{"benchmarks": [4]}', "entry 0 .* is no object"),
        *(
            (json.dumps({"benchmarks": [ENTRY, {**ENTRY, **change}]}), "entry 1 .*" + why)
            for change, why in (
                ({"name": 3}, "no name"),
                ({"name": "a" * 20_000}, "no name"),
                ({"real_time": "1"}, "positive real_time"),
                ({"real_time": True}, "positive real_time"),
                ({"real_time": -1}, "positive real_time"),
                ({"real_time": 10**400}, "positive real_time"),
                ({"time_unit": "h"}, "time_unit"),
                ({"time_unit": [1]}, "time_unit"),
                ({"iterations": 0}, "iterations"),
                ({"iterations": 1.5}, "iterations"),
            )
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(ps.ArgumentError, match=why):
        read_json(file)


def test_mutated_files_are_read_or_refused(results: Results, tmp_path: Path) -> None:
    rng, text = np.random.default_rng(0), bytearray(results.to_json().encode())
    file = tmp_path / "a.json"
    pieces = [b"{", b"}", b"[", b"null", b'"', b",", b"-1", b"1e999", b"\\u0000", b"\xff", b"true"]
    refused = 0
    for _ in range(300):
        mutated = bytearray(text)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, len(mutated)))
            mutated[at : at + int(rng.integers(0, 9))] = pieces[int(rng.integers(0, len(pieces)))]
        file.write_bytes(mutated)
        try:
            read_json(file)
        except ps.ArgumentError:
            refused += 1
    assert refused > 100


def test_absent_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ps.ArgumentError, match="cannot be read"):
        read_json(tmp_path / "absent.json")
    monkeypatch.setattr("polysched.target.bench.json_format.MAX_FILE", 10)
    (tmp_path / "a.json").write_text(json.dumps({"benchmarks": [ENTRY]}))
    with pytest.raises(ps.ArgumentError, match="longer than"):
        read_json(tmp_path / "a.json")


def test_csv(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(results.to_csv())))
    assert [row["name"] for row in rows] == [row.name for row in results.rows]
    assert rows[0]["n"] == "8" and float(rows[0]["median_s"]) == 4e-3 and rows[0]["noisy"] == "0"
    assert float(rows[2]["speedup"]) == pytest.approx(4.0, rel=1e-3) and rows[3]["noisy"] == "1"
    assert rows[5]["median_s"] == "" and rows[5]["failure"] == "not installed: torch"


def recorded(context: dict[str, Any] | None = None, **benchmarks: Any) -> Recorded:
    return Recorded("f", {name: Benchmark(tuple(samples)) for name, samples in benchmarks.items()}, context or {})


def test_verdicts() -> None:
    rng = np.random.default_rng(0)
    base, wide = 1.0 + 0.01 * rng.random(30), 1.0 + 0.8 * rng.random(7)
    before = recorded(a=base, b=base, c=base, d=base, e=wide, gone=base)
    after = recorded(a=1.3 * base, b=base / 1.3, c=base, d=1.02 * base, e=wide[::-1] * 1.02, new=base)
    compared = compare(before, after, threshold=0.05)
    assert [c.verdict for c in compared.comparisons] == ["slower", "faster", "same", "same", "unclear"]
    assert [c.name for c in compared.regressions] == ["a"]
    assert compared.only_first == ("gone",) and compared.only_second == ("new",)
    low, high = compared.comparisons[0].interval
    assert low < 1.3 < high and high - low < 0.02


def test_differences_of_contexts() -> None:
    first = {"cpu": "x", "schedules": {"a": {"hash": "1"}, "b": {"hash": "2"}}}
    second = {"cpu": "y", "schedules": {"a": {"hash": "1"}, "b": {"hash": "3"}, "c": 4}}
    found = compare(recorded(first, a=[1.0]), recorded(second, a=[1.0])).differences
    assert found == ("cpu: x and y", "the schedule b is another one")


def test_mann_whitney_is_the_exact_distribution() -> None:
    """Against the U of all assignments of ranks, for samples without ties."""
    from itertools import combinations

    values = np.arange(12.0)
    for chosen in ((0, 1, 2, 3, 4, 5), (0, 2, 4, 6, 8, 10), (0, 1, 2, 3, 4, 11)):
        u = abs(sum(chosen) - 33)
        exact = np.mean([abs(sum(other) - 33) >= u for other in combinations(range(12), 6)])
        rest = [k for k in range(12) if k not in chosen]
        assert mann_whitney(values[list(chosen)], values[rest]) == pytest.approx(exact, abs=0.02)
    assert mann_whitney([1.0] * 5, [1.0] * 5) == 1.0
    assert mann_whitney([1.0], [2.0]) > 0.3


def test_the_ratios_interval_covers_it() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        low, high = bootstrap_ratio(rng.exponential(1.0, 40), 2 * rng.exponential(1.0, 40), seed)
        covered += low <= 2 <= high
    assert covered >= 88
