"""Results as tables: the columns in one place, for plain text, rich, HTML and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html import escape
from typing import Any, Literal

from ..benchmark import readable
from .results import Results, Row

Align = Literal["left", "right"]
Column = tuple[str, Align, Callable[[Results, Row], str]]
NOISY = "~"
_NOISE = f"{NOISY} noisy: the median is known to 5% at best, or the samples spread widely; measure longer (--time)"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _giga(value: float | None) -> str:
    return _number(None if value is None else value / 1e9)


def _median(_: Results, row: Row) -> str:
    if row.benchmark is None:
        return "-"
    return f"{NOISY if row.benchmark.noisy else ''}{readable(row.benchmark.median)}"


def _checked(_: Results, row: Row) -> str:
    return "-" if row.checked is None else row.checked.words if row.checked.right else f"WRONG: {row.checked.words}"


def _roof(results: Results, row: Row) -> str:
    roof = results.roof(row)
    return "-" if roof is None or row.rate is None else f"{_share(results.of_roof(row))} {roof[1]}"


def columns(results: Results) -> list[Column]:
    """Those that say something about these rows."""
    rate = "GFLOP/s" if all(row.work.flops == row.work.operations for row in results.rows) else "Gop/s"
    found: list[Column] = [
        ("schedule", "left", lambda _, row: row.name),
        ("threads", "right", lambda _, row: str(row.threads)),
        ("median", "right", _median),
        ("IQR", "right", lambda _, row: readable(row.benchmark.iqr) if row.benchmark else "-"),
        (rate, "right", lambda _, row: _giga(row.rate)),
        ("GB/s", "right", lambda _, row: _giga(row.bandwidth)),
        ("of peak", "right", lambda results, row: _share(results.of_peak(row))),
        ("of roofline", "right", _roof),
        ("x default", "right", lambda results, row: _number(results.speedup(row))),
        ("build", "right", lambda _, row: "-" if row.build_ms is None else f"{row.build_ms:.0f} ms"),
    ]
    for event in dict.fromkeys(event for row in results.rows for event in row.events):
        found.append((event, "right", lambda _, row, e=event: _number(row.events.get(e))))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    said = [c for c in found if c[0] == "median" or any(c[2](results, row) != "-" for row in results.rows)]
    return [*said, ("result", "left", _checked)]


def notes(results: Results) -> list[str]:
    """What stands below the tables: failures, noise, the compiler's warnings."""
    found = [f"{row.name}, {_threads(row.threads)}: {row.failure}" for row in results.rows if row.failure]
    if any(row.benchmark is not None and row.benchmark.noisy for row in results.rows):
        found.append(_NOISE)
    load = results.context.get("load_avg") or [0.0]
    if load[0] > results.context.get("num_cpus", 1) / 2:
        found.append(f"the load average was {load[0]}: other programs compete for the processors")
    core = results.context.get("environment", {}).get("OPENBLAS_CORETYPE")
    if core and any(row.kind == "peer" for row in results.rows):
        found.append(f"OPENBLAS_CORETYPE={core} holds NumPy's BLAS to that processor: unset it for a fair comparison")
    for warning, names in _warnings(results).items():
        found.append(f"{', '.join(names)}: {warning}")
    return list(dict.fromkeys(found))


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _warnings(results: Results) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in results.rows:
        for warning in row.warnings:
            names = found.setdefault(warning, [])
            if row.name not in names:
                names.append(row.name)
    return found


def plain_text(results: Results) -> str:
    """All tables, one a group, and the notes."""
    shown, parts = columns(results), []
    for title, rows in results.groups():
        cells = [[c[0] for c in shown], *([cell(results, row) for _, _, cell in shown] for row in rows)]
        widths = [max(len(line[k]) for line in cells) for k in range(len(shown))]
        lines = [
            "  ".join(
                cell.ljust(width) if align == "left" else cell.rjust(width)
                for cell, width, (_, align, _) in zip(line, widths, shown, strict=True)
            ).rstrip()
            for line in cells
        ]
        rule = "  ".join("-" * width for width in widths)
        parts.append("\n".join([f"{results.workload}: {title}", lines[0], rule, *lines[1:]]))
    return "\n\n".join(filter(None, [*parts, "\n".join(notes(results))]))


def print_rich(results: Results, console: Any) -> None:
    """The same with rich, in colours; as plain text where the terminal is narrower than the tables."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - an extra
    from rich.table import Table  # noqa: PLC0415 - an extra
    from rich.text import Text  # noqa: PLC0415 - an extra

    plain = plain_text(results)
    if not console.is_terminal or max(map(len, plain.splitlines()), default=0) > console.width:
        console.print(plain, markup=False, highlight=False, soft_wrap=True)
        return
    shown = columns(results)
    for title, rows in results.groups():
        table = Table(
            title=Text(f"{results.workload}: {title}"), title_justify="left", header_style="bold", box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0), pad_edge=False,
        )  # fmt: skip
        for head, align, _ in shown:
            table.add_column(head, justify=align, no_wrap=True)
        for row in rows:
            colour = {"wrong": "red", "noisy": "yellow", "peer": "cyan"}.get(state(row), "")
            table.add_row(*(Text(cell(results, row)) for _, _, cell in shown), style=colour)
        console.print(table)
    for note in notes(results):
        console.print(Text(note))


def state(row: Row) -> str:
    """What is to be seen of a row at first sight: "wrong", "noisy", or its kind."""
    if row.failure or (row.checked is not None and not row.checked.right):
        return "wrong"
    return "noisy" if row.benchmark is not None and row.benchmark.noisy else row.kind


def html_tables(results: Results) -> str:
    """All tables as HTML, for notebooks and reports."""
    shown, parts = columns(results), []
    head = "".join(f'<th class="{align}">{escape(name)}</th>' for name, align, _ in shown)
    for title, rows in results.groups():
        lines = []
        for row in rows:
            cells = (f'<td class="{align}">{escape(cell(results, row))}</td>' for _, align, cell in shown)
            lines.append(f'<tr class="{state(row)}">{"".join(cells)}</tr>')
        parts.append(
            f'<table class="results"><caption>{escape(results.workload)}: {escape(title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(results))
    return "".join(parts) + (f'<ul class="notes">{listed}</ul>' if listed else "")


_BEFORE = ("workload", "name", "kind")
_AFTER = (
    *("threads", "cache", "median_s", "iqr_s", "low_s", "high_s", "samples", "flops", "operations", "bytes"),
    *("of_peak", "of_roofline", "speedup", "build_ms", "noisy", "right", "failure"),
)


def csv_text(results: Results) -> str:
    """One line a row, in SI units, with empty cells for what is not known."""
    sizes = list(dict.fromkeys(name for row in results.rows for name in row.sizes))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_BEFORE, *sizes, *_AFTER])
    for row in results.rows:
        b = row.benchmark
        timed = ["", "", "", "", ""] if b is None else [b.median, b.iqr, *b.interval, len(b.samples)]
        shares = [results.of_peak(row), results.of_roof(row), results.speedup(row), row.build_ms]
        writer.writerow(
            [results.workload, row.name, row.kind, *(row.sizes.get(s, "") for s in sizes), row.threads, row.cache]
            + [*timed, row.work.flops, row.work.operations, row.work.bytes]
            + ["" if value is None else value for value in shares]
            + ["" if b is None else int(b.noisy), "" if row.checked is None else int(row.checked.right), row.failure]
        )
    return stream.getvalue()
