"""The list of faults follows the code: each is still there to be made. `make mutants` makes them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .mutant import Mutant
from .mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_fault_can_be_made(mutant: Mutant) -> None:
    text = (ROOT / "sched" / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.original) == 1, "the original occurs exactly once: the code has changed, follow it"
    assert ast.dump(ast.parse(mutant.applied(text))) != ast.dump(ast.parse(text)), "the mutant is other code"
    assert mutant.tests and all((ROOT / test.split("::")[0]).exists() for test in mutant.tests)


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_room_has_faults() -> None:
    assert {mutant.file.split("/")[0] for mutant in MUTANTS} == {
        *("compute", "polyhedral", "schedule", "lower", "target", "bench")
    }
