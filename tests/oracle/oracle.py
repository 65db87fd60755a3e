"""Which schedules are legal, by brute force: no isl, and no code of the checker (sched/polyhedral).

Every instance at given sizes is enumerated; the loops of a schedule, evaluated there, are its time. That is a partial
order: serial loops compare lexicographically, iterations of a parallel loop are unordered, and lanes of a vector loop
run each statement of the body together, so that they count only where all else is equal. The init of a reduction
stands before its outermost reduction loop. Every access has a version of its cell: init makes 1, the k-th update k + 1
of k, and readers see the last. A read sees its version under every order that is allowed exactly if the writes of
earlier versions are certainly before it and those of later ones certainly after; so pairs are enough. Updates of a
re-associable reduction come in any order, but not at once: iterations race, lanes of reduction axes alone combine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from polysched.compute.expr import Axis, Cast, Const, Expr, Op, Read, Size, walk
from polysched.compute.operations import OPERATIONS
from polysched.compute.tensor import Tensor

SERIAL, PARALLEL, LANES, COMBINED_LANES, BEFORE, AFTER, BESIDE, TOGETHER, COMBINED = range(9)
Instance = tuple[str, dict[str, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All instances of one statement: its axes' values, the cell each writes, and the steps of its time."""

    stage: Tensor
    update: bool
    columns: dict[Axis, Any]
    cells: Any
    path: tuple[tuple[int, Any], ...]

    def only(self, kept: Any) -> Run:
        path, columns = tuple((k, v[kept]) for k, v in self.path), {a: c[kept] for a, c in self.columns.items()}
        return Run(self.stage, self.update, columns, self.cells[kept], path)

    def rows(self, instance: Instance) -> Any:
        if self.stage.name != instance[0] or {axis.name for axis in self.columns} != set(instance[1]):
            return np.full(len(self.cells), False)
        return np.logical_and.reduce([self.cells >= 0, *(c == instance[1][a.name] for a, c in self.columns.items())])


