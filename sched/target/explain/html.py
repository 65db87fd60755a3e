"""An explanation as HTML, for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .text import HEADINGS, LEGEND, bounds, machine, memory, rows_of, stages, title

if TYPE_CHECKING:
    from .explanation import Explanation


def html_of(explanation: Explanation) -> str:
    parts = [f"<p><b>{escape(title(explanation))}</b><br>{escape(machine(explanation))}</p>"]
    for nest in explanation.nests:
        rows = [_row("th", HEADINGS), *(_row("td", row) for row in rows_of(nest.level, explanation))]
        parts.append(f"<table>{''.join(rows)}</table>")
        parts += [f"<p>bound by {escape(bound)}</p>" for bound in bounds(nest.roofline)]
    parts += [f"<p>{escape(stage)}</p>" for stage in (*stages(explanation), *memory(explanation))]
    notes = "".join(f"<li>{escape(note)}</li>" for note in explanation.notes)
    return f'<div class="polysched-explain">{"".join(parts)}<p>{escape(LEGEND)}</p><ul>{notes}</ul></div>'


def _row(tag: str, cells: tuple[str, ...]) -> str:
    first, *others = cells
    indent = (len(first) - len(first.lstrip())) / 2
    head = f'<{tag} style="text-align:left;padding-left:{indent + 0.5}em">{escape(first.strip())}</{tag}>'
    return f"<tr>{head}{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in others)}</tr>"
