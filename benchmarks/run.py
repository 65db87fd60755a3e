"""Run all benchmarks (`make bench`): tables, claims, and results/latest.json in Google Benchmark's format."""

from __future__ import annotations

import os

# Peers choose their own code for this processor, and run on one thread unless a benchmark says otherwise.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
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
from harness import Report

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
        "claims": [{"text": c.text, "value": c.value, "bound": c.bound, "met": c.met} for c in report.claims],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="benchmarks to run; all by default")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "latest.json")
    options = parser.parse_args()
    target, report = ps.Target("native", threads=1), Report()
    for name in options.names or BENCHMARKS:
        BENCHMARKS[name](report, target)
        print()
    print("\n".join(map(str, report.claims)))
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(as_google_benchmark(report, target), indent=1))


if __name__ == "__main__":
    main()
