"""Closures over all nodes, such as shortest paths: planes updated by a row and a column of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...compute.expr import Axis, Read, walk
from ...compute.recurrence import Recurrence
from ...compute.simplify import difference
from ...compute.tensor import Equation
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage
from .all_or_none import all_or_none, carried_out
from .reading import check_given

_PLANES = 3  # that are kept, at most, where not only the last one is read: else all are


def closure(stage: Stage, target: Target | str | None = None, *, block: int = 32) -> None:
    """Run steps u[k + 1, i, j] = f(u[k, i, j], u[k, i, k], u[k, k, j]) in place, `block` of them at a time.

    stage    a recurrence over three dimensions, of which the first counts steps
    target   the machine, whose vectors and registers a tile fills; this machine by default
    block    steps that run together; rows and columns of a block: rounded up to whole register tiles

    The column and the row that a step reads are kept in stages of their own. Of the steps of a block, the cells in its
    rows and columns are updated step by step; all others afterwards, in register tiles that take all steps of the
    block, as a matrix product does. Then one plane is enough, where only the last one is read; two or three are, where
    those before it are outputs, too. No bit changes: every cell is computed from the values that its equation names.

    With more than one thread, tiles of the others run in parallel. Raises `ScheduleError` for stages without such an
    equation; nothing is changed then.

    The method is that of Venkataraman, Sahni and Mukhopadhyaya (A blocked all-pairs shortest-paths algorithm, Journal
    of Experimental Algorithmics 8, 2003), for Floyd's and Warshall's algorithm, and Gauss and Jordan's elimination.

    >>> import polysched as ps
    >>> n = ps.size_var("n", min=1)
    >>> W = ps.placeholder((n, n), "float32", name="W")
    >>> k, i, j = ps.axes("k i j")
    >>> d = ps.recurrence((n + 1, n, n), "float32", name="d")
    >>> d[0, i, j] = W[i, j]
    >>> d[k + 1, i, j] = ps.minimum(d[k, i, j], d[k, i, k] + d[k, k, j])
    >>> s = ps.Schedule(d[n])
    >>> ps.recipes.closure(s[d], ps.Target("x86-64-v4", threads=1))
    >>> [command for command in s.commands if "fold" in command]
    ['d.fold_storage("k", 1)', 'd_k_i.fold_storage("k", 32)', 'd_k_j.fold_storage("k", 32)']
    """
    target = Target.of(target)
    check_given(stage, "closure", "block", block)
    step = _step(stage)
    lanes = max(1, target.vector_bits // (8 * stage.tensor.dtype.bytes))
    with stage.schedule.transaction(), all_or_none(stage.schedule):
        _in_blocks(stage, step, target, lanes, block)


@dataclass(frozen=True, slots=True)
class _Step:
    """The equation of a step, the names of its axes, and how far the pivot is behind the plane that is computed."""

    number: int
    k: str
    i: str
    j: str
    behind: int


def _step(stage: Stage) -> _Step:
    """The equation that reads one cell, one column and one row of an earlier plane."""
    tensor = stage.tensor
    if isinstance(tensor, Recurrence) and tensor.ndim == 3:
        for number, equation in enumerate(tensor.equations):
            behind = _behind(tensor, equation)
            if behind is not None:
                k, i, j = (axis.name for axis in equation.axes)
                return _Step(number, k, i, j, behind)
    raise ScheduleError(
        f"closure is for recurrences with an equation u[k + 1, i, j] = f(u[k, i, j], u[k, i, k], u[k, k, j]), and "
        f"{tensor.name} has none"
    )


def _behind(tensor: Recurrence, equation: Equation) -> int | None:
    k, i, j = equation.axes
    found: dict[tuple[Axis, ...], set[int | None]] = {}
    for node in walk(equation.body):
        if isinstance(node, Read) and node.tensor is tensor:
            used = tuple(axis for axis in (k, i, j) if any(axis is n for index in node.indices for n in walk(index)))
            found.setdefault(used, set()).add(_pivot(node, k, i, j))
    pivots = set().union(*found.values()) if set(found) == {(k, i, j), (k, i), (k, j)} else set()
    return next(iter(pivots)) if len(pivots) == 1 and equation.reduce is None else None


def _pivot(read: Read, k: Axis, i: Axis, j: Axis) -> int | None:
    """How far behind k the plane is that is read, at a pivot of the same number where it is one."""
    plane, row, column = read.indices
    behind = difference(k, plane)
    for index, axis in ((row, i), (column, j)):
        if index is not axis and (behind is None or difference(k, index) != behind):
            return None
    return behind


def _in_blocks(stage: Stage, step: _Step, target: Target, lanes: int, block: int) -> None:
    own, (k, i, j), ahead = stage.equation(step.number), (step.k, step.i, step.j), -step.behind
    name, rows, width = stage.tensor.name, 8 if target.vector_registers >= 32 else 4, 2 * lanes
    block = -(-block // max(rows, width)) * max(rows, width)
    column = own.cache_operand(k, i, name=f"{name}_{k}_{i}")
    row = own.cache_operand(k, j, name=f"{name}_{k}_{j}")
    stage.split(k, block, offset=-step.behind % block)
    columns = own.separate(i, k, block, ahead=ahead, blocks="other")
    far = columns.separate(j, k, block, ahead=ahead, blocks="other")
    far.tile(i, j, rows, width)
    far.reorder(f"{k}_o", f"{i}_o", f"{j}_o", f"{k}_i", f"{i}_i", f"{j}_i")
    own.split(i, block, outer=f"{i}_block", inner=f"{i}_row")
    for each in (columns, own, row):
        each.split(j, width)
    for each in (columns, own, row, far):
        each.vectorize(f"{j}_i")
    far.unroll(f"{i}_i")
    any(carried_out(stage.schedule, partial(stage.fold_storage, k, planes)) for planes in range(1, _PLANES + 1))
    for kept in (column, row):
        carried_out(stage.schedule, partial(kept.fold_storage, k, block))
    if target.thread_count() > 1:
        carried_out(stage.schedule, partial(far.parallel, f"{i}_o"))
