"""Stages that depend on each other in circles, and an order of loops in which their cells can be computed.

A system is a strongly connected component of the stages. What counts here are cells: `Need` says which cell must be
there before which. A default order is found level by level, as in Allen and Kennedy (1987): the first dimension,
forwards or backwards, along which nothing runs against the needs becomes the outermost loop; what it puts in order is
done, and so is what does not go round in a circle any more, as that can be put in sequence; the rest is left to the
next level. Where no dimension will do, small sums of dimensions are tried (a skewed loop). All equations of a stage
have the same loops, unless that leaves no order: those of a sweep that goes forwards and backwards in turn have their
own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..compute.components import components
from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr
from ..compute.recurrence import Recurrence
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from .affine import affine
from .isl import Frame, Map, World
from .program import Program
from .requirements import Requirement

Node = tuple[int, int]  # an equation: the uid of its stage, and which of the stage's it is


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """Pairs of cells of which the first must be there before the second is computed, of two equations."""

    source: Node
    sink: Node
    relation: Map


@dataclass(frozen=True, slots=True)
class Level:
    """A loop of the default order: dimension `name`, backwards if `sign` is -1, plus others times factors."""

    name: str
    sign: int = 1
    skew: tuple[tuple[str, int], ...] = ()

    def counter(self, axes: Mapping[str, Axis]) -> Expr:
        """The counter of the loop in terms of axes, by their names."""
        axis = axes[self.name]
        value: Expr = axis if self.sign > 0 else axis.lower + axis.upper - 1 - axis
        for other, factor in self.skew:
            value = value + axes[other] * Const(factor, INDEX)
        return simplify(value)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of a stage as a space of their own."""

    stage: Tensor
    frame: Frame

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.stage.equations[0].axes

    def value(self, level: Level) -> Expr | None:
        """The counter of a loop, or None where the stage has not all of its dimensions."""
        names = {axis.name: axis for axis in self.axes}
        if not {level.name, *(other for other, _ in level.skew)} <= set(names):
            return None
        return level.counter(names)


def systems(program: Program) -> tuple[tuple[Tensor, ...], ...]:
    """The stages that have loops in components, producers first. Who has joined another one's loops is in its
    component, with all that is between them."""
    live = program.live_stages()
    read = {stage.uid: [r.tensor for s in program.of_stage(stage) for r in s.reads] for stage in live}
    for stage in live:
        host, _ = program.joined.get(stage.uid, (None, ""))
        if host is not None and host.uid in read:
            read[stage.uid].append(host)
            read[host.uid].append(stage)
    return tuple(components(live, lambda stage: read[stage.uid]))


def is_system(stages: tuple[Tensor, ...]) -> bool:
    """Whether the loops of these stages are made together: they need each other, or one has several equations."""
    return len(stages) > 1 or any(isinstance(stage, Recurrence) for stage in stages)


def needs_between(stages: Sequence[Tensor], pairs: Sequence[Requirement]) -> list[Need]:
    """What the flow requirements say of cells, for these stages."""
    uids = {stage.uid for stage in stages}
    found: list[Need] = []
    for pair in pairs:
        source, sink = pair.source, pair.sink
        if pair.kind == "flow" and source.stage.uid in uids and sink.stage.uid in uids:
            cells = source.writes().reverse().apply_range(pair.relation).apply_range(sink.writes())
            found.append(Need((source.stage.uid, source.equation), (sink.stage.uid, sink.equation), cells.coalesce()))
    return found


def circular(needs: Sequence[Need]) -> list[Need]:
    """The needs that are part of circles between equations."""
    nodes = sorted({node for need in needs for node in (need.source, need.sink)})
    parts = components(nodes, lambda node: [need.source for need in needs if need.sink == node])
    owner = {node: part for part in parts for node in part}
    return [need for need in needs if owner[need.source] == owner[need.sink]]


Order = dict[Node, tuple[Level, ...]]  # the levels of each equation, outermost first


def circular_pairs(stages: Sequence[Tensor], pairs: Sequence[Requirement]) -> tuple[Requirement, ...]:
    """The flow requirements that are part of circles between equations of these stages."""
    uids = {stage.uid for stage in stages}
    flows = [p for p in pairs if p.kind == "flow" and {p.source.stage.uid, p.sink.stage.uid} <= uids]
    ends = [((p.source.stage.uid, p.source.equation), (p.sink.stage.uid, p.sink.equation)) for p in flows]
    nodes = sorted({node for pair in ends for node in pair})
    parts = components(nodes, lambda node: [a for a, b in ends if b == node])
    owner = {node: part for part in parts for node in part}
    return tuple(pair for pair, (a, b) in zip(flows, ends, strict=True) if owner[a] is owner[b])


