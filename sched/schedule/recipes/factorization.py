"""Factorizations without pivoting, in blocks: recurrences over two dimensions, of sums up to one of them."""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Axis, Read, Reduce, walk
from ...compute.recurrence import Recurrence
from ...compute.rules import Rule
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage
from .all_or_none import all_or_none
from .intervals import over_intervals
from .reading import check_given

_BROADCAST = 8  # elements of a register tile that meet two vectors each


def factorization(stage: Stage, target: Target | str | None = None, *, block: int = 32) -> None:
    """Run a factorization, and the other ones of its system, in square blocks of `block` rows.

    stage    a recurrence over two dimensions, as of Cholesky's factor, or one of several, as of L and U
    target   the machine, whose vectors a register tile is made of; this machine by default
    block    rows and columns of a block; a multiple of twice the lanes of a vector is best

    Of the sum for each cell, what is of earlier blocks is separated, and runs in register tiles, as a matrix product;
    what is left, in vectors along the dimension that the sum does not end at. Along that dimension the cells are stored
    in panels, unless what is read lies along rows already; outputs are copied from there. Sums keep their order, so all
    bits are those of the default schedule. Where cells along that dimension need nothing of each other, as many
    right-hand sides of a triangular matrix, blocks of them run on threads.

    Where a sum is between both dimensions, as that for cell (i, j) of a maximum over k from i to j, or from i + 1, and
    may be in any order, the blocks of its row and of its column are separated as well: dynamic programming over
    intervals, as of Nussinov, of matrix chains and of triangulations.

    Raises `ScheduleError` for stages that are no recurrence over two dimensions, or have no sum that ends at one of
    them; nothing is changed then.

    The blocks are those of LAPACK (Anderson et al. 1990), by columns to the left (Dongarra, Gustavson and Karp, SIAM
    Review 26:1, 1984).

    >>> import polysched as ps
    >>> n = ps.size_var("n", min=1)
    >>> A = ps.placeholder((n, n), "float64", name="A")
    >>> i, j = ps.axes("i j")
    >>> L = ps.recurrence((n, n), "float64", name="L")
    >>> r, q = ps.reduce_axis((0, j), name="r"), ps.reduce_axis((0, i), name="r")
    >>> L.define((i, j), 0.0, where=j > i)
    >>> L.define((i, j), (A[i, j] - ps.sum(L[i, r] * L[j, r], axis=r)) / L[j, j], where=j < i)
    >>> L[i, i] = ps.sqrt(A[i, i] - ps.sum(L[i, q] * L[i, q], axis=q))
    >>> s = ps.Schedule(L)
    >>> ps.recipes.factorization(s[L], ps.Target("x86-64-v4"))
    >>> [command for command in s.commands if "separate" in command][0]
    'L_cache.equation(1).separate("j", "i", 32)'
    """
    target = Target.of(target)
    check_given(stage, "factorization", "block", block)
    with stage.schedule.transaction(), all_or_none(stage.schedule):
        if over_intervals(stage, target, block):
            return
        cells, along = _factorized(stage, max(1, target.vector_bits // (8 * stage.tensor.dtype.bytes)), block)
        if along is not None and target.thread_count() > 1:
            _in_threads(stage, cells, along)


def _factorized(stage: Stage, lanes: int, block: int) -> tuple[Stage, str | None]:
    """The stage in which the cells are computed, and the dimension along which they need nothing of each other, where
    there is one."""
    schedule, name = stage.schedule, stage.tensor.name
    group = schedule.state.system(stage.tensor)
    ends = {member: _end(member) for member in group}
    other = next((member.name for member, end in ends.items() if end is None), name)
    if not schedule.program.definitions.has_rules(stage.tensor) or None in ends.values():
        whose = f"{other}, which {name} needs and which needs it," if other != name else name
        raise ScheduleError(
            "factorization is for recurrences over two dimensions with sums that end at an axis of their left side, "
            f"and {whose} is none"
        )
    made = []
    for member, end in ends.items():
        assert end is not None and isinstance(member, Recurrence)
        first, last = (axis.name for axis in member.equations[0].axes)
        along = first if end == last else last
        rows = end == last and _reads_rows(member, end)
        output = any(member is tensor for tensor in (*schedule.program.outputs, *schedule.program.arguments))
        output = output and not rows
        cells = schedule[member].cache_write() if output else schedule[member]
        made.append((member, cells, end, along, rows))
        if output:
            _copied(schedule[member], 2 * lanes)
    first, second = (axis.name for axis in stage.tensor.equations[0].axes)
    cells = next(cells for member, cells, *_ in made if member is stage.tensor)
    cells.tile(first, second, block, block)
    apart = {along for member, _, _, along, _ in made if _is_apart(member, group, along)}
    alone = apart.pop() if len(made) == len(apart) == 1 else None
    for member, cells, end, along, rows in made:
        if not rows:
            cells.reorder_storage(f"{along}/{2 * lanes}", end, f"{along}%{2 * lanes}")
        assert isinstance(member, Recurrence)
        for number, rule in enumerate(member.rules):
            reduce, own = member.equations[number].reduce, _end_of(member, number)
            if reduce is not None and own is not None:
                ends_at = _Ends(reduce.axes[0].name, own, end, along, rows, _is_apart(member, group, along))
                _blocks(cells.equation(number), ends_at, block, lanes, wide=_is_wide(rule))
    return cells, alone


def _in_threads(stage: Stage, cells: Stage, along: str) -> None:
    """Blocks of columns, say, of the cells, and rows of the copy, on threads."""
    outer = cells.loops[0]
    if outer != f"{along}_o":
        cells.reorder(f"{along}_o", outer)
    cells.parallel(f"{along}_o")
    if stage.tensor is not cells.tensor:
        stage.parallel(stage.loops[0])


def _end(tensor: Tensor) -> str | None:
    """The dimension that the sums of off-diagonal cells end at, of which there is one."""
    if not isinstance(tensor, Recurrence) or tensor.ndim != 2:
        return None
    found = {_end_of(tensor, k) for k, rule in enumerate(tensor.rules) if _is_wide(rule)} - {None}
    return found.pop() if len(found) == 1 else None


def _end_of(tensor: Recurrence, number: int) -> str | None:
    """The dimension that the sum of an equation ends at."""
    rule = tensor.rules[number]
    reduce = next((node for node in walk(rule.body) if isinstance(node, Reduce)), None)
    if reduce is None or reduce is rule.body or len(reduce.axes) != 1:
        return None
    upper = reduce.axes[0].upper
    return next(
        (axis.name for axis, index in zip(tensor.equations[0].axes, rule.left, strict=True) if index is upper), None
    )


def _reads_rows(tensor: Recurrence, last: str) -> bool:
    """Whether what is summed is read along rows where it is read along this dimension, the last one."""
    reduces = [equation.reduce for equation in tensor.equations if equation.reduce is not None]
    reads = [node for reduce in reduces for node in walk(reduce.operand) if isinstance(node, Read)]
    named = [node for read in reads for index in read.indices[:-1] for node in walk(index)]
    return not any(isinstance(node, Axis) and node.name == last for node in named)


def _is_apart(tensor: Recurrence, group: tuple[Tensor, ...], along: str) -> bool:
    """Whether cells need only such as are at the same place along a dimension: right-hand sides of one matrix."""
    place = next(k for k, axis in enumerate(tensor.equations[0].axes) if axis.name == along)
    reads = (node for equation in tensor.equations for node in walk(equation.body) if isinstance(node, Read))
    return all(
        isinstance(index := read.indices[place], Axis) and index.name == along
        for read in reads
        if any(read.tensor is other for other in group)
    )


def _is_wide(rule: Rule) -> bool:
    """Whether the cells of an equation are more than a diagonal."""
    return len(rule.axes) > 1


def _copied(stage: Stage, width: int) -> None:
    outer = stage.loops[-1]
    _, inner = stage.split(outer, width)
    stage.vectorize(inner)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The axis of a sum, the dimension that it ends at, the one that the sums of most cells do, and the other one;
    whether vectors of what is read lie along the rows; and whether cells apart in the other dimension need nothing of
    each other."""

    axis: str
    own: str
    end: str
    along: str
    rows: bool
    apart: bool


def _blocks(equation: Stage, ends: _Ends, block: int, lanes: int, *, wide: bool) -> None:
    """The cells off the diagonal blocks, and those in them; of both, the updates from blocks before."""
    end, inner = f"{ends.end}_i", f"{ends.along}_i"
    rows_outside = equation.loops.index(end) < equation.loops.index(inner)
    if wide:
        off = equation if ends.apart else equation.separate(ends.end, ends.along, block)
        far = off.separate(ends.axis, ends.end, block)
        single, vector = (inner, end) if ends.rows else (end, inner)
        far.tile(single, vector, _BROADCAST, 2 * lanes)
        far.reorder(f"{vector}_o", f"{single}_o", ends.axis, f"{single}_i", f"{vector}_i")
        far.vectorize(f"{vector}_i")
        far.unroll(f"{single}_i")
        if ends.apart:
            _vectors(off, ends.axis, (end, inner), 2 * lanes, rows_outside=True)
            return
        _vectors(off, ends.axis, (end, inner), lanes, rows_outside=rows_outside)
    near = equation.separate(ends.axis, ends.own, block)
    if wide:
        loops = (inner, end) if ends.rows else (end, inner)
        _vectors(near, ends.axis, loops, 2 * lanes, rows_outside=rows_outside or ends.rows)


def _vectors(stage: Stage, axis: str, loops: tuple[str, str], lanes: int, *, rows_outside: bool) -> None:
    end, inner = loops
    vectors, lane = stage.split(inner, lanes)
    stage.reorder(*((end, vectors) if rows_outside else (vectors, end)), axis, lane)
    stage.vectorize(lane)
