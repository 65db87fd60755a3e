"""Sweeps in place, whose rows are chains: a few steps at once, each a chain of its own.

Where the steps do not fit into the lanes of vectors, as their number is not known, four of them are written out, each
as far behind the one before as it needs: then no chain waits for another, and the processor has work for the time
that an addition takes. This is unroll-and-jam (Callahan, Cocke and Kennedy, Estimating Interlock and Improving
Balance for Pipelined Architectures, 1988) of the loop over time.
"""

from __future__ import annotations

from functools import partial

from ...compute.tensor import Tensor
from ..schedule import Schedule
from ..stage import Stage
from .all_or_none import carried_out
from .steps_in_lanes import in_waves

_STEPS = 4
_MOST_SKEW = 5
_TILE = 32, 512  # rows and elements of a row that a thread goes through at once


def steps_unrolled(schedule: Schedule, tensor: Tensor) -> bool:
    """Run a few steps of a recurrence over time at once; whether that is possible."""
    return any(carried_out(schedule, partial(_apart, schedule[tensor], skew)) for skew in range(1, _MOST_SKEW + 1))


def on_threads(schedule: Schedule, tensor: Tensor) -> None:
    """Run tiles of rows of such steps on threads along a wavefront, where that is possible."""
    *_, row, column, _ = schedule[tensor].loops
    for slope in range(1, _MOST_SKEW + 1):
        if carried_out(schedule, partial(in_waves, schedule[tensor], row, column, slope, _TILE)):
            return


def _apart(stage: Stage, skew: int) -> None:
    """Steps one row, and `skew` elements of it, behind each other."""
    time, *space = stage.loops
    outside, step = stage.split(time, _STEPS)
    for loop in space[:-1]:
        stage.skew(loop, 1, by=step)
    stage.skew(space[-1], skew, by=step)
    stage.reorder(outside, *space, step)
    refusal = stage.why_not("parallel", step)
    if refusal is not None:
        raise refusal
    stage.unroll(step)
