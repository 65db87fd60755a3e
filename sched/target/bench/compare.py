"""Two files of results against each other: ratios of medians, with confidence.

A ratio's interval is a bootstrap percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, ch. 13);
whether there is a difference at all is asked of the Mann-Whitney test on the samples, as Google Benchmark's compare.py
does. Both take samples for independent, which those of one run are not quite: a machine that was busy for the whole of
one run looks like a slower kernel. Measure again before believing in a few percent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .json_format import Recorded

Verdict = Literal["slower", "faster", "same", "unclear"]
_RESAMPLES = 4000
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """A benchmark in both files: `ratio` is the second median over the first, above 1 where it has become slower.

    interval  95% confidence of the ratio
    p         probability of samples that differ as much if both are of one distribution
    """

    name: str
    before: float
    after: float
    ratio: float
    interval: tuple[float, float]
    p: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Compared:
    """All benchmarks of two files, those that only one of them has, and what differs between their contexts."""

    comparisons: tuple[Comparison, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Comparison, ...]:
        return tuple(c for c in self.comparisons if c.verdict == "slower")


def compare(first: Recorded, second: Recorded, threshold: float = 0.05) -> Compared:
    """Compare every benchmark that both have.

    threshold  a change below this share is none, however sure
    """
    both = [name for name in first.benchmarks if name in second.benchmarks]
    return Compared(
        tuple(_compare(n, first.benchmarks[n].samples, second.benchmarks[n].samples, threshold) for n in both),
        tuple(name for name in first.benchmarks if name not in second.benchmarks),
        tuple(name for name in second.benchmarks if name not in first.benchmarks),
        tuple(_differences(first, second)),
    )


def _compare(name: str, a: Sequence[float], b: Sequence[float], threshold: float) -> Comparison:
    before, after = float(np.median(a)), float(np.median(b))
    low, high = bootstrap_ratio(a, b)
    p = mann_whitney(a, b)
    verdict: Verdict = "same"
    if p < _LEVEL and low > 1 + threshold:
        verdict = "slower"
    elif p < _LEVEL and high < 1 / (1 + threshold):
        verdict = "faster"
    elif high > 1 + threshold or low < 1 / (1 + threshold):
        verdict = "unclear"
    return Comparison(name, before, after, after / before, (low, high), p, verdict)


def bootstrap_ratio(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95% percentile interval of median(b) / median(a), by resampling both."""
    rng = np.random.default_rng(seed)
    medians = [
        np.median(np.asarray(x)[rng.integers(0, len(x), (_RESAMPLES, len(x)))], axis=1)
        for x in (np.array(a), np.array(b))
    ]
    low, high = np.quantile(medians[1] / medians[0], [0.025, 0.975])
    return float(low), float(high)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test: normal approximation with corrections for ties and continuity."""
    n, m = len(a), len(b)
    values = np.concatenate([a, b])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    u = float(ranks[:n].sum()) - n * (n + 1) / 2
    ties = float((counts.astype(float) ** 3 - counts).sum()) / ((n + m) * (n + m - 1)) if n + m > 1 else 0.0
    variance = n * m / 12 * (n + m + 1 - ties)
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _differences(first: Recorded, second: Recorded) -> list[str]:
    """What makes two runs hard to compare: another machine, other versions, other schedules of the same name."""
    found = []
    for key in ("cpu", "host_name", "num_cpus", "threads", "parallel_runtime", "versions", "environment"):
        a, b = first.context.get(key), second.context.get(key)
        if a != b:
            found.append(f"{key}: {a} and {b}")
    hashes, others = _hashes(first), _hashes(second)
    found += [
        f"the schedule {name} is another one" for name in hashes if others.get(name, hashes[name]) != hashes[name]
    ]
    return found


def _hashes(recorded: Recorded) -> dict[str, Any]:
    schedules = recorded.context.get("schedules")
    if not isinstance(schedules, dict):
        return {}
    return {name: about.get("hash") for name, about in schedules.items() if isinstance(about, dict)}
