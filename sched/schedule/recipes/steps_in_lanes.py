"""Sweeps in place, whose rows are chains: several steps at once, each in a lane of its own.

Where a cell needs its neighbour of the same step, as in Gauss-Seidel sweeps, no row is a vector. But the steps can run
one behind the other, as far apart as they need: then the cells (t, i - t, j - 3 * t) of all steps t are computed at the
same time. They are stored side by side, which makes the vectors contiguous, and of such rows only two are kept. (Yuan
et al., Temporal Vectorization for Stencils, SC 2021.) More steps than that, or an unknown number, are blocks of steps,
between which the planes are whole. On threads, a few rows of them are cut into parts that lean to
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
_BLOCK, _MOST_BLOCK = 16, 24  # steps of a block, where their number is not known, and where it is
_TILE = 32, 256  # rows and cells of a row in what a thread goes through at once
_ROW = 1024  # elements at most that one vector loop runs over
_SLACK = 2  # cells more between the steps than are needed: what one has stored is then not read at once


def steps_in_lanes(schedule: Schedule, tensor: Tensor, copies: tuple[Tensor, ...], *, threads: bool) -> bool:
    """Run all steps of a recurrence over time and two dimensions at once, if their number is a small literal; whether
    that is possible.

    copies    slices of it, which are copied as soon as they are there
    threads   whether tiles of it run on threads along a wavefront, where that is possible
    """
    loops = schedule[tensor].loops
    extent = schedule.state.nest(tensor).loops[0].extent
    if (
        len(loops) != 3
        or tensor.ndim != 3
        or not isinstance(extent, Const)
        or not 2 < int(extent.value) <= _MOST_STEPS + 1
    ):
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


def blocks_in_lanes(schedule: Schedule, tensor: Tensor, block: int | None, *, threads: bool) -> bool:
    """Run a block of steps of a recurrence over time and two dimensions at once, and one block after the other, however
    many steps there are; whether that is possible. Planes between blocks are whole, and kept in place."""
    loops = schedule[tensor].loops
    if len(loops) != 3:
        return False
    steps = _block(schedule.state.nest(tensor).loops[0].extent) if block is None else block

    def apart(skew: int) -> tuple[Stage, Stage]:
        blocks, inner = schedule[tensor].block_steps(loops[0], steps)
        _apart(inner, skew)
        return blocks, inner

    def lanes(skew: int) -> None:
        blocks, inner = apart(skew)
        _stored_in_blocks(blocks, inner, steps, skew)
        for equation in range(len(blocks.tensor.equations) - 1):
            carried_out(schedule, partial(_begun, blocks.equation(equation), threads=threads))
        if threads:
            row, column = inner.loops[-3:-1]
            carried_out(schedule, partial(in_waves, inner, row, column, skew, _TILE))

    count = len(schedule.commands)
    least = next((skew for skew in range(1, _MOST_SKEW + 1) if carried_out(schedule, partial(apart, skew))), None)
    undo(schedule, count)
    skews = () if least is None else (least + _SLACK, least)
    return any(carried_out(schedule, partial(lanes, skew)) for skew in skews)


def _block(extent: Expr) -> int:
    """The steps of a block: as many in one as in the other, where their number is known."""
    if not isinstance(extent, Const):
        return _BLOCK
    count = int(extent.value) - 1
    return -(-count // -(-count // _MOST_BLOCK))


def undo(schedule: Schedule, count: int) -> None:
    """Take all commands but the first `count` back."""
    while len(schedule.commands) > count:
        schedule.undo()


def _apart(stage: Stage, skew: int) -> None:
    """Steps one row, and `skew` columns, behind each other, in lanes."""
    time, row, column = stage.loops[-3:]
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
    _side_by_side(schedule[tensor], skew)


def _stored_in_blocks(blocks: Stage, inner: Stage, steps: int, skew: int) -> None:
    """The same for steps within blocks, and their last plane copied in time, in the place of the one before."""
    block, *space = blocks.loops
    blocks.shift(block, -1)
    for loop, distance in zip(space, (1, skew), strict=True):
        blocks.shift(loop, distance * steps)
    blocks.compute_with(inner, space[1])
    blocks.fold_storage(blocks.tensor.equations[0].axes[0].name, 1)
    inner.fold_storage(inner.tensor.equations[0].axes[0].name, 1)
    _side_by_side(inner, skew)


def _begun(plane: Stage, *, threads: bool) -> None:
    """The first plane, all at once: in vectors, and on threads."""
    *_, row, column = plane.loops
    plane.vectorize(plane.split(column, _ROW)[1])
    if threads:
        plane.parallel(row)


def _side_by_side(stage: Stage, skew: int) -> None:
    """What is computed at once is stored side by side, and two rows of it."""
    *block, time, row, column = (axis.name for axis in stage.tensor.equations[0].axes)
    across = f"{row}+{time}"
    stage.reorder_storage(*block, across, f"{column}+{skew}*{time}" if skew > 1 else f"{column}+{time}", time)
    stage.fold_storage(across, 2)


def in_waves(stage: Stage, row: str, column: str, slope: int, tile: tuple[int, int]) -> None:
    """Tiles of rows, `slope` cells further to the left in each row than in the one before, on threads in waves."""
    rows, parts = f"{row}_d", f"{column}_d"
    stage.partition(row, tile[0], name=rows)
    stage.partition(f"{column}+{slope}*{row}" if slope > 1 else f"{column}+{row}", tile[1], name=parts)
    stage.skew(parts, 1, by=rows)
    stage.reorder(parts, rows)
    stage.parallel(rows)
