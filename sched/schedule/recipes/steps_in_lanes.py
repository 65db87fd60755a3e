"""Sweeps in place, whose rows are chains: several steps at once, each in a lane of its own.

Where a cell needs its neighbour of the same step, as in Gauss-Seidel sweeps, no row is a vector. But the steps can run
one behind the other, as far apart as they need: then the cells (t, i - t, j - 3 * t) of all steps t are computed at the
same time. They are stored side by side, which makes the vectors contiguous, and of such rows only two are kept. (Yuan
et al., Temporal Vectorization for Stencils, SC 2021.) On threads, a few rows of them are cut into parts that lean to
the left, one row after the other, and parts along a diagonal run at the same time, with the same two rows of storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...compute.expr import Const, Expr, Read
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..schedule import Schedule
from ..stage import Stage
from .all_or_none import carried_out

_MOST_STEPS = 32
_MOST_SKEW = 5
_TILE = 32, 256  # rows and cells of a row in what a thread goes through at once
_SLACK = 1  # cells more between the steps than are needed: what one has stored is then not read at once


def steps_in_lanes(schedule: Schedule, tensor: Tensor, copies: tuple[Tensor, ...], *, threads: bool) -> bool:
    """Run all steps of a recurrence over time and two dimensions at once, if their number is a small literal; whether
    that is possible.

    copies    slices of it, which are copied as soon as they are there
    threads   whether tiles of it run on threads along a wavefront, where that is possible
    """
    loops = schedule[tensor].loops
    extent = schedule.state.nest(tensor).loops[0].extent
    if len(loops) != 3 or not isinstance(extent, Const) or not 2 < int(extent.value) <= _MOST_STEPS + 1:
        return False
    planes = {copy: copy.equations[0].body.indices[0] for copy in copies if isinstance(copy.equations[0].body, Read)}
    count = len(schedule.commands)
    skews = (k for k in range(1, _MOST_SKEW + 1) if carried_out(schedule, partial(_apart, schedule[tensor], k)))
    least = next(skews, None)
    if least is None:
        return False
    undo(schedule, count)

    def lanes(skew: int) -> None:
        _apart(schedule[tensor], skew)
        _stored(schedule, tensor, planes, skew)

    for skew in (least + _SLACK, least):
        if carried_out(schedule, partial(lanes, skew)):
            if threads:  # so far to the left is where a cell's place is free: the last step that reads it is behind
                row, column, _ = schedule[tensor].loops
                carried_out(schedule, partial(in_waves, schedule[tensor], row, column, skew, _TILE))
            return True
    return False


def undo(schedule: Schedule, count: int) -> None:
    """Take all commands but the first `count` back."""
    while len(schedule.commands) > count:
        schedule.undo()


def _apart(stage: Stage, skew: int) -> None:
    """Steps one row, and `skew` columns, behind each other, in lanes."""
    time, row, column = stage.loops
    stage.skew(row, 1, by=time)
    stage.skew(column, skew, by=time)
    stage.reorder(row, column, time)
    stage.vectorize(time)


def _stored(schedule: Schedule, tensor: Tensor, planes: Mapping[Tensor, Expr], skew: int) -> None:
    """Cells of one vector side by side, two rows of them, and copies taken in time."""
    _, column, _ = schedule[tensor].loops
    for copy, plane in planes.items():
        if not isinstance(plane, Const):
            raise ScheduleError(f"{copy.name} copies a plane that is no literal")
        for loop, distance in zip(schedule[copy].loops, (1, skew), strict=True):
            if plane.value:
                schedule[copy].shift(loop, distance * int(plane.value))
        schedule[copy].compute_with(tensor, column)
    time, *space = (axis.name for axis in tensor.equations[0].axes)
    across = f"{space[0]}+{time}"
    schedule[tensor].reorder_storage(across, f"{space[1]}+{skew}*{time}" if skew > 1 else f"{space[1]}+{time}", time)
    schedule[tensor].fold_storage(across, 2)


def in_waves(stage: Stage, row: str, column: str, slope: int, tile: tuple[int, int]) -> None:
    """Tiles of rows, `slope` cells further to the left in each row than in the one before, on threads in waves."""
    rows, parts = f"{row}_d", f"{column}_d"
    stage.partition(row, tile[0], name=rows)
    stage.partition(f"{column}+{slope}*{row}" if slope > 1 else f"{column}+{row}", tile[1], name=parts)
    stage.skew(parts, 1, by=rows)
    stage.reorder(parts, rows)
    stage.parallel(rows)
