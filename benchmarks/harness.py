"""Side-by-side measurement: contenders take turns, round by round, and medians are compared.

A machine that other programs share changes its speed from second to second; what is measured in turns changes alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Measurement:
    """Seconds of one call of a contender, one number a round."""

    benchmark: str
    contender: str
    seconds: tuple[float, ...]
    work: float = 0.0
    unit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """The interquartile range as a share of the median."""
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / self.median

    @property
    def rate(self) -> float:
        """Work a second."""
        return self.work / self.median


@dataclass(frozen=True, slots=True)
class Claim:
    """What a benchmark is to show: `value` is at least (or at most) `bound`."""

    text: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'met   ' if self.met else 'MISSED'}  {self.text}: {self.value:.3g} ({sign} {self.bound:g})"


@dataclass(slots=True)
class Report:
    """All that a run has measured."""

    measurements: list[Measurement] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def interleaved(
    benchmark: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    work: float = 0.0,
    unit: str = "",
    shortest: float = 2e-3,
) -> dict[str, Measurement]:
    """Measure contenders in turns.

    shortest  seconds that one measurement takes at least: faster calls are repeated
    work      what one call does, in `unit`s (such as 1e-9 * flops, "GFLOP")
    """
    repeats = {name: _repeats(run, shortest) for name, run in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            count = repeats[name]
            start = time.perf_counter()
            for _ in range(count):
                run()
            seconds[name].append((time.perf_counter() - start) / count)
    return {name: Measurement(benchmark, name, tuple(values), work, unit) for name, values in seconds.items()}


def _repeats(run: Callable[[], object], shortest: float) -> int:
    """How often to call so that one measurement takes long enough; warms up on the way."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            run()
        taken = time.perf_counter() - start
        if taken >= shortest:
            return count
        count = max(count * 2, int(count * shortest / max(taken, 1e-9)))


def table(measurements: Mapping[str, Measurement], reference: str) -> str:
    """The contenders of one benchmark, and how many times as fast as `reference` each is."""
    base = measurements[reference].median
    lines = []
    for name, m in measurements.items():
        rate = f"{m.rate:9.2f} {m.unit}/s" if m.work else ""
        lines.append(f"  {name:28s} {m.median * 1e3:10.4f} ms  ±{m.spread:5.1%}  {base / m.median:6.2f} x  {rate}")
    return "\n".join(lines)


def aligned(array: Any) -> Any:
    """A float32 copy that begins at a cache line, as the arrays do that kernels and the peers allocate."""
    memory = np.empty(array.size + 16, np.float32)
    begin = -memory.ctypes.data % 64 // 4
    copy = memory[begin : begin + array.size].reshape(array.shape)
    copy[...] = array
    return copy
