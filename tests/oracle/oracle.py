"""Which schedules are legal, by brute force: no isl, and no code of the checker (sched/polyhedral).

Every instance at given sizes is enumerated; the loops of a schedule, evaluated there, are its time. That is a partial
order: serial loops compare lexicographically, iterations of a parallel loop are unordered, and lanes of a vector loop
run each statement of the body together, so that they count only where all else is equal. The init of a reduction
stands before its outermost reduction loop. Every access has a version of its cell: init makes 1, the k-th update k + 1
of k, and readers see the last. A read sees its version under every order that is allowed exactly if the writes of
earlier versions are certainly before it and those of later ones certainly after; so pairs are enough. Updates of a
re-associable reduction come in any order: threads and lanes have partial results, or take turns.

Stages in loops of others have a copy of an element for each iteration of the loops around their store. Which elements
an iteration computes is claimed (`claims`) and checked: each once in a copy, inside the buffer, where something of that
stage is read; and whatever is read, by the definition alone, is in the reader's copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from polysched.compute.expr import Expr, Op, Read
from polysched.compute.tensor import Tensor

from .claims import claimed
from .loops import Loops
from .runs import BEFORE, SERIAL, Instance, Run, ordered
from .values import Columns, grid, joined, numbers, row_numbers


class Oracle:
    """The verdict on a schedule's state (`Schedule.state`) at given sizes."""

    def __init__(self, state: Any, sizes: dict[str, int]) -> None:
        self.program, self.nests, self.sizes = state.program, state.nests, sizes
        self.inlined, self.equations = self.program.inlined, self.program.definitions.equations
        self.stages = [stage for stage in self.program.stages if stage.uid not in self.inlined]
        self.loops = Loops(self.stages, state.nests, state.places)
        self.runs = [run for stage in self.stages for run in self._runs(stage)]
        for run in self.runs:
            if self.loops.depths(run.stage)[0] and not run.update:
                self._check_claims(run)

    def violations(self, runs: list[Run] | None = None) -> Iterator[tuple[Run, Any, Run, Any]]:
        """Pairs (source instances, sink instances) of which the source must run first, or apart, and does not."""
        for writer, reader in product(self.runs, repeat=2):
            if writer.stage is reader.stage or any(True for _ in self._reads_of(writer.stage, reader)):
                yield from self._overwritten(writer, reader)
        for source, sink in product(self.runs if runs is None else runs, repeat=2):
            for mine, theirs in self._conflicts(source, sink):
                free = source is sink and self.equations[source.stage.uid].body.reassociate
                wrong = ordered(source, mine, sink, theirs) != BEFORE
                if not free and wrong.any():
                    yield source, mine[wrong], sink, theirs[wrong]

    def violated(self, source: Instance, sink: Instance) -> bool:
        """Whether exactly this pair is a violation."""
        found = self.violations([run.only(run.rows(source) | run.rows(sink)) for run in self.runs])
        return any(np.any(a.rows(source)[mine] & b.rows(sink)[theirs]) for a, mine, b, theirs in found)

    def _conflicts(self, source: Run, sink: Run) -> Iterator[tuple[Any, Any]]:
        """Pairs of instances where the sink reads (or updates) what the source writes, of an earlier version."""
        if sink.stage is source.stage and sink.update:
            mine, theirs = self._same_element(source, sink, sink.cells, np.arange(len(sink.cells)))
            earlier = (mine < theirs) | (source is not sink)
            yield mine[earlier], theirs[earlier]
        for cells, rows in self._reads_of(source.stage, sink):
            mine, theirs = self._same_element(source, sink, cells, rows)
            yield mine, rows[theirs]

    def _overwritten(self, writer: Run, reader: Run) -> Iterator[tuple[Run, Any, Run, Any]]:
        """Reads of an element by instances that the writer of another one in its cell is not certainly after; nor is it
        before the element is written."""
        layout, copies = self.program.layout(writer.stage), self.loops.depths(writer.stage)[1]
        if not layout.folds or (writer.stage is reader.stage and not reader.update):
            return
        pairs = list(self._conflicts(writer, reader))
        if writer is reader and self.equations[writer.stage.uid].body.reassociate:
            pairs += [(theirs, mine) for mine, theirs in pairs]
        for other in self.runs:
            if other.stage is writer.stage:
                mine, their = ([*run.counters[:copies], *self._places(run)] for run in (writer, other))
                first, second = joined(*row_numbers(mine, their))
                late = ordered(other, second, writer, first) != BEFORE
                late &= writer.cells[first] != other.cells[second]
                for wrote, read in pairs:
                    left, right = joined(first[late], wrote)
                    rows, theirs = read[right], second[late][left]
                    wrong = (ordered(reader, rows, other, theirs) != BEFORE) & (
                        (rows != theirs) | (reader is not other)
                    )
                    if wrong.any():
                        yield reader, rows[wrong], other, theirs[wrong]

    def _places(self, run: Run) -> list[Any]:
        """Where in the buffer each instance writes."""
        layout, box = self.program.layout(run.stage), self.program.placements[run.stage.uid].stored
        elements = [run.defined[axis] for axis in self.equations[run.stage.uid].axes]
        inside = self._inside(box, elements, run.defined, len(run.cells))
        sums = {form: sum(inside[k] * factor for k, factor in form) for form in layout.forms(len(inside))}
        return [x % layout.folds[form] if form in layout.folds else x for form, x in sums.items()]

    def _same_element(self, source: Run, sink: Run, cells: Any, rows: Any) -> tuple[Any, Any]:
        """Instances of the source, with the accesses of the sink's rows to what they write: one cell of one copy."""
        copies = self.loops.depths(source.stage)[1]
        mine = [*source.counters[:copies], source.cells]
        return joined(*row_numbers(mine, [*(counter[rows] for counter in sink.counters[:copies]), cells]))

    def _check_claims(self, run: Run) -> None:
        twice, _ = self._same_element(run, run, run.cells, np.arange(len(run.cells)))
        assert len(twice) == len(run.cells), f"an element of {run.stage} is computed twice"
        depth, readers = self.loops.depths(run.stage)[0], []
        for sink in self.runs:
            for cells, rows in self._reads_of(run.stage, sink):
                found = np.unique(self._same_element(run, sink, cells, rows)[1])
                assert len(found) == len(rows), f"{sink.stage} reads an element of {run.stage} that is not computed"
                readers.append([counter[rows] for counter in sink.counters[:depth]])
        here, *there = row_numbers(list(run.counters[:depth]), *readers)
        assert np.isin(here, np.concatenate(there)).all(), f"{run.stage} is computed where nothing reads it"

    def _reads_of(self, wanted: Tensor, sink: Run) -> Iterator[tuple[Any, Any]]:
        """The cells of another stage that a statement reads, and by which of its instances."""
        equation = self.equations[sink.stage.uid]
        if sink.stage is not wanted and (sink.update or equation.reduce is None):
            yield from self._reads(equation.value, wanted, sink.defined, np.arange(len(sink.cells)))

    def _reads(self, expr: Expr, wanted: Tensor, at: Columns, rows: Any) -> Iterator[tuple[Any, Any]]:
        """The same for an expression; selects narrow, and inlined stages are seen through."""
        if isinstance(expr, Op) and expr.name == "select":
            condition, yes, no = expr.operands
            yield from self._reads(condition, wanted, at, rows)
            holds = numbers([condition], at, len(rows), self.sizes)[0].astype(bool)
            for side, kept in ((yes, holds), (no, ~holds)):
                yield from self._reads(side, wanted, {axis: c[kept] for axis, c in at.items()}, rows[kept])
            return
        if isinstance(expr, Read):
            indices = numbers(expr.indices, at, len(rows), self.sizes)
            if expr.tensor is wanted:
                yield self._cells(indices, wanted.shape, len(rows)), rows
            if expr.tensor.uid in self.inlined:
                equation = self.equations[expr.tensor.uid]
                yield from self._reads(equation.value, wanted, dict(zip(equation.axes, indices, strict=True)), rows)
        for child in expr.children:
            yield from self._reads(child, wanted, at, rows)

    def _runs(self, stage: Tensor) -> Iterator[Run]:
        """The statements of a stage: one, or init and update, which share the loops outside all reduction loops."""
        equation, placement, nest = self.equations[stage.uid], self.program.placements[stage.uid], self.nests[stage.uid]
        reductions = equation.loops[len(equation.axes) :]
        for update in (False, True) if reductions else (False,):
            init = bool(reductions) and not update
            placed = self.loops.depths(stage)[0] > 0
            start = claimed(self.program, stage, self.sizes) if placed else grid(equation.axes, {}, 1, self.sizes)
            defined, count = start if init else grid(reductions, *start, self.sizes)
            elements = [defined[axis] for axis in equation.axes]
            own = self._inside(placement.computed, elements, defined, count)
            self._inside(placement.stored, elements, defined, count)
            around = [defined[axis] for axis in placement.prefix]
            axes = (*placement.prefix, *placement.equation.loops)
            reduced = [] if init else [defined[axis] for axis in reductions]
            columns = dict(zip(axes, [*around, *own, *reduced], strict=not init))
            loops = nest.loops[: self.loops.first(stage)] if init else nest.loops
            values = [loop.begin if init and self.loops.reduces(stage, loop) else loop.value for loop in loops]
            counters = [*around, *numbers(values, columns, count, self.sizes, nest.fused)]
            path = [*self.loops.path(stage, counters, count), *([(SERIAL, np.zeros(count, int))] if init else [])]
            cells = self._cells(elements, stage.shape, count)
            yield Run(stage, update, columns, defined, cells, tuple(counters), tuple(path))

    def _inside(self, box: Any, elements: list[Any], at: Columns, count: int) -> list[Any]:
        """The elements counted from where a box begins, which they are in."""
        origins = numbers(box.origin, at, count, self.sizes)
        relative = [element - origin for element, origin in zip(elements, origins, strict=True)]
        self._cells(relative, box.shape, count)
        return relative

    def _cells(self, indices: list[Any], shape: Any, count: int) -> Any:
        """One number for each element of a shape, which none is outside of."""
        position = np.zeros(count, int)
        for index, extent in zip(indices, numbers(shape, {}, 1, self.sizes), strict=True):
            assert np.all((index >= 0) & (index < extent)), "an element is outside of its tensor or buffer"
            position = position * extent + index
        return position
