"""Random definition, random legal schedule, random sizes: the default schedule's bits, the reference's values.

Cases run in a child process, between guard pages, so that one that crashes is reported with its seed like any other.
POLYSCHED_FUZZ_CASES is how many; POLYSCHED_FUZZ_SEED the first one, 0 by default. The batches of one run are shared
by two files of tests, so that two workers take them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "1000"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))
BATCH = 100
SHOWN = 3
WORKER = Path(__file__).with_name("worker.py")
BATCHES = range(FIRST, FIRST + CASES, BATCH)  # their first seeds


def check_batch(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    """All cases of the batch pass; the first of those that fail are shown as small as they can be."""
    failures = list(_failures(first, min(BATCH, FIRST + CASES - first)))
    if CASES > 1000:
        with capsys.disabled():
            print(f"\nseeds {first}..{first + BATCH - 1}: {len(failures)} failed", flush=True)
    reports = [f"seed {seed}: {why}" for seed, why in failures]
    for seed, _ in failures[:SHOWN]:
        reports.append(f"smallest like seed {seed}:\n\n{_shrunk(seed)}\n")
    assert not failures, "\n".join(reports)


def _failures(first: int, count: int) -> Iterator[tuple[int, str]]:
    """The seeds that failed, each with a line that says how; a crash ends the worker, and another goes on after it."""
    end = first + count
    while first < end:
        worker = subprocess.run(
            [sys.executable, str(WORKER), str(first), str(end - first)], capture_output=True, text=True, check=False
        )
        last = None
        for line in worker.stdout.splitlines():
            if line.startswith("begin "):
                last = int(line.removeprefix("begin "))
            elif line.startswith("fail "):
                seed, why = line.removeprefix("fail ").split(": ", 1)
                yield int(seed), why
            if line.startswith(("ok ", "skip ", "fail ")):
                first = int(line.split(" ")[1].rstrip(":")) + 1
        if first < end:
            assert last == first, f"the worker did not start:\n{worker.stderr}"
            yield first, f"the process ended with {worker.returncode}:\n{worker.stderr[-2000:]}"
            first += 1


def _shrunk(seed: int) -> str:
    shrinker = subprocess.run(
        [sys.executable, str(WORKER), "--shrink", str(seed)], capture_output=True, text=True, check=False, timeout=300
    )
    return shrinker.stdout or shrinker.stderr
