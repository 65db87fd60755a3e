"""Apply each fault of mutants.py to a copy of the package, and see that the tests notice.

    python -m tests.mutants.run [words of names ...] [--jobs N] [--timeout SECONDS] [--own]

A mutant's own test paths run first, and the whole suite where they pass: a fault that only the suite finds is caught,
but listed for a better path. All of these paths must pass for a copy without a fault, or being caught says nothing.
The exit status is 1 if a mutant survives or does not even import, or if that copy fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from .mutant import Mutant
from .mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
# Not the tests of texts about the project: what they start, or what they read, is no copy.
# Nor the mutated texts, of which so few cases as here leave none intact, and that is a failure.
WHOLE = ("tests", *(f"--ignore=tests/{path}" for path in ("mutants", "tutorials", "schedule/test_mutated_text.py")))
CASES = "200"  # of random definitions and schedules
NOT_THE_COPY = 90
# The installed package is found through a .pth file, which comes after PYTHONPATH; that it does is asserted.
LAUNCH = f"""
import sys
try:
    import polysched
except BaseException as error:
    sys.exit(f"does not import: {{error!r}}")
if not polysched.__file__.startswith(sys.argv[1]):
    sys.exit({NOT_THE_COPY})
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of tests ended, in words: the first test that failed. Neither failed nor passed is no answer."""

    how: str
    failed: bool = False
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What caught a mutant, or why nothing did."""

    mutant: Mutant
    caught: bool
    how: str
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants with one of these in their name or file")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one run of tests; beyond, it survives")
    parser.add_argument("--own", action="store_true", help="no more than each mutant's own tests, not the whole suite")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if not options.words or any(w in m.name or w in m.file for w in options.words)]
    if not chosen:
        parser.error("no mutant has such a name or file")

    started = time.monotonic()
    width = max(len(m.name) for m in chosen)
    print(f"{'mutant':{width}}  {'s':>5}  caught by", flush=True)
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        faultless = pool.submit(judge_no_fault, chosen, 4 * options.timeout)
        running = [pool.submit(judge, mutant, options.timeout, options.own) for mutant in chosen]
        for verdict in (done.result() for done in as_completed(running)):
            verdicts.append(verdict)
            mark = "" if verdict.caught else "SURVIVES: "
            print(f"{verdict.mutant.name:{width}}  {verdict.seconds:5.1f}  {mark}{verdict.how}", flush=True)
    survivors = [verdict for verdict in verdicts if not verdict.caught]
    by_room = Counter(verdict.mutant.file.split("/")[0] for verdict in verdicts)
    rooms = ", ".join(f"{count} in {room}" for room, count in by_room.items())
    print(f"\n{len(verdicts) - len(survivors)} of {len(verdicts)} mutants caught ({rooms}), ", end="")
    print(f"{time.monotonic() - started:.0f} s")
    for verdict in survivors:
        print(f"survives: {verdict.mutant.name} in sched/{verdict.mutant.file}: {verdict.mutant.fault}")
    if not faultless.result().passed:
        print(f"void: without any fault, {faultless.result().how}")
    return 0 if faultless.result().passed and not survivors else 1


def judge_no_fault(mutants: list[Mutant], timeout: float) -> Outcome:
    """What the tests of all these mutants say of a plain copy of the package."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        shutil.copytree(ROOT / "sched", Path(folder, "polysched"))
        return run_tests(Path(folder), tuple(dict.fromkeys(test for m in mutants for test in m.tests)), timeout)


def judge(mutant: Mutant, timeout: float, own: bool) -> Verdict:
    """What the tests say of a copy of the package with the fault in it."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        package = Path(folder, "polysched")
        shutil.copytree(ROOT / "sched", package)
        file = package / mutant.file
        file.write_text(mutant.applied(file.read_text(encoding="utf-8")), encoding="utf-8")
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()
        outcome = run_tests(Path(folder), mutant.tests, timeout)
        if not outcome.failed and not own:
            outcome = run_tests(Path(folder), WHOLE, timeout)
            outcome = replace(outcome, how=f"{outcome.how} (not by its own tests)") if outcome.failed else outcome
    return Verdict(mutant, outcome.failed, outcome.how, time.monotonic() - started)


def run_tests(folder: Path, paths: tuple[str, ...], timeout: float) -> Outcome:
    """What the tests say of the package in `folder`."""
    flags = ("-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder / 'tmp'}")
    environment = {**os.environ, "PYTHONPATH": str(folder), "POLYSCHED_FUZZ_CASES": CASES}
    command = [sys.executable, "-c", LAUNCH, str(folder), *flags, *paths]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return Outcome(f"no answer within {timeout:.0f} s")
    failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if failed is not None:
        return Outcome(failed[1], failed=True)
    if done.returncode < 0:
        return Outcome(f"the process ends with signal {-done.returncode}", failed=True)
    if done.returncode == 0:
        return Outcome("all tests pass", passed=True)
    if done.returncode == NOT_THE_COPY:
        raise AssertionError(f"the tests do not import the copy in {folder}")
    return Outcome(f"no test ran: {(done.stderr or done.stdout).strip()[-200:]}")


if __name__ == "__main__":
    sys.exit(main())
