"""The pieces of a long run that are finished, a line of JSON each, so that an interrupted run can go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / ".fuzz" / "pieces.jsonl"


@dataclass(frozen=True, slots=True)
class Note:
    """What came of `count` cases from seed `begin`; `counts` is by a row and a column, such as "tile refused"."""

    attack: str
    begin: int
    count: int
    passed: bool
    counts: dict[str, int]

    @property
    def key(self) -> tuple[int, int]:
        return self.begin, self.count

    @staticmethod
    def counts_of(text: str) -> dict[str, int]:
        """The tally that a test left: an object of whole numbers."""
        counts = json.loads(text)
        if not isinstance(counts, dict) or not all(type(n) is int for n in counts.values()):
            raise ValueError(f"no tally: {text[:80]!r}")
        return counts


def code_hash() -> str:
    """Of all that decides the outcome of a case: the package and the tests."""
    digest = hashlib.sha256()
    for room in ("sched", "tests"):
        for file in sorted((ROOT / room).rglob("*.py")):
            digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def noted(code: str, note: Note) -> None:
    """Append a note. A process that is killed in the middle leaves a line that `read_notes` passes over."""
    NOTES.parent.mkdir(exist_ok=True)
    line = json.dumps([code, note.attack, note.begin, note.count, note.passed, note.counts])
    with NOTES.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_notes(code: str) -> Iterator[Note]:
    """The notes of runs on this code. Lines that are damaged count for nothing: their pieces are run again."""
    if not NOTES.exists():
        return
    for line in NOTES.read_text(encoding="utf-8").splitlines():
        try:
            version, attack, begin, count, passed, counts = json.loads(line)
            counts = Note.counts_of(json.dumps(counts))
        except (ValueError, TypeError):
            continue
        if version == code and type(begin) is int and type(count) is int and passed in (True, False):
            yield Note(str(attack), begin, count, bool(passed), counts)
