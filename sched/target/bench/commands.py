"""What each command of `polysched` does."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ArgumentError, BudgetError, LegalityError, PolyschedError, ScheduleError
from ...schedule.schedule import Schedule
from ..build import build
from ..machine import Target
from .compare import Compared, compare
from .context import describe_machine
from .counters import describe_counters
from .files import load_workload, split_name
from .json_format import read_json
from .options import Assignment, combinations
from .peaks import LEVELS, Peaks, measure_peaks
from .plots import require_format
from .results import Cache, Results
from .run import run_bench
from .schedule_files import read_text
from .side_by_side import side_by_side
from .terminal import Terminal
from .workload import Parameter, Workload

_CACHES: dict[str, tuple[Cache, ...]] = {"warm": ("warm",), "cold": ("cold",), "both": ("warm", "cold")}
_LANGUAGES = {"nest": "python", "isl": "c", "llvm": "llvm", "asm": "gas", "explain": "text"}
_WIDTH = 100


def words(error: Exception) -> str:
    """What an error says, without the line of the script that started the command."""
    location = getattr(error, "location", None)
    if isinstance(error, PolyschedError) and location is not None:
        return error.reason if Path(location.file).resolve() == Path(sys.argv[0]).resolve() else str(error)
    return str(error)


def bench(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched bench`: status 1 if a contender's result is wrong or nothing could be measured."""
    outputs = {kind: getattr(options, kind) for kind in ("json", "csv", "html", "plot") if getattr(options, kind)}
    for path in outputs.values():  # before minutes of measuring, not after
        _check_writable(path)
    if "plot" in outputs:
        require_format(outputs["plot"])
    results = run_bench(
        load_workload(options.file),
        options.schedule,
        sizes=combinations(options.size),
        parameters=_sweep(options.param),
        threads=options.threads,
        peers=options.peer,
        caches=_CACHES[options.cache],
        seconds=options.time,
        precision=options.precision / 100,
        peaks=not options.no_peaks,
        observer=terminal,
    )
    terminal.done()
    terminal.results(results)
    for kind, path in outputs.items():
        if kind == "plot":
            _plot(results, path)
        else:
            _write(path, getattr(results, f"to_{kind}")())
    return 0 if results.right and any(row.benchmark for row in results.rows) else 1


