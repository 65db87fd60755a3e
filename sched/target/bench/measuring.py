"""Measuring in interleaved rounds: contenders take turns, so that whatever else the machine does meets all alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..benchmark import Benchmark, calls_per_sample, timed
from .counters import Counters

_SAMPLE_SECONDS = 5e-4  # of a sample at least; short against a time slice, so that most see no other program
_ROUNDS = 30  # aimed at within the time given
_LEAST, _LEAST_SLOW = 5, 3  # samples of each, and of one that would take all of the time for them
_FEWEST = 6  # rounds before an interval can be narrow
_MOST = 2000
_SETTLE = 0.03  # threads of other libraries spin for about as long after a call


@dataclass(frozen=True, slots=True)
class Contender:
    """What is measured: `call` does the work once. `spins` says that its threads keep processors busy afterwards."""

    name: str
    call: Callable[[], object]
    spins: bool = False
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    seconds    for each contender, on the average
    precision  stop earlier when half the 95% confidence interval of every median is at most this share of it
    evict      what empties the caches before each call, for measurements with cold caches, in samples of one call
    """

    seconds: float = 1.0
    precision: float = 0.01
    evict: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples of a contender, and hardware events a call where they could be counted."""

    benchmark: Benchmark
    events: Mapping[str, float] = field(default_factory=dict)


Progress = Callable[[int, Mapping[str, Sequence[float]], float], None]


@dataclass(slots=True)
class _Samples:
    """`every` is how many rounds a contender that is slow waits for its next turn, `least` how many it gets."""

    calls: int
    every: int
    least: int
    seconds: list[float] = field(default_factory=list)
    events: dict[str, float] = field(default_factory=dict)


def measure_rounds(
    contenders: Sequence[Contender],
    effort: Effort,
    *,
    progress: Progress | None = None,
    counters: Counters | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measured]:
    """Measure contenders in rounds, in an order that is shuffled anew in each (the same in every run).

    progress  called after every round with its number, the samples so far and the share of the time that is spent

    A contender that would take most of the time sits out rounds, so that the others get their samples.
    """
    total = effort.seconds * len(contenders)
    start = clock()
    taken = {c.name: _warm_up(c, effort, total) for c in contenders}
    order, rng = list(contenders), random.Random(0)
    begin, number, spun = clock(), 0, contenders[-1].spins
    while not _finished(taken, effort, number, clock() - begin, total):
        rng.shuffle(order)
        for contender in order:
            samples = taken[contender.name]
            if number % samples.every:
                continue
            if spun:
                time.sleep(_SETTLE)
            _sample(contender, samples, effort, counters)
            spun = contender.spins
        number += 1
        if progress is not None:
            share = min(1.0, (clock() - start) / max(total, 1e-9))
            progress(number, {name: s.seconds for name, s in taken.items()}, share)
    return {
        name: Measured(
            Benchmark(tuple(s.seconds), s.calls), {e: v / s.calls / len(s.seconds) for e, v in s.events.items()}
        )
        for name, s in taken.items()
    }


def _warm_up(contender: Contender, effort: Effort, total: float) -> _Samples:
    """How many calls a sample has, and every how many rounds there is one."""
    if contender.prepare is not None:
        contender.prepare()
    calls, once = calls_per_sample(contender.call, 0.0 if effort.evict is not None else _SAMPLE_SECONDS)
    if effort.evict is not None:
        effort.evict()
        once = timed(contender.call, calls)
    every = max(1, min(_ROUNDS // _FEWEST, int(once * _ROUNDS / total)))
    return _Samples(calls, every, _LEAST if once * _LEAST < total else _LEAST_SLOW)


def _sample(contender: Contender, samples: _Samples, effort: Effort, counters: Counters | None) -> None:
    if contender.prepare is not None:
        contender.prepare()
    if effort.evict is not None:
        effort.evict()
    if counters is None:
        samples.seconds.append(timed(contender.call, samples.calls) / samples.calls)
        return
    counters.start()
    samples.seconds.append(timed(contender.call, samples.calls) / samples.calls)
    for event, count in counters.stop().items():
        samples.events[event] = samples.events.get(event, 0.0) + count


def _finished(taken: Mapping[str, _Samples], effort: Effort, number: int, spent: float, total: float) -> bool:
    fewest = min(len(s.seconds) for s in taken.values())
    if any(len(s.seconds) < s.least for s in taken.values()):
        return False
    if spent >= total or number >= _MOST:
        return True
    if fewest < _FEWEST:
        return False
    return all(Benchmark(tuple(s.seconds)).precision <= effort.precision for s in taken.values())
