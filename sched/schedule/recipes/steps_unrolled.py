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
from .steps_in_lanes import carried_out

_STEPS = 4
_MOST_SKEW = 5
_TILE = 32, 512  # rows and elements of a row that a thread goes through at once


def steps_unrolled(schedule: Schedule, tensor: Tensor, *, threads: bool) -> bool:
    """Run a few steps of a recurrence over time at once; whether that is possible. With threads, its tiles run on them
    along a wavefront, where that is possible."""
    for on_threads in (True, False) if threads and len(schedule[tensor].loops) > 2 else (False,):
        for skew in range(1, _MOST_SKEW + 1):
            if carried_out(schedule, partial(_apart, schedule[tensor], skew, threads=on_threads)):
                return True
    return False


def _apart(stage: Stage, skew: int, *, threads: bool) -> None:
    """Steps one row, and `skew` elements of it, behind each other."""
    time, *space = stage.loops
    outside, step = stage.split(time, _STEPS)
    for loop in space[:-1]:
        stage.skew(loop, 1, by=step)
    stage.skew(space[-1], skew, by=step)
    if threads:
        stage.skew(space[-1], 1, by=space[-2])
    stage.reorder(outside, *space, step)
    refusal = stage.why_not("parallel", step)
    if refusal is not None:
        raise refusal
    if threads:
        (rows, row), (parts, part) = (stage.split(loop, n) for loop, n in zip(space[-2:], _TILE, strict=True))
        stage.skew(parts, 1, by=rows)
        stage.reorder(*space[:-2], parts, rows, row, part, step)
        stage.parallel(rows)
    stage.unroll(step)
