"""All instances of a statement at given sizes, and how they stand to those of another in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from polysched.compute.tensor import Tensor

from .values import Columns

SERIAL, PARALLEL, LANES, COMBINED_LANES, BEFORE, AFTER, BESIDE, TOGETHER, COMBINED = range(9)
Instance = tuple[str, dict[str, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All instances of one statement: its axes' values, those of the definition's axes, the cell each writes, the
    counters of the loops around and of its own, outermost first, and the steps of its time."""

    stage: Tensor
    update: bool
    columns: Columns
    defined: Columns
    cells: Any
    counters: tuple[Any, ...]
    path: tuple[tuple[int, Any], ...]

    def only(self, kept: Any) -> Run:
        columns, defined = ({a: c[kept] for a, c in table.items()} for table in (self.columns, self.defined))
        counters, path = tuple(c[kept] for c in self.counters), tuple((k, v[kept]) for k, v in self.path)
        return Run(self.stage, self.update, columns, defined, self.cells[kept], counters, path)

    def rows(self, instance: Instance) -> Any:
        if self.stage.name != instance[0] or {axis.name for axis in self.columns} != set(instance[1]):
            return np.full(len(self.cells), False)
        return np.logical_and.reduce([self.cells >= 0, *(c == instance[1][a.name] for a, c in self.columns.items())])


def ordered(source: Run, mine: Any, sink: Run, theirs: Any) -> Any:
    """How source instances stand to sink instances."""
    result, undecided, lanes = (np.full(len(mine), value) for value in (COMBINED, True, False))
    for (kind, a), (_, b) in zip(source.path, sink.path, strict=False):
        x, y = a[mine], b[theirs]
        if kind in (LANES, COMBINED_LANES):
            lanes |= (x != y) & (kind == LANES)
            continue
        result[undecided & (x < y)] = BEFORE if kind == SERIAL else BESIDE
        result[undecided & (x > y)] = AFTER if kind == SERIAL else BESIDE
        undecided &= x == y
    result[undecided & lanes] = TOGETHER
    return result
