"""Recurrences over time in tiles of several steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from ...compute.expr import Const, Read
from ...compute.tensor import Tensor
from ...errors import LegalityError, ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..skewing import band_commands, slabs, system_of
from ..stage import Stage
from ..suggestion import shown
from .all_or_none import all_or_none, carried_out
from .overlapped import overlapped
from .reading import check_given, stream
from .steps_in_lanes import blocks_in_lanes, steps_in_lanes
from .steps_unrolled import on_threads, steps_unrolled

Cut = tuple[int, dict[int, int]]  # the slope of slabs, and how far each stage is moved in them, by its uid
_ROW = 1024  # elements at most that one vector loop runs over


def time_tile(
    stage: Stage,
    target: Target | str | None = None,
    *,
    time: int | None = None,
    space: tuple[int | None, ...] | None = None,
    shape: str | None = None,
) -> None:
    """Run a stencil that is iterated in time, or several that need each other, in tiles of many steps.

    stage    a recurrence, one of those of a system; its outermost loop is the time
    target   the machine: the length of its vectors and its caches; this machine by default. With more than one thread,
             tiles are parallel as `shape` says, where rows are vectors
    time     steps in a tile: how often a value that is in the caches is used. By default up to 48 in one or two
             dimensions, and 24 in more
    space    extents of a tile along the other loops, None for one that is not tiled, as are the rows of three or more
             dimensions. By default a tile has long rows, and few of them, so that a row is still in the first-level
             cache when the next step reads it, and all of a tile stays in the second-level cache
    shape    what runs on threads: "diamond", slabs of tiles between lines that lean forwards and backwards, half of
             which can start at once; or "wavefront", the tiles along a diagonal, one diagonal after the other; or
             "overlapped", tiles that compute for themselves what they need of their neighbours, so that all can start
             at once, where steps are made of the one before. By default diamonds where they are legal, and otherwise
             wavefronts

    The smallest skews and shifts with which tiles are legal are found first (as in `Schedule.suggest`). Rows are
    vectors where the stencil allows it, and are then stored in whole vectors. Storage is folded to one plane where the
    stencil can run in place, and to two where it can with those, unless others are asked for. Slices such as u[T] are
    copied in vectors. A sweep whose rows are chains, as Gauss and Seidel's, has its steps in lanes instead, where the
    dimensions are two: all of them if they are a literal number, at most 32, and otherwise blocks of `time` steps, 16
    or as many in one as in the other by default. Elsewhere four steps are written out. All run in tiles along a
    wavefront on threads. What they amount to is proven as always. Raises `ScheduleError` where no skew makes tiles
    legal, and for stages that are no recurrence.
    Blocks, and tiles that overlap, are of two stages in the place of each recurrence: for u, `s["u_blocks"]` and
    `s["u_steps"]` (see `block_steps`).

    Skewed tiles are those of Wolf and Lam (A Data Locality Optimizing Algorithm, PLDI 1991), their wavefronts those of
    Lamport (The Parallel Execution of DO Loops, CACM 1974), diamonds those of Bandishti, Pananilath and Bondhugula
    (Tiling Stencil Computations to Maximize Parallelism, SC 2012). With the slabs much wider than high they are the
    trapezoids of Frigo and Strumpen (Cache Oblivious Stencil Computations, ICS 2005).

    >>> import polysched as ps
    >>> T, n = ps.size_var("T"), ps.size_var("n", min=1)
    >>> A = ps.placeholder((n,), "float64", name="A")
    >>> t, i = ps.axes("t i")
    >>> u = ps.recurrence((T + 1, n), "float64", name="u")
    >>> u[0, i] = A[i]
    >>> u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    >>> s = ps.Schedule(u[T])
    >>> ps.recipes.time_tile(s[u], ps.Target("x86-64-v3", threads=1))
    >>> s[u].loops
    ('t_o', 'i_o', 't_i', 'i_i')
    """
    target = Target.of(target)
    schedule, loops = stage.schedule, stage.loops
    group = system_of(schedule.state, stage.tensor)
    if len(loops) < 2 or not group:
        raise ScheduleError(f"time_tile is for recurrences over time and space, and {stage.tensor.name} is none")
    if space is not None and (not isinstance(space, (tuple, list)) or len(space) != len(loops) - 1 or space[0] is None):
        raise ScheduleError(
            f"time_tile takes extents of tiles for the loops {', '.join(loops[1:])} of {stage.tensor.name} in space=, "
            f"not {shown(space)}"
        )
    check_given(stage, "time_tile", "time", time)
    check_given(stage, "time_tile", "space", *(space or ()))
    if shape not in (None, "diamond", "wavefront", "overlapped"):
        raise ScheduleError(
            f'time_tile has the shapes "diamond", "wavefront" and "overlapped", and none that is {shown(shape)}'
        )
    shapes: tuple[str | None, ...] = (shape,)
    if shape is None and target.thread_count() > 1:
        shapes = ("diamond", "wavefront", None)
    with all_or_none(schedule):
        copies = tuple(t for t in schedule.program.live_stages() if t not in group and _is_copy(t, group))
        if shape == "overlapped":
            overlapped(stage, target, time, space)
            for tensor in copies:
                _copied(schedule[tensor], target)
            return
        # Tiles change nothing about whether a step may overwrite the one before, and without them that is soon found.
        planes = {t: 2 if schedule[t].why_not("fold_storage", loops[0], 1) else 1 for t in group}
        chains = space is None and len(group) == 1 and stage.why_not("parallel", loops[-1]) is not None
        threads = target.thread_count() > 1 or shape == "wavefront"
        in_lanes = chains and shape in (None, "wavefront")
        if in_lanes and steps_in_lanes(schedule, stage.tensor, copies, threads=threads):
            return
        with schedule.transaction():
            for tensor in copies:
                _copied(schedule[tensor], target)
        if in_lanes and blocks_in_lanes(schedule, stage.tensor, time, threads=threads):
            return
        if chains and shape != "diamond" and steps_unrolled(schedule, stage.tensor):
            _fold(schedule, planes, loops[0])
            if threads and len(loops) > 2:
                on_threads(schedule, stage.tensor)
            return
        for number, each in enumerate(shapes, 1):
            extents = _default(stage, target, each) if space is None else tuple(space)
            tiles = dict(zip(loops, (time or _steps(stage), *extents), strict=True))
            tiled = partial(_tiled, stage, group, tiles, each, planes, target)
            if carried_out(schedule, partial(tiled, strictly=True)):
                return
            try:
                with all_or_none(schedule):
                    tiled(strictly=False)
                return
            except ScheduleError:
                if number == len(shapes):
                    raise


def _steps(stage: Stage) -> int:
    """The steps of a tile: as many in one as in the other, where their number is known."""
    most = 48 if len(stage.loops) <= 3 else 24
    extent = stage.schedule.state.nest(stage.tensor).loops[0].extent
    if not isinstance(extent, Const):
        return most * 2 // 3
    tiles = -(-int(extent.value) // most)
    return max(1, -(-int(extent.value) // max(1, tiles)))


def _default(stage: Stage, target: Target, shape: str | None) -> tuple[int | None, ...]:
    """Of a tile: few rows, as long as a plane of it takes a quarter of the second-level cache; in a wavefront more and
    shorter ones, so that there are several tiles."""
    rank = len(stage.loops) - 1
    if rank == 1:
        return (_ROW,)
    if rank == 2:
        rows, most = (32, 512) if shape == "wavefront" else (16, _ROW)
        elements = target.l2_bytes // (4 * 2 * 16 * stage.tensor.dtype.bytes)
        return rows, max(64, min(most, 1 << elements.bit_length() - 1))
    return (*(8 for _ in range(rank - 2)), 16, None)


def _slab(extents: Mapping[str, int | None]) -> int:
    """How wide slabs are: so much wider than high that few rows are in the corners, and a multiple of a tile's rows."""
    steps, rows, *inner = extents.values()
    assert steps is not None and rows is not None, "time and the first loop of space are tiled"
    wide = (6 if len(inner) < 2 else 9 / 4) * steps
    return rows * max(1, round(wide / rows))


