"""The roofline as an inline SVG: operations a second over operations a byte, both logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .results import Results, Row

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 240, 20, 50
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b", "#ff9da6", "#79706e")


class _Axes:
    """From data to the picture."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x = _range(xs)
        self.y = _range(ys)

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (math.log10(y) - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def frame(self) -> list[str]:
        """Lines at the powers of ten, with their labels."""
        parts = []
        for power in range(math.ceil(self.x[0]), math.floor(self.x[1]) + 1):
            x, bottom = self.at(10.0**power, 10 ** self.y[0])
            parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom:.1f}"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{10.0**power:g}</text>')
        for power in range(math.ceil(self.y[0]), math.floor(self.y[1]) + 1):
            left, y = self.at(10 ** self.x[0], 10.0**power)
            parts.append(f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** (power - 9):g}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle">operations a byte</text>')
        across = _HEIGHT / 2
        parts.append(
            f'<text transform="rotate(-90 16 {across})" x="16" y="{across}" text-anchor="middle">'
            "10⁹ operations a second</text>"
        )
        return parts


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = math.log10(min(values)), math.log10(max(values))
    return low - 0.3, high + 0.3


def roofline_svg(results: Results) -> str:
    """The picture, or nothing where nothing was measured that has operations and bytes."""
    rows = [row for row in results.rows if row.rate and row.work.bytes]
    if not rows:
        return ""
    most = max(row.threads for row in rows)
    peaks = results.peaks.get(most)
    peak = peaks.operations.get(rows[0].dtype) if peaks is not None else None
    bandwidths = dict(peaks.bandwidth) if peaks is not None else {}
    xs = [row.work.intensity * factor for row in rows for factor in (0.2, 5)]
    xs += [peak / bandwidth * factor for bandwidth in bandwidths.values() if peak for factor in (0.1, 2)]
    ys = [row.rate for row in rows if row.rate] + ([peak] if peak else [])
    axes = _Axes(xs, ys)
    parts = axes.frame()
    roofs = [_roof(axes, *limit, peak, number) for number, limit in enumerate(bandwidths.items())]
    parts += [part for line_then_name in zip(*filter(None, roofs), strict=True) for part in line_then_name]
    if peak:
        x, y = axes.at(10 ** axes.x[1], peak)
        start, _ = axes.at(10 ** axes.x[0], peak)
        parts.append(f'<line class="roof" x1="{start:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{start + 4:.1f}" y="{y - 5:.1f}">{peak / 1e9:.0f} GFLOP/s, {most} thr.</text>')
    parts += _points(axes, rows)
    title = "Roofline: measured limits of the machine, and where the schedules are below them"
    return (
        f'<svg class="roofline" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg" aria-label="{title}"><title>{title}</title>{"".join(parts)}</svg>'
    )


def _roof(axes: _Axes, level: str, bandwidth: float, peak: float | None, number: int) -> list[str]:
    """The slope of one level's bandwidth, as far as it is in the picture and below the peak; `number` counts levels."""
    low, high = 10 ** axes.x[0], 10 ** axes.x[1]
    bottom, top = 10 ** axes.y[0], min(10 ** axes.y[1], peak or math.inf)
    left, right = max(low, bottom / bandwidth), min(high, top / bandwidth)
    if left >= right:
        return []
    at = left * (right / left) ** max(0.1, 0.85 - 0.2 * number)  # names of levels are on lines of their own
    x3, y3 = axes.at(at, at * bandwidth)
    (x1, y1), (x2, y2) = axes.at(left, left * bandwidth), axes.at(right, right * bandwidth)
    return [
        f'<line class="roof" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>',
        f'<text class="halo" x="{x3 + 6:.1f}" y="{y3 + 5:.1f}">{escape(level)} {bandwidth / 1e9:.0f} GB/s</text>',
    ]


def _points(axes: _Axes, rows: Sequence[Row]) -> list[str]:
    parts, labels = [], list[str]()
    for row in rows:
        label = f"{row.name}, {row.threads} thr."
        if label not in labels:
            labels.append(label)
        colour = COLOURS[labels.index(label) % len(COLOURS)]
        assert row.rate is not None
        x, y = axes.at(row.work.intensity, row.rate)
        shape = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">'
            if row.kind == "schedule"
            else f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}">'
        )
        parts.append(f"{shape}<title>{escape(row.title)}: {row.rate / 1e9:.1f}</title>{_end(shape)}")
    for number, label in enumerate(labels[:20]):
        y = _TOP + 10 + 18 * number
        colour = COLOURS[number % len(COLOURS)]
        x = _WIDTH - _RIGHT + 16
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="{y}">{escape(label)}</text>')
    return parts


def _end(shape: str) -> str:
    return "</circle>" if shape.startswith("<circle") else "</rect>"
