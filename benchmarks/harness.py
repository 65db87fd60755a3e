"""Side-by-side measurement: contenders take turns, round by round, and medians are compared.

A machine that other programs share changes its speed from second to second; what is measured in turns changes alike.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import polysched as ps

UNTIL_IDLE = 0.05  # seconds; OpenBLAS, which spins longest, waits 2^26 cycles for work


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
    threads: int = 1,
) -> dict[str, Measurement]:
    """Measure contenders in turns.

    shortest  seconds that one measurement takes at least: faster calls are repeated
    threads   with several, each contender waits until the threads of the one before have gone idle (pools spin for a
              while, and would take half of the processors), and is called once before the clock starts; a measurement
              takes 20 times as long, since a virtual machine may be slow to wake a processor
    work      what one call does, in `unit`s (such as 1e-9 * flops, "GFLOP")
    """
    shortest *= 1 if threads == 1 else 20
    repeats = {name: _repeats(run, shortest) for name, run in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    if threads > 1:
        benchmark = f"{benchmark}/threads:{threads}"
    for _ in range(rounds):
        for name, run in contenders.items():
            count = repeats[name]
            if threads > 1:
                time.sleep(UNTIL_IDLE)
                run()
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


def on(threads: int) -> str:
    """In words."""
    return "one thread" if threads == 1 else f"{threads} threads"


def table(measurements: Mapping[str, Measurement], reference: str) -> str:
    """The contenders of one benchmark, and how many times as fast as `reference` each is."""
    base = measurements[reference].median
    lines = []
    for name, m in measurements.items():
        rate = f"{m.rate:9.2f} {m.unit}/s" if m.work else ""
        lines.append(f"  {name:28s} {m.median * 1e3:10.4f} ms  ±{m.spread:5.1%}  {base / m.median:6.2f} x  {rate}")
    return "\n".join(lines)


STAGES = ("isl", "lowering", "LLVM IR", "LLVM")
_STAGE_OF = {"isl": "isl", "emit": "LLVM IR", **dict.fromkeys(("parse", "optimize", "codegen", "link"), "LLVM")}


def stages(kernel: ps.Kernel) -> dict[str, float]:
    """Milliseconds of each of STAGES; all passes over loop IR are lowering."""
    found = dict.fromkeys(STAGES, 0.0)
    for name, taken in kernel.timings.items():
        found[_STAGE_OF.get(name, "lowering")] += taken
    return found


def scaling(report: Report, name: str, call: Callable[[ps.Target], Callable[[], object]], bound: float) -> None:
    """What `call` makes for two threads against one; both are our own kernels.

    Peers have gone idle before: pools that spin would take half of the second processor.
    """
    if (os.cpu_count() or 1) < 2:
        return
    time.sleep(1)
    contenders = {on(threads): call(ps.Target("native", threads=threads)) for threads in (1, 2)}
    measured = interleaved(f"{name} on two threads", contenders, rounds=9)
    print(f"{name}\n{table(measured, on(1))}")
    report.measurements += measured.values()
    ratio = measured[on(1)].median / measured[on(2)].median
    report.claims.append(Claim(f"{name}: two threads relative to one", ratio, bound))


def aligned(array: Any) -> Any:
    """A float32 copy that begins at a cache line, as the arrays do that kernels and the peers allocate."""
    memory = np.empty(array.size + 16, np.float32)
    begin = -memory.ctypes.data % 64 // 4
    copy = memory[begin : begin + array.size].reshape(array.shape)
    copy[...] = array
    return copy
