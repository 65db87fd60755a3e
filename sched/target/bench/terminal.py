"""Writing to a terminal: with rich where it is installed, as plain text otherwise."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from ..benchmark import median_interval, readable
from .results import Results
from .table import plain_text, print_rich

_WIDTH = 78
_PACE = 0.2  # seconds between pictures of what goes on


class _Pace:
    """Drawing takes time that the next sample's caches and clock feel, so it is done between rounds and seldom."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _PACE
        return True


class Terminal(Protocol):
    """Where commands write: results on standard output, progress on standard error."""

    def print(self, text: str = "") -> None: ...
    def source(self, text: str, language: str) -> None: ...
    def results(self, results: Results) -> None: ...
    def step(self, words: str) -> None: ...
    def rounds(self, number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None: ...
    def done(self) -> None: ...


class PlainTerminal:
    """Text as it is; progress on one line that is written over, only where somebody looks."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, quiet: bool = False) -> None:
        self._out, self._err = out or sys.stdout, err or sys.stderr
        self._live, self._pace = not quiet and self._err.isatty(), _Pace()

    def print(self, text: str = "") -> None:
        print(text, file=self._out)

    def source(self, text: str, language: str) -> None:
        self.print(text.rstrip("\n"))

    def results(self, results: Results) -> None:
        self.print(plain_text(results))

    def step(self, words: str) -> None:
        if self._live:
            self._err.write(f"\r{words[:_WIDTH]:{_WIDTH}}")
            self._err.flush()

    def rounds(self, number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None:
        if not self._live or not self._pace.due():
            return
        best = min((statistics.median(v), name) for name, v in samples.items() if v)
        self.step(f"round {number}, {spent:4.0%} of the time, best so far {best[1]}: {readable(best[0])}")

    def done(self) -> None:
        if self._live:
            self._err.write("\r" + " " * _WIDTH + "\r")
            self._err.flush()


class RichTerminal:
    """Tables with colours, highlighted sources, and medians that are seen to settle."""

    def __init__(self, quiet: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.live import Live  # noqa: PLC0415 - an extra

        self._console, self._errors = Console(file=out), Console(file=err, stderr=err is None)
        live = not quiet and self._errors.is_terminal
        self._live: Any = Live(console=self._errors, transient=True, auto_refresh=False) if live else None
        self._started, self._words, self._pace = False, "", _Pace()

    def print(self, text: str = "") -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def source(self, text: str, language: str) -> None:
        if not self._console.is_terminal:
            self.print(text.rstrip("\n"))
            return
        from rich.syntax import Syntax  # noqa: PLC0415 - an extra

        self._console.print(Syntax(text.rstrip("\n"), language, theme="ansi_dark", background_color="default"))

    def results(self, results: Results) -> None:
        print_rich(results, self._console)

    def step(self, words: str) -> None:
        self._words = words
        self._show(words)

    def rounds(self, number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None:
        if self._live is None or not self._pace.due():
            return
        from rich.console import Group  # noqa: PLC0415 - an extra
        from rich.table import Table  # noqa: PLC0415 - an extra
        from rich.text import Text  # noqa: PLC0415 - an extra

        title = Text(f"{self._words}: round {number}, {spent:.0%} of the time")
        table = Table(box=None)
        for head in ("", "median", "95% interval", "samples"):
            table.add_column(head, justify="left" if not head else "right")
        for name, seconds in samples.items():
            if seconds:
                low, high = median_interval(seconds)
                middle = readable(statistics.median(seconds))
                table.add_row(Text(name), middle, f"{readable(low)} to {readable(high)}", str(len(seconds)))
        self._show(Group(title, table))

    def _show(self, what: Any) -> None:
        if self._live is None:
            return
        if not self._started:
            self._live.start()
            self._started = True
        from rich.text import Text  # noqa: PLC0415 - an extra

        self._live.update(Text(what) if isinstance(what, str) else what, refresh=True)

    def done(self) -> None:
        if self._started:
            self._live.stop()
            self._started = False


def open_terminal(*, plain: bool = False, quiet: bool = False) -> Terminal:
    """The terminal to write to: rich's where it is installed."""
    if not plain:
        try:
            return RichTerminal(quiet)
        except ImportError:
            pass
    return PlainTerminal(quiet=quiet)
