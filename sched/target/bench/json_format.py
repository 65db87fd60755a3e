"""Results as Google Benchmark's JSON, and back.

Every sample is a benchmark of run_type "iteration", as with --benchmark_repetitions, so that its tools (compare.py) and
whatever reads its files can read ours. Further keys: the context has the machine, the versions, the measured peaks, and
each schedule's text with its SHA-256, so that a result can be produced again from its file; a benchmark has the sizes,
what was checked, and the work.

A file is data: read within a limit, and checked key by key before anything is believed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...errors import ArgumentError
from ..benchmark import Benchmark
from .results import Results, Row

MAX_FILE = 64 << 20
_MOST_BENCHMARKS = 1_000_000
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file of results: the samples of each benchmark by name, and its context."""

    path: str
    benchmarks: Mapping[str, Benchmark]
    context: Mapping[str, Any]


def json_text(results: Results) -> str:
    """The run as JSON."""
    context = dict(results.context)
    context["workload"] = results.workload
    context["schedules"] = {
        name: {"hash": d.hash, "text": d.text, "rounding": d.rounding, "build_ms": dict(d.timings)}
        for name, d in results.schedules.items()
    }
    context["peaks"] = [
        {"threads": p.threads, "operations": p.operations, "bandwidth": p.bandwidth} for p in results.peaks.values()
    ]
    benchmarks: list[dict[str, Any]] = []
    for family, row in enumerate(results.rows):
        if row.benchmark is not None:
            benchmarks += _entries(results, row, row.benchmark, family)
        else:
            benchmarks.append({**_head(row, family), "error_occurred": True, "error_message": row.failure})
    return json.dumps({"context": context, "benchmarks": benchmarks}, indent=1, allow_nan=False) + "\n"


def _head(row: Row, family: int) -> dict[str, Any]:
    name = f"{row.title}"
    return {"name": name, "family_index": family, "per_family_instance_index": 0, "run_name": name}


def _entries(results: Results, row: Row, benchmark: Benchmark, family: int) -> list[dict[str, Any]]:
    head = {**_head(row, family), "repetitions": len(benchmark.samples), "threads": row.threads}
    about = {
        "schedule_hash": results.schedules[row.name].hash if row.name in results.schedules else None,
        "sizes": dict(row.sizes),
        "cache": row.cache,
        "checked": row.checked.words if row.checked is not None else None,
        "flops": row.work.flops,
        "operations": row.work.operations,
        "bytes": row.work.bytes,
        "warnings": list(row.warnings),
        **row.events,
    }
    common = {"time_unit": "ns", **about}
    entries = [
        {
            **head, "run_type": "iteration", "repetition_index": k, "iterations": benchmark.calls,
            "real_time": seconds * 1e9, "cpu_time": seconds * 1e9, **common,
            "bytes_per_second": row.work.bytes / seconds, "items_per_second": row.work.operations / seconds,
        }
        for k, seconds in enumerate(benchmark.samples)
    ]  # fmt: skip
    mean = sum(benchmark.samples) / len(benchmark.samples)
    deviation = math.sqrt(sum((s - mean) ** 2 for s in benchmark.samples) / max(1, len(benchmark.samples) - 1))
    for kind, value in (("mean", mean), ("median", benchmark.median), ("stddev", deviation)):
        entries.append(
            {
                **head, "name": f"{row.title}_{kind}", "run_type": "aggregate", "aggregate_name": kind,
                "aggregate_unit": "time", "iterations": len(benchmark.samples),
                "real_time": value * 1e9, "cpu_time": value * 1e9, **common,
            }
        )  # fmt: skip
    return entries


def read_json(path: str | Path) -> Recorded:
    """The samples in a file of ours, or of Google Benchmark's.

    Raises `ArgumentError`, with the entry, where the file is not of the format.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        _refuse(path, f"it is longer than {MAX_FILE >> 20} MB")
    try:
        parsed = json.loads(data, parse_constant=lambda name: _refuse(path, f"{name} is no number of JSON"))
    except (ValueError, RecursionError) as error:
        _refuse(path, f"it is no JSON ({error})")
    if not isinstance(parsed, dict) or not isinstance(parsed.get("benchmarks"), list):
        _refuse(path, 'it has no list "benchmarks"')
    context = parsed.get("context", {})
    if not isinstance(context, dict):
        _refuse(path, '"context" is no object')
    if len(parsed["benchmarks"]) > _MOST_BENCHMARKS:
        _refuse(path, f"it has more than {_MOST_BENCHMARKS} benchmarks")
    samples: dict[str, list[float]] = {}
    calls: dict[str, int] = {}
    for number, entry in enumerate(parsed["benchmarks"]):
        found = _sample(path, number, entry)
        if found is not None:
            name, seconds, iterations = found
            samples.setdefault(name, []).append(seconds)
            calls[name] = iterations
    return Recorded(str(path), {n: Benchmark(tuple(v), calls[n]) for n, v in samples.items()}, context)


def _sample(path: str | Path, number: int, entry: Any) -> tuple[str, float, int] | None:
    """Name, seconds and iterations of an entry; None for aggregates and failures."""
    where = f'entry {number} of "benchmarks"'
    if not isinstance(entry, dict):
        _refuse(path, f"{where} is no object")
    if entry.get("run_type", "iteration") != "iteration" or entry.get("error_occurred"):
        return None
    name = entry.get("run_name", entry.get("name"))
    value, unit, iterations = entry.get("real_time"), entry.get("time_unit", "ns"), entry.get("iterations", 1)
    if not isinstance(name, str) or not name or len(name) > 10_000:
        _refuse(path, f"{where} has no name")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e300:
        _refuse(path, f"{where} has no positive real_time")
    if not isinstance(unit, str) or unit not in _UNITS:
        _refuse(path, f"{where} has no time_unit of {', '.join(_UNITS)}")
    if isinstance(iterations, bool) or not isinstance(iterations, int) or not 0 < iterations < 1 << 63:
        _refuse(path, f"{where} has no positive number of iterations")
    return name, value * _UNITS[unit], iterations


def _refuse(path: str | Path, why: str) -> NoReturn:
    raise ArgumentError(f"{path} is no file of benchmark results: {why}")
