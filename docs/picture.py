"""Draws docs/three_schedules.svg: one definition, three schedules of it as they are printed, and their measured times.

`python docs/picture.py` measures for some seconds on one thread; benchmarks/workloads/matmul.py has the schedules.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from polysched.target.bench.files import load_workload
from polysched.target.bench.results import Results

HERE = Path(__file__).resolve().parent
SIZE = 768
COLUMNS = {
    "default": ("no commands", "#9d755d"),
    "rows": ("rows as vectors", "#f58518"),
    "blocked": ("a tile in registers", "#54a24b"),
}
DEFINITION = 'C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")'
WIDTH, COLUMN, LEFT, TOP, LINE = 1060, 340, 30, 96, 15
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; }
.code { font: 11px ui-monospace, Menlo, Consolas, monospace; white-space: pre; }
.title { font-weight: 600; font-size: 15px; } .soft { fill: #666; } .time { font-weight: 600; font-size: 20px; }
"""


def picture(results: Results) -> str:
    """The file's text."""
    rows = {row.name: row for row in results.rows}
    sources = {name: (_commands(results.schedules[name].text), results.schedules[name].nest) for name in COLUMNS}
    height = TOP + 66 + LINE * (max(len(c) + len(n.splitlines()) for c, n in sources.values())) + 80
    slowest = max(rows[name].benchmark.median for name in COLUMNS)
    parts = [
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff"/>',
        f'<rect x="{LEFT}" y="20" width="{WIDTH - 2 * LEFT}" height="38" rx="6" fill="#4c78a822" stroke="#4c78a8"/>',
        f'<text class="code" style="font-size: 13px" x="{WIDTH / 2}" y="44" text-anchor="middle">{DEFINITION}</text>',
    ]
    for number, (name, (title, colour)) in enumerate(COLUMNS.items()):
        x, row = LEFT + number * COLUMN, rows[name]
        assert row.benchmark is not None and row.rate is not None
        commands, nest = sources[name]
        parts.append(f'<path d="M{x + 160} 58 V{TOP - 12}" stroke="#888" fill="none"/>')
        parts.append(f'<rect x="{x}" y="{TOP - 12}" width="{COLUMN - 20}" height="{height - TOP - 8}" rx="6" '
                     f'fill="none" stroke="{colour}"/>')  # fmt: skip
        parts.append(f'<text class="title" x="{x + 12}" y="{TOP + 12}">{title}</text>')
        y = TOP + 36
        for line in commands:
            parts.append(f'<text class="code soft" x="{x + 12}" y="{y}">{escape(line)}</text>')
            y += LINE
        y = TOP + 52 + LINE * max(len(c) for c, _ in sources.values())
        for line in nest.splitlines():
            parts.append(f'<text class="code" x="{x + 12}" y="{y}">{escape(re.sub(r"    ", "  ", line))}</text>')
            y += LINE
        length = (COLUMN - 44) * row.benchmark.median / slowest
        parts.append(f'<text class="time" x="{x + 12}" y="{height - 66}">{row.benchmark.median * 1e3:.1f} ms</text>')
        speed = f"{row.rate / 1e9:.1f} GFLOP/s, {slowest / row.benchmark.median:.0f} x"
        parts.append(f'<text class="soft" x="{x + COLUMN - 32}" y="{height - 66}" text-anchor="end">{speed}</text>')
        parts.append(f'<rect x="{x + 12}" y="{height - 54}" width="{max(length, 2):.1f}" height="12" fill="{colour}"/>')
    peak = results.peaks[1].operations["float32"] / 1e9
    peers = ", ".join(
        f"{row.name} {row.rate / 1e9:.0f} GFLOP/s" for row in results.rows if row.kind == "peer" and row.rate
    )
    note = (
        f"{SIZE} x {SIZE} x {SIZE}, float32, one thread, the same bits; beside them: peak {peak:.0f} GFLOP/s, {peers}"
    )
    parts.append(f'<text class="soft" x="{WIDTH / 2}" y="{height - 1}" text-anchor="middle">{escape(note)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 14}" width="{WIDTH}" '
        f'height="{height + 14}" role="img" aria-label="One definition, three schedules"><style>{STYLE}</style>\n'
        f'<rect width="{WIDTH}" height="{height + 14}" rx="8" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _commands(text: str) -> list[str]:
    """The commands without the names that they would choose themselves."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [re.sub(r", (?:outer|inner|outers|inners)=(?:\"\w+\"|\([^)]*\))", "", line) for line in lines]


def main() -> None:
    workload = load_workload(HERE.parent / "benchmarks" / "workloads" / "matmul.py")
    results = workload.benchmark(
        *COLUMNS, sizes=[dict.fromkeys(workload.sizes, SIZE)], threads=[1], peers=["numpy"], seconds=1.5
    )
    assert results.right
    (HERE / "three_schedules.svg").write_text(picture(results), encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