def _tiled(
    stage: Stage,
    group: tuple[Tensor, ...],
    tiles: dict[str, int | None],
    shape: str | None,
    planes: Mapping[Tensor, int],
    target: Target,
    *,
    strictly: bool,
) -> None:
    """Tiles with all that is wanted of them; `strictly`, to be proven together, as it mostly is legal, and otherwise
    each for itself, with what is legal of it."""
    schedule = stage.schedule
    _in_tiles(stage, group, tiles, shape, strictly=strictly)
    for tensor in group:
        _rows_aligned(schedule[tensor], target)
    _fold(schedule, planes, next(iter(tiles)), strictly=strictly)


def _in_tiles(
    stage: Stage, group: tuple[Tensor, ...], tiles: dict[str, int | None], shape: str | None, *, strictly: bool
) -> None:
    """Tile the loops, in vectors where that is legal, or `strictly`, and on threads in the shape that is asked for."""
    schedule, (time, first, *_) = stage.schedule, tiles
    cut = slabs(schedule.state, group, time, first) if shape == "diamond" else None
    if shape == "diamond" and cut is None:
        raise ScheduleError(
            f"time_tile: slabs of {time} and {first} in {stage.tensor.name} need each other in both directions, "
            'whatever their slope, so no diamonds can start at once; shape="wavefront" is for such recurrences'
        )
    outer = _tile_loops(stage, group, tiles, cut)
    parallel = f"{first}_d" if cut is not None else ""
    marked = partial(_marked, schedule, group, parallel)
    if strictly:
        marked()
    vectors = strictly or carried_out(schedule, marked)
    if not vectors:
        each = [carried_out(schedule, partial(_marked, schedule, (tensor,))) for tensor in group]
        vectors = all(each)
        if parallel:
            _on_threads(schedule, group, parallel)
    if cut is None and shape == "wavefront" and vectors:
        if len(outer) < 2:
            raise ScheduleError(
                f"time_tile: tiles of {stage.tensor.name} that hold all steps are a row, and no wavefront"
            )
        first, second = outer[-2:]
        with schedule.transaction():
            stage.skew(second, 1, by=first)
            stage.reorder(second, first)
            _on_threads(schedule, group, first)


