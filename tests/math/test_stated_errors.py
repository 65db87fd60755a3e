"""The errors that docstrings state are those of docs/math.md, which bound tests, within what was promised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import polysched as ps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "math.md"
# With and without fma: of all float32 numbers, and of some float64 ones.
ALL_INPUTS = re.compile(r"^\| (\w+) \| ([\d.]+) \| `[^`]+` \| ([\d.]+) \| `[^`]+` \|$", re.MULTILINE)
SEARCHED = re.compile(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
OF_TWO = re.compile(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
STATED = re.compile(r"Largest errors? ([\d.]+)(?: and ([\d.]+))? ulp in float32,\s+([\d.]+)(?: and ([\d.]+))?")
ONE_ULP = {"exp", "exp2", "log", "log2", "sin", "cos"}


@pytest.fixture(scope="module")
def tables() -> dict[str, tuple[float, float]]:
    """For each function the largest error in float32, and in float64."""
    text = PAGE.read_text(encoding="utf-8")
    single, double = (
        {name: max(map(float, errors)) for name, *errors in rows.findall(text)} for rows in (ALL_INPUTS, SEARCHED)
    )
    assert single.keys() == double.keys()
    return {name: (error, double[name]) for name, error in single.items()}


def test_tables_are_complete_and_what_tests_allow(lab: Any, tables: dict[str, tuple[float, float]]) -> None:
    """A search finds less than all there is: what is stated is a little more."""
    assert tables.keys() == lab.FUNCTIONS.keys() == lab.BOUNDS.keys()
    for name, stated in lab.BOUNDS.items():
        assert max(stated) <= (1 if name in ONE_ULP else 2), name
        for found, limit in zip(tables[name], stated, strict=True):
            assert found <= limit <= found + 0.05, name


def test_docstrings_state_them(lab: Any) -> None:
    for name, errors in lab.BOUNDS.items():
        which = 2 if name == "gelu_erf" else 1
        stated = STATED.search(getattr(ps, name.removesuffix("_erf")).__doc__ or "")
        assert stated is not None, name
        assert (float(stated[which]), float(stated[which + 2])) == errors, name


def test_those_of_two_arguments() -> None:
    rows = {name: errors for name, *errors in OF_TWO.findall(PAGE.read_text(encoding="utf-8"))}
    assert rows.keys() == {"pow", "hypot", "atan2"}
    for name, (single, *double) in rows.items():
        stated = STATED.search(getattr(ps, name).__doc__ or "")
        assert stated is not None, name
        for found, limit in ((float(single), float(stated[1])), (max(map(float, double)), float(stated[3]))):
            assert found <= limit <= min(2, found + 0.05), name
