"""Rounds are interleaved, stop when they may, and the median's interval covers the median as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from polysched.target.bench import measuring
from polysched.target.bench.counters import Counters
from polysched.target.bench.measuring import Contender, Effort, measure_rounds
from polysched.target.benchmark import Benchmark, median_interval


class Machine:
    """A clock that only the contenders advance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.log = 0.0, list[str]()
        monkeypatch.setattr("polysched.target.benchmark.time.perf_counter", self.clock)
        monkeypatch.setattr(measuring.time, "sleep", lambda _: self.log.append("sleep"))

    def clock(self) -> float:
        return self.now

    def contender(self, name: str, *seconds: float, **more: object) -> Contender:
        durations = list(seconds)

        def call() -> None:
            self.log.append(name)
            self.now += durations[len(self.log) % len(durations)]

        return Contender(name, call, **more)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_steady_contenders_end_early(machine: Machine) -> None:
    contenders = [machine.contender("a", 0.01), machine.contender("b", 0.02)]
    measured = measure_rounds(contenders, Effort(10.0, 0.01), clock=machine.clock)
    assert measured["a"].benchmark.median == pytest.approx(0.01)
    assert measured["b"].benchmark.median == pytest.approx(0.02)
    assert len(measured["a"].benchmark.samples) == 6
    assert machine.now < 1


def test_unsteady_contenders_use_the_time(machine: Machine) -> None:
    contenders = [machine.contender("a", *(0.004 * k for k in range(1, 12))), machine.contender("b", 0.01)]
    measured = measure_rounds(contenders, Effort(1.0, 0.001), clock=machine.clock)
    assert 2.0 <= machine.now <= 2.5
    assert measured["a"].benchmark.noisy
    assert not measured["b"].benchmark.noisy


def test_rounds_are_interleaved(machine: Machine) -> None:
    contenders = [machine.contender(name, 0.01, 0.03) for name in "abc"]
    measure_rounds(contenders, Effort(0.5, 0.0001), clock=machine.clock)
    rounds = machine.log[6:]  # after warming up
    groups = [rounds[k : k + 3] for k in range(0, len(rounds) - 3, 3)]
    assert all(sorted(group) == ["a", "b", "c"] for group in groups)
    assert len({tuple(group) for group in groups}) > 1


def test_a_slow_contender_sits_out(machine: Machine) -> None:
    contenders = [machine.contender("fast", 0.01, 0.02), machine.contender("slow", 0.5)]
    measured = measure_rounds(contenders, Effort(2.0, 0.0001), clock=machine.clock)
    assert len(measured["fast"].benchmark.samples) >= 2 * len(measured["slow"].benchmark.samples) >= 9


def test_a_contender_that_takes_all_of_the_time(machine: Machine) -> None:
    contenders = [machine.contender("fast", 0.01, 0.02), machine.contender("slow", 9.0)]
    measured = measure_rounds(contenders, Effort(1.0, 0.0001), clock=machine.clock)
    assert len(measured["slow"].benchmark.samples) == 3
    assert machine.log.count("slow") == 5  # two to warm up


def test_short_calls_are_repeated(machine: Machine) -> None:
    measured = measure_rounds([machine.contender("a", 1e-5)], Effort(0.1), clock=machine.clock)
    benchmark = measured["a"].benchmark
    assert benchmark.calls >= 50
    assert benchmark.median == pytest.approx(1e-5)
    assert benchmark.runs == benchmark.calls * len(benchmark.samples)


def test_cold_caches_are_emptied_before_each_single_call(machine: Machine) -> None:
    effort = Effort(0.1, 0.01, evict=lambda: machine.log.append("evict"))
    measured = measure_rounds([machine.contender("a", 1e-4)], effort, clock=machine.clock)
    assert measured["a"].benchmark.calls == 1
    samples = machine.log[machine.log.index("evict") :]
    assert samples == ["evict", "a"] * (len(samples) // 2)


def test_threads_that_spin_are_waited_for(machine: Machine) -> None:
    contenders = [machine.contender("spins", 0.01, spins=True), machine.contender("b", 0.01)]
    measure_rounds(contenders, Effort(0.2), clock=machine.clock)
    for before, after in zip(machine.log[4:], machine.log[5:], strict=False):
        assert (before, after) != ("spins", "b")


def test_hardware_events_are_a_call(machine: Machine) -> None:
    class Fake(Counters):
        def start(self) -> None:
            self.calls = machine.log.count("a")

        def stop(self) -> dict[str, float]:
            return {"cycles": 7.0 * (machine.log.count("a") - self.calls)}

    measured = measure_rounds([machine.contender("a", 1e-4)], Effort(0.1), clock=machine.clock, counters=Fake({}))
    assert measured["a"].events == {"cycles": pytest.approx(7.0)}


@pytest.mark.parametrize("count", [6, 7, 15, 40, 200, 1000, 1500])
def test_the_interval_covers_the_median(count: int) -> None:
    rng = np.random.default_rng(count)
    covered, repeats = 0, 600
    for _ in range(repeats):
        low, high = median_interval(list(rng.exponential(1.0, count)))
        covered += low <= np.log(2) <= high
    assert 0.935 <= covered / repeats <= (1.0 if count < 20 else 0.98)


def test_few_samples_promise_nothing() -> None:
    assert Benchmark((1.0,) * 5).precision == float("inf")
    assert Benchmark((1.0,) * 5).noisy
    assert not Benchmark((1.0,) * 6).noisy
    assert "1 s" in Benchmark((1.0,) * 6)._repr_html_()
