"""Where stages are computed and stored: at the root, or in a loop of a stage that reads them.

What is written down is the loop's name. What that means for the statements follows from the loops as they are, and is
derived again whenever a command changes the loops around (`settled`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..compute.components import components
from ..compute.expr import Axis, Expr, walk
from ..compute.simplify import difference, lower_bound, upper_bound
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.placement import Around, Components
from ..polyhedral.program import Program
from ..polyhedral.requirements import requirements
from ..polyhedral.systems import is_system, systems
from .default_nests import default_nests, nest_inside
from .hosting import check_apart, check_host, check_loop, check_readers, check_resolved, unfused
from .nest import Loop, StageNest, default_nest
from .suggestion import listed


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A stage is computed at the beginning of each iteration of `loop` of `host`, and each iteration of `store_loop` of
    `store_host` has its own elements; without those, each call of the kernel.

    With `shared`, the outer loops of the stage are those of the host down to `loop`; `inside` is where it is computed
    and stored then, in the same iterations as the host: None for both at the root.
    """

    host: Tensor
    loop: str
    store_host: Tensor | None = None
    store_loop: str = ""
    shared: bool = False
    inside: Place | None = None

    @property
    def own(self) -> Place | None:
        """Where the stage is computed, whether or not it shares loops there; None at the root."""
        return self.inside if self.shared else self

    @property
    def where(self) -> tuple[Tensor, str, Tensor | None, str]:
        """The loops that the stage is computed and stored in."""
        return self.host, self.loop, self.store_host, self.store_loop

    def is_at(self, host: Tensor, loop: str) -> bool:
        return not self.shared and self.host is host and self.loop == loop

    def shares(self, host: Tensor, loop: str) -> bool:
        return self.shared and self.host is host and self.loop == loop

    def is_stored_at(self, host: Tensor, loop: str) -> bool:
        return self.own is not None and self.own.store_host is host and self.own.store_loop == loop

    def involves(self, stage: Tensor) -> bool:
        """Whether the place depends on the loops of a stage."""
        own = (self,) if self.inside is None else (self, self.inside)
        return any(stage in (place.host, place.store_host) for place in own)

    def is_kept(self, old: StageNest, new: StageNest) -> bool:
        """Whether all that the place depends on is as it was in new loops of a stage: those down to where it is."""
        if self.shared or old.apart or new.apart:
            return False
        named = {self.loop if self.host is new.stage else "", self.store_loop if self.store_host is new.stage else ""}
        count = max((old.names.index(name) + 1 for name in named if name in old.names), default=0)
        return all(map(_counts_alike, old.loops[:count], new.loops[:count])) and len(new.loops) >= count


Places = Mapping[int, Place]


def _counts_alike(a: Loop, b: Loop) -> bool:
    """Whether two loops are the same but for their kinds, of which vectors have no stages in them."""
    return a.name == b.name and a.value is b.value and a.begin is b.begin and a.extent is b.extent and b.kind != _LANES


_LANES = "vectorize"
Nests = Mapping[int, StageNest]
Path = list[tuple[Tensor, Loop]]
Groups = Sequence[tuple[Tensor, ...]]  # of stages whose loops are made together


def settled(program: Program, nests: Nests, places: Places) -> tuple[Program, dict[int, StageNest]]:
    """The Program with every stage where it is placed, and the loops of each stage over the axes that it has there.

    Readers come first, as what they need is what their producers compute. Those of stages that need each other, which
    stand where what they need asks for it, have no default loops of their own, and may be missing.
    """
    program = whole = program.rewritten(program.rewrites)
    groups = [group for group in systems(program) if is_system(group)]
    together = {stage for group in groups for stage in group}
    placed = [stage for stage in program.live_stages() if stage.uid in places]
    hosts = {outermost_host(stage, places) for stage in placed if stage in together}
    for stage in placed:
        if (together & {stage, places[stage.uid].host}) or outermost_host(places[stage.uid].host, places) in hosts:
            _check_system(program, stage, places)
            _check_slabs(stage, places[stage.uid], nests)
    made = _of_systems(program, [stage for stage in together if stage.uid not in places], nests)

    def renew(stage: Tensor) -> None:
        made[stage.uid] = _renewed(nests.get(stage.uid), stage, program.placements[stage.uid].equation.loops, whole)

    inside = {uid: place.own for uid, place in places.items() if place.own is not None}
    sharing = {uid for uid, place in places.items() if place.shared}
    for stage in program.live_stages():
        if stage.uid not in inside and stage not in together:
            renew(stage)
    for stage in program.live_stages():
        if stage.uid in sharing - inside.keys():
            _check_shared(stage, places[stage.uid], made, places)
    for group in _readers_first(program, inside):
        first = group[0]
        if first.uid in sharing:
            _check_together(first, places[first.uid], made, places)
        program = program.placed(group, _around(program, group, inside[first.uid], made, places, groups))
        for stage in group:
            renew(stage)
        if first.uid in sharing:
            _check_shared(first, places[first.uid], made, places)
    return program, made


