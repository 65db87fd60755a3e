"""The checker's verdicts against the oracle's, both ways, over random definitions and commands.

POLYSCHED_FUZZ_CASES and POLYSCHED_FUZZ_SEED say how many cases (2,000), and from which seed on; the table of verdicts
goes into the file POLYSCHED_FUZZ_TALLY. `make fuzz` runs 100,000 in pieces: tests/campaign.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from .cases import WORDS, Tally, run_case

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "2000"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))


def test_verdicts_are_the_oracles() -> None:
    tally = Tally()
    for seed in range(FIRST, FIRST + CASES):
        run_case(seed, tally)
    print(tally)
    if "POLYSCHED_FUZZ_TALLY" in os.environ:
        counts = {" ".join(key): count for key, count in tally.verdicts.items()}
        Path(os.environ["POLYSCHED_FUZZ_TALLY"]).write_text(json.dumps(counts), encoding="utf-8")
    if CASES >= 1000:
        # A generator that makes no illegal commands, or no legal ones, would prove nothing.
        for word in ("reorder", "parallel", "vectorize", "reverse", "tile"):
            assert tally.verdicts[word, "refused"] >= CASES // 500, f"{word} is hardly ever illegal\n{tally}"
        for word in set(WORDS):
            assert tally.verdicts[word, "accepted"] >= CASES // 250, f"{word} is hardly ever legal\n{tally}"
        undecided = sum(count for (_, verdict), count in tally.verdicts.items() if verdict == "undecided")
        assert undecided <= sum(tally.verdicts.values()) // 100, f"too much is left undecided\n{tally}"
