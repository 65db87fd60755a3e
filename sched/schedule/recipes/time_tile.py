"""A recurrence over time in skewed tiles of several steps."""

from __future__ import annotations

from ...errors import LegalityError, ScheduleError
from ...target.machine import Target
from ..stage import Stage

_VECTORS = 16  # of the innermost extent of a tile


def time_tile(
    stage: Stage,
    target: Target | str | None = None,
    *,
    time: int = 32,
    space: tuple[int, ...] | None = None,
) -> None:
    """Run a stencil that is iterated in time, or several that need each other, in tiles of `time` steps.

    stage    a recurrence, one of those of a system; its outermost loop is the time
    target   the machine, whose vectors fill the innermost loop; this machine by default
    time     steps in a tile: how often a value that is in the caches is used
    space    extents of a tile along the other loops; by default 16 vectors for the innermost, and for the others what
             leaves a plane of a tile a sixteenth of the second-level cache

    The smallest skews and shifts with which tiles are legal are found first (`Schedule.suggest`). Two planes are kept
    where the others are not asked for. Each command is proven as always. Raises `ScheduleError` where no skew makes
    tiles legal, and for stages that are no recurrence.

    Skewed tiles are those of Wolf and Lam (A Data Locality Optimizing Algorithm, PLDI 1991).

    >>> import polysched as ps
    >>> T, n = ps.size_var("T"), ps.size_var("n", min=1)
    >>> A = ps.placeholder((n,), "float64", name="A")
    >>> t, i = ps.axes("t i")
    >>> u = ps.recurrence((T + 1, n), "float64", name="u")
    >>> u[0, i] = A[i]
    >>> u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    >>> s = ps.Schedule(u[T])
    >>> ps.recipes.time_tile(s[u], ps.Target("x86-64-v3"))
    >>> s[u].loops
    ('t_o', 'i_o', 't_i', 'i_i')
    """
    target = Target.of(target)
    loops, name = stage.loops, stage.tensor.name
    extents = space or _extents(len(loops) - 1, stage.tensor.dtype.bytes, target)
    if len(loops) < 2 or len(extents) != len(loops) - 1:
        raise ScheduleError(
            f"time_tile takes extents of tiles for the loops {', '.join(loops[1:])} of {name} in space="
        )
    moves = [command for command in stage.schedule.suggest() if ".skew(" in command or ".shift(" in command]
    for count in range(len(moves) + 1):
        trial = stage.schedule.copy()
        try:
            trial.extend(moves[:count])
            _tile(trial[name], loops, (time, *extents))
        except LegalityError:
            continue
        stage.schedule.extend(trial.commands[len(stage.schedule.commands) :])
        return
    raise ScheduleError(f"time_tile: no skews were found with which {name} can be tiled over {', '.join(loops)}")


def _extents(rank: int, size: int, target: Target) -> tuple[int, ...]:
    """Of a tile over `rank` loops, in elements of `size` bytes."""
    innermost = _VECTORS * max(1, target.vector_bits // (8 * size))
    rows = max(1, target.l2_bytes // (16 * size * innermost))
    return (*(max(4, int(rows ** (1 / (rank - 1)))) for _ in range(rank - 1)), innermost)


def _tile(stage: Stage, loops: tuple[str, ...], extents: tuple[int, ...]) -> None:
    """Tiles along all loops, vectors along the innermost, and two planes, where these are legal."""
    for loop, extent in zip(loops, extents, strict=True):
        stage.split(loop, extent)
    stage.reorder(*(f"{loop}_o" for loop in loops), *(f"{loop}_i" for loop in loops))
    if stage.why_not("vectorize", f"{loops[-1]}_i") is None:
        stage.vectorize(f"{loops[-1]}_i")
    if stage.why_not("fold_storage", loops[0], 2) is None:
        stage.fold_storage(loops[0], 2)