def _of_systems(program: Program, stages: list[Tensor], nests: Nests) -> dict[int, StageNest]:
    """The loops of stages that need each other, computed at the root: the default ones where there are none yet, and
    their commands once more where they have been in loops of others."""
    made = {stage.uid: nests[stage.uid] for stage in stages if stage.uid in nests}
    anew = [s for s in stages if s.uid not in made or not _is_over(made[s.uid], s.equations[0].axes)]
    if anew:
        default = default_nests(program, requirements(program))
        made |= {s.uid: _again(nests.get(s.uid), default[s.uid]) for s in anew}
    return made


def _is_over(nest: StageNest, axes: tuple[Axis, ...]) -> bool:
    """Whether loops are made of these axes, and others after them."""
    return all(mine is axis for mine, axis in zip(nest.axes, axes, strict=False))


def _readers_first(program: Program, inside: Places) -> Iterator[tuple[Tensor, ...]]:
    """The stages that are computed in loops, those that need each other together, each after those that read it."""
    placed = [stage for stage in program.live_stages() if stage.uid in inside]
    read = {stage.uid: [r.tensor for s in program.of_stage(stage) for r in s.reads] for stage in placed}
    for group in reversed(components(placed, lambda stage: read[stage.uid])):
        if len({inside[stage.uid].where for stage in group}) > 1:
            names = listed([stage.name for stage in group])
            raise ScheduleError(
                f"{names} need each other, and can be computed in loops in one and the same place only; with what is "
                "asked for one of them would be needed in the loops of another, which are further in"
            )
        yield group


def outermost_host(stage: Tensor, places: Places) -> Tensor:
    """The stage at the root in whose loops a stage is computed, directly or not: itself, where it is there."""
    place = places.get(stage.uid)
    return stage if place is None or place.own is None else outermost_host(place.own.host, places)


def _check_system(program: Program, stage: Tensor, places: Places) -> None:
    """Refuse what cannot be computed in the loops of a recurrence, and recurrences that cannot be in loops."""
    place = places[stage.uid]
    what = f"{stage.name} cannot be computed in {place.loop} of {place.host.name}"
    if place.shared:
        raise ScheduleError(
            f"{what} and share loops there, as one of them is a recurrence, or has one in its loops: leave them apart"
        )
    if not program.definitions.has_rules(stage):
        return
    if any(equation.reduce is not None for equation in stage.equations):
        raise ScheduleError(f"{what}, as its equations have sums; declare these as stages of their own")
    if (place.store_host, place.store_loop) != (place.host, place.loop):
        raise ScheduleError(f"{what} and stored further out: the cells of a recurrence are stored where it is computed")
    if program.cuts.get(stage.uid):
        raise ScheduleError(f"{what}, as parts of its equations are separate; place it before")


def _check_slabs(stage: Tensor, place: Place, nests: Nests) -> None:
    """Refuse places in slabs of a recurrence: isl leaves out iterations of its loops, and puts what is left in several
    others, in each of which the stage would have to be stored."""
    host = nests.get(place.host.uid)
    if host is not None and any(command.word == "partition" for command in host.history):
        raise ScheduleError(
            f"{stage.name} cannot be computed in {place.loop} of {place.host.name}, whose loops are cut into slabs by "
            "partition; split tiles instead, or compute it at the root"
        )


def resolved(places: Places, nests: Nests) -> dict[int, Place]:
    """The places in terms of the stages whose loops they are: those that a stage shares are of the other one."""

    def owner(host: Tensor | None, loop: str) -> tuple[Tensor | None, str]:
        place = None if host is None else places.get(host.uid)
        if host is None or place is None or not place.shared or _is_sharing(places, place.host):
            return host, loop
        shared = nests[place.host.uid].names
        count = shared.index(place.loop) + 1 if place.loop in shared else 0
        known = dict(zip(nests[host.uid].names, shared[:count], strict=False))
        return (place.host, known[loop]) if loop in known else (host, loop)

    def moved(place: Place) -> Place:
        host, loop = owner(place.host, place.loop)
        assert host is not None
        store_host, store_loop = owner(place.store_host, place.store_loop)
        return replace(place, host=host, loop=loop, store_host=store_host, store_loop=store_loop)

    def followed(place: Place) -> Place:
        if not place.shared:
            return moved(place)
        return place if place.inside is None else replace(place, inside=moved(place.inside))

    return {uid: followed(place) for uid, place in places.items()}


def _is_sharing(places: Places, stage: Tensor) -> bool:
    """Whether outer loops of a stage are those of another one."""
    return stage.uid in places and places[stage.uid].shared