class Oracle:
    """The verdict on a schedule's state (`Schedule.state`) at given sizes."""

    def __init__(self, state: Any, sizes: dict[str, int]) -> None:
        self.nests, self.sizes, self.inlined = state.nests, sizes, state.program.inlined
        stages = [stage for stage in state.program.stages if stage.uid not in self.inlined]
        self.runs = [run for position, stage in enumerate(stages) for run in self._runs(stage, position)]

    def violations(self, runs: list[Run] | None = None) -> Iterator[tuple[Run, Any, Run, Any]]:
        """Pairs (source instances, sink instances) of which the source must run first, or apart, and does not."""
        for source, sink in product(self.runs if runs is None else runs, repeat=2):
            for mine, theirs in self._conflicts(source, sink):
                order = ordered(source, mine, sink, theirs)
                free = source is sink and source.stage.equations[0].body.reassociate
                wrong = (order == BESIDE) | (order == TOGETHER) if free else order != BEFORE
                if wrong.any():
                    yield source, mine[wrong], sink, theirs[wrong]

    def violated(self, source: Instance, sink: Instance) -> bool:
        """Whether exactly this pair is a violation."""
        found = self.violations([run.only(run.rows(source) | run.rows(sink)) for run in self.runs])
        return any(np.any(a.rows(source)[mine] & b.rows(sink)[theirs]) for a, mine, b, theirs in found)

    def _conflicts(self, source: Run, sink: Run) -> Iterator[tuple[Any, Any]]:
        """Pairs of instances where the sink reads (or updates) what the source writes, of an earlier version."""
        if sink.stage is source.stage and sink.update:
            mine, theirs = joined(source.cells, sink.cells)
            earlier = (mine < theirs) | (source is not sink)
            yield mine[earlier], theirs[earlier]
        elif sink.stage is not source.stage and (sink.update or sink.stage.equations[0].reduce is None):
            value, every = sink.stage.equations[0].value, np.arange(len(sink.cells))
            for cells, rows in self._reads(value, source.stage, sink.columns, every):
                mine, theirs = joined(source.cells, cells)
                yield mine, rows[theirs]

    def _reads(self, expr: Expr, wanted: Tensor, at: dict[Axis, Any], rows: Any) -> Iterator[tuple[Any, Any]]:
        """The cells of `wanted` that are read, and by whom; selects narrow, and inlined stages are seen through."""
        if isinstance(expr, Op) and expr.name == "select":
            condition, yes, no = expr.operands
            yield from self._reads(condition, wanted, at, rows)
            holds = self._numbers([condition], at, len(rows))[0].astype(bool)
            for side, kept in ((yes, holds), (no, ~holds)):
                yield from self._reads(side, wanted, {axis: c[kept] for axis, c in at.items()}, rows[kept])
            return
        if isinstance(expr, Read):
            indices = self._numbers(expr.indices, at, len(rows))
            if expr.tensor is wanted:
                yield self._cells(wanted, indices, len(rows)), rows
            if expr.tensor.uid in self.inlined:
                equation = expr.tensor.equations[0]
                yield from self._reads(equation.value, wanted, dict(zip(equation.axes, indices, strict=True)), rows)
        for child in expr.children:
            yield from self._reads(child, wanted, at, rows)

    def _runs(self, stage: Tensor, position: int) -> Iterator[Run]:
        """The statements of a stage: one, or init and update, which share the loops outside all reduction loops."""
        (equation,), loops = stage.equations, self.nests[stage.uid].loops
        made_of = [self._axes(stage, loop.value) for loop in loops]
        first = next((k for k, axes in enumerate(made_of) if any(a.reduction for a in axes)), len(loops))
        for update in (False, True) if equation.reduce is not None else (False,):
            whole = update or equation.reduce is None
            columns, count = self._grid(equation.loops if whole else equation.axes)
            path = [(SERIAL, np.full(count, position))]
            for k, loop in enumerate(loops if whole else loops[:first]):
                path += [(SERIAL, np.ones(count, int))] if k == first else []
                combined = all(axis.reduction for axis in made_of[k])
                kind = {"parallel": PARALLEL, "vectorize": COMBINED_LANES if combined else LANES}.get(loop.kind, SERIAL)
                path.append((kind, *self._numbers([loop.value], columns, count, stage)))
            path += [] if whole else [(SERIAL, np.zeros(count, int))]
            cells = self._cells(stage, self._numbers(equation.indices, columns, count), count)
            yield Run(stage, update, columns, cells, tuple(path))

    def _axes(self, stage: Tensor, value: Expr) -> set[Axis]:
        """The stage's axes in a counter, also through fused loops."""
        fused, axes = self.nests[stage.uid].fused, {node for node in walk(value) if isinstance(node, Axis)}
        inner = [self._axes(stage, part) for axis in axes if axis in fused for part in fused[axis].components]
        return set().union(axes - set(fused), *inner)

    def _cells(self, tensor: Tensor, indices: list[Any], count: int) -> Any:
        """One number for each element, inside the tensor."""
        position = np.zeros(count, int)
        for index, extent in zip(indices, self._numbers(tensor.shape, {}, 1), strict=True):
            assert np.all((index >= 0) & (index < extent)), f"{tensor} is left"
            position = position * extent + index
        return position

    def _grid(self, axes: tuple[Axis, ...]) -> tuple[dict[Axis, Any], int]:
        """Every point of the iteration space, in the order of the definition."""
        columns, count = {}, 1
        for axis in axes:
            lower, upper = self._numbers([axis.lower, axis.upper], columns, count)
            extents = np.maximum(upper - lower, 0)
            rows = np.repeat(np.arange(count), extents)
            columns = {known: values[rows] for known, values in columns.items()}
            columns[axis] = lower[rows] + np.arange(len(rows)) - (np.cumsum(extents) - extents)[rows]
            count = len(rows)
        return columns, count

    def _numbers(self, exprs: Any, at: dict[Axis, Any], count: int, stage: Tensor | None = None) -> list[Any]:
        fused = self.nests[stage.uid].fused if stage is not None else {}
        return [self._number(expr, at, fused) + np.zeros(count, int) for expr in exprs]

    def _number(self, expr: Expr, at: dict[Axis, Any], fused: Any) -> Any:
        """The value of an index expression at every instance; of fused loops, the position in their box."""
        match expr:
            case Const(value):
                return value
            case Axis() if expr in fused:
                position, box = 0, fused[expr]
                for parts in zip(box.components, box.begins, box.extents, strict=True):
                    value, begin, extent = (self._number(part, at, fused) for part in parts)
                    assert np.all((value >= begin) & (value < begin + extent)), "a component leaves its box"
                    position = position * extent + (value - begin)
                return position
            case Axis():
                return at[expr]
            case Size(name) if name in self.sizes:
                return self.sizes[name]
            case Size():
                return prod(self._number(e, at, fused) for f in fused.values() if f.count is expr for e in f.extents)
            case Cast(operand):
                return self._number(operand, at, fused)
            case Op(name, operands):
                function = getattr(np, "where" if name == "select" else OPERATIONS[name].ufunc)
                return function(*(self._number(operand, at, fused) for operand in operands))
        raise AssertionError(f"{expr} is not an index")


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


def joined(a: Any, b: Any) -> tuple[Any, Any]:
    """All (k, l) with a[k] == b[l]."""
    order = np.argsort(b, kind="stable")
    low, high = np.searchsorted(b[order], a, "left"), np.searchsorted(b[order], a, "right")
    mine = np.repeat(np.arange(len(a)), high - low)
    offset = np.arange(len(mine)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    return mine, order[low[mine] + offset]
