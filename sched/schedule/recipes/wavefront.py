"""A recurrence over two dimensions, along its diagonals: dynamic programming on pairs of positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ...compute.expr import Axis, Expr, Read, walk
from ...compute.recurrence import Recurrence
from ...compute.simplify import linear
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.affine import affine
from ...polyhedral.layout import Form, plain, shown_form, total
from ...polyhedral.pieces import least_difference
from ...polyhedral.systems import circular_pairs
from ...target.machine import Target
from ..nest import StageNest
from ..schedule import Schedule
from ..stage import Stage
from .all_or_none import all_or_none, carried_out
from .fewer_bits import Fewer, fewer_bits, narrow_reduction
from .reading import check_given

_MOST_FACTOR = 3
_STEPS = 4  # diagonals that are computed together, in registers


def wavefront(stage: Stage, target: Target | str | None = None, *, diagonals: int = 64) -> None:
    """Run a recurrence over two dimensions diagonal by diagonal, with vectors along each.

    stage      a recurrence whose two outermost loops are over its dimensions; a reduction may be inside
    target     the machine, whose vectors fill the diagonals; this machine by default
    diagonals  computed together, before a copy of the recurrence, where it is an output, takes them over

    The smallest skew is found with which the cells of a diagonal do not need each other. They are stored side by side,
    so that loads are contiguous, and no more diagonals are kept than are still read: reductions over one of the
    dimensions, or both, are computed with them; an output is copied from a buffer. A sequence that is read backwards
    along the diagonals is copied the other way round before. Equations that read no cell of the recurrence, as those of
    a first row, run as they are. Without reductions inside, four diagonals are computed together where that is
    legal: what one of them has computed is shifted by a lane, in registers, for the next. What all amounts to
    is proven as always.

    Integers are in fewer bits, so that vectors hold more of them, if all are proven to fit: for all sizes, or where a
    condition holds, beside the schedule of all others (`narrow`, `specialize`). So are maxima and minima of them, and
    inputs that are only compared, where a call's are found to fit.

    Raises `ScheduleError` where no such skew is found, and for stages that are no recurrence.

    The method is that of Lamport (The Parallel Execution of DO Loops, CACM 17:2, 1974).

    >>> import polysched as ps
    >>> n, m = ps.size_var("n"), ps.size_var("m")
    >>> a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    >>> i, j = ps.axes("i j")
    >>> D = ps.recurrence((n + 1, m + 1), "int32", name="D")
    >>> D[0, j] = ps.cast("int32", j)
    >>> D[i + 1, 0] = ps.cast("int32", i + 1)
    >>> changed = ps.cast("int32", a[i] != b[j])
    >>> D[i + 1, j + 1] = ps.min(D[i, j] + changed, ps.min(D[i, j + 1], D[i + 1, j]) + 1)
    >>> r = ps.reduce_axis((0, m + 1), name="j")
    >>> best = ps.compute((n + 1,), lambda i: ps.min(D[i, r], axis=r), name="best")
    >>> s = ps.Schedule(best)
    >>> ps.recipes.wavefront(s[D], ps.Target("x86-64-v3"))
    >>> s.commands[-1]
    'D.fold_storage("i+j", 8)'
    """
    target = Target.of(target)
    check_given(stage, "wavefront", "diagonals", diagonals)
    if not isinstance(stage.tensor, Recurrence) or stage.tensor.ndim != 2 or len(stage.loops) < 2:
        raise ScheduleError(f"wavefront is for recurrences over two dimensions, and {stage.tensor.name} is none")
    fewer = fewer_bits(_cells(stage)[0])
    with all_or_none(stage.schedule):
        few = stage.specialize(fewer.condition) if fewer is not None and fewer.condition else stage
        _run(few, target, diagonals, fewer)
        if few is not stage:
            _run(stage, target, diagonals, None)


def _cells(stage: Stage) -> tuple[Stage, bool]:
    """The recurrence on a copy of the schedule, in a buffer of its own where it is an output, and whether it is."""
    made = stage.schedule.copy()[stage.tensor]
    copied = any(stage.tensor is output for output in made.schedule.program.outputs)
    return made.cache_write() if copied else made, copied


def _run(stage: Stage, target: Target, diagonals: int, fewer: Fewer | None) -> None:
    """The recipe for the sizes and inputs that a schedule is for, with fewer bits where that is given."""
    cells, copied = _cells(stage)
    schedule = cells.schedule
    if fewer is not None:
        for name in fewer.inputs:
            carried_out(schedule, partial(_narrow_copy, cells, name, fewer.dtype))
        cells.narrow(fewer.dtype)
        cells = schedule[cells.tensor]
        for reader in _readers(cells):
            narrow_reduction(reader, fewer.dtype)
    lanes, across = cells.loops[:2]
    skew = next((f for f in range(1, _MOST_FACTOR + 1) if _is_wavefront(cells, lanes, across, f)), None)
    if skew is None:
        raise ScheduleError(
            f"wavefront: the cells of {stage.tensor.name} need each other along every diagonal of {lanes} and {across} "
            f"with factors up to {_MOST_FACTOR}"
        )
    readers = [s for s in _readers(cells) if {lanes, across} <= set(s.loops)]
    with schedule.transaction():
        for each in (cells, *readers):
            _along(each, lanes, across, skew)
        _turned_round(cells, lanes, across)
        form = _form(cells.nest, across)
        members = tuple(schedule[tensor] for tensor in schedule.state.system(cells.tensor))
        stored = [(s, shown_form(form, [axis.name for axis in s.nest.axes])) for s in members if _is_stored(s, cells)]
        for each, text in stored:
            each.reorder_storage(text, _contiguous(each, lanes))
    width = max(1, target.vector_bits // (8 * cells.tensor.dtype.bytes))
    group = _Group(members, cells, tuple(readers), lanes, across, diagonals if copied else 0, width)
    steps = _STEPS if _in_steps(group, [each for each, _ in stored]) else 1
    kept = _distance(cells, form)
    for each, text in stored if kept is not None else ():
        size = (kept or 0) + max(steps, group.diagonals)
        size = -(-size // steps) * steps
        carried_out(schedule, partial(each.fold_storage, text, size))
    stage.schedule.extend(schedule.commands[len(stage.schedule.commands) :])


def _is_wavefront(cells: Stage, lanes: str, across: str, factor: int) -> bool:
    """Whether the cells of a diagonal may be computed in any order."""
    trial = cells.schedule.copy()
    stage = trial[cells.tensor]

    def in_parallel() -> None:
        _along(stage, lanes, across, factor)
        stage.parallel(lanes)

    return carried_out(trial, in_parallel)


def _along(stage: Stage, lanes: str, across: str, factor: int) -> None:
    """The loop over the diagonals outside the one along them; what is reduced there begins at the same counter in all
    cells of a diagonal."""
    if stage.loops.index(lanes) > stage.loops.index(across):
        stage.reorder(lanes, across)
    stage.skew(across, factor, by=lanes)
    stage.reorder(across, lanes)
    outer, inner = stage.nest.loop(across).value, stage.nest.loop(lanes).value
    for loop in stage.nest.loops:
        if loop.name not in (lanes, across) and stage.nest.is_reduction(loop):
            slope = _slope(_factors(outer), _factors(inner), _factors(loop.begin))
            if slope:
                stage.skew(loop.name, -slope, by=lanes)


def _turned_round(cells: Stage, lanes: str, across: str) -> None:
    """Sequences that are read backwards along the diagonals, through copies that lie the other way round."""
    schedule = cells.schedule
    group = schedule.state.system(cells.tensor)
    for member in (schedule[tensor] for tensor in group):
        if not {lanes, across} <= set(member.loops):
            continue
        outer, inner = (_factors(member.nest.loop(loop).value) for loop in (across, lanes))
        slopes: dict[Tensor, set[int]] = {}
        for node in walk(schedule.program.definitions.values[member.tensor.uid]):
            if isinstance(node, Read) and node.tensor not in group and node.tensor.ndim == 1:
                slopes.setdefault(node.tensor, set()).add(_slope(outer, inner, _factors(node.indices[0])))
        for tensor in (tensor for tensor, found in slopes.items() if found == {-1}):
            name = _copy_name(member, tensor.name)
            if _is_for(tensor, group, schedule):
                _backwards(schedule[tensor])
            elif member.why_not("cache_read", tensor, name=name) is None:
                _backwards(member.cache_read(tensor, name=name))


def _is_for(tensor: Tensor, group: tuple[Tensor, ...], schedule: Schedule) -> bool:
    """Whether a tensor is a stage that stages of a group alone read."""
    program = schedule.program
    readers = program.definitions.consumers(tensor)
    given = (*program.outputs, *program.arguments)
    return not any(tensor is other for other in given) and all(reader in group for reader in readers)


def _narrow_copy(cells: Stage, tensor: str, dtype: str) -> None:
    cells.cache_read(tensor, name=_copy_name(cells, tensor)).narrow(dtype)


def _copy_name(stage: Stage, tensor: str) -> str:
    return f"{stage.tensor.name}_{tensor}"


def _backwards(copy: Stage) -> None:
    copy.reorder_storage(f"-{copy.loops[0]}")


def _factors(value: Expr) -> dict[Axis, int]:
    terms, _ = linear(value)
    return {atom: factor for atom, factor in terms.values() if isinstance(atom, Axis)}


def _slope(across: dict[Axis, int], lanes: dict[Axis, int], value: dict[Axis, int]) -> int:
    """By how much a value grows from one lane to the next, on one diagonal; 0 where that is no integer."""
    ((lane, step),) = lanes.items()
    others = [axis for axis in across if axis is not lane]
    if len(others) != 1 or abs(across[others[0]]) != 1 or abs(step) != 1:
        return 0
    other = -across.get(lane, 0) * across[others[0]] * step
    return value.get(lane, 0) * step + value.get(others[0], 0) * other


def _form(nest: StageNest, across: str) -> Form:
    """What the counter over the diagonals is of the dimensions, without what is constant."""
    factors = _factors(nest.loop(across).value)
    return tuple((d, factors[axis]) for d, axis in enumerate(nest.axes) if axis in factors) or plain(0)


def _distance(cells: Stage, form: Form) -> int | None:
    """The most diagonals from a cell to one that needs it; None where that grows with the sizes."""
    state, most = cells.schedule.state, 0
    for pair in circular_pairs(state.system(cells.tensor), state.pairs):
        counters = (affine(total(form, s.axes) * -1, s.frame) for s in (pair.source, pair.sink))
        source, sink = (counter for counter in counters if counter is not None)
        least = least_difference(pair.relation, source, sink)
        if least is None:
            return None
        most = max(most, -least)
    return most


def _readers(cells: Stage) -> list[Stage]:
    """The stages that read the recurrence and are not needed by it."""
    state = cells.schedule.state
    group = state.system(cells.tensor)
    found = state.program.definitions.consumers(cells.tensor)
    return [cells.schedule[tensor] for tensor in found if tensor not in group]


@dataclass(frozen=True, slots=True)
class _Group:
    """A recurrence, all that need each other with it, and its readers, whose loops run across the diagonals and along
    them; how many diagonals are computed before a copy takes them over, if one does; and the elements of a vector."""

    members: tuple[Stage, ...]
    cells: Stage
    readers: tuple[Stage, ...]
    lanes: str
    across: str
    diagonals: int
    width: int

    @property
    def of_cells(self) -> tuple[Stage, ...]:
        """The equations that read other cells."""
        return tuple(each for each, reads in self._equations() if reads)

    @property
    def of_edges(self) -> tuple[Stage, ...]:
        """The others."""
        return tuple(each for each, reads in self._equations() if not reads)

    def _equations(self) -> Iterator[tuple[Stage, bool]]:
        tensors = [member.tensor for member in self.members]
        values = self.cells.schedule.program.definitions.values
        for member in self.members:
            for number, value in enumerate(values[member.tensor.uid].children):
                reads = any(isinstance(node, Read) and node.tensor in tensors for node in walk(value))
                yield member.equation(number), reads


def _is_stored(stage: Stage, cells: Stage) -> bool:
    """Whether the schedule says where the cells of a stage are, and they are numbered as those of `cells`."""
    schedule = stage.schedule
    given = (*schedule.program.outputs, *schedule.program.arguments)
    return stage.tensor.ndim == cells.tensor.ndim and not any(stage.tensor is other for other in given)


def _in_steps(group: _Group, stored: list[Stage]) -> bool:
    """Vectors along the diagonals, several diagonals at a time where that is legal; whether they are."""
    schedule = group.cells.schedule
    if any(axis.reduction for axis in group.cells.nest.axes):
        _scheduled(group, 1, [])
        return False
    several = carried_out(schedule, lambda: _scheduled(group, _STEPS, stored))
    if not several:
        _scheduled(group, 1, [])
    return several


def _scheduled(group: _Group, steps: int, aligned: list[Stage]) -> None:
    """The loops of all stages: in blocks of diagonals where a copy takes these over, then in steps. Copies run along
    their own rows in a block."""
    cells, lanes, across = group.cells, group.lanes, group.across
    for stage in aligned:
        stage.align_storage(_contiguous(stage, lanes), group.width)
    block, step = across, across
    for size in filter(lambda size: size > 1, (group.diagonals, steps)):
        for stage in (cells, *group.readers):
            if size == group.diagonals or _reduces(stage) or stage is cells:
                stage.split(step, size)
        block, step = (f"{step}_o" if block == across else block), f"{step}_i"
    if steps > 1:
        for edge in group.of_edges:  # in loops of their own, that is, with other names
            edge.split(lanes, group.width, outer=f"{lanes}_edge_o", inner=f"{lanes}_edge_i")
            edge.split(step, steps, outer=f"{step}_edge_o", inner=f"{step}_edge_i")
        _steps(cells, group.of_cells, lanes, group.width, step)
    else:
        for equation in group.of_cells:
            _vectors(equation, lanes, group.width)
    for reader in group.readers:
        copies = group.diagonals and not _reduces(reader)
        if copies:
            reader.reorder(lanes, f"{across}_i")
        if _reduces(reader) and steps > 1:
            _steps(reader, (reader,), lanes, group.width, step)
        elif _reduces(reader):
            _vectors(reader, lanes, group.width)
        if reader.why_not("compute_with", cells, block) is None:
            reader.compute_with(cells, block)
        if copies and reader.why_not("vectorize", f"{across}_i") is None:
            reader.vectorize(f"{across}_i")


def _contiguous(cells: Stage, lanes: str) -> str:
    """The dimension whose elements are side by side along the diagonals."""
    return next(axis.name for axis in cells.nest.axes if axis in cells.nest.axes_of(cells.nest.loop(lanes).value))


def _reduces(stage: Stage) -> bool:
    return any(axis.reduction for axis in stage.nest.axes)


def _steps(stage: Stage, vectors: tuple[Stage, ...], lanes: str, width: int, step: str) -> None:
    """Vectors along the diagonals inside of steps that are written out, for all that share the loops at once."""
    outer, inner = stage.split(lanes, width)
    stage.reorder(outer, step, inner)
    for each in vectors:
        each.vectorize(inner)
    stage.unroll(step)


def _vectors(stage: Stage, lanes: str, width: int) -> None:
    """Vectors along the diagonals, inside the loops of a reduction."""
    _, inner = stage.split(lanes, width)
    own = stage.loops
    behind = [loop for loop in own[own.index(inner) + 1 :] if stage.nest.is_reduction(stage.nest.loop(loop))]
    if behind and stage.why_not("reorder", *behind, inner) is None:
        stage.reorder(*behind, inner)
    if stage.why_not("vectorize", inner) is None:
        stage.vectorize(inner)