def _renewed(nest: StageNest | None, stage: Tensor, axes: tuple[Axis, ...], whole: Program) -> StageNest:
    """The loops of a stage over the axes it has now: its commands once more, where the axes are new."""
    if nest is not None and len(axes) == len(nest.axes) and all(a is b for a, b in zip(axes, nest.axes, strict=True)):
        return nest
    default = nest_inside(whole, stage, axes) if whole.definitions.has_rules(stage) else default_nest(stage, axes)
    return _again(nest, default)


def _again(nest: StageNest | None, renewed: StageNest) -> StageNest:
    """The default loops after the commands that made others."""
    for command in () if nest is None else nest.history:
        try:
            renewed = command.carried_out(renewed)
        except ScheduleError as error:
            raise ScheduleError(
                f"{renewed.stage.name} has other loops there, of which its command {command} is not possible: "
                f"{error.reason}"
            ) from None
    return renewed


def path_of(stage: Tensor, nests: Nests, places: Places) -> Path:
    """All loops that a stage's own loops, and these, stand in, outermost first."""
    place, loops = places.get(stage.uid), nests[stage.uid].loops
    outside = [] if place is None else _path_to(place.host, place.loop, nests, places)
    shared = nests[place.host.uid].names.index(place.loop) + 1 if place is not None and place.shared else 0
    return [*outside, *((stage, loop) for loop in loops[shared:])]


def _path_to(host: Tensor, loop: str, nests: Nests, places: Places) -> Path:
    """The loops down to one of them."""
    path = path_of(host, nests, places)
    names = [(stage, known.name) for stage, known in path]
    return path[: names.index((host, loop)) + 1]


def _around(
    program: Program, group: tuple[Tensor, ...], place: Place, nests: Nests, places: Places, groups: Groups
) -> Around:
    """The loops around stages, with their counters in terms of the axes of everything else that reads them."""
    stage = group[0]
    check_loop(stage, place.host, place.loop, nests)
    path = _path_to(place.host, place.loop, nests, places)
    for host, loop in path:
        check_host(stage, nests[host.uid], loop)
        check_resolved(stage, nests[host.uid], [other.name for theirs, other in path if theirs is host])
    counters: dict[int, tuple[Expr, ...]] = {}
    readers = program.readers(group)
    if not readers:
        raise ScheduleError(f"{stage.name} is computed at {place.loop} of {place.host.name}, and nobody reads it there")
    for reader in readers:
        theirs = path_of(reader, nests, places)
        if _shared(path, theirs, groups) < len(path):
            raise ScheduleError(
                f"{stage.name} cannot be computed at {place.loop} of {place.host.name}, because {reader.name} reads it "
                f"outside of that loop; {_legal(readers, nests, places, groups)}"
            )
        outer = program.placements[reader.uid].prefix
        check_apart(stage, nests[reader.uid], len(path) - len(outer))
        own = [unfused(nests[reader.uid], loop.value) for loop in nests[reader.uid].loops]
        counters[reader.uid] = tuple([*outer, *own][: len(path)])
        check_readers(program, stage, reader, counters[reader.uid])
    loops = tuple((host.uid, loop.name) for host, loop in path)
    axes = tuple(_axis(host, loop, nests[host.uid]) for host, loop in path)
    kept = _kept(stage, place, path, nests)
    return Around(loops, axes, counters, kept, _components(path, axes, counters, nests))


def _components(
    path: Path, axes: tuple[Axis, ...], counters: dict[int, tuple[Expr, ...]], nests: Nests
) -> dict[int, Components]:
    """What the fused loops that are whole are of: for their own stage as it was fused, for others from the position."""
    found = {}
    for number, (host, loop) in enumerate(path):
        fused = nests[host.uid].fused.get(loop.value) if isinstance(loop.value, Axis) else None
        if fused is None:
            continue
        every = range(len(fused.components))
        names = tuple(replace(axes[number], name=f"{axes[number].name}.{k}") for k in every)
        values = tuple(fused.component(k, axes[number]) for k in every)
        theirs = {uid: tuple(fused.component(k, own[number]) for k in every) for uid, own in counters.items()}
        if host.uid in theirs:
            theirs[host.uid] = tuple(unfused(nests[host.uid], component) for component in fused.components)
        found[number] = Components(names, values, theirs)
    return found


def _axis(host: Tensor, loop: Loop, nest: StageNest) -> Axis:
    """An axis that stands for a loop's counter."""
    lower, upper = unfused(nest, lower_bound(loop.begin)), unfused(nest, upper_bound(loop.end))
    return Axis(f"{host.name}.{loop.name}", lower, upper)


