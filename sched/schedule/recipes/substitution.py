"""Forward substitution: a recurrence over one dimension, of sums over what was computed before, in blocks."""

from __future__ import annotations

from ...compute.recurrence import Recurrence
from ...errors import ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..stage import Stage
from .reading import lanes_of

_SQUARE = 16  # the side of squares that are transposed, at most: so many terms are written out
_VECTORS = 2  # of a block: those that follow in the block itself are added one by one


def substitution(schedule: Schedule, tensor: Recurrence, target: Target, width: int | None) -> None:
    """Run x[i] = (b[i] - sum of L[i, r] x[r] over r < i) / L[i, i], or alike, in blocks of cells: what is of earlier
    blocks is added to all cells of a block at once, in lanes, for which squares of L are transposed; each sum keeps its
    order. The rest runs cell by cell.

    Raises `ScheduleError` where a sum cannot be cut like that.
    """
    cells = schedule[tensor]
    (axis,) = tensor.equations[0].axes
    lanes = lanes_of(tensor.dtype.bytes, target)
    block = width or _VECTORS * lanes
    try:
        cells.split(axis.name, block)
        for number, equation in enumerate(tensor.equations):
            if equation.reduce is not None:
                _in_lanes(cells.equation(number), axis.name, equation.reduce.axes[0].name, block, min(lanes, _SQUARE))
    except ScheduleError as error:
        raise ScheduleError(
            f"sweep cuts sums over cells that were computed in blocks before, in their order, as in a forward "
            f"substitution, and those of {tensor.name} are none: {error.reason}"
        ) from None


def _in_lanes(equation: Stage, cell: str, term: str, block: int, square: int) -> None:
    far = equation.separate(term, cell, block, blocks="other")
    terms, each = far.split(term, square)
    far.reorder(f"{cell}_o", terms, each, f"{cell}_i")
    far.vectorize(f"{cell}_i")
    far.unroll(each)
