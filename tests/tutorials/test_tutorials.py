"""Every tutorial runs from beginning to end, as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
LIMIT = 600  # seconds; a tutorial takes a few, and one that needs so many is stuck


def run(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_tutorials() -> None:
    assert [script.stem[:2] for script in TUTORIALS] == [f"{number:02}" for number in range(1, 13)]


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda script: script.stem)
def test_tutorial_runs(script: Path) -> None:
    printed = run(script)
    assert len(printed.splitlines()) >= 10
    for picture in re.findall(r"^see (tutorials/out/\S+\.png)$", printed, re.MULTILINE):
        assert (ROOT / picture).stat().st_size > 10_000


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda script: script.stem)
def test_tutorial_is_in_percent_form(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert text.count("\n# %%\n") >= 4


def test_demo_compares_all_schedules() -> None:
    printed = run(ROOT / "tutorials" / "demo.py", "--quick")
    assert max(map(len, printed.splitlines())) <= 100 + len(str(ROOT))
    rows = [line for line in printed.splitlines() if line.endswith("yes")]
    assert len(rows) == 8
    assert "LegalityError" in printed
    (path,) = (line.split(": ")[1] for line in printed.splitlines() if line.startswith("The blurred photograph"))
    assert Path(path).stat().st_size > 10_000


def test_demo_updates_a_markdown_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n", encoding="utf-8")
    run(ROOT / "tutorials" / "demo.py", "--quick", "--update", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- measured: begin -->\n") and text.endswith("<!-- measured: end -->\nafter\n")
    assert "| default (i, j, r) | 1 |" in text and "old" not in text
