"""A long run goes on where it was interrupted, on the same code only, and trusts no damaged line."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import notes, run
from .notes import Note


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / ".fuzz" / "pieces.jsonl"
    monkeypatch.setattr(notes, "NOTES", path)
    return path


@pytest.mark.usefixtures("book")
def test_notes_of_the_same_code_are_read_again() -> None:
    first, second = Note("verdicts", 0, 1000, True, {"tile refused": 3}), Note("kernels", 500, 500, False, {})
    notes.noted("this", first)
    notes.noted("other", Note("verdicts", 1000, 1000, True, {}))
    notes.noted("this", second)
    assert list(notes.read_notes("this")) == [first, second]


DAMAGED = [
    *("", "[", "{}", "7", '["this", "verdicts", 0, 1000, true]', '["this", "v", 0, 9, 2, {}]'),
    *('["this", "v", 0, 9, true, {"a b": "x"}]', '["this", "v", "0", 9, true, {}]', '["this", "v", 0, 9, true, {}'),
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_counts_for_nothing(book: Path, line: str) -> None:
    whole = Note("texts", 5, 5, True, {})
    notes.noted("this", whole)
    with book.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert list(notes.read_notes("this")) == [whole]


@pytest.mark.usefixtures("book")
def test_a_run_does_the_pieces_that_are_left_and_adds_up_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def piece(attack: run.Attack, begin: int, count: int) -> tuple[Note, str]:
        ran.append((begin, count))
        return Note(attack.name, begin, count, begin != 20, {"tile refused": 2}), "seed 23: wrong"

    monkeypatch.setattr(run, "piece_of", piece)
    notes.noted(notes.code_hash(), Note("mine", 10, 10, True, {"tile refused": 5, "tile accepted": 1}))
    attack = run.Attack("mine", "tests/mine", 25, 10)
    assert not run.run(attack, 0, 1)
    assert sorted(ran) == [(0, 10), (20, 5)]
    printed = capsys.readouterr().out
    assert "25 cases, 1 of 3 pieces failed" in printed
    assert "seed 23: wrong" in printed
    assert "tile                       1           9" in printed
    ran.clear()
    assert not run.run(attack, 0, 1), "a piece that failed is remembered as failed"
    assert not ran


def test_every_attack_is_there() -> None:
    for attack in run.ATTACKS:
        assert (run.ROOT / attack.path).exists()