def default_order(stages: Sequence[Tensor], needs: Sequence[Need], world: World) -> Order | None:
    """Levels in which all cells can be computed, or None if none were found. Stages that go round in a circle together
    have the same ones, each for all of its equations; where there are none such, equations that do."""
    cells = {stage.uid: Cells(stage, world.frame(stage.equations[0].axes, "C")) for stage in stages}
    nodes = {(stage.uid, k) for stage in stages for k in range(len(stage.equations))}
    of_cells = [Need(n.source, n.sink, _of_cells(n, cells)) for n in needs]
    for owner in ({node: (node[0], 0) for node in nodes}, {node: node for node in nodes}):
        levels = _levels(of_cells, cells, owner)
        if levels is not None:
            found = {node: levels[own] for node, own in owner.items()}
            return {node: (*own, *_rest(own, cells[node[0]])) for node, own in found.items()}
    return None


def _levels(
    needs: list[Need], cells: Mapping[int, Cells], owner: Mapping[Node, Node]
) -> dict[Node, list[Level]] | None:
    """The levels of equations, by their owners, which have the same ones; None if none were found."""
    levels: dict[Node, list[Level]] = {own: [] for own in owner.values()}
    pending = _parts(circular(needs), owner)
    while pending:
        part = pending.pop()
        owners = {owner[node] for need in part for node in (need.source, need.sink)}
        used = {level.name for own in owners for level in levels[own]}
        names = list(dict.fromkeys(axis.name for uid, _ in sorted(owners) for axis in cells[uid].axes))
        open_names = [name for name in names if name not in used]
        found = next((level for level in _candidates(open_names) if _is_forward(level, part, cells)), None)
        if found is None:
            return None
        for own in owners:
            levels[own].append(found)
        pending += _parts(circular(_equal(found, part, cells)), owner)
    return levels


def _rest(levels: list[Level], cells: Cells) -> Iterator[Level]:
    used = {level.name for level in levels}
    return (Level(axis.name) for axis in cells.axes if axis.name not in used)


def _parts(needs: list[Need], owner: Mapping[Node, Node]) -> list[list[Need]]:
    """The needs apart, as far as they are between equations of different owners."""
    ends = [(owner[need.source], owner[need.sink]) for need in needs]
    both = [*ends, *((b, a) for a, b in ends)]
    joined = components(sorted({own for pair in ends for own in pair}), lambda own: [b for a, b in both if a == own])
    return [[need for need in needs if owner[need.source] in part] for part in joined]


def _of_cells(need: Need, cells: Mapping[int, Cells]) -> Map:
    source, sink = cells[need.source[0]].frame, cells[need.sink[0]].frame
    return sink.relation(source.relation(need.relation).reverse()).reverse()


_FACTORS = (0, 1, -1, 2, -2, 3)


def _candidates(names: list[str]) -> Iterator[Level]:
    for sign in (1, -1):
        yield from (Level(name, sign) for name in names)
    if len(names) > 4:
        return
    skewed = []
    for name, sign in itertools.product(names, (1, -1)):
        others = [other for other in names if other != name]
        for factors in itertools.product(_FACTORS, repeat=len(others)):
            skew = tuple((other, factor) for other, factor in zip(others, factors, strict=True) if factor)
            skewed.append((sum(map(abs, factors)), Level(name, sign, skew)))
    skewed.sort(key=lambda pair: pair[0])
    yield from (level for size, level in skewed if size)


def _is_forward(level: Level, needs: list[Need], cells: Mapping[int, Cells]) -> bool:
    for need in needs:
        source, sink = cells[need.source[0]], cells[need.sink[0]]
        a, b = source.value(level), sink.value(level)
        if a is None or b is None:
            return False
        left, right = affine(a, source.frame), affine(b, sink.frame)
        assert left is not None and right is not None, "sums of dimensions are affine"
        if not need.relation.is_subset(left.le_map(right)):
            return False
    return True


def _equal(level: Level, needs: list[Need], cells: Mapping[int, Cells]) -> list[Need]:
    """What the level leaves: the pairs with one value of the counter."""
    left: list[Need] = []
    for need in needs:
        source, sink = cells[need.source[0]], cells[need.sink[0]]
        a, b = source.value(level), sink.value(level)
        assert a is not None and b is not None
        first, second = affine(a, source.frame), affine(b, sink.frame)
        assert first is not None and second is not None
        same = need.relation.intersect(first.eq_map(second))
        if not same.is_empty():
            left.append(Need(need.source, need.sink, same))
    return left
