"""Long runs of the seeded attacks, piece by piece: progress, a table, and where to go on after an interruption.

    python -m tests.campaign.run [attack ...] [--cases N] [--first SEED] [--jobs N] [--fresh]

Each piece is a process of its own, because islpy keeps memory for good (about 65 KB a case). Finished pieces are noted
in .fuzz/, under a hash of the code that they ran on: a run that was interrupted goes on where it ended, and a run on
other code begins anew. A failure is printed with its seed and its smallest case, and the other pieces go on.
The exit status is 1 if a piece failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from .notes import NOTES, Note, code_hash, noted, read_notes

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Attack:
    """Tests that take their first seed and number of cases from the environment, with what else they find there, and
    how many `make fuzz` runs."""

    name: str
    path: str
    cases: int
    piece: int
    given: tuple[tuple[str, str], ...] = ()


ATTACKS = (
    Attack("verdicts", "tests/oracle/test_verdicts.py", 100_000, 1000),
    Attack("recurrences", "tests/recurrences/test_verdicts.py", 5_000, 200),
    Attack("vectors", "tests/recurrences/test_kernels.py", 10_000, 500),
    Attack("sequences", "tests/recurrences/test_sequences.py", 5_000, 200),
    Attack("texts", "tests/schedule/test_mutated_text.py", 100_000, 5000),
    Attack("kernels", "tests/fuzz", 5_000, 500),
    Attack("integers", "tests/fuzz", 5_000, 500, (("POLYSCHED_FUZZ_INTEGERS", "1"),)),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", help=f"of {', '.join(a.name for a in ATTACKS)}; all by default")
    parser.add_argument("--cases", type=int, help="of each attack; by default what ATTACKS says")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="pieces at a time")
    parser.add_argument("--fresh", action="store_true", help="forget the pieces that were run before")
    options = parser.parse_args()
    unknown = set(options.attacks) - {attack.name for attack in ATTACKS}
    if unknown:
        parser.error(f"no attack is called {', '.join(sorted(unknown))}: there are {[a.name for a in ATTACKS]}")
    if options.fresh:
        NOTES.unlink(missing_ok=True)
    chosen = [attack for attack in ATTACKS if not options.attacks or attack.name in options.attacks]
    outcomes = [run(replace(a, cases=options.cases or a.cases), options.first, options.jobs) for a in chosen]
    return 0 if all(outcomes) else 1


def run(attack: Attack, first: int, jobs: int) -> bool:
    """Whether all pieces passed."""
    code, end = code_hash(), first + attack.cases
    done = {note.key: note for note in read_notes(code) if note.attack == attack.name}
    pieces = [(begin, min(attack.piece, end - begin)) for begin in range(first, end, attack.piece)]
    left = [piece for piece in pieces if piece not in done]
    kept = sum(count for begin, count in pieces if (begin, count) in done)
    print(f"{attack.name}: {attack.cases} cases from seed {first}; {kept} were run before", flush=True)
    started, finished = time.monotonic(), 0
    with ThreadPoolExecutor(jobs) as pool:
        for task in as_completed(pool.submit(piece_of, attack, *piece) for piece in left):
            note, output = task.result()
            noted(code, note)
            done[note.key], finished = note, finished + note.count
            if not note.passed:
                print(output, flush=True)
            rate = finished / (time.monotonic() - started)
            ahead = (attack.cases - kept - finished) / rate / 60
            print(f"{attack.name}: {kept + finished} of {attack.cases}, {rate:.1f} a second, {ahead:.0f} min left",
                  flush=True)  # fmt: skip
    return summary(attack, [done[piece] for piece in pieces])


def piece_of(attack: Attack, begin: int, count: int) -> tuple[Note, str]:
    """Run one piece: what came of it, and what the tests printed."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        tally = Path(folder, "tally")
        environment = {
            **os.environ,
            **dict(attack.given),
            "POLYSCHED_FUZZ_CASES": str(count),
            "POLYSCHED_FUZZ_SEED": str(begin),
            "POLYSCHED_FUZZ_TALLY": str(tally),
        }
        flags = ("-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/tmp")
        command = [sys.executable, "-m", "pytest", *flags, attack.path]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        counts = Note.counts_of(tally.read_text(encoding="utf-8")) if tally.exists() else {}
    note = Note(attack.name, begin, count, ended.returncode == 0, counts)
    return note, ended.stdout + ended.stderr


def summary(attack: Attack, notes: list[Note]) -> bool:
    """Print the table of an attack; whether all of its pieces passed."""
    total: Counter[str] = Counter()
    for note in notes:
        total.update(note.counts)
    failed = [note for note in notes if not note.passed]
    print(f"\n{attack.name}: {sum(note.count for note in notes)} cases, {len(failed)} of {len(notes)} pieces failed")
    for note in failed:
        given = (*attack.given, ("POLYSCHED_FUZZ_SEED", note.begin), ("POLYSCHED_FUZZ_CASES", note.count))
        print(f"  failed: {' '.join(f'{name}={value}' for name, value in given)} pytest {attack.path}")
    if total:
        columns = sorted({key.partition(" ")[2] for key in total})
        print(f"{'':16}" + "".join(f"{column:>12}" for column in columns))
        for row in sorted({key.partition(" ")[0] for key in total}):
            print(f"{row:16}" + "".join(f"{total[f'{row} {column}']:>12}" for column in columns))
    print(flush=True)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
