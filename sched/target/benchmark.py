"""Timing of repeated calls, and what samples say about the median."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

SAMPLE_SECONDS = 2e-4  # a sample is long against the clock's resolution, and short against a scheduler's time slice
NOISY = 0.05  # half the confidence interval over the median
_WIDE = 0.25  # interquartile range over the median


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Seconds a call: `samples` in the order they were taken, each the mean of `calls` calls.

    >>> b = Benchmark((2.0, 1.0, 3.0, 2.0, 2.0, 2.0, 2.0), calls=10)
    >>> b.median, b.min, b.runs, b.interval
    (2.0, 1.0, 70, (1.0, 3.0))
    """

    samples: tuple[float, ...]
    calls: int = 1

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third quartile."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    @property
    def iqr(self) -> float:
        """The interquartile range."""
        low, high = self.quartiles
        return high - low

    @property
    def min(self) -> float:
        return min(self.samples)

    @property
    def runs(self) -> int:
        """How many calls were timed."""
        return self.calls * len(self.samples)

    @property
    def interval(self) -> tuple[float, float]:
        """A 95% confidence interval of the median; see `median_interval`."""
        return median_interval(self.samples)

    @property
    def precision(self) -> float:
        """Half the confidence interval as a share of the median; infinite for fewer samples than make an interval."""
        if len(self.samples) < 6 or not self.median:
            return math.inf
        low, high = self.interval
        return (high - low) / 2 / self.median

    @property
    def noisy(self) -> bool:
        """Whether the median is known to less than 5%, or the middle half of the samples spreads over a quarter."""
        return self.precision > NOISY or self.iqr > _WIDE * self.median

    def __str__(self) -> str:
        median, iqr, least = (readable(seconds) for seconds in (self.median, self.iqr, self.min))
        return f"{median} ± {iqr} (least {least}, {self.runs} runs)"

    def _repr_html_(self) -> str:
        low, high = self.interval
        cells = {
            "median": readable(self.median),
            "95% interval": f"{readable(low)} to {readable(high)}",
            "interquartile range": readable(self.iqr),
            "least": readable(self.min),
            "samples": f"{len(self.samples)} of {self.calls} calls",
        }
        head, row = (
            "".join(f"<{t}>{escape(x)}</{t}>" for x in xs) for t, xs in (("th", cells), ("td", cells.values()))
        )
        return f"<table><tr>{head}</tr><tr>{row}</tr></table>"


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """A confidence interval of the median of at least 95%, from order statistics, without assumptions on the
    distribution (Conover, Practical Nonparametric Statistics, 3.2); the whole range for fewer than six samples."""
    ordered = sorted(samples)
    place = _place(len(ordered))
    return ordered[place], ordered[-1 - place]


@lru_cache(maxsize=1024)
def _place(count: int) -> int:
    """The largest k such that fewer than k + 1 of `count` samples are below the median with at most 2.5%."""
    tail, place = 0.5**count if count < 1000 else 0.0, 0
    if count >= 1000:  # the normal approximation, a sample or so too wide
        return max(0, math.floor(count / 2 - 0.98 * math.sqrt(count)) - 1)
    while place + 1 < count / 2:
        tail += math.comb(count, place + 1) * 0.5**count
        if tail > 0.025:
            break
        place += 1
    return place


def readable(seconds: float) -> str:
    """A time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def measure(call: Callable[[], object], min_time: float, rounds: int) -> Benchmark:
    """Time `call` in samples, until there are `rounds` of them and they took `min_time` seconds together.

    One call goes before and is not counted.
    """
    calls, _ = calls_per_sample(call, SAMPLE_SECONDS)
    samples: list[float] = []
    total = 0.0
    while len(samples) < rounds or total < min_time:
        elapsed = timed(call, calls)
        total += elapsed
        samples.append(elapsed / calls)
    return Benchmark(tuple(samples), calls)


def calls_per_sample(call: Callable[[], object], seconds: float) -> tuple[int, float]:
    """How many calls take `seconds` together, and how long they took, after a call that is not counted."""
    call()
    calls = 1
    while (elapsed := timed(call, calls)) < seconds:
        calls *= 2 if elapsed <= 0 else max(2, min(100, round(seconds / elapsed)))
    return calls, elapsed


def timed(call: Callable[[], object], calls: int) -> float:
    """Seconds that `calls` calls take."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start