def _check_shared(stage: Tensor, place: Place, nests: Nests, places: Places) -> None:
    """Refuse to share loops that the stage has not, or that are more than the order of instances."""
    if _is_sharing(places, place.host):
        raise ScheduleError(
            f"{stage.name} would share loops of {place.host.name}, which are those of "
            f"{places[place.host.uid].host.name}: share these"
        )
    if place.inside is None and place.host.uid in places:
        raise ScheduleError(
            f"{stage.name} is computed at the root, and {place.host.name}, whose loops it shares, in those of "
            f"{places[place.host.uid].host.name}: {stage.name}.compute_root() first, and compute_with once more"
        )
    check_loop(stage, place.host, place.loop, nests)
    host, nest = nests[place.host.uid], nests[stage.uid]
    count = host.position(place.loop) + 1
    for shared in (host, nest):
        if len(shared.loops) < count:
            raise ScheduleError(
                f"{stage.name} shares the {count} outermost loops of {host.stage.name}, and those of "
                f"{shared.stage.name} are {listed(shared.names)}"
            )
        if any(node in shared.fused for loop in shared.loops[:count] for node in walk(loop.value)):
            raise ScheduleError(f"the loops of {shared.stage.name} that would be shared are made of fused loops")
    for theirs, mine in zip(host.loops[:count], nest.loops, strict=False):
        most, written = mine.most, theirs.kind in ("vectorize", "unroll")
        if written and (theirs.most is None or most is None or most > theirs.most or _apart(mine, theirs)):
            raise ScheduleError(
                f"{theirs.name} of {host.stage.name}, a loop to {theirs.kind}, cannot be shared with {mine.name} "
                f"of {nest.stage.name}, which may run further: split both by the same factor, or share fewer loops"
            )
    marked = [loop.name for loop in nest.loops[:count] if loop.kind != "serial"]
    if marked:
        raise ScheduleError(
            f"{', '.join(marked)} of {stage.name} is marked, and the loops that it shares are those of "
            f"{host.stage.name}: mark them there"
        )


def _check_together(stage: Tensor, place: Place, nests: Nests, places: Places) -> None:
    """Refuse to share loops of a stage that is computed elsewhere, or whose loops are not known yet."""
    host, own = places.get(place.host.uid), place.inside
    assert own is not None
    theirs = None if host is None else host.own
    if theirs is None or not theirs.is_at(own.host, own.loop):
        there = "at the root" if theirs is None else f"at {theirs.loop} of {theirs.host.name}"
        raise ScheduleError(
            f"{stage.name} is computed at {own.loop} of {own.host.name}, and {place.host.name}, whose loops it shares, "
            f"{there}: {stage.name}.compute_root() first, and compute_with where both are"
        )
    if place.host.uid not in nests:
        raise ScheduleError(
            f"{stage.name} is after {place.host.name}, and both are computed in loops of {own.host.name}, where the "
            f"earlier stage shares the loops of the later one: {place.host.name}.compute_with({stage.name}, ...)"
        )


def _apart(a: Loop, b: Loop) -> bool:
    """Whether two loops may begin at different counters."""
    return difference(a.begin, b.begin) != 0


def _kept(stage: Tensor, place: Place, path: Path, nests: Nests) -> int:
    """The number of loops around the place where a stage is stored."""
    if place.store_host is None:
        return 0
    check_loop(stage, place.store_host, place.store_loop, nests)
    names = [_named(step) for step in path]
    wanted = (place.store_host, place.store_loop)
    if wanted not in names:
        raise ScheduleError(
            f"{stage.name} cannot be stored at {place.store_loop} of {place.store_host.name}, because it is computed "
            f"at {place.loop} of {place.host.name}, outside of that loop; it can be stored at the root or at "
            f"{listed(f'{loop} of {host.name}' for host, loop in names)}"
        )
    return names.index(wanted) + 1


def _named(step: tuple[Tensor, Loop]) -> tuple[Tensor, str]:
    return step[0], step[1].name


def _shared(path: Path, other: Path, groups: Groups) -> int:
    """How many loops of two paths, from the outermost on, may be one: those of stages that need each other, if they
    have the same name."""
    count = 0
    for (stage, loop), (theirs, its) in zip(path, other, strict=False):
        if loop.name != its.name or not (stage is theirs or any({stage, theirs} <= set(group) for group in groups)):
            break
        count += 1
    return count


def _legal(readers: tuple[Tensor, ...], nests: Nests, places: Places, groups: Groups) -> str:
    """The loops in which all readers of a stage, or of several that need each other, are."""
    first, *others = (path_of(reader, nests, places) for reader in readers)
    count = min((_shared(first, other, groups) for other in others), default=len(first))
    if not count:
        return "its readers share no loop, so it is computed at the root"
    return f"it can be computed at {listed(f'{loop.name} of {host.name}' for host, loop in first[:count])}"
