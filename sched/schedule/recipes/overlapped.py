"""Recurrences over time in tiles that overlap: each computes several steps from a copy of its neighbourhood."""

from __future__ import annotations

from functools import partial

from ...compute.expr import Const
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage
from .steps_in_lanes import carried_out

_ROW = 1024  # elements at most that one vector loop runs over
_LEAST = 3  # steps of a block: with fewer, there are none to keep in a tile
_IN_REACH = 4  # rows that run through all steps together, so that what one has written the next reads from the caches


def overlapped(
    stage: Stage, target: Target, time: int | None, space: tuple[int | None, ...] | None
) -> tuple[Stage, Stage]:
    """Compute blocks of steps in tiles that need nothing of each other; returns the stages of the blocks, and of the
    steps in between, which each tile keeps for itself."""
    rank = len(stage.loops) - 1
    if time is not None and time < _LEAST:
        raise ScheduleError(f"time_tile: tiles that overlap have {_LEAST} steps or more, not {time}")
    blocks, steps = stage.block_steps(stage.loops[0], _steps(stage) if time is None else time)
    extents = _tile(rank) if space is None else space
    step, *cells = blocks.loops
    outer, inner = [], []
    for loop, extent in zip(cells, extents, strict=True):
        if extent is None:
            inner.append(loop)
        else:
            made = blocks.split(loop, extent)
            outer.append(made[0])
            inner.append(made[1])
    blocks.reorder(step, *outer, *inner)
    _in_vectors(blocks)
    if target.thread_count() > 1:
        blocks.parallel(outer[0])
    blocks.fold_storage(step, 2)
    steps.compute_at(blocks, outer[-1])
    _within_a_tile(steps, rank)
    return blocks, steps


def _steps(stage: Stage) -> int:
    """The steps of a block: as many in one as in the other, where their number is known."""
    most = {1: 32, 2: 20}.get(len(stage.loops) - 1, 5)
    count = stage.tensor.shape[0]
    if not isinstance(count, Const) or count.value <= _LEAST:
        return most if not isinstance(count, Const) else _LEAST
    blocks = -(-(int(count.value) - 1) // most)
    return max(_LEAST, -(-(int(count.value) - 1) // blocks))


def _tile(rank: int) -> tuple[int | None, ...]:
    """Extents of a tile: so large that what it computes for others is little of it."""
    if rank == 1:
        return (_ROW - 64,)
    if rank == 2:
        return 250, 500
    return (*(16 for _ in range(rank - 3)), 50, 25, None)


def _within_a_tile(steps: Stage, rank: int) -> None:
    """Keep two planes, and go through a few rows in all steps before the next ones, where that is legal."""
    schedule = steps.schedule
    _, step, *cells = steps.loops
    steps.fold_storage(step, 2)
    for factor in range(1, 5) if rank > 1 else ():
        if carried_out(schedule, partial(_rows_together, steps, step, cells[0], factor)):
            break
    _in_vectors(steps)


def _rows_together(steps: Stage, step: str, rows: str, factor: int) -> None:
    steps.skew(rows, factor, by=step)
    outer, inner = steps.split(rows, _IN_REACH)
    steps.reorder(outer, step, inner)


def _in_vectors(stage: Stage) -> None:
    """Run the innermost loop as vectors, where that is legal."""
    row = stage.nest.loops[-1]
    long = row.most is None or row.most > _ROW
    carried_out(stage.schedule, lambda: stage.vectorize(stage.split(row.name, _ROW)[1] if long else row.name))
