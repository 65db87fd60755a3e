"""Results drawn with matplotlib, an extra: `pip install polysched[viz]`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import ArgumentError
from .results import Results, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def require_matplotlib() -> None:
    """Raise `ArgumentError` where there is no matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ArgumentError("plots need matplotlib: pip install 'polysched[viz]'")


def require_format(path: str) -> None:
    """Raise `ArgumentError` for a file whose ending names no format that matplotlib writes."""
    require_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    known = Figure().canvas.get_supported_filetypes()
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in known:
        raise ArgumentError(f"{path} cannot be drawn: its ending is {ending!r}, and accepted are {', '.join(known)}")


def plot(results: Results, kind: Literal["roofline", "sizes"] = "roofline", axes: Any = None) -> Axes:
    """Draw into `axes`, or a new figure, and return the axes; `axes.figure.savefig(...)` saves.

    kind  "roofline": operations a second over operations a byte, below what the machine was measured to do;
          "sizes": the rate of each schedule over the first size that differs

    Raises `ArgumentError` where matplotlib is missing, or there is nothing to draw.
    """
    require_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    if kind not in ("roofline", "sizes"):
        raise ArgumentError(f'there is no plot {kind!r}; accepted are "roofline" and "sizes"')
    measured = [row for row in results.rows if row.rate]
    if not measured:
        raise ArgumentError("nothing was measured, or the work has no operations: there is nothing to draw")
    if axes is None:
        axes = Figure(figsize=(8, 5)).add_subplot()
    if kind == "roofline":
        _roofline(results, measured, axes)
    else:
        _sizes(results, measured, axes)
    axes.set_ylabel("operations a second / 10$^9$")
    axes.set_title(results.workload)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    drawn: Axes = axes
    return drawn


def _roofline(results: Results, rows: list[Row], axes: Any) -> None:
    most = max(row.threads for row in rows)
    peaks = results.peaks.get(most)
    peak = peaks.operations.get(rows[0].dtype, float("inf")) if peaks is not None else float("inf")
    bandwidths = peaks.bandwidth if peaks is not None else {}
    ends = [row.work.intensity for row in rows if row.work.bytes]
    ends += [peak / bandwidth for bandwidth in bandwidths.values() if peak < float("inf")]
    low, high = min(ends, default=1.0) / 8, max(ends, default=1.0) * 4
    for level, bandwidth in bandwidths.items():
        xs = [low, min(high, max(low, peak / bandwidth)), high]
        axes.plot(xs, [min(peak, x * bandwidth) / 1e9 for x in xs], label=f"{level}, {most} thr.", linewidth=1)
    for row in rows:
        assert row.rate is not None
        axes.plot([row.work.intensity], [row.rate / 1e9], "o" if row.kind == "schedule" else "x", label=_label(row))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte")


def _label(row: Row) -> str:
    return f"{row.name}, {row.threads} thr.{', cold' if row.cache == 'cold' else ''}"


def _sizes(results: Results, rows: list[Row], axes: Any) -> None:
    names = list(rows[0].sizes)
    size = next((name for name in names if len({row.sizes[name] for row in rows}) > 1), names[0] if names else None)
    if size is None:
        raise ArgumentError(f"{results.workload} has no sizes to draw against")
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(_label(row), []).append(row)
    for label, points in lines.items():
        points.sort(key=lambda row: row.sizes[size])
        axes.plot([r.sizes[size] for r in points], [(r.rate or 0.0) / 1e9 for r in points], "o-", label=label)
    axes.set_xlabel(size)
