"""Dynamic programming over intervals, in blocks: a recurrence whose sums are between the dimensions of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...compute.expr import Expr, Reduce, walk
from ...compute.recurrence import Recurrence
from ...compute.simplify import difference
from ...target.machine import Target
from ..stage import Stage
from .all_or_none import carried_out
from .reading import lanes_of

_BROADCAST = 8  # rows of a register tile, whose elements meet its vectors
_WITHIN = 8  # cells of a block side by side whose own sums are in order


@dataclass(frozen=True, slots=True)
class _Between:
    """The equation whose sum is between the dimensions, its axis, and the dimensions, of rows and of lanes."""

    equation: int
    axis: str
    rows: str
    lanes: str


def over_intervals(stage: Stage, target: Target, block: int) -> bool:
    """Run a recurrence in which the sum for cell (i, j) is over all k from i to j, or from j to i, in square blocks.
    Either end may be a constant further on or less, as in i + 1 to j.

    Of the sum for each cell, what is of blocks between those of its row and its column runs in register tiles; what is
    of the block of its row, in vectors along a row; what is of the block of its column, in vectors of few cells, but
    for those few cells themselves. Blocks begin at multiples of `block` in both dimensions, also where a loop goes
    backwards.

    Returns False, with nothing changed, for other recurrences, and where sums have to be in order.
    """
    between = _between(stage)
    return between is not None and carried_out(stage.schedule, partial(_blocks, stage, between, target, block))


def _between(stage: Stage) -> _Between | None:
    """What the sum is between, where the recurrence has one sum, between its two dimensions."""
    tensor = stage.tensor
    if not isinstance(tensor, Recurrence) or tensor.ndim != 2 or len(stage.schedule.state.system(tensor)) > 1:
        return None
    rows, lanes = (axis.name for axis in tensor.equations[0].axes)
    sums = [
        (number, rule, node)
        for number, rule in enumerate(tensor.rules)
        for node in walk(rule.body)
        if isinstance(node, Reduce)
    ]
    if len(sums) != 1 or len(sums[0][2].axes) != 1:
        return None
    number, rule, reduce = sums[0]
    (axis,) = reduce.axes
    limits = {_place(limit, rule.left) for limit in (axis.lower, axis.upper)}
    return _Between(number, axis.name, rows, lanes) if limits == {0, 1} else None


def _place(limit: Expr, left: tuple[Expr, ...]) -> int | None:
    """Which dimension a limit is in, or a constant further on than."""
    return next((place for place, index in enumerate(left) if difference(limit, index) is not None), None)


def _blocks(cells: Stage, between: _Between, target: Target, block: int) -> None:
    _tiled(cells, between, block)
    row, cell, axis = f"{between.rows}_i", f"{between.lanes}_i", between.axis
    lanes = min(block, 2 * lanes_of(cells.tensor.dtype.bytes, target))
    off = cells.equation(between.equation).separate(between.lanes, between.rows, block, blocks="other")
    own = off.separate(axis, between.lanes, block, blocks="other")
    far = own.separate(axis, between.rows, block, blocks="other")
    far.tile(row, cell, _BROADCAST, lanes)
    far.reorder(f"{cell}_o", f"{row}_o", axis, f"{row}_i", f"{cell}_i")
    far.vectorize(f"{cell}_i")
    far.unroll(f"{row}_i")
    _in_vectors(own, row, cell, axis, lanes, f"{cell}_o")
    cells.peel(f"{between.lanes}_o", first=0, last=0)  # one version, whose masks cost nothing
    if block % _WITHIN == 0 and block > _WITHIN:
        before = off.separate(axis, between.lanes, _WITHIN, blocks="other")
        few = f"{cell}_w"  # no loop of `own`, whose vectors may be shorter
        off.split(cell, _WITHIN, outer=few, inner=f"{cell}_i")
        _in_vectors(before, row, cell, axis, _WITHIN, few)


def _tiled(cells: Stage, between: _Between, block: int) -> None:
    """Square blocks whose corners are multiples of their size, where loops go backwards, too."""
    names = (between.rows, between.lanes)
    backwards = [name for name in names if cells.nest.loop(name).reversed]
    for name in backwards:
        cells.reverse(name)
    cells.tile(*names, block, block)
    for name in backwards:
        cells.reverse(f"{name}_o")
        cells.reverse(f"{name}_i")


def _in_vectors(stage: Stage, row: str, cell: str, axis: str, lanes: int, vectors: str) -> None:
    _, lane = stage.split(cell, lanes, outer=vectors, inner=f"{cell}_i")
    stage.reorder(row, vectors, axis, lane)
    stage.vectorize(lane)
