"""The second half of the tutorials, and the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from .scripts import ROOT, TUTORIALS, run, run_tutorial


@pytest.mark.parametrize("script", TUTORIALS[6:], ids=lambda script: script.stem)
def test_tutorial_runs(script: Path) -> None:
    run_tutorial(script)


def test_demo_compares_all_schedules_and_updates_a_markdown_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n", encoding="utf-8")
    printed = run(ROOT / "tutorials" / "demo.py", "--quick", "--update", str(page))
    assert max(map(len, printed.splitlines())) <= 100 + len(str(ROOT))
    rows = [line for line in printed.splitlines() if line.endswith("yes")]
    assert len(rows) == 8
    assert "LegalityError" in printed
    (path,) = (line.split(": ")[1] for line in printed.splitlines() if line.startswith("The blurred photograph"))
    assert Path(path).stat().st_size > 10_000
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- measured: begin -->\n") and text.endswith("<!-- measured: end -->\nafter\n")
    assert "| default (i, j, r) | 1 |" in text and "old" not in text
