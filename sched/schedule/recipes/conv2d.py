"""Convolutions in register tiles: output columns times channels, or rows times columns where channels are apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

from ...compute.expr import Axis, Read, walk
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..stage import Stage
from .reading import axes_of, extent, group_of, is_reduction, lanes_of, reads_of, upstream

_WINDOW = 32  # the most iterations of loops over a window that are written out
_ACROSS = 2  # how many sums of a vector take as long as an element that is stored across rows
_SQUARES = 1 << 13  # the most elements of squares that are transposed, all of which are written out
_MANY = 256  # sums, where their number is a size


def conv2d(
    stage: Stage,
    target: Target | str | None = None,
    *,
    unrolled: int | None = None,
    vectors: int = 2,
    pack: bool | None = None,
) -> None:
    """Schedule a convolution of images with filters, in any layout, with strides and dilation, or depthwise.

    stage     the convolution, or a stage that reads it element by element (a bias, an activation), which is then
              computed on each register tile. What it reads may be guarded by ps.select, or be a stage that pads
    target    the machine: its vectors and registers; this machine by default. With more than one thread, the outermost
              axes of the output are parallel
    unrolled, vectors  the register tile: vectors along the last axis of the output, or one more or a single one where
              its extent asks for that, and so many elements of another axis, which is the columns where channels are
              last (NHWC), the channels where columns are (NCHW), and the rows or columns where every channel has its
              own filter; by default as many as there are registers for. Where columns are last and fill less of their
              vectors than channels do, as 7 or 14 columns, vectors are along channels instead, and columns the other
              axis
    pack      whether filters are copied, before all else, to the order in which they are used; by default, where they
              are in neither order that vectors or single factors can be read in. Vectors along channels that are not
              last need it, and copy the filters of a tile where they are used

    The accumulators of a tile stay in registers while all of a window and all input channels are summed up, in the
    order of the definition (direct convolution: Zhang, Franchetti and Low, High Performance Zero-Memory Overhead Direct
    Convolutions, ICML 2018; Georganas et al., Anatomy of High-Performance Deep Learning Convolutions on SIMD
    Architectures, SC 2018). Works for any size, fixed or symbolic, and every dtype. With channels last, products of
    bytes or of 16 bits that are summed into 32 use the target's dot products, over input channels.

    Raises `ScheduleError` for stages that are no such sum.

    >>> import polysched as ps
    >>> I, W = ps.placeholder((1, 58, 58, 64), name="I"), ps.placeholder((3, 3, 64, 64), name="W")
    >>> r, q, c = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (64, "c")))
    >>> def convolved(n, y, x, k):
    ...     return ps.sum(I[n, y + r, x + q, c] * W[r, q, c, k], axis=(r, q, c))
    >>> C = ps.compute((1, 56, 56, 64), convolved, name="C")
    >>> s = ps.Schedule(C)
    >>> ps.recipes.conv2d(s[C], ps.Target("x86-64-v4", threads=1))
    >>> s[C].loops
    ('n', 'k_o', 'y', 'x_o', 'r', 'q', 'c', 'x_i', 'k_i')
    """
    target = Target.of(target)
    parts = upstream(stage, "conv2d")
    sums = _sums(stage, parts)
    schedule = stage.schedule
    if pack is not False and _is_short(schedule, sums, target):
        sums, parts = _turned(stage, sums, parts)
    tile = _register_tile(schedule, sums, target, unrolled, vectors)
    front = _tiled(stage, sums, tile)
    if sums.stage is not stage.tensor:
        _fuse(stage, sums, parts)
    _write_out_window(schedule[sums.stage], sums)
    group = _group(sums, target)
    if group > 1:
        _sum_groups(schedule[sums.stage], sums, group)
    for part in _padding(schedule, sums):
        _, lane = schedule[part].split(schedule[part].loops[-1], vectors * lanes_of(part.dtype.bytes, target))
        schedule[part].vectorize(lane)
    if group > 1:
        _pack_groups(schedule[sums.stage], sums, tile[1], group)
    elif sums.across:
        _pack_panel(stage, sums, front[len(sums.own) - 1], tile[1], target)
    elif sums.channel is not None and (not _is_packed(sums) if pack is None else pack):
        _pack_filters(schedule[sums.stage], sums, tile)
    if target.thread_count() > 1:
        stage.parallel(*(front if sums.stage is stage.tensor else _longest(stage, sums, front)))


@dataclass(frozen=True, slots=True)
class _Sums:
    """The stage that sums up, its axes by name, and what it reads."""

    stage: Tensor
    axes: tuple[str, ...]
    channel: str | None  # the axis that counts filters and no elements of the image
    unrolled: str  # the axis of a register tile that is no vector
    lane: str  # the axis of vectors
    window: tuple[Axis, ...]
    image: Read
    filters: Read

    @property
    def across(self) -> bool:
        """Whether vectors are stored across rows."""
        return self.lane != self.axes[-1]

    @property
    def own(self) -> tuple[str, ...]:
        """The axes of the output that count filters, the channel first."""
        used = (index.name for index in self.filters.indices if isinstance(index, Axis))
        return tuple(sorted((name for name in used if name in self.axes), key=lambda name: name != self.channel))

    @property
    def window_term(self) -> str:
        """The axis of the window along which the image lies in memory."""
        last = self.image.indices[-1]
        assert isinstance(last, Axis)
        return last.name


def _sums(stage: Stage, parts: tuple[Tensor, ...]) -> _Sums:
    """What is summed up in a stage, or in the one sum that it reads element by element."""
    schedule, pending, found = stage.schedule, [stage.tensor], list[Tensor]()
    while pending:
        tensor = pending.pop()
        if is_reduction(schedule, tensor):
            found.append(tensor)
        else:
            pending += [read.tensor for read in reads_of(schedule, tensor) if read.tensor in parts]
    if len(set(found)) != 1:
        raise ScheduleError(
            f"conv2d schedules a stage that is, or reads element by element, one convolution; {stage.tensor.name} is "
            f"or reads {len(set(found))}; compute each at the root and schedule it by itself"
        )
    equation = schedule.program.definitions.equations[found[0].uid]
    reduce = equation.reduce
    assert reduce is not None
    reads = {node.tensor.uid: node for node in walk(reduce.operand) if isinstance(node, Read)}
    used = {uid: [axis.name for axis in equation.axes if _indexes(axis, read)] for uid, read in reads.items()}
    order = sorted(reads, key=lambda uid: len(used[uid]))
    if len(axes_of(schedule, stage.tensor)) != len(equation.axes):
        raise ScheduleError(f"conv2d: {stage.tensor.name} does not have the axes of {found[0].name}, which it reads")
    if len(order) != 2 or len(equation.axes) < 2 or len(used[order[0]]) == len(used[order[1]]):
        raise ScheduleError(
            f"conv2d schedules sums of products I[n, y + r, x + q, c] * W[r, q, c, k] of an image and filters, in any "
            f"layout, and {found[0].name} is another reduction; see recipes.gemm for matrix products and "
            "recipes.stencil2d for windows"
        )
    image, filters = reads[order[1]], reads[order[0]]
    places = [name for name in used[order[1]] if name not in used[order[0]]]
    channel = next((name for name in used[order[0]] if name not in used[order[1]]), None)
    names = tuple(axis.name for axis in equation.axes)
    choices = [name for name in (channel, *places[:-3:-1]) if name is not None and name != names[-1]]
    if not places or not choices:
        raise ScheduleError(f"conv2d: {found[0].name} has no axis of rows or columns, by which the image is indexed")
    return _Sums(found[0], names, channel, choices[0], names[-1], reduce.axes, image, filters)


def _indexes(axis: Axis, read: Read) -> bool:
    return any(node is axis for index in read.indices for node in walk(index))


def _register_tile(
    schedule: Schedule, sums: _Sums, target: Target, unrolled: int | None, vectors: int
) -> tuple[int, int]:
    """How many elements of the unrolled axis and of the last one; the accumulators, one vector of each register column
    and a factor for all fit the registers. Tiles are as even as the extents allow."""
    extents = {axis.name: extent(axis) for axis in axes_of(schedule, sums.stage)}
    lanes = lanes_of(sums.stage.dtype.bytes, target)
    length = extents[sums.lane]
    if length is not None:  # as little as possible beyond the end
        beyond = {count: -length % (count * lanes) for count in (vectors, vectors + 1, 1)}
        vectors = min(beyond, key=lambda count: beyond[count])
    others = 1 + vectors if _group(sums, target) == 1 else 2 + 2 * vectors  # a constant, and sums of filters
    most = unrolled or max(1, (target.vector_registers - others) // vectors)
    if unrolled is None and sums.channel is None:
        most = min(most, 4)  # each has a window of its own to read
    length = extents[sums.unrolled]
    if length is not None and length > 0 and unrolled is None:
        most = -(-length // -(-length // most))
    return most, vectors * lanes


def _is_short(schedule: Schedule, sums: _Sums, target: Target) -> bool:
    """Whether rows of the output fill less of their vectors than channels do, by more sums than it takes to store
    vectors of channels across rows."""
    extents = {axis.name: extent(axis) for axis in axes_of(schedule, sums.stage)}
    plain = all(isinstance(index, Axis) for index in sums.filters.indices)
    if sums.channel in (None, sums.lane) or not plain or sums.lane in sums.own:
        return False
    row, channels, lanes = extents[sums.lane], extents[sums.channel], lanes_of(sums.stage.dtype.bytes, target)
    if row is None or channels is None or row < 1 or channels < lanes:
        return False
    saved = channels * -(-row // lanes) - row * -(-channels // lanes)
    terms = 1
    for axis in sums.window:
        terms *= extent(axis) or _MANY
    return terms * saved > _ACROSS * row * channels


def _turned(stage: Stage, sums: _Sums, parts: tuple[Tensor, ...]) -> tuple[_Sums, tuple[Tensor, ...]]:
    """Vectors along filters, in a stage of its own that is stored so; its reader puts them into rows."""
    if sums.stage is stage.tensor:
        copy = stage.cache_write()
        sums, parts = replace(sums, stage=copy.tensor), (copy.tensor, *parts)
    channel = sums.channel
    assert channel is not None
    names = tuple(axis.name for axis in axes_of(stage.schedule, sums.stage))
    stage.schedule[sums.stage].reorder_storage(*(name for name in names if name != channel), channel)
    return replace(sums, lane=channel, unrolled=sums.lane), parts


def _tiled(stage: Stage, sums: _Sums, tile: tuple[int, int]) -> tuple[str, ...]:
    """Tiles of the last stage, that of the filters outermost. Returns the loops around all that is done for a row."""
    names = dict(zip(sums.axes, (axis.name for axis in axes_of(stage.schedule, stage.tensor)), strict=True))
    second, lane = names[sums.unrolled], names[sums.lane]
    window = [loop for loop in stage.loops if loop not in names.values()]
    u_o, u_i = stage.split(second, tile[0], outer=f"{second}_o", inner=f"{second}_i")
    v_o, v_i = stage.split(lane, tile[1], outer=f"{lane}_o", inner=f"{lane}_i")
    outer = {name: {second: u_o, lane: v_o}.get(name, name) for name in names.values()}
    used = {axis.name for axis in axes_of(stage.schedule, sums.stage) if _indexes(axis, sums.image)}
    order = [outer[names[name]] for name in sums.axes]
    tiled = (v_i, u_i) if sums.across else (u_i, v_i)
    if sums.across:  # each panel of filters is used for all images
        own = [outer[names[name]] for name in sums.own]
        order = [*own, *(loop for loop in order if loop not in own)]
    elif sums.channel is not None:
        batch = [outer[names[name]] for name in sums.axes if name in used][:1]
        channel = outer[names[sums.channel]]
        order = [*batch, channel, *(loop for loop in order if loop not in (*batch, channel))]
    stage.reorder(*order, *window, *tiled)
    stage.unroll(tiled[0])
    stage.vectorize(tiled[1])
    return tuple(order[:-1])


def _fuse(stage: Stage, sums: _Sums, parts: tuple[Tensor, ...]) -> None:
    """The sums of a register tile, in the loop around it."""
    schedule = stage.schedule
    convolution = schedule[sums.stage]
    for part in parts[: parts.index(sums.stage)]:
        schedule[part].inline()
    convolution.compute_at(stage, stage.loops[-3])
    window = [axis.name for axis in sums.window]
    others = [name for name in sums.axes if name not in (sums.unrolled, sums.lane)]
    convolution.reorder(*others, *window, sums.unrolled, sums.lane)
    convolution.unroll(sums.unrolled)
    convolution.vectorize(sums.lane)


def _longest(stage: Stage, sums: _Sums, loops: tuple[str, ...]) -> tuple[str, ...]:
    """The first loop that may be long, over panels or a whole axis: stages cannot be computed inside fused loops."""
    extents = {axis.name: extent(axis) for axis in axes_of(stage.schedule, stage.tensor)}
    whole = (loop for loop in loops if (sums.across and loop == loops[0]) or extents.get(loop, 1) != 1)
    return (next(whole, loops[0]),)


def _write_out_window(stage: Stage, sums: _Sums) -> None:
    """Where every channel has its own filter, all of the window, so that rows share what they read."""
    lengths = [extent(axis) for axis in sums.window]
    total = 1
    for length in lengths:
        total *= _WINDOW + 1 if length is None else length
    if sums.channel is None and total <= _WINDOW:
        for axis in sums.window:
            stage.unroll(axis.name)


def _group(sums: _Sums, target: Target) -> int:
    """How many products of input channels, which lie side by side in the image, the target sums up at once."""
    last, own = sums.image.indices[-1], [index for index in sums.filters.indices if isinstance(index, Axis)]
    if sums.channel != sums.lane or not any(last is axis for axis in sums.window) or not any(last is i for i in own):
        return 1
    types = sums.image.dtype, sums.filters.dtype
    return group_of(sums.stage.dtype, types, target) if len(own) == len(sums.filters.indices) else 1


def _sum_groups(stage: Stage, sums: _Sums, group: int) -> None:
    """Products that one instruction sums up, written out inside all other loops of the window."""
    terms = sums.window_term
    outer, inner = stage.split(terms, group, outer=terms, inner=f"{terms}_g")
    stage.reorder(*(axis.name for axis in sums.window if axis.name != terms), outer, inner)
    stage.unroll(inner)


def _pack_groups(stage: Stage, sums: _Sums, width: int, group: int) -> None:
    """Panels of the filters of a register tile, in which the products that one instruction sums up lie side by side."""
    terms, names = sums.window_term, [index.name for index in sums.filters.indices if isinstance(index, Axis)]
    others = [name for name in names if name not in (terms, sums.lane)]
    layout = (f"{sums.lane}/{width}", *others, f"{terms}/{group}", f"{sums.lane}%{width}", f"{terms}%{group}")
    copy = stage.pack(sums.filters.tensor, layout=layout)
    across = copy.loops[-1] == terms
    outer, lane = copy.split(sums.lane, width)
    whole, term = copy.split(terms, group)
    copy.reorder(outer, *others, whole, *((lane, term) if across else (term, lane)))
    copy.unroll(term)
    if not across:
        copy.vectorize(lane)


def _panels(sums: _Sums, width: int) -> tuple[tuple[str, ...], list[str]]:
    """The layout of panels of so many channels, in which the sum runs through memory, and the axes inside a panel."""
    names = [index.name for index in sums.filters.indices if isinstance(index, Axis)]
    others = [axis.name for axis in sums.window if axis.name in names]
    others = [name for name in names if name != sums.channel and name not in others] + others
    return (f"{sums.channel}/{width}", *others, f"{sums.channel}%{width}"), others


def _pack_filters(stage: Stage, sums: _Sums, tile: tuple[int, int]) -> None:
    """Panels of the channels of a register tile."""
    channel = sums.channel
    assert channel is not None
    width = tile[1] if channel == sums.lane else tile[0]
    layout, others = _panels(sums, width)
    copy = stage.pack(sums.filters.tensor, layout=layout)
    contiguous = copy.loops[-1] == channel
    outer, inner = copy.split(channel, width)
    copy.reorder(outer, *others, inner)
    if contiguous:
        copy.vectorize(inner)
    else:
        copy.unroll(inner)


def _pack_panel(stage: Stage, sums: _Sums, at: str, width: int, target: Target) -> None:
    """The panel of a register tile, in the loop around all that uses it. Where filters lie in the order of the sum,
    squares of as many of their elements as there are channels in a vector are transposed in registers."""
    layout, others = _panels(sums, width)
    copy = stage.schedule[sums.stage].pack(sums.filters.tensor, layout=layout)
    copy.compute_at(stage, at)
    lanes, loops = lanes_of(sums.filters.dtype.bytes, target), list(copy.loops)
    outer, lane = copy.split(sums.lane, lanes)
    summed = {axis.name: extent(axis) for axis in sums.window if axis.name in others}
    first, *rest = summed
    length = 1
    for name in rest:
        length *= summed[name] or _SQUARES
    square = lanes // gcd(lanes, length)
    if loops[-len(summed) :] == list(summed) and square * length * lanes <= _SQUARES:
        whole, piece = copy.split(first, square)
        others = [*(name for name in others if name not in summed), whole, piece, *rest]
        for loop in (piece, *rest):
            copy.unroll(loop)
    copy.reorder(outer, *others, lane)
    copy.vectorize(lane)


def _is_packed(sums: _Sums) -> bool:
    """Whether a vector of filters, or the next factor of one, is where the last one ends."""
    last = sums.filters.indices[-1]
    return isinstance(last, Axis) and last.name == (sums.lane if sums.channel == sums.lane else sums.window[-1].name)


def _padding(schedule: Schedule, sums: _Sums) -> tuple[Tensor, ...]:
    """The stages that the convolution reads, which are computed before it."""
    live = {tensor.uid for tensor in schedule.program.live_stages()}
    made = (sums.image.tensor, sums.filters.tensor)
    return tuple(tensor for tensor in made if tensor.uid in live and not is_reduction(schedule, tensor))
