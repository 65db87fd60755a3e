"""Recurrences over time in tiles that overlap: each computes several steps from a copy of its neighbourhood."""

from __future__ import annotations

from functools import partial

from ...compute.components import components
from ...compute.expr import Const
from ...errors import LegalityError, ScheduleError
from ...polyhedral.definitions import reads_of
from ...target.machine import Target
from ..skewing import shifts_along
from ..stage import Stage
from .all_or_none import carried_out

_ROW = 1024  # elements at most that one vector loop runs over
_LEAST = 3  # steps of a block: with fewer, there are none to keep in a tile
_MOST_SKEW = 4
_IN_REACH = 4  # rows that run through all steps together, so that what one has written the next reads from the caches


def overlapped(stage: Stage, target: Target, time: int | None, space: tuple[int | None, ...] | None) -> None:
    """Compute blocks of steps in tiles that need nothing of each other, of a recurrence or of several that need each
    other: each tile keeps the steps in between for itself."""
    rank = len(stage.loops) - 1
    if time is not None and time < _LEAST:
        raise ScheduleError(f"time_tile: tiles that overlap have {_LEAST} steps or more, not {time}")
    blocks, steps = stage.block_steps(stage.loops[0], _steps(stage) if time is None else time)
    parts, inside = (_with_companions(own) for own in (blocks, steps))
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
    try:
        blocks.reorder(step, *outer, *inner)
    except LegalityError:
        raise ScheduleError(
            f"time_tile: tiles of {stage.tensor.name} that overlap need cells of each other in the same block of "
            'steps; they are for steps that are made of the one before, and shape="wavefront" for others'
        ) from None
    for part in parts:
        _in_vectors(part)
    for part in parts if target.thread_count() > 1 else ():
        if part.nest.loop(outer[0]).kind == "serial":
            part.parallel(outer[0])
    for part in parts:
        part.fold_storage(step, 2)
    _in_loops(inside, blocks, outer[-1])
    _within_a_tile(inside, rank)


def _in_loops(members: tuple[Stage, ...], host: Stage, loop: str) -> None:
    """Compute stages in a loop, those that others read after these."""
    schedule, tensors = host.schedule, [stage.tensor for stage in members]
    values = schedule.program.definitions.values
    for group in reversed(components(tensors, lambda tensor: [t for t in tensors if reads_of(values[tensor.uid], t)])):
        schedule[group[0]].compute_at(host, loop)


def _with_companions(stage: Stage) -> tuple[Stage, ...]:
    """A stage, and those that it needs and that need it, as far as they are in the same place."""
    schedule = stage.schedule
    return (stage, *(schedule[other] for other in schedule.state.companions(stage.tensor)))


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


def _within_a_tile(members: tuple[Stage, ...], rank: int) -> None:
    """Keep one plane of each or two, and go through a few rows in all steps before the next ones, where that is
    legal."""
    first = members[0]
    _, step, *cells = first.loops
    for stage in members:
        in_place = len(members) > 1 and carried_out(stage.schedule, partial(stage.fold_storage, step, 1))
        if not in_place:
            carried_out(stage.schedule, partial(stage.fold_storage, step, 2))
    for factor in range(1, _MOST_SKEW + 1) if rank > 1 else ():
        if carried_out(first.schedule, partial(_rows_together, members, step, cells[0], factor)):
            break
    for stage in members:
        _in_vectors(stage)


def _rows_together(members: tuple[Stage, ...], step: str, rows: str, factor: int) -> None:
    first, *_ = members
    first.skew(rows, factor, by=step)
    shifts = shifts_along(first.schedule.state, tuple(stage.tensor for stage in members), rows)
    if shifts is None:
        raise ScheduleError(f"time_tile: {first.tensor.name} needs rows of the other members further on than steps are")
    for stage in members:
        if shifts[stage.tensor.uid]:
            stage.shift(rows, shifts[stage.tensor.uid])
    outer, inner = first.split(rows, _IN_REACH)
    first.reorder(outer, step, inner)


def _in_vectors(stage: Stage) -> None:
    """Run the innermost loop as vectors, where that is legal and not done."""
    row = stage.nest.loops[-1]
    long = row.most is None or row.most > _ROW
    if row.kind == "serial":
        carried_out(stage.schedule, lambda: stage.vectorize(stage.split(row.name, _ROW)[1] if long else row.name))
