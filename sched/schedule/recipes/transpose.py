"""Transposed matrices, and other stages that read rows where they write columns: square tiles in registers."""

from __future__ import annotations

from ...compute.expr import Axis, Const, Expr
from ...compute.simplify import simplify
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage
from .reading import axes_of, extent, is_reduction, reads_of

_LINE = 64  # bytes
_PAGE = 4096  # bytes


def transpose(
    stage: Stage,
    target: Target | str | None = None,
    *,
    lanes: int | None = None,
    tile: tuple[int, int] | None = None,
    streaming: bool | None = None,
) -> None:
    """Schedule a stage that reads along another axis than it is written along, such as B[i, j] = A[j, i].

    stage      computed element by element: y[..., i, ..., j] of A[..., i] and whatever else; other axes stay outside
    target     the machine: the length of its vectors and its caches; this machine by default. With more than one
               thread, the outermost loop is parallel
    lanes      the side of the square tiles that are transposed in registers; by default, a cache line of elements, or
               as many as the shorter axis has
    tile       extents along i and j of the tiles in which the squares go by, those along i first, so that so many
               elements of a row are read one after the other; by default, four squares by 32 where rows that are
               read lie whole pages apart, and otherwise the whole of i, which each call decides where that is a size
               (`specialize`)
    streaming  whether the output is written past the caches; by default, where it is larger than a quarter of the
               third-level cache and its rows are whole cache lines, or where these are unknown

    A square is loaded by rows, and its columns are made by shuffles (Eklundh, A Fast Computer Method for Matrix
    Transposing, IEEE Transactions on Computers 1972), in the order that unpack instructions ask for. Works for any
    size, fixed or symbolic, and every dtype; squares at the end of odd sizes are loaded under masks.

    Raises `ScheduleError` for reductions, and where nothing is read along another axis.

    >>> import polysched as ps
    >>> A = ps.placeholder((4096, 4096), "float32", name="A")
    >>> B = ps.compute((4096, 4096), lambda i, j: A[j, i], name="B")
    >>> s = ps.Schedule(B)
    >>> ps.recipes.transpose(s[B], ps.Target("x86-64-v4", threads=1))
    >>> s[B].loops
    ('j_t', 'i_t', 'j_o', 'i_o', 'i_i', 'j_i')
    """
    target = Target.of(target)
    i, j = _axes(stage)
    size = stage.tensor.dtype.bytes
    if lanes is None:
        shorter = min((length for length in map(extent, (i, j)) if length is not None), default=_LINE)
        lanes = min(max(1, _LINE // size), 1 << max(0, shorter - 1).bit_length())
    apart = _pages_apart(stage, i) if tile is None else None
    if isinstance(apart, Expr) and stage.schedule.condition is None and stage.why_not("specialize", apart) is None:
        _schedule(stage.specialize(apart), (i, j), target, lanes, _in_tiles(lanes), streaming)
        apart = False
    by_default = (0, 0) if apart is False else _in_tiles(lanes)
    _schedule(stage, (i, j), target, lanes, tile or by_default, streaming)


def _schedule(
    stage: Stage, axes: tuple[Axis, Axis], target: Target, lanes: int, tile: tuple[int, int], streaming: bool | None
) -> None:
    """Squares in tiles, whose extents are 0 where there are none."""
    i, j = axes
    if _is_streamed(stage, j, target) if streaming is None else streaming:
        stage.store_streaming()
    columns, rows = tile
    front = [loop for loop in stage.loops if loop not in (i.name, j.name)]
    outer = []
    for axis, length in ((j, rows), (i, columns)):
        if length:
            outer += [stage.split(axis.name, length, outer=f"{axis.name}_t", inner=axis.name)[0]]
    stage.tile(i.name, j.name, lanes, lanes)
    stage.reorder(*front, *outer, f"{j.name}_o", f"{i.name}_o", f"{i.name}_i", f"{j.name}_i")
    stage.unroll(f"{i.name}_i")
    stage.vectorize(f"{j.name}_i")
    if target.thread_count() > 1:
        stage.parallel(stage.loops[0])


def _axes(stage: Stage) -> tuple[Axis, Axis]:
    """The axis along which the stage reads, and the one along which it is written."""
    schedule = stage.schedule
    axes = axes_of(schedule, stage.tensor)
    if not is_reduction(schedule, stage.tensor):
        for read in reads_of(schedule, stage.tensor):
            along = next((axis for axis in axes[:-1] if read.indices and read.indices[-1] is axis), None)
            if along is not None and any(index is axes[-1] for index in read.indices[:-1]):
                return along, axes[-1]
    raise ScheduleError(
        f"transpose schedules stages that read along another axis than they are written along, as B[i, j] = A[j, i], "
        f"and {stage.tensor.name} is none; see recipes.stencil2d for stages that read along their own rows"
    )


def _is_streamed(stage: Stage, last: Axis, target: Target) -> bool:
    lengths = [extent(axis) for axis in axes_of(stage.schedule, stage.tensor)]
    row, total = extent(last), stage.tensor.dtype.bytes
    for length in lengths:
        if length is None:
            return True
        total *= length
    return total > target.l3_bytes // 4 and (row or 0) * stage.tensor.dtype.bytes % _LINE == 0


def _pages_apart(stage: Stage, along: Axis) -> bool | Expr:
    """Whether rows that are read lie whole pages apart, or where they do. Such rows have their lines in the same places
    of the caches, and only a few of them stay there."""
    length, elements = simplify(along.upper - along.lower), _PAGE // stage.tensor.dtype.bytes
    return int(length.value) % elements == 0 if isinstance(length, Const) else length % elements == 0


def _in_tiles(lanes: int) -> tuple[int, int]:
    return 4 * lanes, 32 * lanes
