"""Pipelines of stages over images: tiles of the output, and in them stages in registers or in small buffers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isqrt

from ...compute.expr import Axis, Const, Expr, Op, Read, walk
from ...compute.simplify import constant_value, simplify
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..stage import Stage
from .reading import axes_of, exceeds, extent, is_reduction, lanes_of, reads_of, stream, upstream

_ROWS, _ROWS_FETCHED, _ROWS_BESIDE = 8, 12, 4  # of a register tile
_WINDOW = 32  # the longest side of a window: what is read further away is computed before


def stencil2d(
    stage: Stage,
    target: Target | str | None = None,
    *,
    rows: int | None = None,
    vectors: int = 2,
    tile: tuple[int, int] | None = None,
    streaming: bool | None = None,
) -> None:
    """Schedule a pipeline over images: box blur, separable filters, unsharp masks, corner detectors, Sobel operators.

    stage      the last stage, over (..., rows, columns), such as out[y, x] or out[c, y, x]; all stages that it is made
               of are scheduled with it
    target     the machine: the length of its vectors and its caches; this machine by default. With more than one
               thread, tiles of rows are parallel
    rows, vectors  the register tile of the output: so many rows, and so many registers along each; by default 2, of
               8 rows; of 12, where they are made of what is fetched from memory and there are 32 registers; of 4,
               where stages with buffers are beside them
    tile       rows and columns of the tiles in which stages with buffers are computed; by default as large as fits a
               quarter of the second-level cache. Where tiles overlap, their stages are computed again
    streaming  whether the output is written past the caches; by default, where it is larger than the second-level
               cache, which each call looks at where sizes are symbolic, and its vectors are as long as those that are
               computed

    A stage that is read once an element, or is a single operation, is inlined. One that its readers read in their own
    column alone, in whatever rows, is computed for each register tile: several rows of the output share what is in
    registers, and vectors along rows need nothing beside them. What is needed of all rows is computed before. All other
    stages are computed for each tile, in buffers (overlapped tiles: Krishnamoorthy et al., PLDI 2007; Halide:
    Ragan-Kelley et al., PLDI 2013), those that read the same in common loops (`compute_with`). Without such buffers,
    rows of what is larger than a quarter of the third-level cache are fetched while those above are worked on; if rows
    and columns are sizes, small images, for which their sum tells that they stay in that cache, have a schedule of
    their own (`specialize`), in which nothing is fetched, and streamed from an eighth of that cache on. Works for any
    size, fixed or symbolic, and every dtype.

    Raises `ScheduleError` where the output has less than two axes or is a reduction over more than a small window, or
    other stages share its parts.

    >>> import polysched as ps
    >>> n, m = ps.size_var("n"), ps.size_var("m")
    >>> A = ps.placeholder((n + 2, m + 2), "uint16", name="A")
    >>> B = ps.compute((n + 2, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) // 3, name="B")
    >>> C = ps.compute((n, m), lambda i, j: (B[i, j] + B[i + 1, j] + B[i + 2, j]) // 3, name="C")
    >>> s = ps.Schedule(C)
    >>> ps.recipes.stencil2d(s[C], ps.Target("x86-64-v4", threads=1))
    >>> s[C].loops, s[B].loops
    (('i_o', 'j_o', 'i_i', 'j_i'), ('i', 'j'))
    """
    target = Target.of(target)
    parts = upstream(stage, "stencil2d")
    _check(stage)
    plan = _planned(stage, parts)
    wanted = _Wanted(rows, vectors, tile, streaming)
    condition = None if plan.in_tiles or streaming is not None else _small(stage, target)
    if condition is not None and stage.why_not("specialize", condition) is None:
        _schedule(stage.specialize(condition), parts, plan, target, wanted, in_caches=True)
    _schedule(stage, parts, plan, target, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller wants, if anything."""

    rows: int | None
    vectors: int
    tile: tuple[int, int] | None
    streaming: bool | None


def _schedule(
    stage: Stage, parts: tuple[Tensor, ...], plan: _Plan, target: Target, wanted: _Wanted, in_caches: bool = False
) -> None:
    """Schedule what is planned; of what stays in the caches, nothing is fetched ahead, and less is streamed. Vectors
    made shorter before they are stored would be streamed in parts of a line, which costs more than it saves."""
    if wanted.streaming is None:
        if stage.tensor.dtype.bytes == plan.widest:
            stream(stage, target, max(target.l2_bytes, target.l3_bytes // 8) if in_caches else target.l2_bytes)
    elif wanted.streaming:
        stage.store_streaming()
    many = target.vector_registers >= 32
    fetched = () if plan.in_tiles or in_caches else _from_memory(stage, plan, target)
    rows = wanted.rows or (_ROWS_BESIDE if plan.in_tiles else _ROWS_FETCHED if fetched and many else _ROWS)
    lanes = wanted.vectors * lanes_of(plan.widest, target)
    tile = wanted.tile or _tile(stage, plan, target, (rows, lanes))
    outer, inner = _tiled(stage, plan, (rows, lanes), tile)
    for part in (*plan.in_tiles, *plan.before):
        _along_rows(stage.schedule[part], lanes)
    for part in parts:
        if part in plan.in_tiles or part in plan.in_registers:
            stage.schedule[part].compute_at(stage, outer if part in plan.in_tiles else inner)
    for part in plan.in_registers:
        _in_registers(stage.schedule[part])
    _share_loops(stage.schedule, plan.in_tiles)
    for tensor in fetched:
        if stage.why_not("prefetch", tensor, at=inner, by="i_o") is None:
            stage.prefetch(tensor, at=inner, by="i_o")
    if target.thread_count() > 1:
        stage.parallel(stage.loops[0])


def _share_loops(schedule: Schedule, in_tiles: tuple[Tensor, ...]) -> None:
    """Compute stages of a tile that have buffers of one shape, and read the same, in the same loops: what one has
    loaded, the next one needs. `in_tiles` are readers first."""
    for later, part in pairwise(in_tiles):
        mine, theirs = ({read.tensor for read in reads_of(schedule, each)} for each in (part, later))
        shapes = [schedule.program.placements[each.uid].stored.shape for each in (part, later)]
        alike = len(shapes[0]) == len(shapes[1]) and all(
            constant_value(a - b) == 0 for a, b in zip(*shapes, strict=True)
        )
        loop = f"{axes_of(schedule, later)[-1].name}_o"
        if mine & theirs and alike and schedule[part].why_not("compute_with", later, loop) is None:
            schedule[part].compute_with(later, loop)


def _small(stage: Stage, target: Target) -> Expr | None:
    """Where rows and columns are sizes: a condition on their sum for which the output has at most a quarter of the
    bytes of the third-level cache. Of all shapes of one sum the square has the most elements."""
    shape = [simplify(axis.upper - axis.lower) for axis in axes_of(stage.schedule, stage.tensor)]
    if stage.schedule.condition is not None or len(shape) < 2 or any(isinstance(size, Const) for size in shape[-2:]):
        return None
    size = stage.tensor.dtype.bytes
    for length in shape[:-2]:
        if not isinstance(length, Const):
            return None
        size *= max(1, int(length.value))
    most = max(target.l2_bytes, target.l3_bytes // 4) // size
    return simplify(shape[-2] + shape[-1]) <= 2 * isqrt(most)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the stages of a pipeline are computed, each list readers first."""

    in_registers: tuple[Tensor, ...]
    in_tiles: tuple[Tensor, ...]
    before: tuple[Tensor, ...]
    shared: tuple[str, ...]  # axes of the output that count what stages are used for again, such as channels
    widest: int  # bytes of the largest element


def _check(stage: Stage) -> None:
    schedule, output = stage.schedule, stage.tensor
    reduce = schedule.program.definitions.equations[output.uid].reduce
    if len(axes_of(schedule, output)) < 2:
        raise ScheduleError(
            f"stencil2d schedules stages over rows and columns, the last two axes, and {output.name} has "
            f"{len(axes_of(schedule, output))}; for one dimension, use split, vectorize and compute_at"
        )
    if reduce is not None and not all(_is_short(axis) for axis in reduce.axes):
        raise ScheduleError(
            f"stencil2d schedules stages over windows, and {output.name} is reduced over more than {_WINDOW} elements; "
            "see recipes.gemm and recipes.rowwise"
        )


def _planned(stage: Stage, parts: tuple[Tensor, ...]) -> _Plan:
    """Readers first: what is inlined changes what its readers read."""
    schedule, output = stage.schedule, stage.tensor
    live, in_registers, in_tiles, before = [output], list[Tensor](), list[Tensor](), list[Tensor]()
    shared = set[str]()
    for part in parts:
        reads = [(reader, read) for reader in live for read in reads_of(schedule, reader) if read.tensor is part]
        readers = [reader for reader, _ in reads]
        if any(reader in before for reader in readers) or not all(_is_near(schedule, *pair) for pair in reads):
            before.append(part)
        elif _is_read_once(schedule, part, reads) or _is_one_operation(schedule, part):
            schedule[part].inline()
            continue
        elif any(reader in in_tiles for reader in readers) or not all(_in_own_column(schedule, *r) for r in reads):
            in_tiles.append(part)
        else:
            in_registers.append(part)
        live.append(part)
        for reader, read in reads:
            if reader is output and part not in before:
                used = {node.name for index in read.indices for node in walk(index) if isinstance(node, Axis)}
                shared |= {axis.name for axis in axes_of(schedule, output)[:-2]} - used
    sizes = (tensor.dtype.bytes for tensor in (output, *in_registers, *in_tiles))
    return _Plan(tuple(in_registers), tuple(in_tiles), tuple(before), tuple(shared), max(sizes))


def _from_memory(stage: Stage, plan: _Plan, target: Target) -> tuple[Tensor, ...]:
    """What register tiles read row by row that is larger than a quarter of the third-level cache, or may be."""
    schedule = stage.schedule
    found = dict[Tensor, None]()
    for part in (stage.tensor, *plan.in_registers):
        for read in reads_of(schedule, part):
            if _is_near(schedule, part, read) and exceeds(read.tensor, target.l3_bytes // 4):
                found[read.tensor] = None
    return tuple(tensor for tensor in found if tensor not in plan.in_registers)


def _is_short(axis: Axis) -> bool:
    length = extent(axis)
    return length is not None and length <= _WINDOW


def _is_near(schedule: Schedule, reader: Tensor, read: Read) -> bool:
    """Whether an element of the reader needs a small window around its own row and column."""
    axes = axes_of(schedule, reader)[-2:]
    if len(read.indices) < 2 or len(axes) < 2:
        return False
    named = [[node for node in walk(index) if isinstance(node, Axis)] for index in read.indices[-2:]]
    around = all(any(axis is own for axis in found) for own, found in zip(axes, named, strict=True))
    return around and all(_is_short(axis) for found in named for axis in found if axis.reduction)


def _in_own_column(schedule: Schedule, reader: Tensor, read: Read) -> bool:
    return _offset(read.indices[-1], axes_of(schedule, reader)[-1]) == 0


def _offset(index: Expr, axis: Axis) -> int | None:
    """The constant between an index and an axis, if it is one."""
    difference = simplify(index - axis)
    return int(difference.value) if isinstance(difference, Const) else None


def _is_read_once(schedule: Schedule, part: Tensor, reads: list[tuple[Tensor, Read]]) -> bool:
    """Whether no element is used twice, so that nothing is gained by keeping it."""
    elements = {(reader.uid, str([str(simplify(index)) for index in read.indices])) for reader, read in reads}
    if is_reduction(schedule, part) or len(elements) > 1:
        return False
    reader, read = reads[0]
    axes = axes_of(schedule, reader)
    used = [axis for axis in axes if any(_offset(index, axis) is not None for index in read.indices)]
    return len(used) == len(axes) == len(read.indices)


def _is_one_operation(schedule: Schedule, part: Tensor) -> bool:
    """Whether a stage makes one operation of elements at its own place: as cheap to compute again as to read."""
    value, axes = schedule.program.definitions.values[part.uid], axes_of(schedule, part)
    own = all(
        len(read.indices) == len(axes) and all(index is axis for index, axis in zip(read.indices, axes, strict=True))
        for read in reads_of(schedule, part)
    )
    cheap = isinstance(value, Op) and value.name in ("add", "sub", "mul")
    return own and cheap and not any(isinstance(node, Op) for operand in value.children for node in walk(operand))


def _tile(stage: Stage, plan: _Plan, target: Target, registers: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of which all buffers fit a quarter of the second-level cache, four times as long as high, or
    about that where rows are cut into even tiles."""
    rows, lanes = registers
    elements = target.l2_bytes // (4 * plan.widest * max(1, len(plan.in_tiles)))
    columns = 1 << max(0, (4 * elements).bit_length() // 2)
    length = extent(axes_of(stage.schedule, stage.tensor)[-1])
    if length:
        tiles = max(1, (2 * length + columns) // (2 * columns))
        columns = -(-length // (tiles * lanes)) * lanes
    return max(1, elements // columns // rows) * rows, max(1, columns // lanes) * lanes


def _tiled(stage: Stage, plan: _Plan, registers: tuple[int, int], tile: tuple[int, int]) -> tuple[str, str]:
    """Tiles and register tiles of the output. Returns the loops over tiles and over register tiles."""
    axes = [axis.name for axis in axes_of(stage.schedule, stage.tensor)]
    window = stage.loops[len(axes) :]
    *front, i, j = axes
    kept = [name for name in front if name not in plan.shared]
    again = [name for name in front if name in plan.shared]
    outer: tuple[str, ...] = ()
    if plan.in_tiles:
        stage.split(i, tile[0], outer="i_t", inner=i)
        stage.split(j, tile[1], outer="j_t", inner=j)
        outer = ("i_t", "j_t")
    i_o, i_i = stage.split(i, registers[0])
    j_o, j_i = stage.split(j, registers[1])
    stage.reorder(*kept, *outer, i_o, j_o, *again, *window, i_i, j_i)
    for loop in window:
        stage.unroll(loop)
    stage.unroll(i_i)
    stage.vectorize(j_i)
    return (outer[-1] if outer else j_o), j_o


def _in_registers(stage: Stage) -> None:
    """A few rows of a few vectors, all of them written out."""
    rank = len(axes_of(stage.schedule, stage.tensor))
    *front, i, j = stage.loops[:rank]
    window = stage.loops[rank:]
    if window:
        stage.reorder(*front, *window, i, j)
    for loop in (*window, i):
        stage.unroll(loop)
    stage.vectorize(j)


def _along_rows(stage: Stage, lanes: int) -> None:
    """Vectors along the rows of a buffer."""
    rank = len(axes_of(stage.schedule, stage.tensor))
    if rank == 0:
        return
    *front, j = stage.loops[:rank]
    window = stage.loops[rank:]
    j_o, j_i = stage.split(j, lanes)
    if window:
        stage.reorder(*front, j_o, *window, j_i)
    reduce = stage.schedule.program.definitions.equations[stage.tensor.uid].reduce
    for axis in () if reduce is None else reduce.axes:
        if _is_short(axis):
            stage.unroll(axis.name)
    stage.vectorize(j_i)
