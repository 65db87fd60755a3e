"""The smallest skews and shifts after which the loops of a system may be tiled, and what may run in parallel then.

Loops may be tiled, and put in any order, where no dependence runs backwards in any of them (a permutable band: Irigoin
and Triolet 1988). For each loop, from the outside in, the factors of the outer loops are the smallest with which that
is so for every dependence of the system; where several stages need each other, each is moved by what is then still
missing, the longest path in the graph of their distances (as in retiming: Leiserson and Saxe 1991; Darte and Huard
2000). Distances are the least that isl finds, for all sizes, so that dependences need not be uniform.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..compute.expr import Expr
from ..compute.rules import ZERO
from ..compute.simplify import linear
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.affine import affine
from ..polyhedral.clobber import overwrites
from ..polyhedral.legality import first_violation
from ..polyhedral.pieces import least_difference
from ..polyhedral.requirements import Requirement
from ..polyhedral.systems import circular_pairs, is_system, systems
from .primitives import Parallel, Primitive, Reorder, Shift, Skew, State

Command = tuple[str, Primitive]
LARGEST_FACTOR = 6
_MOST_OUTER = 3


def system_of(state: State, stage: Tensor) -> tuple[Tensor, ...]:
    """The stages whose loops are made together with those of `stage`; none where it is no recurrence."""
    group = next((group for group in systems(state.program) if stage in group), ())
    return group if group and is_system(group) else ()


def band_commands(state: State, group: tuple[Tensor, ...]) -> tuple[tuple[Command, ...], State]:
    """Skews and shifts after which the outer loops, as many as can be, may be tiled; and the state then."""
    pairs = circular_pairs(group, state.pairs)
    band = _band(state, group)
    made: list[Command] = []
    for depth, name in enumerate(band):
        step = _step(state, group, pairs, band[:depth], name)
        if step is None:
            break
        for stage, command in step:
            state = state.after(command, stage)
            made.append((stage.name, command))
    return tuple(made), state


def _band(state: State, group: tuple[Tensor, ...]) -> tuple[str, ...]:
    """The outer loops that all stages of the system have, neither marked nor peeled, made of their dimensions alone."""
    nests = [state.nests[stage.uid] for stage in group]
    found: list[str] = []
    for loops in zip(*(nest.loops for nest in nests), strict=False):
        plain = all(
            loop.kind == "serial" and loop.peel is None and not nest.is_reduction(loop) and not nest.virtual(loop.value)
            for nest, loop in zip(nests, loops, strict=True)
        )
        if not plain or len({loop.name for loop in loops}) > 1:
            break
        found.append(loops[0].name)
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Distance:
    """The least that a counter grows by along a dependence between two stages."""

    source: int
    sink: int
    least: int


def _step(
    state: State, group: tuple[Tensor, ...], pairs: tuple[Requirement, ...], outer: tuple[str, ...], name: str
) -> list[tuple[Tensor, Primitive]] | None:
    """The skews of one loop by the outer ones, and the shifts, with which nothing runs backwards in it."""
    nests = {stage.uid: state.nests[stage.uid] for stage in group}
    around = [nests[group[0].uid].loop(other).value for other in outer]
    for factors in _factors(around):
        values: dict[int, Expr] = {}
        for uid, nest in nests.items():
            value = nest.loop(name).value
            for other, factor in zip(outer, factors, strict=True):
                value = value + nest.loop(other).value * factor
            values[uid] = value
        shifts = _shifts(group, _distances(pairs, values))
        if shifts is not None:
            skews = [(o, f) for o, f in zip(outer, factors, strict=True) if f]
            found: list[tuple[Tensor, Primitive]] = [(group[0], Skew(name, factor, other)) for other, factor in skews]
            return found + [(stage, Shift(name, shifts[stage.uid])) for stage in group if shifts[stage.uid]]
    return None


def slabs(state: State, group: tuple[Tensor, ...], time: str, space: str) -> tuple[int, dict[int, int]] | None:
    """The least factor with which no dependence runs backwards in factor * time - space, so that slabs of that sum may
    run one after the other, and how much less of `space` it takes for each stage, by its uid."""
    pairs = circular_pairs(group, state.pairs)
    nests = {stage.uid: state.nests[stage.uid] for stage in group}
    for factor in range(1, LARGEST_FACTOR + 1):
        values = {uid: nest.loop(time).value * factor - nest.loop(space).value for uid, nest in nests.items()}
        shifts = _shifts(group, _distances(pairs, values))
        if shifts is not None:
            return factor, shifts
    return None


def shifts_along(state: State, group: tuple[Tensor, ...], loop: str) -> dict[int, int] | None:
    """How far each stage must be moved along a loop, by its uid, so that no dependence between them runs backwards in
    it; None if that cannot be."""
    values = {stage.uid: state.nests[stage.uid].loop(loop).value for stage in group}
    return _shifts(group, _distances(circular_pairs(group, state.pairs), values))


def _factors(outer: list[Expr]) -> Iterator[tuple[int, ...]]:
    """Factors of outer loops, those first with which a loop leans least along the axes that these are made of; with
    many loops, only of the first ones."""
    free = outer[:_MOST_OUTER]

    def lean(factors: tuple[int, ...]) -> int:
        terms, _ = linear(sum((value * factor for value, factor in zip(free, factors, strict=True)), ZERO))
        return sum(abs(factor) for _, factor in terms.values())

    choices = itertools.product(range(LARGEST_FACTOR + 1), repeat=len(free))
    few = (factors for factors in choices if sum(factors) <= LARGEST_FACTOR)
    for factors in sorted(few, key=lambda factors: (lean(factors), sum(factors), tuple(-f for f in factors))):
        yield (*factors, *(0,) * (len(outer) - len(free)))


def _distances(pairs: tuple[Requirement, ...], values: Mapping[int, Expr]) -> list[_Distance] | None:
    found = []
    for pair in pairs:
        source, sink = pair.source, pair.sink
        left, right = affine(values[source.stage.uid], source.frame), affine(values[sink.stage.uid], sink.frame)
        least = None if left is None or right is None else least_difference(pair.relation, left, right)
        if least is None or (source.stage is sink.stage and least < 0):
            return None
        found.append(_Distance(source.stage.uid, sink.stage.uid, least))
    return found


def _shifts(group: tuple[Tensor, ...], distances: list[_Distance] | None) -> dict[int, int] | None:
    """How far each stage is moved so that no distance is negative (Bellman and Ford); None if that cannot be."""
    if distances is None:
        return None
    shifts = {stage.uid: 0 for stage in group}
    for _ in range(len(group) + 1):
        changed = False
        for edge in distances:
            wanted = shifts[edge.source] - edge.least
            if wanted > shifts[edge.sink]:
                shifts[edge.sink], changed = wanted, True
        if not changed:
            return shifts
    return None


def suggested(state: State, group: tuple[Tensor, ...]) -> tuple[Command, ...]:
    """Commands after which the system's loops may be tiled, and one is parallel: an outer one if there is any, or one
    behind a wavefront."""
    commands, state = band_commands(state, group)
    band = _band(state, group)
    name = group[0].name
    for loop in band:
        marked = _parallel(state, group, loop)
        if marked:
            return (*commands, *marked)
    if len(band) < 2:
        return commands
    first, second = band[0], band[1]
    wave: tuple[Primitive, ...] = (Skew(second, 1, first), Reorder((second, first)))
    for command in wave:
        if not _is_legal(state, group[0], command):
            return commands
        state = state.after(command, group[0])
    marked = _parallel(state, group, first)
    return (*commands, *((name, command) for command in wave), *marked) if marked else commands


def _parallel(state: State, group: tuple[Tensor, ...], loop: str) -> tuple[Command, ...]:
    """The commands that make a loop parallel for all stages; none where that is not legal."""
    made: list[Command] = []
    command = Parallel((loop,))
    for stage in group:
        if state.nest(stage).loop(loop).kind == "serial":
            if not _is_legal(state, stage, command):
                return ()
            state = state.after(command, stage)
            made.append((stage.name, command))
    return tuple(made)


def _is_legal(state: State, stage: Tensor, command: Primitive) -> bool:
    try:
        return is_proven(state.after(command, stage), f"{stage.name}.{command}")
    except ScheduleError:
        return False


def skews_that_help(initial: State, log: tuple[Command, ...], stage: Tensor, refused: Command) -> tuple[Command, ...]:
    """The fewest of the skews that make a band, given before all other commands, after which a refused one is legal."""
    group = system_of(initial, stage)
    if not group:
        return ()
    commands, _ = band_commands(initial, group)
    kept = list(commands)
    if not kept or not _holds(initial, (*kept, *log, refused)):
        return ()
    for command in reversed(commands):
        fewer = [other for other in kept if other is not command]
        if fewer and _holds(initial, (*fewer, *log, refused)):
            kept = fewer
    return tuple(kept)


def _holds(state: State, commands: tuple[Command, ...]) -> bool:
    """Whether all commands can be given one after the other, and the result is legal."""
    try:
        for name, command in commands:
            stage = next(stage for stage in state.program.stages if stage.name == name)
            state = state.after(command, stage)
        return is_proven(state, "skew")
    except ScheduleError:
        return False


def is_proven(state: State, step: str) -> bool:
    """Whether a state is legal; undecided counts as not."""
    tree = state.tree()
    pairs = (*state.pairs, *overwrites(state.program, tree, state.pairs))
    return first_violation(tree, pairs, state.program.world, step, any_of_them=True) is None
