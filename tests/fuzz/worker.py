"""Runs cases: `python worker.py first count` prints one line a case, `python worker.py --shrink seed` a reproducer.

Lines are "begin seed", then "ok seed", "skip seed" or "fail seed: why"; a crash leaves a "begin" without an end.
"""

from __future__ import annotations

import os
import sys
import traceback

os.environ.setdefault("POLYSCHED_NUM_THREADS", "2")
from random_cases import Case, make_case, run
from shrink import shrunk
from watchdog import rest, watch


def verdict(case: Case) -> str | None:
    """What is wrong with a case; an exception that no command or call should raise is wrong, too."""
    try:
        return run(case)
    except Exception as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"


def main(arguments: list[str]) -> None:
    if arguments[0] == "--shrink":
        case = make_case(int(arguments[1]))
        assert case is not None
        print(shrunk(case, verdict).text())
        return
    first, count = map(int, arguments)
    for seed in range(first, first + count):
        print(f"begin {seed}", flush=True)
        watch()
        try:
            case = make_case(seed)
        except Exception:
            print(f"fail {seed}: {traceback.format_exc()}", flush=True)
            continue
        why = None if case is None else verdict(case)
        rest()
        if why is not None:
            print(f"fail {seed}: {why.splitlines()[0]}", flush=True)
        else:
            print(f"{'skip' if case is None else 'ok'} {seed}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