def show(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched show`."""
    workload, name, sizes, given = _asked(options)
    text = _stage(workload.make(name, sizes, **given), {**workload.sizes, **sizes}, options)
    if options.diff is None:
        language = _LANGUAGES.get(options.stage, "python")
        terminal.source(text, language)
        return 0
    if ":" in options.diff:
        file, name = split_name(options.diff)
        workload = load_workload(file)
    else:
        name = options.diff
    parameters = {k: v for k, v in given.items() if k in workload.recipe(name).parameters}
    other = workload.make(name, sizes, **parameters)
    titles = options.schedule, options.diff
    terminal.print(side_by_side(text, _stage(other, {**workload.sizes, **sizes}, options), titles))
    return 0


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched check`: status 1 for a schedule that is refused."""
    workload, name, sizes, parameters = _asked(options)
    recipe = workload.recipe(name, parameters)  # these two raise where the question has no meaning
    if recipe.file is not None:
        read_text(recipe.file)
    try:
        schedule = workload.make(name, sizes, **parameters)
    except ScheduleError as error:
        kind = {LegalityError: "illegal", BudgetError: "undecided"}.get(type(error), "refused")
        terminal.print(f"{options.schedule}: {kind}")
        terminal.print(textwrap.fill(words(error), _WIDTH, break_long_words=False, break_on_hyphens=False))
        if isinstance(error, LegalityError):
            for title, (stage, at) in (("must come first", error.source), ("must come after", error.sink)):
                terminal.print(f"  {title + ':':17} {stage}[{', '.join(f'{k}={v}' for k, v in at.items())}]")
            terminal.print(f"  {'sizes:':17} {', '.join(f'{k}={v}' for k, v in error.sizes.items())}")
        return 1
    proven = f"for all {', '.join(workload.sizes)}" if schedule.program.sizes else "for these sizes"
    terminal.print(f"{options.schedule}: legal, {len(schedule.commands)} commands, proven {proven}")
    if options.text:
        terminal.print(schedule.to_text().rstrip())
    return 0


def export(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched export`."""
    workload, name, sizes, parameters = _asked(options)
    if Path(options.output).is_file():
        raise ArgumentError(f"{options.output} cannot be written: it is a file, and -o takes a directory")
    kernel: Any = build(workload.make(name, sizes, **parameters), Target(options.target))
    try:
        exported = kernel.export(options.output, name=options.name, products=options.product)
    except OSError as error:
        raise ArgumentError(f"{options.output} cannot be written: {error.strerror}") from None
    terminal.print(f"{kernel!r}\n{exported}")
    return 0


def machine(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched machine`."""
    target = Target()
    counts = sorted(set(options.threads or (1, target.thread_count())))
    described, peaks = describe_machine(target), list[Peaks]()
    for threads in counts:
        terminal.step(f"measuring {threads} threads")
        measured = measure_peaks(("float16", "float32", "float64"), threads, LEVELS, seconds=options.time)
        peaks.append(measured.at_least(peaks))
    terminal.done()
    if options.json is not None:
        limits = [{"threads": p.threads, "operations": p.operations, "bandwidth": p.bandwidth} for p in peaks]
        text = json.dumps({**described, "peaks": limits}, indent=1) + "\n"
        if options.json == "-":
            terminal.print(text.rstrip())
            return 0
        _write(options.json, text)
    terminal.print("\n".join(_machine_lines(described, peaks)))
    return 0


def _machine_lines(described: dict[str, Any], peaks: list[Peaks]) -> list[str]:
    caches = ", ".join(f"L{c['level']} {_bytes(c['size'])}" for c in described["caches"])
    facts = {
        "processor": f"{described['cpu']} ({described['llvm_cpu']}, {described['triple']})",
        "processors": f"{described['num_cpus']}, of which kernels use {described['threads']}",
        "vectors": f"{described['vector_registers']} registers of {described['vector_bits']} bits",
        "caches": caches,
        "threads": described["parallel_runtime"],
        "counters": describe_counters(),
        "versions": ", ".join(f"{name} {version}" for name, version in described["versions"].items()),
        "load": ", ".join(map(str, described["load_avg"])) or "unknown",
    }
    lines = [f"{name + ':':12}{value}" for name, value in facts.items()]
    heads = [f"{p.threads} thread{'s' if p.threads > 1 else ''}" for p in peaks]
    rows = [("measured", heads)]
    rows += [(f"{d} peak", [f"{p.operations[d] / 1e9:.1f} GFLOP/s" for p in peaks]) for d in peaks[0].operations]
    rows += [(f"{level} bandwidth", [f"{p.bandwidth[level] / 1e9:.1f} GB/s" for p in peaks]) for level in LEVELS]
    return [*lines, "", *(f"{name:18}" + "".join(f"{cell:>18}" for cell in cells) for name, cells in rows)]


def _bytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def compare_files(options: argparse.Namespace, terminal: Terminal) -> int:
    """`polysched compare`: status 1 if something has become slower."""
    first, second = read_json(options.before), read_json(options.after)
    compared = compare(first, second, options.threshold / 100)
    if not compared.comparisons:
        raise ArgumentError(f"{options.before} and {options.after} have no benchmark in common")
    terminal.print("\n".join(_compared_lines(compared)))
    return 1 if compared.regressions else 0


def _compared_lines(compared: Compared) -> list[str]:
    width = max(len(c.name) for c in compared.comparisons)
    lines = [f"{'benchmark':{width}}  after/before  95% interval        p      verdict"]
    for c in compared.comparisons:
        low, high = c.interval
        lines.append(f"{c.name:{width}}  {c.ratio:12.3f}  {low:.3f} to {high:<9.3f}  {c.p:.4f}  {c.verdict}")
    lines += [f"only before: {name}" for name in compared.only_first]
    lines += [f"only after: {name}" for name in compared.only_second]
    lines += [f"not alike: {difference}" for difference in compared.differences]
    slower = len(compared.regressions)
    return [*lines, f"{slower} of {len(compared.comparisons)} have become slower"]


def _sweep(assigned: list[Assignment]) -> dict[str, list[Parameter]]:
    found: dict[str, list[Parameter]] = {}
    for together, values in assigned:
        if len(together) > 1:
            raise ArgumentError(f"--param takes one parameter at a time, not {'='.join(together)}")
        found[together[0]] = values
    return found


def _point(options: argparse.Namespace) -> dict[str, Parameter]:
    """The one value of each parameter, for commands that do not sweep."""
    swept = _sweep(options.param)
    for name, values in swept.items():
        if len(values) != 1:
            raise ArgumentError(f"--param {name} takes one value here; polysched bench sweeps")
    return {name: values[0] for name, values in swept.items()}


def _sizes(options: argparse.Namespace) -> dict[str, int]:
    chosen = combinations(options.size)
    if len(chosen) != 1:
        raise ArgumentError("--size takes one value of each size here; polysched bench takes several")
    return chosen[0]


def _asked(options: argparse.Namespace) -> tuple[Workload, str, dict[str, int], dict[str, Parameter]]:
    """The workload, the schedule's name, the sizes and the parameters that a command line names."""
    file, schedule = split_name(options.schedule)
    return load_workload(file), schedule, _sizes(options), _point(options)


def _stage(schedule: Schedule, sizes: Mapping[str, int], options: argparse.Namespace) -> str:
    target = Target(options.target)  # one that does not exist is refused, whatever the stage
    if options.stage == "nest":
        return str(schedule)
    if options.stage == "explain":
        known = {size.name: sizes[size.name] for size in schedule.program.sizes if size.name in sizes}
        return str(schedule.explain(target, **known))
    return build(schedule, target).source(options.stage)


def _plot(results: Results, path: str) -> None:
    several = len({tuple(row.sizes.values()) for row in results.rows}) > 1
    figure = results.plot("sizes" if several else "roofline").figure
    try:
        figure.savefig(path, bbox_inches="tight")
    except OSError as error:
        raise ArgumentError(f"{path} cannot be written: {error.strerror}") from None


def _check_writable(path: str) -> None:
    file = Path(path).absolute()
    if file.is_dir():
        raise ArgumentError(f"{path} cannot be written: it is a directory")
    if not file.parent.is_dir():
        raise ArgumentError(f"{path} cannot be written: there is no such directory")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ArgumentError(f"{path} cannot be written: no permission")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"{path} cannot be written: {error.strerror}") from None
