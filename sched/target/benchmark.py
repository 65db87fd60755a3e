"""Timing of repeated calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

_SAMPLE_SECONDS = 2e-4  # a sample is long against the clock's resolution, and short against a scheduler's time slice


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Seconds a call: the median, the interquartile range and the least of the samples; `runs` calls were timed."""

    median: float
    iqr: float
    min: float
    runs: int

    def __str__(self) -> str:
        median, iqr, least = (_readable(seconds) for seconds in (self.median, self.iqr, self.min))
        return f"{median} ± {iqr} (least {least}, {self.runs} runs)"


def _readable(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def measure(call: Callable[[], object], min_time: float, rounds: int) -> Benchmark:
    """Time `call` in samples, until there are `rounds` of them and they took `min_time` seconds together.

    One call goes before and is not counted.
    """
    call()
    calls = 1
    while (elapsed := _timed(call, calls)) < _SAMPLE_SECONDS:
        calls *= 2 if elapsed <= 0 else max(2, min(100, round(_SAMPLE_SECONDS / elapsed)))
    samples: list[float] = []
    total = 0.0
    while len(samples) < rounds or total < min_time:
        elapsed = _timed(call, calls)
        total += elapsed
        samples.append(elapsed / calls)
    samples.sort()
    low, median, high = statistics.quantiles(samples, n=4) if len(samples) > 1 else samples * 3
    return Benchmark(median, high - low, samples[0], calls * len(samples))


def _timed(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start
