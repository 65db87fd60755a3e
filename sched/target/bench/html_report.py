"""A report in one self-contained HTML file: tables, the roofline, and for every schedule its loop nest beside its loop
IR and its assembly, with the lines of the same loop in the same colour.

Everything that comes from outside (names, texts, the machine) is escaped. The file asks for nothing from anywhere, and
says so to the browser; without scripts it loses only that lines light up together.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from .line_links import Line, link_lines
from .results import Described, Results
from .svg import COLOURS, roofline_svg
from .table import html_tables

_NOTE = re.compile(r"P\d{3}: ")
_MOST_LINES = 3000  # of a source; a kernel that is longer is not read in a report

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table.results, table.facts, table.explain { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.results { margin: 1rem 0; } caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
table.results th, table.results td { white-space: nowrap; }
.left { text-align: left; } .right { text-align: right; }
tr.peer { color: light-dark(#2b6699, #7fb3e6); } tr.noisy { color: light-dark(#9a5b00, #e0a050); }
tr.wrong { color: light-dark(#c0392b, #ff8a75); font-weight: 600; }
table.facts th { text-align: left; font-weight: 500; }
.scroll { overflow-x: auto; }
svg.roofline { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg.roofline text { fill: currentColor; } svg.roofline .grid { stroke: var(--line); }
svg.roofline .halo { paint-order: stroke; stroke: Canvas; stroke-width: 4px; }
svg.roofline .roof { stroke: currentColor; stroke-width: 1.5; fill: none; }
.panes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.3fr) minmax(0, 1fr); gap: .6rem; }
.panes { align-items: start; }
@media (max-width: 900px) { .panes { grid-template-columns: 1fr; } }
.pane { border: 1px solid var(--line); border-radius: 6px; max-height: 34rem; overflow: auto; }
.pane h3 { font-size: .85rem; margin: 0; padding: .3rem .6rem; position: sticky; top: 0; background: Canvas; }
.pane pre { margin: 0; padding-bottom: .5rem; font: 12px/1.5 ui-monospace, monospace; width: max-content; }
.pane pre { min-width: 100%; }
.pane span { display: block; padding: 0 .6rem; border-left: 4px solid transparent; min-height: 1.5em; }
.pane pre.table { padding: .4rem .6rem; box-sizing: border-box; }
.pane span[data-k] { cursor: pointer; }
.pane span.on { background: #ffd54a66; }
details > summary { cursor: pointer; font-weight: 600; margin: .8rem 0; }
"""
_STYLE += "".join(f".pane span.c{n} {{ border-left-color: {colour}; }}\n" for n, colour in enumerate(COLOURS))

_SCRIPT = """
for (const panes of document.querySelectorAll(".panes")) {
  let pinned = null;
  const light = (k) => {
    for (const line of panes.querySelectorAll("span[data-k]")) line.classList.toggle("on", line.dataset.k === k);
  };
  panes.addEventListener("mouseover", (event) => {
    const line = event.target.closest("span[data-k]");
    light(line ? line.dataset.k : pinned);
  });
  panes.addEventListener("mouseleave", () => light(pinned));
  panes.addEventListener("click", (event) => {
    const line = event.target.closest("span[data-k]");
    if (!line) return;
    pinned = pinned === line.dataset.k ? null : line.dataset.k;
    light(pinned);
    if (pinned === null) return;
    for (const pane of panes.querySelectorAll(".pane")) {
      const first = pane.querySelector(`span[data-k="${pinned}"]`);
      if (first && !pane.contains(line)) pane.scrollTop = first.offsetTop - pane.offsetTop - pane.clientHeight / 3;
    }
  });
}
"""


def html_text(results: Results) -> str:
    """The report. Sources are those of the kernels in `results`, which results that were loaded do not have."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    title = f"{escape(results.workload)}: polysched bench"
    schedules = "".join(_schedule(results, name, described) for name, described in _measured(results))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f'<body><h1>{title}</h1>\n<div class="scroll">{html_tables(results)}</div>\n'
        f"<h2>Roofline</h2>\n{roofline_svg(results)}\n<h2>Schedules</h2>\n"
        "<p>Lines of one loop have one colour; point at a line to see the others, click to keep them.</p>\n"
        f"{schedules}<h2>Machine</h2>\n{_facts(results.context)}\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _measured(results: Results) -> Iterable[tuple[str, Described]]:
    names = dict.fromkeys(row.name for row in results.rows)
    return ((name, results.schedules[name]) for name in names if name in results.schedules)


def _schedule(results: Results, name: str, described: Described) -> str:
    kernel = results.kernels.get(name)
    parts = [f"<details open><summary>{escape(name)}</summary>", _timings(described)]
    if kernel is None:
        parts.append(_panes([("loop nest", [(line, None) for line in described.nest.splitlines()])]))
    else:
        sources = [kernel.source(kind) for kind in ("nest", "loops", "asm-lines")]
        links = link_lines(*sources)
        parts.append(_panes([("loop nest", links.nest), ("loop IR", links.loops), ("assembly", links.asm)]))
    if explained := described.explain():
        parts.append(_explain(explained))
    parts.append(f"<details><summary>text, SHA-256 {described.hash[:16]}…</summary>")
    parts.append(_panes([("schedule", [(line, None) for line in described.text.splitlines()])]))
    return "".join([*parts, "</details></details>\n"])


def _timings(described: Described) -> str:
    total = described.timings.get("total")
    if total is None:
        return ""
    stages = sorted(((ms, stage) for stage, ms in described.timings.items() if stage != "total"), reverse=True)
    longest = ", ".join(f"{escape(stage)} {ms:.0f}" for ms, stage in stages[:5])
    return f"<p>Built in {total:.0f} ms ({longest}); {escape(described.rounding)}</p>"


def _panes(panes: Iterable[tuple[str, Iterable[Line]]]) -> str:
    return f'<div class="panes">{"".join(_pane(title, list(lines)) for title, lines in panes)}</div>'


def _pane(title: str, lines: list[Line]) -> str:
    left_out = len(lines) - _MOST_LINES
    shown = "".join(
        f"<span>{escape(text)}</span>"
        if number is None
        else f'<span data-k="{number}" class="c{number % len(COLOURS)}">{escape(text)}</span>'
        for text, number in lines[:_MOST_LINES]
    )
    more = f"<span>... and {left_out} lines more</span>" if left_out > 0 else ""
    return f'<div class="pane"><h3>{escape(title)}</h3><pre>{shown}{more}</pre></div>'


def _explain(text: str) -> str:
    """Its tables as they are; its notes, which are sentences, below."""
    lines = text.splitlines()
    notes = "".join(f"<li>{escape(line)}</li>" for line in lines if _NOTE.match(line))
    tables = escape("\n".join(line for line in lines if not _NOTE.match(line)))
    return (
        f'<details open><summary>explain</summary><div class="pane"><pre class="table">{tables}</pre></div>'
        f"<ul>{notes}</ul></details>"
    )


def _facts(context: dict[str, Any] | Any) -> str:
    rows = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(_fact(v))}</td></tr>" for k, v in context.items())
    return f'<table class="facts">{rows}</table>'


def _fact(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{k} {_fact(v)}" for k, v in value.items())
        case list():
            return "; ".join(map(_fact, value))
        case _:
            return str(value)
