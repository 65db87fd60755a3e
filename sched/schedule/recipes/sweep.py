"""Chains along one dimension, with others beside it that are free: filters, prefix sums, implicit sweeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from ...compute.expr import Axis
from ...compute.recurrence import Recurrence
from ...compute.simplify import constant_value
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..schedule import Schedule
from ..stage import Stage
from .all_or_none import all_or_none, carried_out
from .reading import axes_of, check_given, is_reduction, lanes_of, reads_of, upstream
from .substitution import substitution

_STEPS = 8  # of a chain with nothing beside it that are written out: what one computed is in a register for the next
_SQUARE = 16  # the side of squares that are transposed, at most: so many steps are written out
_ROW = 1024  # elements at most that one vector loop runs over


def sweep(stage: Stage, target: Target | str | None = None, *, width: int | None = None) -> None:
    """Run recurrences whose cells need each other along one dimension, with vectors and threads along another.

    stage   a recurrence, or the stage that is made of one or of several, as the sum of a filter's two directions; all
            recurrences that it is made of are scheduled with it
    target  the machine, whose vectors lie beside the chains; this machine by default. With more than one thread, chains
            are spread over threads
    width   chains that run side by side: by default, at most 16 where they run along rows, those of two vectors, and of
            one in steps over time; where they run down the columns, 1024 if the cells are an output, and otherwise four
            vectors

    A dimension is free where cells that differ in it alone may be computed in any order; the last such dimension gets
    the lanes. Where it is the last one of all, rows are vectors as they lie in memory. Where chains run along rows, as
    those of an implicit sweep, lanes are over rows: so many rows are stored side by side, and what is read is
    transposed in registers, as many steps at a time; an output is copied from there, and transposed back. Where what
    follows reads chains of its own rows alone, they are computed in its loop over so many rows, and each thread keeps
    those. Others share that loop with what follows, and with chains beside them, where that is legal; of a dimension
    that is no longer read further back, as that of time, one or two positions are kept.

    A chain with nothing beside it has eight steps written out, which hand on in registers what they computed. Where its
    cells are sums over those before, as in a triangular system with one right-hand side, what is of earlier blocks is
    added to two vectors of cells at once. The order of no operation changes, so all bits are those of the default
    schedule. What all amounts to is proven as always.

    Raises `ScheduleError` for stages that are made of no recurrence, and for sums in recurrences over more dimensions;
    nothing is changed then.

    >>> import polysched as ps
    >>> n, m = ps.size_var("n"), ps.size_var("m", min=1)
    >>> x = ps.placeholder((n, m), "float32", name="x")
    >>> i, j = ps.axes("i j")
    >>> p = ps.recurrence((n, m), "float32", name="p")
    >>> p[i, 0] = x[i, 0]
    >>> p[i, j + 1] = 0.9 * p[i, j] + x[i, j + 1]
    >>> s = ps.Schedule(p)
    >>> ps.recipes.sweep(s[p], ps.Target("x86-64-v3", threads=1))
    >>> s["p_cache"].loops
    ('i_o', 'j_o', 'j_i', 'i_i')
    >>> s.commands[-1]
    'p_cache.compute_at("p", "i_o")'
    """
    target = Target.of(target)
    check_given(stage, "sweep", "width", width)
    with all_or_none(stage.schedule):
        _swept(stage, target, width)


@dataclass(frozen=True, slots=True)
class _System:
    """Recurrences that need each other, or share their outermost loops: the loop with the lanes, that along the last
    dimension, how many chains are side by side, and the side of squares that are transposed; outermost loops that are
    free, too. Without lanes nothing is. Rows that are `whole` are written one after the other. `guests` are members
    that are computed in the steps of the others, though these do not need them in the same one."""

    members: tuple[Tensor, ...]
    lane: str | None
    last: str
    width: int
    square: int
    free: tuple[str, ...]
    whole: bool
    guests: tuple[Tensor, ...] = ()

    @property
    def across(self) -> bool:
        """Whether chains run along rows, and lanes across them."""
        return self.lane is not None and self.lane != self.last

    @property
    def outer(self) -> str:
        """The loop from chains to chains."""
        return f"{self.lane}_o"


def _swept(stage: Stage, target: Target, width: int | None) -> None:
    schedule = stage.schedule
    systems = _joined(schedule, _systems(stage, target, width))
    readers = _readers(stage, systems)
    for system in systems:
        _chains(schedule, system)
    for reader, system in readers.items():
        _read(schedule[reader], system)
    if _in_readers(schedule, systems, readers, target):
        return
    _together(schedule, systems, readers)
    if target.thread_count() > 1:
        for tensor, system in [*((t, s) for s in systems for t in s.members), *readers.items()]:
            _on_threads(schedule[tensor], system)
    for system in systems:
        _fold(schedule, system)


def _systems(stage: Stage, target: Target, width: int | None) -> list[_System]:
    """The systems of recurrences that a stage is made of, first ones first; of outputs whose chains run along the rows,
    their buffers."""
    schedule, found = stage.schedule, list[_System]()
    parts = (*reversed(upstream(stage, "sweep")), stage.tensor)
    seen, sums = set[int](), False
    for part in parts:
        if not isinstance(part, Recurrence) or part.uid in seen:
            continue
        group = schedule.state.system(part) or (part,)
        seen |= {member.uid for member in group}
        if any(axis.reduction for member in group for axis in schedule[member].nest.axes):
            _with_sums(schedule, group, target, width)
            sums = True
            continue
        lane, last = _lane(schedule, group), schedule[part].nest.axes[-1].name
        across = lane is not None and lane != last
        given = [any(t is output for output in schedule.program.outputs) for t in group]
        if across:
            group = tuple(
                schedule[t].cache_write().tensor if output else t for t, output in zip(group, given, strict=True)
            )
        lanes = max(lanes_of(member.dtype.bytes, target) for member in group)
        whole = not across and all(given) and target.thread_count() == 1
        square = min(lanes, _SQUARE)
        free = _outer(schedule, group, lane)
        # Two vectors hide how long the operations of one chain take. Behind steps over time, where whole planes are
        # kept, rows of more chains leave the caches before they are read again.
        alone = len(free) + 2 == sum(not axis.reduction for axis in schedule[part].nest.axes)
        side_by_side = min(2 * square, _SQUARE) if alone else square
        chosen = width or (side_by_side if across else _ROW if any(given) else 4 * lanes)
        found.append(_System(group, lane, last, chosen, square, free, whole))
    if not found and not sums:
        raise ScheduleError(
            f"sweep is for recurrences, and {stage.tensor.name} is none and made of none; see recipes.rowwise for "
            "reductions of rows"
        )
    return found


def _with_sums(schedule: Schedule, group: tuple[Tensor, ...], target: Target, width: int | None) -> None:
    """Recurrences whose cells are sums: those over one dimension, with one right-hand side."""
    (first, *others), names = group, ", ".join(member.name for member in group)
    if others or not isinstance(first, Recurrence) or first.ndim != 1:
        raise ScheduleError(
            f"sweep is for sums in recurrences over one dimension, and {names} {'have' if others else 'has'} more; see "
            "recipes.factorization and recipes.wavefront"
        )
    substitution(schedule, first, target, width)


def _joined(schedule: Schedule, systems: list[_System]) -> list[_System]:
    """Systems that can be computed in the steps of the last one, as a part of each, are one with it."""
    if not systems:
        return []
    *others, last = systems
    host = schedule[last.members[0]]
    step = host.loops[0]
    if step in (last.lane, last.last):
        return systems
    apart, members, guests = list[_System](), last.members, list[Tensor]()
    for other in reversed(others):
        stage = schedule[other.members[0]]
        alike = (other.lane, other.last, stage.loops) == (last.lane, last.last, host.loops)
        if alike and stage.why_not("compute_with", host, step) is None:
            stage.compute_with(host, step)
            members = (*other.members, *members)
            guests.append(stage.tensor)
        else:
            apart.insert(0, other)
    return [*apart, replace(last, members=members, guests=tuple(guests))]


def _lane(schedule: Schedule, group: tuple[Tensor, ...]) -> str | None:
    """The last dimension of all in a system along which cells may be computed in any order."""
    names = [[axis.name for axis in schedule[member].nest.axes if not axis.reduction] for member in group]
    for name in reversed(names[0]):
        if all(name in others for others in names) and _is_free(schedule, group, name):
            return name
    return None


def _outer(schedule: Schedule, group: tuple[Tensor, ...], lane: str | None) -> tuple[str, ...]:
    """The outermost loops that are free, before that with the lanes."""
    loops = schedule[group[0]].loops
    return tuple(takewhile(lambda name: name != lane and _is_free(schedule, group, name), loops))


def _is_free(schedule: Schedule, group: tuple[Tensor, ...], loop: str) -> bool:
    """Whether cells that differ in this dimension alone may be computed in any order."""
    stages = [schedule[member] for member in group]
    return all(loop in stage.loops and stage.why_not("parallel", loop) is None for stage in stages)


def _readers(stage: Stage, systems: list[_System]) -> dict[Tensor, _System]:
    """What is computed element by element of all that a stage is made of, each with the last system that it reads, or
    else the last one of all."""
    schedule, found = stage.schedule, dict[Tensor, _System]()
    chains = {member.uid for system in systems for member in system.members}
    for part in (stage.tensor, *upstream(stage, "sweep")):
        if part.uid not in chains and not is_reduction(schedule, part) and axes_of(schedule, part):
            read = [s for s in systems if any(node.tensor in s.members for node in reads_of(schedule, part))]
            if read or systems:
                found[part] = (read or systems)[-1]
    return found


def _chains(schedule: Schedule, system: _System) -> None:
    """The loops of a system: from chains to chains, as far outside as is legal behind those that are free as well;
    then along them; then beside them."""
    first = schedule[system.members[0]]
    if system.lane is None:
        _written_out(schedule, system, system.last)
        return
    outer, inner = first.split(system.lane, system.width)
    along = [loop for loop in first.loops if loop not in (outer, inner)]
    if system.across:
        whole, step = first.split(system.last, system.square)
        along[along.index(system.last) :] = [whole, step]
    for place in range(len(along) if system.whole else len(system.free), len(along)):
        order = (*along[:place], outer, *along[place:], inner)
        if first.why_not("reorder", *order) is None:
            first.reorder(*order)
            break
    for member in system.members:
        each = schedule[member]
        if system.across:
            names = [axis.name for axis in each.nest.axes]
            terms = [f"{name}/{system.width}" if name == system.lane else name for name in names]
            each.reorder_storage(*terms, f"{system.lane}%{system.width}")
        for loop, mark in ((inner, each.vectorize), *([(step, each.unroll)] if system.across else [])):
            if each.nest.loop(loop).kind == "serial":  # no other one has marked it for those that share it
                mark(loop)
    _closer(schedule, system)


def _closer(schedule: Schedule, system: _System) -> None:
    """What is computed in the steps of others is so in their innermost loops that are legal: one pass over the cells,
    and one operation for what both compute."""
    for guest in system.guests:
        stage = schedule[guest]
        for host in (schedule[m] for m in system.members if m not in system.guests):
            for loop in reversed(host.loops):
                if stage.why_not("compute_with", host, loop) is None:
                    stage.compute_with(host, loop)
                    break
            if schedule.state.share(guest, host.tensor, set(host.loops[1:])):
                break


def _written_out(schedule: Schedule, system: _System, loop: str) -> None:
    """Some steps of chains with nothing beside them."""
    _, step = schedule[system.members[0]].split(loop, _STEPS)
    for member in system.members:
        if schedule[member].nest.loop(step).kind == "serial" and schedule[member].why_not("unroll", step) is None:
            schedule[member].unroll(step)


def _read(stage: Stage, system: _System) -> None:
    """Vectors along the rows of what reads chains: squares of them, which are transposed in registers, where these are
    stored side by side."""
    lane, last = _axes(stage, system)
    if lane is None or lane is last or not system.across:
        _, inner = stage.split(last.name, system.width)
        stage.vectorize(inner)
        return
    rows, row = stage.split(lane.name, system.width, outer=system.outer, inner=f"{system.lane}_i")
    columns, column = stage.split(last.name, system.square, outer=f"{system.last}_o", inner=f"{system.last}_i")
    front = [loop for loop in stage.loops if loop not in (rows, row, columns, column)]
    stage.reorder(*front, rows, columns, row, column)
    stage.unroll(row)
    stage.vectorize(column)


def _axes(stage: Stage, system: _System) -> tuple[Axis | None, Axis]:
    """The axis of a reader that counts chains, and its last one."""
    axes, schedule = axes_of(stage.schedule, stage.tensor), stage.schedule
    for read in reads_of(schedule, stage.tensor):
        if any(read.tensor is member for member in system.members):
            names = [axis.name for axis in schedule[read.tensor].nest.axes]
            if system.lane in names:
                index = read.indices[names.index(system.lane)]
                return next((axis for axis in axes if axis is index), None), axes[-1]
    return None, axes[-1]


def _together(schedule: Schedule, systems: list[_System], readers: dict[Tensor, _System]) -> None:
    """All in one loop from chains to chains where that is legal, and otherwise in the loops outside of it."""
    if not systems or systems[-1].lane is None:
        return
    last = systems[-1]
    host = schedule[last.members[0]]
    shared = host.loops[: host.loops.index(last.outer) + 1]
    others = [*readers, *(system.members[0] for system in reversed(systems[:-1]))]
    for other in others:
        stage = schedule[other]
        for loop in reversed(shared):
            if loop in stage.loops and stage.why_not("compute_with", host, loop) is None:
                stage.compute_with(host, loop)
                break


def _in_readers(schedule: Schedule, systems: list[_System], readers: dict[Tensor, _System], target: Target) -> bool:
    """Put chains into the loop, from so many rows to the next, of what reads them, which is parallel with more than one
    thread. Whether that is possible for all of them; otherwise nothing is changed."""
    hosts = dict[Tensor, _System]()

    def moved() -> None:
        for system in reversed(systems):
            for member in system.members:
                found = [r for r in readers if any(node.tensor is member for node in reads_of(schedule, r))]
                if found and member.uid not in schedule.state.places:
                    hosts[_in_reader(schedule[member], system, found)] = system
            for member in system.members:
                at = schedule.state.places.get(member.uid)
                if at is None or constant_value(schedule[member].nest.loop(system.outer).extent) != 1:
                    raise ScheduleError(f"sweep: {member.name} is needed in other rows than those of what reads it")

    if not systems or not carried_out(schedule, moved):
        return False
    for reader, system in hosts.items():
        if target.thread_count() > 1:
            _on_threads(schedule[reader], system)
    return True


def _in_reader(chain: Stage, system: _System, readers: list[Tensor]) -> Tensor:
    """Put a chain, with those that it needs and that need it, into the loop of its one reader, which must be free."""
    host = chain.schedule[readers[0]]
    if len(readers) > 1:
        raise ScheduleError(f"sweep: several stages read {chain.tensor.name}")
    refusal = host.why_not("parallel", system.outer)
    if refusal is not None:
        raise refusal
    chain.compute_at(host, system.outer)
    return host.tensor


def _fold(schedule: Schedule, system: _System) -> None:
    """Keep as few positions as are still read: of chains, those side by side; of other dimensions, one or two."""
    for member in system.members:
        stage = schedule[member]
        for name in [axis.name for axis in stage.nest.axes if not axis.reduction]:
            for count in (system.width,) if name == system.lane else (1, 2) if name != system.last else ():
                if stage.why_not("fold_storage", name, count) is None:
                    stage.fold_storage(name, count)
                    break


def _on_threads(stage: Stage, system: _System) -> None:
    """Chains on threads, along the outermost dimension that is free."""
    for name in (*system.free, system.outer):
        loop = next((loop for loop in stage.nest.loops if loop.name == name), None)
        if loop is not None and constant_value(loop.extent) != 1 and stage.why_not("parallel", name) is None:
            stage.parallel(name)
            return
