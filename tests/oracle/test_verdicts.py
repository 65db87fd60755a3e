"""The checker's verdicts against the oracle's, both ways, over random definitions and commands.

make test                                          1,000 cases
POLYSCHED_FUZZ_CASES=100000 pytest -s tests/oracle that many, with progress
POLYSCHED_FUZZ_SEED=41000                          go on at a seed, or repeat one
"""

from __future__ import annotations

import os
import sys
import time

from .cases import WORDS, Tally, run_case

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "2000"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))


def test_verdicts_are_the_oracles() -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(FIRST, FIRST + CASES):
        run_case(seed, tally)
        if (seed + 1 - FIRST) % 1000 == 0:
            rate = tally.cases / (time.monotonic() - begin)
            print(f"seed {seed}: {tally.cases} cases, {rate:.0f} a second", file=sys.stderr, flush=True)
    print(tally)
    if CASES >= 1000:
        # A generator that makes no illegal commands, or no legal ones, would prove nothing.
        for word in ("reorder", "parallel", "vectorize", "reverse", "tile"):
            assert tally.verdicts[word, "refused"] >= CASES // 250, f"{word} is hardly ever illegal\n{tally}"
        for word in set(WORDS):
            assert tally.verdicts[word, "accepted"] >= CASES // 250, f"{word} is hardly ever legal\n{tally}"
        undecided = sum(count for (_, verdict), count in tally.verdicts.items() if verdict == "undecided")
        assert undecided <= sum(tally.verdicts.values()) // 100, f"too much is left undecided\n{tally}"
