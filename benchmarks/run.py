"""Run all benchmarks (`make bench`): tables, claims, and results/latest.json in Google Benchmark's format.

What has peers with threads is measured on one thread and on all, each in a process of its own, as some peers settle how
many threads they have when they are loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import builds
import convolution
import dynamic
import elementwise
import functions
import gemm
import images
import matmul
import numpy as np
import overhead
import rowwise
import stencils
import sweeps
from harness import Claim, Report

import polysched as ps

BENCHMARKS = {
    "matmul": matmul.run,
    "elementwise": elementwise.run,
    "functions": functions.run,
    "gemm": gemm.run,
    "overhead": overhead.run,
    "builds": builds.run,
    "rowwise": rowwise.run,
    "images": images.run,
    "dynamic": dynamic.run,
    "convolution": convolution.run,
    "stencils": stencils.run,
    "sweeps": sweeps.run,
}
THREADED = ("gemm", "rowwise", "images", "convolution")  # with peers on all threads as well
HERE = "POLYSCHED_BENCH_THREADS"  # set in the process that measures


def environment(threads: int) -> dict[str, str]:
    """That of a process whose peers have so many threads; they choose their own code for this processor."""
    found = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    return found | {name: str(threads) for name in (HERE, "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "HL_NUM_THREADS")}


def as_google_benchmark(report: Report, target: ps.Target) -> dict[str, object]:
    """The report in the JSON format of Google Benchmark."""
    return {
        "context": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "num_cpus": os.cpu_count(),
            "cpu": target.cpu,
            "vector_bits": target.vector_bits,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "library_version": ps.__version__,
        },
        "benchmarks": [
            {
                "name": f"{m.benchmark}/{m.contender}",
                "run_type": "aggregate",
                "aggregate_name": "median",
                "iterations": len(m.seconds),
                "real_time": m.median * 1e9,
                "time_unit": "ns",
                "spread": m.spread,
                **({f"{m.unit}_per_second": m.rate} if m.work else {}),
            }
            for m in report.measurements
        ],
        "claims": [{**asdict(claim), "met": claim.met} for claim in report.claims],
    }


def measure(names: list[str], threads: int, file: Path) -> None:
    """In this process."""
    target, report = ps.Target("native", threads=threads), Report()
    for name in names:
        BENCHMARKS[name](report, target)
        print(flush=True)
    file.write_text(json.dumps(as_google_benchmark(report, target), indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="benchmarks to run; all by default")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "latest.json")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads; 1 and all by default")
    options = parser.parse_args()
    names = options.names or list(BENCHMARKS)
    if HERE in os.environ:
        measure(names, int(os.environ[HERE]), options.json)
        return
    options.json.parent.mkdir(exist_ok=True)
    runs = []
    for threads in options.threads or sorted({1, os.cpu_count() or 1}):
        chosen = [name for name in names if threads == 1 or name in THREADED]
        if chosen:
            command = [sys.executable, __file__, *chosen, "--json", str(options.json)]
            subprocess.run(command, env=environment(threads), check=True)
            runs.append(json.loads(options.json.read_text()))
    whole = {"context": runs[0]["context"]}
    for key in ("benchmarks", "claims"):
        whole[key] = [entry for run in runs for entry in run[key]]
    print("\n".join(str(Claim(**{k: v for k, v in claim.items() if k != "met"})) for claim in whole["claims"]))
    options.json.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
