"""From the loops of all stages to the loop tree: stages at the root one after the other, others inside their hosts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..compute.expr import Axis, Expr
from ..compute.tensor import Tensor
from ..polyhedral.program import Program, Statement
from ..polyhedral.requirements import Requirement
from ..polyhedral.systems import is_system, systems
from ..polyhedral.tree import Fused, Leaf, LoopKind, LoopNode, Node, Sequence, Tree, statements_below
from .nest import Loop, StageNest
from .place import Place, outermost_host, path_of
from .system import Inside, system_tree


def make_tree(
    program: Program,
    nests: Mapping[int, StageNest],
    places: Mapping[int, Place],
    pairs: tuple[Requirement, ...],
) -> Tree:
    """The loop tree of all stages that have loops; `pairs` are the Program's requirements."""
    return _Forest(program, nests, places, pairs).tree()


def is_made_together(program: Program, places: Mapping[int, Place], group: tuple[Tensor, ...]) -> bool:
    """Whether the loops of these stages at the root, and of what is computed in them, follow from what needs what: so
    do those of recurrences, and those that recurrences are computed in."""
    if not all(outermost_host(stage, places) in group for stage in group):
        return False
    inside = (s for s in program.live_stages() if s.uid in places and program.definitions.has_rules(s))
    return is_system(group) or any(outermost_host(stage, places) in group for stage in inside)


def init_position(stage: Tensor, nests: Mapping[int, StageNest], places: Mapping[int, Place]) -> int:
    """Which of its loops the init of a reduction stands before. Those that it shares are of the other stage's kinds."""
    nest, place = nests[stage.uid], places.get(stage.uid)
    if place is None or not place.shared:
        return nest.init_position()
    return nest.marked_as(nests[place.host.uid], place.loop).init_position()


