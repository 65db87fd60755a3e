"""Recurrences over time in tiles of several steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from ...compute.expr import Const, Read
from ...compute.tensor import Tensor
from ...errors import LegalityError, ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..skewing import band_commands, system_of
from ..stage import Stage
from .reading import is_streamed
from .steps_in_lanes import steps_in_lanes

_ROW = 1024  # elements at most that one vector loop runs over


def time_tile(
    stage: Stage,
    target: Target | str | None = None,
    *,
    time: int | None = None,
    space: tuple[int | None, ...] | None = None,
) -> None:
    """Run a stencil that is iterated in time, or several that need each other, in tiles of many steps.

    stage    a recurrence, one of those of a system; its outermost loop is the time
    target   the machine: the length of its vectors and its caches; this machine by default. With more than one thread,
             the tiles of a wavefront are parallel, where rows are vectors
    time     steps in a tile: how often a value that is in the caches is used. By default up to 48 in one or two
             dimensions, and 16 in more
    space    extents of a tile along the other loops, None for one that is not tiled, as are the rows of three or more
             dimensions. By default a tile has long rows, and few of them, so that a row is still in the first-level
             cache when the next step reads it, and all of a tile stays in the second-level cache

    The smallest skews and shifts with which tiles are legal are found first (as in `Schedule.suggest`). Rows are
    vectors where the stencil allows it. Storage is folded to one plane where the stencil can run in place, and to two
    where it can with those, unless others are asked for. Slices such as u[T] are copied in vectors. A sweep whose rows
    are chains, as Gauss and Seidel's, has its steps in lanes instead, where they are a literal number, at most 32, and
    the dimensions two. Each command is proven as always. Raises `ScheduleError` where no skew makes tiles legal, and
    for stages that are no recurrence.

    Skewed tiles are those of Wolf and Lam (A Data Locality Optimizing Algorithm, PLDI 1991), their wavefronts those of
    Lamport (The Parallel Execution of DO Loops, CACM 1974).

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
    extents = _default(stage, target) if space is None else tuple(space)
    if len(extents) != len(loops) - 1 or extents[0] is None:
        raise ScheduleError(
            f"time_tile takes extents of tiles for the loops {', '.join(loops[1:])} of {stage.tensor.name} in space="
        )
    with _all_or_none(schedule):
        copies = tuple(t for t in schedule.program.live_stages() if t not in group and _is_copy(t, group))
        # Tiles change nothing about whether a step may overwrite the one before, and without them that is soon found.
        planes = {t: 2 if schedule[t].why_not("fold_storage", loops[0], 1) else 1 for t in group}
        chains = space is None and len(group) == 1 and stage.why_not("parallel", loops[-1]) is not None
        if chains and steps_in_lanes(schedule, stage.tensor, copies):
            return
        for tensor in copies:
            _copied(schedule[tensor], target)
        tiled = _tiled(schedule, stage.tensor, group, dict(zip(loops, (time or _steps(stage), *extents), strict=True)))
        vectors = [_in_vectors(schedule[tensor]) for tensor in group]
        if target.thread_count() > 1 and all(vectors):
            _in_wavefronts(stage, group, tiled)
        _fold(schedule, planes, loops[0])


@contextmanager
def _all_or_none(schedule: Schedule) -> Iterator[None]:
    """Take all commands back if one is refused; refusals that are expected do not look for advice."""
    count, advises = len(schedule.commands), schedule.advises
    schedule.advises = False
    try:
        yield
    except ScheduleError:
        while len(schedule.commands) > count:
            schedule.undo()
        raise
    finally:
        schedule.advises = advises


def _steps(stage: Stage) -> int:
    """The steps of a tile: as many in one as in the other, where their number is known."""
    most = 48 if len(stage.loops) <= 3 else 16
    extent = stage.schedule.state.nest(stage.tensor).loops[0].extent
    if not isinstance(extent, Const):
        return most * 2 // 3
    tiles = -(-int(extent.value) // most)
    return max(1, -(-int(extent.value) // max(1, tiles)))


def _default(stage: Stage, target: Target) -> tuple[int | None, ...]:
    """Of a tile: few rows, as long as a plane of it takes a quarter of the second-level cache."""
    rank, threads = len(stage.loops) - 1, target.thread_count()
    if rank == 1:
        return (_ROW,)
    if rank == 2:
        rows, most = (32, 512) if threads > 1 else (16, _ROW)
        elements = target.l2_bytes // (4 * 2 * 16 * stage.tensor.dtype.bytes)
        return rows, max(64, min(most, 1 << elements.bit_length() - 1))
    return (*(8 for _ in range(rank - 2)), 16, None)


def _tiled(
    schedule: Schedule, tensor: Tensor, group: tuple[Tensor, ...], extents: dict[str, int | None]
) -> tuple[str, ...]:
    """Skew what is tiled, and tile it; returns the loops over tiles."""
    tiled = [loop for loop, extent in extents.items() if extent is not None]
    stage = schedule[tensor]
    try:
        commands, _ = band_commands(schedule.state, group)
        for name, command in commands:
            if command.arguments["loop"] in tiled:
                schedule.apply(schedule[name].tensor, command)
        for loop, extent in extents.items():
            stage.split(loop, extent or _ROW)
        outer, inner = [f"{loop}_o" for loop in tiled], [f"{loop}_i" for loop in tiled]
        rest = [f"{loop}_{part}" for loop in extents if loop not in tiled for part in "oi"]
        stage.reorder(*outer, *inner, *rest)
    except LegalityError:
        raise ScheduleError(
            f"time_tile: no skews were found with which {tensor.name} can be tiled over {', '.join(tiled)}"
        ) from None
    return tuple(outer)


def _fold(schedule: Schedule, planes: Mapping[Tensor, int], time: str) -> None:
    """Keep so many planes of each tensor, or one more, where that is legal."""
    for tensor, least in planes.items():
        for count in (least, least + 1):
            try:
                schedule[tensor].fold_storage(time, count)
                break
            except ScheduleError:  # an output, whose planes are asked for, or values that are still needed
                continue


def _in_wavefronts(stage: Stage, group: tuple[Tensor, ...], tiled: tuple[str, ...]) -> None:
    """Run the tiles of a wavefront of the two innermost loops over tiles on threads."""
    first, second = tiled[-2:]
    stage.skew(second, 1, by=first)
    stage.reorder(second, first)
    for tensor in group:
        if stage.schedule.state.nest(tensor).loop(first).kind == "serial":
            stage.schedule[tensor].parallel(first)


def _in_vectors(stage: Stage) -> bool:
    """Run the innermost loop as vectors, where that is legal and not done; whether it is done then."""
    row = stage.schedule.state.nest(stage.tensor).loops[-1]
    if row.kind == "serial":
        with suppress(ScheduleError):
            stage.vectorize(row.name if row.most is not None and row.most <= _ROW else stage.split(row.name, _ROW)[1])
    return stage.schedule.state.nest(stage.tensor).loops[-1].kind == "vectorize"


def _is_copy(tensor: Tensor, group: tuple[Tensor, ...]) -> bool:
    """Whether a stage is a slice of one of those of a group."""
    body = tensor.equations[0].body
    return isinstance(body, Read) and body.tensor in group


def _copied(stage: Stage, target: Target) -> None:
    """Copy in vectors, and on threads."""
    if is_streamed(stage, target):
        stage.store_streaming()
    _, row = stage.split(stage.loops[-1], _ROW)
    stage.vectorize(row)
    if target.thread_count() > 1:
        stage.parallel(stage.loops[0])
