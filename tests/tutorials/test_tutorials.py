"""Every tutorial runs from beginning to end, as a user runs it; the later half is in test_later_tutorials.py, which
another worker takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .scripts import TUTORIALS, run_tutorial


def test_there_are_tutorials() -> None:
    assert [script.stem[:2] for script in TUTORIALS] == [f"{number:02}" for number in range(1, 13)]


@pytest.mark.parametrize("script", TUTORIALS[:6], ids=lambda script: script.stem)
def test_tutorial_runs(script: Path) -> None:
    run_tutorial(script)


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda script: script.stem)
def test_tutorial_is_in_percent_form(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert text.count("\n# %%\n") >= 4