def begun(
    program: Program, nests: Mapping[int, StageNest], places: Mapping[int, Place], stage: Tensor, position: int
) -> list[Tensor]:
    """The reductions that share a loop of another stage from whose iterations they accumulate: their inits are before
    it."""
    return [
        other
        for other in program.live_stages()
        if other.uid in places
        and places[other.uid].shared
        and places[other.uid].host is stage
        and len(program.of_stage(other)) > 1
        and init_position(other, nests, places) == position <= nests[stage.uid].names.index(places[other.uid].loop)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Forest:
    program: Program
    nests: Mapping[int, StageNest]
    places: Mapping[int, Place]
    pairs: tuple[Requirement, ...]
    uids: Iterator[int] = field(default_factory=itertools.count)

    def tree(self) -> Tree:
        roots: list[Node] = []
        for group in systems(self.program):
            if is_made_together(self.program, self.places, group):
                hosted = tuple(self._inside(group))
                roots.append(system_tree(self.program, self.nests, group, self.pairs, self.uids, hosted))
            elif group[0].uid not in self.places:
                roots.append(self._stage(group[0]))
        fused: dict[Axis, Fused] = {}
        for nest in self.nests.values():
            for own in nest.each():
                fused |= own.fused
        return Tree(Sequence(tuple(roots)), fused)

    def _inside(self, group: tuple[Tensor, ...]) -> Iterator[Inside]:
        """The stages that are computed in the loops of a system."""
        for stage in self.program.live_stages():
            host = outermost_host(stage, self.places)
            if host is not stage and host in group:
                around = tuple(path_of(stage, self.nests, self.places)[: -len(self.nests[stage.uid].loops) or None])
                yield Inside(stage, around, self.program.placements[stage.uid].around.kept)

    def _stage(self, stage: Tensor, outside: int = 0) -> Node:
        """The loops of a stage from `outside` on, with those of the stages that are computed inside them."""
        nest, statements = self.nests[stage.uid], self.program.of_stage(stage)
        chain = _Chain(self, nest)
        if len(statements) == 1:
            return chain.around(outside, nest.loops, Leaf(statements[0]))
        update = statements[1]
        first = init_position(stage, self.nests, self.places)
        if first < outside:
            return chain.around(outside, nest.loops, Leaf(update))
        outer, inner = nest.loops[:first], nest.loops[first:]
        body = _sequence(self._init(nest, first), chain.around(first, nest.loops, Leaf(update)))
        return chain.around(outside, outer, body, rest=inner)

    def _init(self, nest: StageNest, first: int) -> Node:
        """The init of a reduction in loops of its own, instead of those from `first` on."""
        init = self.program.of_stage(nest.stage)[0]
        loops = (*nest.loops[:first], *nest.init_loops(first, init.axes))
        return _Chain(self, nest, hosting=False).around(first, loops, Leaf(init))

    def begun(self, stage: Tensor, position: int) -> list[Node]:
        """The inits that stand before a loop of a stage, of reductions that share it."""
        found = begun(self.program, self.nests, self.places, stage, position)
        return [self._init(self.nests[other.uid], position) for other in found]

    def hosted(self, stage: Tensor, loop: str) -> list[Node]:
        """The stages that are computed at the beginning of each iteration of a loop, producers first."""
        return [
            self._stage(other)
            for other in self.program.live_stages()
            if other.uid in self.places and self.places[other.uid].is_at(stage, loop)
        ]

    def sharing(self, stage: Tensor, loop: str) -> tuple[list[Node], list[Node]]:
        """What stages that share the loops of another one down to `loop` have further in: before it, and after it."""
        live = self.program.live_stages()
        count, place = self.nests[stage.uid].names.index(loop) + 1, live.index(stage)
        shared = [k for k, s in enumerate(live) if s.uid in self.places and self.places[s.uid].shares(stage, loop)]
        before = [self._stage(live[k], count) for k in shared if k < place]
        return before, [self._stage(live[k], count) for k in shared if k > place]

    def stored(self, stage: Tensor, loop: str) -> tuple[Tensor, ...]:
        """The stages of which each iteration of a loop has its own elements."""
        live = self.program.live_stages()
        return tuple(s for s in live if s.uid in self.places and self.places[s.uid].is_stored_at(stage, loop))


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """Loops of one stage around something; only those that are `hosting` have other stages inside."""

    forest: _Forest
    nest: StageNest
    hosting: bool = True

    def around(self, first: int, loops: tuple[Loop, ...], body: Node, rest: tuple[Loop, ...] = ()) -> Node:
        """loops[first:] around `body`; virtual axes are resolved below the last loop made of them, unless that is in
        `rest`, the loops further in."""
        last = {axis: k for k, loop in enumerate((*loops, *rest)) for axis in self.nest.virtual(loop.value)}
        for k in reversed(range(first, len(loops))):
            loop = loops[k]
            stored: tuple[Tensor, ...] = ()
            for axis in reversed(self.nest.virtual(loop.value)):
                if last[axis] == k:
                    body = self._resolved(axis, body)
            if self.hosting:
                before, after = self.forest.sharing(self.nest.stage, loop.name)
                body = _sequence(*self.forest.hosted(self.nest.stage, loop.name), *before, body, *after)
                stored = self.forest.stored(self.nest.stage, loop.name)
            body = self._node(loop.name, loop.kind, loop.value, body, most=loop.most, stores=stored, peel=loop.peel)
            if self.hosting:
                body = _sequence(*self.forest.begun(self.nest.stage, k), body)
        return body

    def _resolved(self, axis: Axis, body: Node) -> Node:
        """The position of a virtual axis and its components around `body`."""
        components = list(enumerate(self.nest.fused[axis].components))
        for number, component in reversed(components):
            name = self.nest.component_name(axis, number)
            body = self._node(name, "component", component, body, of=axis, component=number)
        return self._node(axis.name, "position", axis, body, of=axis)

    def _node(self, name: str, kind: LoopKind, value: Expr, body: Node, **more: Any) -> LoopNode:
        of, component = more.get("of"), more.get("component")
        values = {s.number: self._value(s, name, value, of, component) for s in statements_below(body)}
        return LoopNode(next(self.forest.uids), name, kind, values, body, stage=self.nest.stage, **more)

    def _value(self, statement: Statement, loop: str, value: Expr, of: Axis | None, component: int | None) -> Expr:
        """A loop's counter for a statement below: of a stage that shares the loop, by its own loop; of one that is
        computed inside, the axis that stands for it, or what follows from that for a position and its components."""
        if statement.stage is self.nest.stage:
            own = next((other for other in self.nest.loops if other.name == loop and other.value is value), None)
            begins = statement.kind == "init" and own is not None and self.nest.is_reduction(own)
            return own.begin if begins and own is not None else value
        place = self.forest.places[statement.stage.uid]
        if place.shared and place.host is self.nest.stage:
            nest = self.forest.nests[statement.stage.uid]
            shared = nest.loops[self.nest.names.index(loop)]
            return shared.begin if statement.kind == "init" and nest.is_reduction(shared) else shared.value
        around = self.forest.program.placements[statement.stage.uid].around
        if of is None:
            return around.counter(self.nest.stage, loop)
        position = self.nest.position_of(of, lambda name: around.counter(self.nest.stage, name))
        assert position is not None, "stages are computed inside resolved positions where their loops are whole"
        return position if component is None else self.nest.fused[of].component(component, position)


def _sequence(*children: Node) -> Node:
    flat = [n for child in children for n in (child.children if isinstance(child, Sequence) else (child,))]
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))
