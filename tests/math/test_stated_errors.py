"""The errors that docstrings state are those of docs/math.md, which bound tests, within what was promised."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

import polysched as ps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "math.md"
ALL_INPUTS = re.compile(r"^\| (\w+) \| ([\d.]+) \| `[^`]+` \|$", re.MULTILINE)
SAMPLED = re.compile(r"^\| (\w+) \| as above \| ([\d.]+) \|$", re.MULTILINE)
STATED = re.compile(
    r"Largest errors? ([\d.]+)(?: and ([\d.]+))? ulp in float32 \(all inputs\),\s+([\d.]+)(?: and ([\d.]+))?"
)
ONE_ULP = {"exp", "exp2", "log", "log2", "sin", "cos"}


@pytest.fixture(scope="module")
def tables() -> dict[str, tuple[float, float]]:
    """For each function the errors in float32, rounded up, and in float64."""
    text = PAGE.read_text(encoding="utf-8")
    single, double = dict(ALL_INPUTS.findall(text)), dict(SAMPLED.findall(text))
    assert single.keys() == double.keys()
    return {name: (math.ceil(float(error) * 100) / 100, float(double[name])) for name, error in single.items()}


def test_tables_are_complete_and_what_tests_allow(lab: Any, tables: dict[str, tuple[float, float]]) -> None:
    assert tables == lab.BOUNDS
    assert tables.keys() == lab.FUNCTIONS.keys()
    assert all(max(errors) <= (1 if name in ONE_ULP else 2) for name, errors in tables.items())


def test_docstrings_state_them(tables: dict[str, tuple[float, float]]) -> None:
    for name, errors in tables.items():
        which = 2 if name == "gelu_erf" else 1
        stated = STATED.search(getattr(ps, name.removesuffix("_erf")).__doc__ or "")
        assert stated is not None, name
        assert (float(stated[which]), float(stated[which + 2])) == errors, name
