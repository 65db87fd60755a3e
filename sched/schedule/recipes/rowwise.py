"""Softmax, normalisations and reductions: everything that a row needs in the loop over rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...compute.expr import Axis, Const, Expr, Read
from ...compute.simplify import constant_value, simplify
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..stage import Stage
from .reading import axes_of, bytes_of, exceeds, extent, is_reduction, lanes_of, reads_of, stream, upstream

_LONG = 2048  # bytes: rows that are no whole lines are streamed if they are long
_AHEAD = 1 << 13  # bytes of rows that are fetched before they are needed


def rowwise(
    stage: Stage, target: Target | str | None = None, *, vectors: int = 4, streaming: bool | None = None
) -> None:
    """Schedule a stage whose rows depend on reductions of rows: softmax, layernorm, rmsnorm, sums, maxima.

    stage      the last stage: y[i, j] made of what is reduced for row i, or a reduction y[i] over the row itself; there
               may be any number of axes in front, as in y[b, i, j]. All stages that it reads are scheduled with it
    target     the machine: the length of its vectors; this machine by default. With more than one thread, rows are
               parallel
    vectors    registers of partial results, which hide the latency of an addition
    streaming  whether the output is written past the caches, which then keep the rows that are read; by default, where
               it is larger than a quarter of the third-level cache

    Every stage is computed in the loop over rows of the output, so that a row stays in the first-level cache from its
    reduction to its use (as `compute_at` does in Halide, and the fused kernels of Triton's tutorials); the rows after
    it are fetched meanwhile, where what is read is larger than the second-level cache. What a reduction reads, and what
    else is reduced of a row, is computed in the loops of the reduction where that is legal: softmax goes through a row
    once for its exponentials and their sum. Short rows are worked on two or four at once;
    which ones are is decided in each call where their length is a size (`specialize`).

    Sums are vectorized where their order is free: integers, min and max, and floats declared with reassociate=True;
    float sums that keep their order stay as they are. Works for any size, fixed or symbolic, and every dtype.

    A reduction down columns, y[j] of x[r, j], goes through whole rows all the same, some at once, and keeps its order.

    Raises `ScheduleError` where a stage is made of what is reduced over rows instead of along them, or other stages
    share its parts.

    >>> import polysched as ps
    >>> n, m = ps.size_var("n"), ps.size_var("m")
    >>> x, r = ps.placeholder((n, m), "float32", name="x"), ps.reduce_axis((0, m), name="r")
    >>> total = ps.compute((n,), lambda i: ps.sum(x[i, r] * x[i, r], axis=r, reassociate=True), name="total")
    >>> y = ps.compute((n, m), lambda i, j: x[i, j] * ps.rsqrt(total[i]), name="y")
    >>> s = ps.Schedule(y)
    >>> ps.recipes.rowwise(s[y], ps.Target("x86-64-v4", threads=1))
    >>> print("\\n".join(command for command in s.commands if "specialize" not in command))
    y.store_streaming(at_least=2097152)
    total.compute_at("y", "i")
    total.split("r", 64, outer="r_o", inner="r_i")
    y.split("j", 64, outer="j_o", inner="j_i")
    total.vectorize("r_i")
    y.vectorize("j_i")
    y.prefetch("x", distance=2, at="i", by="i")
    """
    target = Target.of(target)
    parts = upstream(stage, "rowwise")
    if not parts and _is_down_columns(stage):
        _down_columns(stage, target, vectors)
        return
    rows = _rows(stage, parts)
    for condition, at_once in _short_rows(stage, parts, rows, target):
        _schedule(stage.specialize(condition), target, rows, at_once, vectors, streaming)
    inside = _of_a_row(stage.schedule, stage.tensor, parts, rows)
    at_once = _at_once(stage.schedule, (*inside, stage.tensor), rows, target)
    _schedule(stage, target, rows, at_once, vectors, streaming)


def _schedule(stage: Stage, target: Target, rows: int, at_once: int, vectors: int, streaming: bool | None) -> None:
    """Schedule a stage and its parts with so many rows at once, counted by so many axes."""
    schedule = stage.schedule
    parts = upstream(stage, "rowwise")
    if streaming is None:
        stream(stage, target, max(target.l2_bytes, target.l3_bytes // 4), _LONG)
    elif streaming:
        stage.store_streaming()
    inside = _of_a_row(schedule, stage.tensor, parts, rows)
    row = _Rows(rows, at_once, vectors)
    loop = row.cut(stage)
    for part in inside:
        schedule[part].compute_at(stage, loop)
    pieces = dict[Tensor, str]()
    for part in (*reversed(parts), stage.tensor):
        own = row if part is stage.tensor or part in inside else _Rows(0, 1, vectors)
        bits = max(other.dtype.bytes for other in inside) if part in inside else part.dtype.bytes
        if piece := own.split(schedule[part], lanes_of(bits, target)):
            pieces[part] = piece
    hosts = _hosts(schedule, inside, pieces)
    unrolled = (*inside, stage.tensor) if at_once > 1 else ()
    for part, piece in pieces.items():
        if part not in hosts:
            _mark(schedule[part], piece, part in unrolled)
    for part in inside:
        if at_once > 1 and part not in pieces:
            schedule[part].unroll(schedule[part].loops[-1])
    for part in _left(schedule, hosts, pieces):
        _mark(schedule[part], pieces[part], part in unrolled)
    # A single pass over all rows is one stream, which hardware follows as well by itself, and so are short rows.
    if inside and schedule.condition is None:
        _fetch_rows(stage, (*inside, stage.tensor), loop, row, target)
    _share(stage, target, rows, 0)


def _is_down_columns(stage: Stage) -> bool:
    """Whether elements side by side belong to different results."""
    equation = stage.schedule.program.definitions.equations[stage.tensor.uid]
    reads = [read for read in reads_of(stage.schedule, stage.tensor) if equation.reduce is not None and read.indices]
    return bool(equation.axes) and any(
        read.indices[-1] is equation.axes[-1] and len(read.indices) > len(equation.axes) for read in reads
    )


def _down_columns(stage: Stage, target: Target, vectors: int) -> None:
    """Blocks of columns whose results stay in the first-level cache while their rows go by, `vectors` of them at once:
    those are added up in a register."""
    column, rows = stage.loops[len(stage.tensor.shape) - 1], stage.loops[len(stage.tensor.shape) :]
    lanes, size = lanes_of(stage.tensor.dtype.bytes, target), stage.tensor.dtype.bytes
    block, _ = stage.split(column, max(lanes, target.l1_bytes // (8 * size)))
    piece, lane = stage.split(stage.loops[stage.loops.index(block) + 1], lanes)
    around, row = stage.split(rows[-1], vectors)
    stage.reorder(block, *rows[:-1], around, piece, row, lane)
    stage.unroll(row)
    stage.vectorize(lane)
    outer = len(stage.tensor.shape) - 1
    _share(stage, target, outer, outer)


def _share(stage: Stage, target: Target, count: int, otherwise: int) -> None:
    """With several threads, the first of `count` loops that has several iterations is parallel, or else another one."""
    if target.thread_count() > 1:
        outer = axes_of(stage.schedule, stage.tensor)[:count]
        several = (number for number, axis in enumerate(outer) if extent(axis) != 1)
        stage.parallel(stage.loops[next(several, otherwise)])


@dataclass(frozen=True, slots=True)
class _Rows:
    """How a stage counts rows by its first axes, and how many `at_once` are worked on: short rows are chains of
    operations that wait for each other. `vectors` are registers of partial results, of all these rows."""

    axes: int
    at_once: int
    vectors: int

    def cut(self, stage: Stage) -> str:
        """The loop of the output that goes from rows to rows."""
        loop = stage.loops[self.axes - 1]
        return loop if self.at_once == 1 else stage.split(loop, self.at_once)[0]

    def split(self, stage: Stage, native: int) -> str:
        """Pieces of the innermost loop of so many vectors, around which the rows at once stand, if there is a loop
        within a row and its order is free. A row has whole pieces, and a rest."""
        inner = stage.loops[self.axes :]
        equation = stage.schedule.program.definitions.equations[stage.tensor.uid]
        if not inner or not (equation.reduce is None or equation.reduce.reassociate):
            return ""
        axes = (*equation.axes, *(() if equation.reduce is None else equation.reduce.axes))
        length = next((extent(axis) for axis in axes if axis.name == inner[-1]), None)
        lanes = native * max(1, self.vectors // self.at_once)
        if length is not None:  # of more than one vector, there is more than one piece: they have partial results
            around = 1 << max(0, length - 1).bit_length()
            lanes = min(lanes, around, max(native, around // 2))
        whole, piece = stage.split(inner[-1], lanes)
        if self.at_once > 1:
            row = stage.loops[-3]
            stage.reorder(whole, row, piece)
        return piece


_AT_ONCE = ((4, 4), (2, 12))  # so many rows at once, of at most so many vectors
_AT_ONCE_PLAIN = ((4, 2),)  # the same where a row is summed up once, and nothing else waits


def _at_once(schedule: Schedule, stages: tuple[Tensor, ...], rows: int, target: Target) -> int:
    """Up to four rows, if all loops over a row are short, of a known length, and there is one in each stage."""
    lengths = _lengths(schedule, stages, rows)
    if lengths is None or not all(isinstance(length, Const) for length, _ in lengths):
        return 1
    plain = sum(is_reduction(schedule, part) for part in stages) < 2
    table = _AT_ONCE_PLAIN if plain else _AT_ONCE
    most = table[0][0]
    for length, size in lengths:
        assert isinstance(length, Const)
        count = -(-int(length.value) // lanes_of(size, target))
        most = min(most, next((many for many, vectors in table if count <= vectors), 1))
    return most


def _short_rows(stage: Stage, parts: tuple[Tensor, ...], rows: int, target: Target) -> list[tuple[Expr, int]]:
    """Where all loops over a row have one length that is a size: the conditions on it for which several rows are worked
    on at once, and how many, the shortest first."""
    schedule = stage.schedule
    inside = _of_a_row(schedule, stage.tensor, parts, rows)
    lengths = _lengths(schedule, (*inside, stage.tensor), rows)
    if not lengths or not inside or schedule.condition is not None:
        return []
    length, lanes = lengths[0][0], lanes_of(max(size for _, size in lengths), target)
    if isinstance(length, Const) or any(constant_value(length - other) != 0 for other, _ in lengths):
        return []
    found = [(length <= vectors * lanes, many) for many, vectors in _AT_ONCE]
    return [(condition, many) for condition, many in found if stage.why_not("specialize", condition) is None]


def _lengths(schedule: Schedule, stages: tuple[Tensor, ...], rows: int) -> list[tuple[Expr, int]] | None:
    """The length of the loop over a row of each stage, and the bytes of its elements; none if one of them has several,
    or is reduced in order."""
    found = list[tuple[Expr, int]]()
    for stage in stages:
        equation = schedule.program.definitions.equations[stage.uid]
        axes = (*equation.axes, *(() if equation.reduce is None else equation.reduce.axes))[rows:]
        if len(axes) > 1 or (equation.reduce is not None and not equation.reduce.reassociate):
            return None
        found += [(simplify(axis.upper - axis.lower), stage.dtype.bytes) for axis in axes]
    return found


def _fetch_rows(stage: Stage, inside: tuple[Tensor, ...], loop: str, row: _Rows, target: Target) -> None:
    """Fetch rows of what is read from memory while earlier ones are worked on, so many ahead that they are `_AHEAD`
    bytes: hardware that follows a row has to find out at its end where the next one is."""
    schedule = stage.schedule
    read = {node.tensor.uid: node.tensor for part in inside for node in reads_of(schedule, part)}
    for tensor in read.values():
        if tensor in inside or not exceeds(tensor, target.l2_bytes):
            continue
        length = bytes_of(tensor, row.axes)
        distance = 2 if length is None else max(1, -(-_AHEAD // max(1, length * row.at_once)))
        if stage.why_not("prefetch", tensor, at=loop, distance=distance) is None:
            stage.prefetch(tensor, at=loop, distance=distance)


def _rows(stage: Stage, parts: tuple[Tensor, ...]) -> int:
    """How many axes of the output count rows: those by which everything reads what was reduced for its own row."""
    schedule = stage.schedule
    reduced = _reduced(schedule, parts)
    output = stage.tensor
    rank = len(axes_of(schedule, output))
    rows = rank if is_reduction(schedule, output) else rank - (0 if reduced else 1)
    for reader in (output, *(part for part in parts if part.uid in reduced)):
        for read in reads_of(schedule, reader):
            if read.tensor.uid in reduced:
                rows = min(rows, _shared(axes_of(schedule, reader), read))
    if rows < 1:
        raise ScheduleError(
            f"rowwise schedules stages whose rows are reduced along the row, and {output.name} has no axis in front by "
            f"which it and all its parts count rows; reduce over the last axes of what is read, and index what is "
            f"reduced with the same first axes as {output.name}, or use split, rfactor and vectorize"
        )
    return rows


def _reduced(schedule: Schedule, parts: tuple[Tensor, ...]) -> set[int]:
    """The reductions and what is made of them."""
    found = set[int]()
    for part in reversed(parts):
        if is_reduction(schedule, part) or any(read.tensor.uid in found for read in reads_of(schedule, part)):
            found.add(part.uid)
    return found


def _shared(axes: tuple[Axis, ...], read: Read) -> int:
    """How many first axes of the reader are the first indices of what it reads."""
    count = 0
    for axis, index in zip(axes, read.indices, strict=False):
        if index is not axis:
            break
        count += 1
    return count


def _of_a_row(schedule: Schedule, output: Tensor, parts: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """The stages of which each row needs a row of its own, readers first. Others are computed before."""
    inside = [output]
    for part in parts:
        reads = [(reader, read) for reader in (output, *parts) for read in reads_of(schedule, reader)]
        mine = [(reader, read) for reader, read in reads if read.tensor is part]
        if all(reader in inside and _shared(axes_of(schedule, reader), read) >= rows for reader, read in mine):
            inside.append(part)
    return tuple(inside[1:])


def _mark(stage: Stage, piece: str, unrolled: bool) -> None:
    """Make vectors of pieces of a row, of all rows at once, which are written out."""
    stage.vectorize(piece)
    if unrolled:
        stage.unroll(stage.loops[-2])


def _hosts(
    schedule: Schedule, inside: tuple[Tensor, ...], pieces: Mapping[Tensor, str]
) -> Mapping[Tensor, tuple[Tensor, ...]]:
    """For what a reduction of a row reads, and for what else is reduced of the row: the reductions in whose loops it
    may be computed, so that the row is gone through once for them."""
    found = dict[Tensor, tuple[Tensor, ...]]()
    for number, part in enumerate(inside):
        later = [
            other
            for other in reversed(inside[:number])
            if other in pieces
            and is_reduction(schedule, other)
            and any(read.tensor is part for read in reads_of(schedule, other)) != is_reduction(schedule, part)
        ]
        if part in pieces and later:
            found[part] = tuple(later)
    return found


def _left(
    schedule: Schedule, hosts: Mapping[Tensor, tuple[Tensor, ...]], pieces: Mapping[Tensor, str]
) -> Iterator[Tensor]:
    """Compute what has hosts in the loops of one, where that is legal, and give what has to have loops of its own."""
    shared = dict[Tensor, Tensor]()
    for part, tried in hosts.items():
        for later in tried:
            host = shared.get(later, later)
            if _shares(schedule[part], host, pieces[host]):
                shared[part] = host
                break
        else:
            yield part


def _shares(stage: Stage, host: Tensor, loop: str) -> bool:
    """Put a stage in the loops of another one, if that is legal."""
    try:
        stage.compute_with(host, loop)
    except ScheduleError:
        return False
    return True