def _tile_loops(
    stage: Stage, group: tuple[Tensor, ...], extents: dict[str, int | None], cut: Cut | None
) -> tuple[str, ...]:
    """Skew what is tiled, and tile it; returns the loops over tiles."""
    time, *_ = extents
    tiled = [loop for loop, extent in extents.items() if extent is not None]
    try:
        with stage.schedule.transaction():
            slab = _skewed(stage, group, extents, cut)
            outer: list[str] = []
            inner: list[str] = []
            rest: list[str] = []
            for loop, extent in extents.items():
                steps = stage.nest.loop(loop).most
                if loop == time and extent is not None and steps is not None and steps <= extent:
                    inner.append(loop)  # all steps are in one tile
                elif extent is None:
                    rest += stage.split(loop, _ROW)
                else:
                    for names, name in zip((outer, inner), stage.split(loop, extent), strict=True):
                        names.append(name)
            spread = len(outer) - len(tiled) + 1  # loops over tiles outside of slabs: that over time, if there is one
            stage.reorder(*outer[:spread], *slab, *outer[spread:], *inner, *rest)
    except LegalityError:
        raise ScheduleError(
            f"time_tile: no skews were found with which {stage.tensor.name} can be tiled over {', '.join(tiled)}"
        ) from None
    return tuple(outer)


def _skewed(stage: Stage, group: tuple[Tensor, ...], extents: dict[str, int | None], cut: Cut | None) -> list[str]:
    """Skew the loops that are tiled; with `cut`, in slabs: of the first of space as it is skewed, and of what is found
    there. Returns the loops over those, wave by wave, if there are any."""
    schedule, (time, first, *_) = stage.schedule, extents
    commands, _ = band_commands(schedule.state, group)
    factor, less = cut or (0, {})
    moved = [(schedule[tensor], less[tensor.uid]) for tensor in group if less.get(tensor.uid)]
    slab = [f"{first}_w", f"{first}_d"] if cut is not None else []
    if slab:
        for other, amount in moved:
            other.shift(first, -amount)
        form = f"{factor}*{time}-{first}" if factor > 1 else f"{time}-{first}"
        stage.partition(form, _slab(extents), name=slab[1])
        for other, amount in moved:
            other.shift(first, amount)
    for name, command in commands:
        if extents.get(command.arguments["loop"]) is not None:
            schedule.apply(schedule[name].tensor, command)
    if slab:
        stage.split(first, _slab(extents), outer=slab[0], inner=first)
        stage.skew(slab[0], 1, by=slab[1])
    return slab


def _fold(schedule: Schedule, planes: Mapping[Tensor, int], time: str, *, strictly: bool = False) -> None:
    """Keep so many planes of each tensor that is no output; or one more, or all, where values are still needed and it
    is not `strictly`."""
    for tensor, least in planes.items():
        if any(tensor is output for output in schedule.program.outputs):
            continue
        least_fold, more = (partial(schedule[tensor].fold_storage, time, count) for count in (least, least + 1))
        if strictly:
            least_fold()
        elif not carried_out(schedule, least_fold):
            carried_out(schedule, more)


def _rows_aligned(stage: Stage, target: Target) -> None:
    """Pad what is stored so that rows of vectors begin at whole vectors; an output stays as its caller has it."""
    row = stage.loops[-1]
    lanes = target.vector_bits // stage.tensor.dtype.bits
    if lanes > 1 and stage.nest.loop(row).kind == "vectorize":
        with suppress(ScheduleError):
            stage.align_storage(stage.tensor.equations[0].axes[-1].name, lanes)


def _on_threads(schedule: Schedule, group: tuple[Tensor, ...], loop: str) -> None:
    """Run a loop that stages may share on threads."""
    for tensor in group:
        if schedule.state.nest(tensor).loop(loop).kind == "serial":
            schedule[tensor].parallel(loop)


def _marked(schedule: Schedule, group: tuple[Tensor, ...], parallel: str = "") -> None:
    """Run the innermost loops as vectors, where that is not done, and one that they may share on threads."""
    for tensor in group:
        stage, row = schedule[tensor], schedule.state.nest(tensor).loops[-1]
        if row.kind == "serial":
            stage.vectorize(row.name if row.most is not None and row.most <= _ROW else stage.split(row.name, _ROW)[1])
    if parallel:
        _on_threads(schedule, group, parallel)


def _is_copy(tensor: Tensor, group: tuple[Tensor, ...]) -> bool:
    """Whether a stage is a slice of one of those of a group."""
    body = tensor.equations[0].body
    return isinstance(body, Read) and body.tensor in group


def _copied(stage: Stage, target: Target) -> None:
    """Copy in vectors, and on threads."""
    with stage.schedule.transaction():
        stream(stage, target)
        _, row = stage.split(stage.loops[-1], _ROW)
        stage.vectorize(row)
        if target.thread_count() > 1:
            stage.parallel(stage.loops[0])
