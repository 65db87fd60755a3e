"""What a bench run has found: rows of measurements, the machine's limits, and the context that reproduces them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..benchmark import Benchmark
from .counting import Work
from .peaks import Peaks

Cache = Literal["warm", "cold"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a contender's results were compared with, and how it came out: `right` or not, and in words."""

    right: bool
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One contender at one set of sizes, on some threads, with warm or cold caches.

    name       the schedule with the parameters that a sweep has set, or the peer
    kind       "schedule" or "peer"
    benchmark  None where nothing was measured: `failure` says why
    build_ms   from the schedule's commands to machine code
    events     hardware events a call, where the system counts them
    """

    name: str
    kind: Literal["schedule", "peer"]
    sizes: Mapping[str, int]
    threads: int
    cache: Cache
    work: Work
    dtype: str
    checked: Checked | None = None
    benchmark: Benchmark | None = None
    build_ms: float | None = None
    failure: str = ""
    warnings: tuple[str, ...] = ()
    events: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A name that no other row of a run has, the same in every run: for comparing runs."""
        sizes = "/".join(f"{name}:{value}" for name, value in self.sizes.items())
        return "/".join(filter(None, (self.name, sizes, f"threads:{self.threads}", self.cache)))

    @property
    def rate(self) -> float | None:
        """Operations a second."""
        return self.work.operations / self.benchmark.median if self.benchmark is not None else None

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second, of those that no schedule can help to move."""
        return self.work.bytes / self.benchmark.median if self.benchmark is not None else None


@dataclass(frozen=True, slots=True)
class Described:
    """A schedule as it was measured; `hash` is the SHA-256 of its text, `explain` makes its explain table, for reports;
    empty where the results were loaded."""

    text: str
    nest: str
    rounding: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    explain: Callable[[], str] = field(default=str, compare=False, repr=False)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Results:
    """All rows of a run.

    peaks      the machine's measured limits, by number of threads
    schedules  what was measured, by the names in the rows
    context    the machine and the versions, as in Google Benchmark's JSON
    kernels    the compiled kernels, for reports; not in files

    Shows itself as a table, in notebooks as HTML. `to_json`, `to_csv` and `to_html` give the text of files.
    """

    workload: str
    rows: tuple[Row, ...]
    peaks: Mapping[int, Peaks]
    schedules: Mapping[str, Described]
    context: Mapping[str, Any]
    kernels: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def right(self) -> bool:
        """Whether every contender gave the right result."""
        return all(row.checked is None or row.checked.right for row in self.rows)

    def default_of(self, row: Row) -> Row | None:
        """The row of the default schedule at the same sizes and caches, on the fewest threads."""
        same = [r for r in self.rows if r.name == "default" and r.sizes == row.sizes and r.cache == row.cache]
        return min(same, key=lambda r: r.threads, default=None)

    def speedup(self, row: Row) -> float | None:
        """How many times as fast as the default schedule a row is."""
        default = self.default_of(row)
        if default is None or default.benchmark is None or row.benchmark is None:
            return None
        return default.benchmark.median / row.benchmark.median

    def of_peak(self, row: Row) -> float | None:
        """The share of the measured peak of operations on as many threads."""
        peaks = self.peaks.get(row.threads)
        peak = peaks.operations.get(row.dtype) if peaks is not None else None
        return row.rate / peak if peak and row.rate is not None and row.work.flops else None

    def roof(self, row: Row) -> tuple[float, str] | None:
        """Operations a second that the roofline allows, and the level whose bandwidth it takes: the innermost one that
        holds the bytes of the work, memory if caches are cold.

        Work on types that have no measured peak is bounded by bandwidth alone.
        """
        peaks = self.peaks.get(row.threads)
        if peaks is None or not row.work.operations:
            return None
        level = "memory" if row.cache == "cold" else peaks.level_of(row.work.bytes)
        if row.dtype in peaks.operations:
            roof = peaks.roof(row.dtype, row.work.intensity, level)
        else:
            roof = row.work.intensity * peaks.bandwidth[level] if level in peaks.bandwidth else None
        return None if roof is None else (roof, level)

    def of_roof(self, row: Row) -> float | None:
        """The share of what the roofline allows."""
        roof = self.roof(row)
        return None if roof is None or row.rate is None else row.rate / roof[0]

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows that were measured together, with what they have in common in words."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            sizes = ", ".join(f"{name}={value}" for name, value in row.sizes.items())
            found.setdefault(f"{sizes}{' ' if sizes else ''}({row.cache} caches)", []).append(row)
        return list(found.items())

    def to_json(self) -> str:
        """The run in Google Benchmark's JSON format; see `bench.json_format`."""
        from .json_format import json_text  # noqa: PLC0415 - it builds on this module

        return json_text(self)

    def to_csv(self) -> str:
        """One line a row, for spreadsheets and data frames."""
        from .table import csv_text  # noqa: PLC0415 - it builds on this module

        return csv_text(self)

    def to_html(self) -> str:
        """A report in one self-contained file; see `bench.html_report`."""
        from .html_report import html_text  # noqa: PLC0415 - it builds on this module

        return html_text(self)

    def plot(self, kind: Literal["roofline", "sizes"] = "roofline", axes: Any = None) -> Any:
        """Draw the roofline, or schedules against sizes, with matplotlib (`pip install polysched[viz]`)."""
        from .plots import plot  # noqa: PLC0415 - it builds on this module

        return plot(self, kind, axes)

    def __str__(self) -> str:
        from .table import plain_text  # noqa: PLC0415 - it builds on this module

        return plain_text(self)

    def _repr_html_(self) -> str:
        from .table import html_tables  # noqa: PLC0415 - it builds on this module

        return html_tables(self)


def label(name: str, parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
    """A schedule's name with the parameters that differ between contenders."""
    shown = [f"{p}={parameters[p]}" for p in swept if p in parameters]
    return f"{name}({', '.join(shown)})" if shown else name
