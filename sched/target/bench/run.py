"""`run_bench`: build all contenders, check their results, measure those that are right."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from ...errors import ArgumentError, BudgetError, PolyschedError, ScheduleError
from ...schedule.schedule import Schedule
from ...schedule.suggestion import listed
from ..build import build
from ..kernel import Kernel
from ..machine import Target
from .blas import limit_threads
from .check import compare_outputs
from .context import describe_machine
from .counters import Counters, open_counters
from .counting import Work
from .faults import fault_of_user
from .measuring import Contender, Effort, measure_rounds
from .peaks import LEVELS, Peaks, measure_peaks
from .results import Cache, Described, Results, Row, label
from .workload import DEFAULT, Parameter, Workload

_COLD_BYTES = 1 << 25


class Observer(Protocol):
    """What follows a run while it goes on."""

    def step(self, words: str) -> None:
        """Something has begun."""

    def rounds(self, number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None:
        """A round is over; see `measuring.measure_rounds`."""


class Silent:
    """Follows nothing."""

    def step(self, words: str) -> None:
        pass

    def rounds(self, number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Choice:
    """A schedule with the parameters of one point of a sweep."""

    label: str
    schedule: str
    parameters: Mapping[str, Parameter]


@dataclass(slots=True)
class _Run:
    """What all groups of a run share."""

    workload: Workload
    choices: tuple[Choice, ...]
    peers: tuple[str, ...]
    threads: tuple[int, ...]
    target: Target
    effort: Effort
    observer: Observer
    counters: Counters | None
    peak_levels: tuple[Any, ...]
    kernels: dict[str, Kernel] = field(default_factory=dict)
    schedules: dict[str, Described] = field(default_factory=dict)
    peaks: dict[int, Peaks] = field(default_factory=dict)
    built: dict[tuple[str, int, tuple[int, ...]], Kernel | str] = field(default_factory=dict)
    parallel: set[str] = field(default_factory=set)


def run_bench(
    workload: Workload,
    schedules: Sequence[str] | None = None,
    *,
    sizes: Sequence[Mapping[str, int]] = ({},),
    parameters: Mapping[str, Sequence[Parameter]] | None = None,
    threads: Sequence[int] | None = None,
    peers: Sequence[str] = (),
    caches: Sequence[Cache] = ("warm",),
    seconds: float = 1.0,
    precision: float = 0.01,
    peaks: bool = True,
    counters: bool = True,
    observer: Observer | None = None,
) -> Results:
    """Measure schedules of a workload against each other.

    schedules   names; all of them by default
    sizes       several sets of sizes; what is left out has the workload's default
    parameters  values of tunable parameters to sweep over, for the schedules that have them
    threads     numbers of threads; as many as kernels would use by default
    peers       other implementations: "numpy" is the reference, others are the workload's own
    caches      "warm": calls follow each other; "cold": caches are emptied before each
    seconds     for each contender of a group, on the average; `precision` ends it earlier, see `measuring.Effort`
    peaks       measure what the machine can do, before and after
    counters    count hardware events where the system lets us

    Every kernel's outputs are compared with the default schedule's bit for bit (of a re-associable reduction: within
    the workload's tolerance), and those of the default schedule and of peers with the reference. What is wrong, or
    cannot be built, is in the results and is not measured. Raises `PolyschedError` for names that are not there.
    """
    target = Target()
    run = _Run(
        workload,
        tuple(_choices(workload, schedules, parameters or {})),
        tuple(peers),
        tuple(threads) if threads else (target.thread_count(),),
        target,
        Effort(seconds, precision),
        observer or Silent(),
        open_counters() if counters else None,
        LEVELS if peaks else (),
    )
    context, rows = {**describe_machine(target), "definition": workload.text()}, list[Row]()
    try:
        _measure_peaks(run)
        for chosen in sizes:
            for cache in caches:
                rows += _group(run, workload.complete(chosen), cache)
        _measure_peaks(run)
    finally:
        if run.counters is not None:
            run.counters.close()
    return Results(workload.name, tuple(rows), run.peaks, run.schedules, context, run.kernels)


def _choices(
    workload: Workload, schedules: Sequence[str] | None, parameters: Mapping[str, Sequence[Parameter]]
) -> Iterator[Choice]:
    chosen = list(dict.fromkeys(workload.recipes if schedules is None else schedules))
    recipes = {name: workload.recipe(name) for name in chosen}
    known = {parameter for recipe in recipes.values() for parameter in recipe.parameters}
    for name in parameters:
        if name not in known:
            raise ScheduleError(
                f"none of the schedules {listed(chosen)} of {workload.name} has a parameter {name}; there are "
                f"{listed(sorted(known))}"
            )
    for name, recipe in recipes.items():
        own = [parameter for parameter in parameters if parameter in recipe.parameters]
        for values in itertools.product(*(parameters[parameter] for parameter in own)):
            given = dict(zip(own, values, strict=True))
            yield Choice(label(name, given, own), name, given)


def _measure_peaks(run: _Run) -> None:
    """The best of all times that they were measured."""
    if not run.peak_levels:
        return
    run.observer.step("measuring the machine")
    dtypes = tuple(dict.fromkeys((run.workload.dtype, "float32", "float64")))
    for threads in sorted({1, *run.threads}):
        new = measure_peaks(dtypes, threads, run.peak_levels, seconds=0.03)
        # What fewer threads can do, more can do too: less was measured where others had the processors.
        run.peaks[threads] = new.at_least([p for p in run.peaks.values() if p.threads <= threads])


@dataclass(slots=True)
class _Group:
    """Contenders at one set of sizes with one state of the caches."""

    run: _Run
    sizes: dict[str, int]
    cache: Cache
    arguments: dict[str, Any]
    work: Work
    dtype: str
    expected: tuple[Any, ...]
    reference: tuple[Any, ...] | None
    rows: dict[str, Row] = field(default_factory=dict)
    contenders: list[Contender] = field(default_factory=list)

    def add(self, row: Row, call: Callable[[], object] | None, prepare: Callable[[], object] | None = None) -> None:
        key = f"{row.name}\n{row.threads}"
        self.rows[key] = row
        if call is not None:
            self.contenders.append(Contender(key, call, row.kind == "peer" and row.threads > 1, prepare))


def _group(run: _Run, sizes: dict[str, int], cache: Cache) -> list[Row]:
    workload = run.workload
    arguments = workload.arguments(sizes)
    run.observer.step("building the default schedule")
    default = _kernel(run, Choice(DEFAULT, DEFAULT, {}), 1, sizes)
    if isinstance(default, str):
        raise ScheduleError(default)
    group = _Group(
        run, sizes, cache, arguments, workload.work(sizes), workload.dtype,
        _call(default, arguments, sizes)[1], workload.reference_result(sizes, arguments),
    )  # fmt: skip
    for choice, threads in itertools.product(run.choices, run.threads):
        _add_kernel(group, choice, threads)
    for peer, threads in itertools.product(run.peers, run.threads):
        _add_peer(group, peer, threads)
    run.observer.step(f"measuring {', '.join(f'{n}={v}' for n, v in sizes.items())}, {cache} caches")
    if group.contenders:
        effort = Effort(run.effort.seconds, run.effort.precision, _eviction(run.target) if cache == "cold" else None)
        measured = measure_rounds(group.contenders, effort, progress=_progress(run.observer), counters=run.counters)
        for key, found in measured.items():
            group.rows[key] = _with(group.rows[key], benchmark=found.benchmark, events=dict(found.events))
    return list(group.rows.values())


def _progress(observer: Observer) -> Callable[[int, Mapping[str, Sequence[float]], float], None]:
    def follow(number: int, samples: Mapping[str, Sequence[float]], spent: float) -> None:
        observer.rounds(number, {key.replace("\n", ", threads "): values for key, values in samples.items()}, spent)

    return follow


def _with(row: Row, **changes: Any) -> Row:
    return Row(**{name: changes.get(name, getattr(row, name)) for name in Row.__dataclass_fields__})


def _kernel(run: _Run, choice: Choice, threads: int, sizes: Mapping[str, int]) -> Kernel | str:
    """The kernel, or why there is none; built once for all sizes if the workload is symbolic."""
    key = (choice.label, threads, () if run.workload.symbolic else tuple(sizes.values()))
    if key not in run.built:
        start = time.perf_counter()
        try:
            schedule = run.workload.make(choice.schedule, sizes, **choice.parameters)
            target = Target("native", threads=threads)
            kernel = build(schedule, target, cache=False)
        except PolyschedError as error:
            run.built[key] = f"{type(error).__name__}: {error}"
            return run.built[key]
        nests = [nest for one in schedule.variants for shared in one.state.nests.values() for nest in shared.each()]
        if any(loop.kind == "parallel" for nest in nests for loop in nest.loops):
            run.parallel.add(choice.label)
        kernel.timings["total"] = (time.perf_counter() - start) * 1e3
        run.built[key] = run.kernels[choice.label] = kernel
        known = {size.name: sizes[size.name] for size in schedule.program.sizes if size.name in sizes}
        run.schedules[choice.label] = Described(
            schedule.to_text(),
            str(schedule),
            kernel.rounding,
            kernel.timings,
            partial(_explained, schedule, target, known),
        )
    return run.built[key]


def _explained(schedule: Schedule, target: Target, sizes: dict[str, int]) -> str:
    try:
        return str(schedule.explain(target, **sizes))
    except BudgetError as error:
        return str(error)


def _add_kernel(group: _Group, choice: Choice, threads: int) -> None:
    """Build, check and enter a schedule; one without parallel loops is entered once, for a single thread."""
    run = group.run
    run.observer.step(f"building {choice.label}")
    kernel = _kernel(run, choice, threads, group.sizes)
    if isinstance(kernel, str):
        group.add(_row(group, choice.label, "schedule", threads, failure=kernel), None)
        return
    if choice.label not in run.parallel:
        if f"{choice.label}\n1" in group.rows:
            return
        threads = 1
    call, outputs = _call(kernel, group.arguments, group.sizes)
    exact = kernel.rounding.startswith("exact")
    if choice.schedule == DEFAULT:
        checked = compare_outputs(outputs, group.reference, run.workload.tolerance, "reference")
    else:
        checked = compare_outputs(outputs, group.expected, 0.0 if exact else run.workload.tolerance, "default")
    row = _row(
        group, choice.label, "schedule", threads,
        checked=checked, build_ms=kernel.timings["total"], warnings=kernel.warnings,
        failure="" if checked.right else "its result is wrong, so it was not measured",
    )  # fmt: skip
    group.add(row, call if checked.right else None)


def _add_peer(group: _Group, peer: str, threads: int) -> None:
    run = group.run
    if not run.workload.uses_threads(peer):
        if f"{peer}\n1" in group.rows:
            return
        threads = 1
    run.observer.step(f"preparing {peer}")
    limit = limit_threads(threads) if peer == "numpy" else None
    start = time.perf_counter()
    try:
        call = run.workload.prepare(peer, group.sizes, group.arguments, threads)
        if limit is not None:
            limit()
        outputs = call()
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        checked = compare_outputs(tuple(map(np.asarray, outputs)), group.expected, run.workload.tolerance, "default")
    except ModuleNotFoundError as error:
        group.add(_row(group, peer, "peer", threads, failure=f"not installed: {error}"), None)
        return
    except Exception as error:
        if (failure := fault_of_user(error)) is None:
            raise
        group.add(_row(group, peer, "peer", threads, failure=failure), None)
        return
    row = _row(
        group, peer, "peer", threads, checked=checked, build_ms=(time.perf_counter() - start) * 1e3,
        failure="" if checked.right else "its result is wrong, so it was not measured",
    )  # fmt: skip
    group.add(row, call if checked.right else None, limit)


def _row(group: _Group, name: str, kind: Any, threads: int, **more: Any) -> Row:
    return Row(name, kind, group.sizes, threads, group.cache, group.work, group.dtype, **more)


def _call(
    kernel: Kernel, arguments: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[Callable[[], object], tuple[Any, ...]]:
    """A call into outputs of its own, and what it gives the first time."""
    given = [arguments[p.name] for p in kernel.signature.positional if p.name in arguments]
    try:
        first = kernel(*given)
        named: dict[str, int] = {}
    except ArgumentError:  # sizes that no array determines
        named = {size.name: sizes[size.name] for size in kernel.signature.sizes}
        first = kernel(*given, **named)
    out = first
    outputs = first if isinstance(first, tuple) else (first,)
    return (lambda: kernel(*given, out=out, **named)), tuple(np.array(output) for output in outputs)


def _eviction(target: Target) -> Callable[[], object]:
    """Overwrites twice the last cache, so that nothing of a kernel's data is left in any."""
    buffer = np.zeros(max(_COLD_BYTES, 2 * target.l3_bytes) // 8)
    return lambda: np.add(buffer, 1.0, out=buffer)
