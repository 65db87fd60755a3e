"""The terminal: progress where somebody looks, tables with and without rich."""

from __future__ import annotations

import io
import sys

import pytest

from polysched.target.bench.results import Results
from polysched.target.bench.terminal import PlainTerminal, RichTerminal, open_terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_progress_is_one_line_that_goes_away() -> None:
    out, err = io.StringIO(), Screen()
    terminal = PlainTerminal(out, err)
    terminal.step("building tiled")
    terminal.rounds(3, {"slow": [2.0, 2.0], "fast": [1e-3]}, 0.5)
    terminal.done()
    shown = err.getvalue()
    assert "\n" not in shown and "round 3,  50% of the time, best so far fast: 1 ms" in shown
    assert shown.endswith(" \r") and out.getvalue() == ""


def test_progress_is_drawn_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    err, now = Screen(), [0.0]
    monkeypatch.setattr("polysched.target.bench.terminal.time.monotonic", lambda: now[0])
    terminal = PlainTerminal(io.StringIO(), err)
    for number in range(100):
        now[0] += 0.01
        terminal.rounds(number, {"a": [1.0]}, 0.1)
    assert 4 <= err.getvalue().count("round ") <= 6


@pytest.mark.parametrize("quiet", [True, False])
def test_no_progress_where_nobody_looks(quiet: bool) -> None:
    err = Screen() if quiet else io.StringIO()
    terminal = PlainTerminal(io.StringIO(), err, quiet)
    terminal.step("building")
    terminal.rounds(1, {"a": [1.0]}, 0.1)
    terminal.done()
    assert err.getvalue() == ""


def test_rich_tables_and_progress(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    out, err = Screen(), Screen()
    terminal = RichTerminal(out=out, err=err)
    terminal.step("building [bold]x")
    terminal.rounds(2, {"[red]a": [1.0] * 7}, 0.25)
    terminal.done()
    assert "building [bold]x" in err.getvalue() and "[red]a" in err.getvalue()
    terminal.results(results)
    shown = out.getvalue()
    assert "\x1b[" in shown and "fast<b>" in shown and "not installed: torch" in shown
    narrow = Screen()
    monkeypatch.setenv("COLUMNS", "60")
    RichTerminal(out=narrow, err=err).results(results)
    assert narrow.getvalue().rstrip() == str(results).rstrip()


def test_rich_is_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_terminal(plain=True), PlainTerminal)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(open_terminal(), PlainTerminal)
