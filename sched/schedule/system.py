"""The loops of recurrences: of a stage with several equations, and of stages that need each other.

Each stage has its loops in a row, as every stage has, and each equation is in all of them. What is in common follows
from what needs what (Allen and Kennedy 1987): from the outside in, statements that are in a circle of needs share the
next loop; what is not goes into loops of its own, in sequence. So the plane at t = 0 is computed before the loop over
t, and boundaries in loops beside the one over the inside, however the loops have been tiled.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..compute.components import components
from ..compute.expr import Axis, Expr
from ..compute.simplify import from_linear, key, linear
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.isl import Map
from ..polyhedral.layout import Form, total
from ..polyhedral.order import has_one_value, maybe_equal, never_after
from ..polyhedral.program import Program
from ..polyhedral.requirements import Requirement
from ..polyhedral.statement import Statement
from ..polyhedral.tree import Fused, Leaf, LoopNode, Node, Sequence, Tree, statements_below
from .binding import Bindings
from .nest import Loop, StageNest, axis_loop

_Key = tuple[tuple[int, str] | None, str, str, Hashable]


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """A stage that is computed in loops of others, which these are, outermost first; each iteration of the first `kept`
    of them has its own elements of it."""

    stage: Tensor
    loops: tuple[tuple[Tensor, Loop], ...]
    kept: int

    def place(self, depth: int) -> tuple[int, str] | None:
        """What tells the loop at this depth, of another stage or its own, from loops elsewhere: where whose it is is
        computed; None at the root."""
        hosts = [host for host, _ in self.loops]
        first = hosts.index(hosts[depth]) if depth < len(hosts) else len(hosts)
        if first == 0:
            return None
        host, loop = self.loops[first - 1]
        return host.uid, loop.name


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A statement with its place in the Program, and its own loops, outermost first, each with its place in the stage's
    nest; the first ones are of other stages where it is computed `inside` of these."""

    statement: Statement
    place: int
    nest: StageNest
    loops: tuple[tuple[int, Loop], ...]
    inside: Inside | None = None

    @property
    def depth(self) -> int:
        """The number of loops that are of other stages."""
        return 0 if self.inside is None else len(self.inside.loops)

    def at(self, depth: int) -> tuple[int, Loop] | None:
        return self.loops[depth] if depth < len(self.loops) else None

    def key(self, depth: int) -> _Key:
        """What statements that share the loop at this depth have in common: name, kind, and how far virtual axes are
        along it, but for a number, as from the counter their positions follow for all."""
        loop = self.loops[depth][1]
        place = None if self.inside is None else self.inside.place(depth)
        along = key(from_linear(linear(loop.value)[0], 0)) if self.nest.virtual(loop.value) else None
        return place, loop.name, loop.kind, along

    def owner(self, depth: int) -> Tensor:
        """Whose loop the one at this depth is."""
        if self.inside is not None and depth < self.depth:
            return self.inside.loops[depth][0]
        return self.statement.stage


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    source: int
    sink: int
    pair: Requirement
    relation: Map


def system_tree(
    program: Program,
    nests: Mapping[int, StageNest],
    group: tuple[Tensor, ...],
    pairs: tuple[Requirement, ...],
    uids: Iterator[int],
    hosted: tuple[Inside, ...] = (),
) -> Node:
    """The loop tree of a system, and of the stages that are computed in its loops."""
    fused: dict[Axis, Fused] = {}
    inside = {own.stage.uid: own for own in hosted}
    group = (*group, *(own.stage for own in hosted if own.stage not in group))
    for stage in group:
        for nest in nests[stage.uid].each():
            fused |= nest.fused
    parts = [
        _part(s, place, nests[s.stage.uid].of_equation(s.loops_of), inside.get(s.stage.uid))
        for place, s in enumerate(program.statements)
        if any(s.stage is stage for stage in group)
    ]
    numbers = {part.statement.number for part in parts}
    edges = [
        _Edge(pair.source.number, pair.sink.number, pair, pair.relation)
        for pair in pairs
        if {pair.source.number, pair.sink.number} <= numbers
    ]
    layouts = {stage: program.layout(stage) for stage in group if program.layout(stage).folds}
    folds = {s.uid: tuple(layout.folds) for s, layout in layouts.items()}
    in_place = any(1 in layout.folds.values() for layout in layouts.values())
    wanted, asked = dict[int, int](), set[int]()
    for uid, (host, loop) in program.joined.items():
        names = nests[uid].names if uid in nests else ()
        wanted[uid] = names.index(loop) + 1 if loop in names else 0
        asked |= {uid, host.uid}
    joints = tuple(_joint(own, program) for own in hosted)
    made = _Builder(Tree(Sequence(()), fused), uids, in_place, folds, wanted, frozenset(asked), joints).body(
        parts, 0, edges
    )
    for joint in joints:
        _check_joint(joint, made)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Joint:
    """The numbers of the statements that are in one and the same loops of others: those of a stage that is computed
    there, and those that read it."""

    inside: Inside
    numbers: frozenset[int]


def _joint(inside: Inside, program: Program) -> _Joint:
    own = {statement.number for statement in program.of_stage(inside.stage)}
    readers = {s.number for s in program.statements if any(read.tensor is inside.stage for read in s.reads)}
    return _Joint(inside, frozenset(own | readers))


def _check_joint(joint: _Joint, root: Node) -> None:
    """Refuse a place whose loops are not around all that must be in them: an iteration's elements are there in that
    iteration alone."""
    node, loops = root, 0
    while loops < len(joint.inside.loops):
        children = node.children if isinstance(node, Sequence) else (node,)
        found = [c for c in children if joint.numbers & {s.number for s in statements_below(c)}]
        if len(found) != 1 or isinstance(found[0], Leaf):
            host, loop = joint.inside.loops[-1]
            raise ScheduleError(
                f"{joint.inside.stage.name} cannot be computed in {loop.name} of {host.name}: what reads it is not all "
                "in one and the same loops there, as these follow from what the equations need of each other"
            )
        node = found[0]
        loops += isinstance(node, LoopNode)
        node = node.body if isinstance(node, LoopNode) else node


def _part(statement: Statement, place: int, nest: StageNest, inside: Inside | None = None) -> _Part:
    """The loops around one statement: those made of its own axes, and its axes for what loops that mix them with
    others leave open; before them, those of others that it is computed in."""
    own = set(statement.axes)
    foreign = [k for k, loop in enumerate(nest.loops) if not nest.axes_of(loop.value) <= own]
    first = foreign[0] if foreign else len(nest.loops)
    kept = [
        (k, loop) for k, loop in enumerate(nest.loops) if k not in foreign and (k < first or nest.axes_of(loop.value))
    ]
    open_axes = {axis for k in foreign for axis in nest.axes_of(nest.loops[k].value)} & own
    if open_axes:
        bindings = Bindings(nest)
        for _, loop in kept:
            bindings.add(loop)
        open_axes -= set(bindings.bound)
    rest = [(-1 - k, axis_loop(axis)) for k, axis in enumerate(statement.axes) if axis in open_axes]
    if inside is None:
        return _Part(statement, place, nest, (*kept, *rest))
    counters = zip(inside.loops, statement.prefix, strict=True)
    around = [(k, replace(loop, value=axis)) for k, ((_, loop), axis) in enumerate(counters)]
    moved = [(k + len(around) if k >= 0 else k, loop) for k, loop in (*kept, *rest)]
    return _Part(statement, place, nest, (*around, *moved), inside)


@dataclass(frozen=True, slots=True, eq=False)
class _Builder:
    tree: Tree
    uids: Iterator[int]
    in_place: bool
    folded: Mapping[int, tuple[Form, ...]]  # the forms that are folded, by the uids of the stages
    wanted: Mapping[int, int]  # how many loops the stages that have joined others share with them, by their uids
    asked: frozenset[int]  # these stages, and those that they have joined
    joints: tuple[_Joint, ...] = ()

    def body(self, parts: list[_Part], depth: int, edges: list[_Edge]) -> Node:
        """The statements below `depth` shared loops: circles in common loops, one after the other, in the order of the
        definitions where they need not be in another."""
        children: list[Node] = []
        parts = sorted(parts, key=lambda part: part.place)
        for members in self._joined(_components(self._units(parts, depth), edges), depth, edges):
            children += self._shared(members, depth, _inside(members, edges))
        return children[0] if len(children) == 1 else Sequence(tuple(children))

    def _units(self, parts: list[_Part], depth: int) -> list[list[_Part]]:
        """What stays together: the statements of an equation, and in the loops that a stage is computed in, its own and
        those that read it."""
        units = _units(parts, depth)
        for joint in self.joints:
            if depth < len(joint.inside.loops):
                inside = [u for u in units if any(part.statement.number in joint.numbers for part in u)]
                if len(inside) > 1:
                    whole = sorted((p for u in inside for p in u), key=lambda part: part.statement.number)
                    units = [whole if u is inside[0] else u for u in units if u is inside[0] or u not in inside]
        return units

    def _joined(self, groups: list[list[_Part]], depth: int, edges: list[_Edge]) -> list[list[_Part]]:
        """The components, with those in one that can share the loop that a circle goes round: planes that are computed
        step by step are so computed together, and need not all be kept; where they are not, also if the circle goes
        round a loop further in. In place, they share all loops that they can: what one of them writes, others may have
        to read before."""
        if len(groups) == 1:
            return groups
        circle = next((group for group in groups if self._carries(group, depth, edges)), None)
        if circle is None and self.folded:
            circle = next((g for g in groups if any(not e.pair.free for e in _inside(g, edges))), None)
        if circle is None:
            circle = next((group for group in groups if self._wants(group, depth)), None)
        if circle is None and self.in_place:
            circle = next((group for group in groups if _key(group, depth) is not None), None)
        if circle is None or (key := _key(circle, depth)) is None:
            return groups
        anyway = self.folded and (depth > 0 or self._is_fixed(circle, depth))

        def joins(group: list[_Part]) -> bool:
            return anyway or not self._is_fixed(group, depth) or self._moves(group)

        like = [g for g in groups if g is circle or (_key(g, depth) == key and joins(g))]
        joined = self._as_one(like, groups, depth, edges)
        if joined is None and self._wants(circle, depth):
            joined = self._as_one(self._most(circle, like, groups, depth, edges), groups, depth, edges)
        return groups if joined is None else joined

    def _as_one(
        self, like: list[list[_Part]], groups: list[list[_Part]], depth: int, edges: list[_Edge]
    ) -> list[list[_Part]] | None:
        """The components, some of them as one that shares the next loop; None where that would run against needs."""
        together = [part for group in like for part in group]
        if len(like) < 2 or not all(self._is_forward(edge, together, depth) for edge in _inside(together, edges)):
            return None
        others = [group for group in groups if not any(group is other for other in like)]
        joined = _components([together, *others], edges)
        return joined if len(joined) == 1 + len(others) else None

    def _most(
        self, circle: list[_Part], like: list[list[_Part]], groups: list[list[_Part]], depth: int, edges: list[_Edge]
    ) -> list[list[_Part]]:
        """As many of the components as can share the next loop with this one; those that have asked for it first."""
        chosen = [circle]
        for group in sorted(like, key=lambda g: not any(part.statement.stage.uid in self.asked for part in g)):
            wider = [g for g in like if g is group or any(g is other for other in chosen)]
            if self._as_one(wider, groups, depth, edges) is not None:
                chosen = wider
        return chosen

    def _carries(self, group: list[_Part], depth: int, edges: list[_Edge]) -> bool:
        """Whether the next loop puts something in order that is needed between these statements."""
        values = {part.statement.number: at[1].value for part in group if (at := part.at(depth)) is not None}
        found = (e for e in _inside(group, edges) if e.source in values and e.sink in values)
        return any(not e.pair.free and not e.relation.is_subset(self._equal(e, values)) for e in found)

    def _wants(self, group: list[_Part], depth: int) -> bool:
        """Whether a stage has joined others down to a loop further in than this."""
        return _key(group, depth) is not None and any(
            self.wanted.get(p.statement.stage.uid, 0) > depth for p in group if p.statement.kind != "init"
        )

    def _equal(self, edge: _Edge, values: Mapping[int, Expr]) -> Map:
        return maybe_equal(self.tree, edge.pair, edge.relation, values[edge.source], values[edge.sink])

    def _is_fixed(self, group: list[_Part], depth: int) -> bool:
        """Whether the next loop has a single iteration for one of the statements."""
        values = ((part.statement, part.loops[depth][1].value) for part in group)
        return any(has_one_value(self.tree, statement, value) for statement, value in values)

    def _moves(self, group: list[_Part]) -> bool:
        """Whether the statements write to several of the positions that share cells by a fold, so that they have to
        follow what the others do with those."""
        written = (part.statement for part in group)
        folds = ((s, form) for s in written for form in self.folded.get(s.stage.uid, ()))
        return any(not has_one_value(self.tree, s, total(form, s.indices)) for s, form in folds)

    def _is_forward(self, edge: _Edge, parts: list[_Part], depth: int) -> bool:
        """Whether what is needed is not of a later iteration; of a parallel loop, of the same one, where stages are
        computed in loops and may keep others together than needs do."""
        loops = {part.statement.number: part.loops[depth][1] for part in parts}
        values = {number: loop.value for number, loop in loops.items()}
        if edge.pair.free or loops[edge.source].kind != "parallel" or not self.joints:
            source, sink = values[edge.source], values[edge.sink]
            return edge.pair.free or never_after(self.tree, edge.pair, edge.relation, source, sink)
        return edge.relation.is_subset(self._equal(edge, values))

    def _shared(self, parts: list[_Part], depth: int, edges: list[_Edge]) -> list[Node]:
        """One loop around all of them; where they have none in common, one each, in the order of the definition."""
        groups: dict[_Key | None, list[_Part]] = {}
        for part in parts:
            found = part.at(depth)
            groups.setdefault(None if found is None else part.key(depth), []).append(part)
        made: list[Node] = []
        for shared, members in groups.items():
            if shared is None:
                made += [Leaf(part.statement) for part in members]
            else:
                made.append(self._loop(members, depth, _inside(members, edges)))
        return made

    def _loop(self, parts: list[_Part], depth: int, edges: list[_Edge]) -> Node:
        loops = {part.statement.number: part.loops[depth][1] for part in parts}
        counters = {number: loop.value for number, loop in loops.items()}
        left = []
        for edge in edges if len(parts) > 1 else ():  # one statement alone has one order
            relation = self._equal(edge, counters)
            if not relation.is_empty():
                left.append(_Edge(edge.source, edge.sink, edge.pair, relation))
        uid = next(self.uids)
        first = parts[0].loops[depth][1]
        body = self.body(parts, depth + 1, left)
        for axis in reversed(parts[0].nest.virtual(first.value)):
            inner = {v for part in parts for _, loop in part.loops[depth + 1 :] for v in part.nest.virtual(loop.value)}
            if axis not in inner:
                body = self._resolved(axis, parts[0].nest, tuple(counters), body)
        most = [loop.most for loop in dict.fromkeys(loops.values())]
        literal = max((m for m in most if m is not None), default=None) if None not in most else None
        owner = next((part.owner(depth) for part in parts if part.inside is not None), None)
        own = {part.statement.stage: part.inside for part in parts if part.inside is not None}
        stores = tuple(stage for stage, inside in own.items() if inside.kept == depth + 1)
        made = LoopNode(uid, first.name, first.kind, counters, body, most=literal, peel=first.peel)
        return replace(made, stage=owner, stores=stores)

    def _resolved(self, axis: Axis, nest: StageNest, numbers: tuple[int, ...], body: Node) -> Node:
        """The position of a virtual axis and its components around `body`."""
        for number, component in reversed(list(enumerate(nest.fused[axis].components))):
            values = dict.fromkeys(numbers, component)
            name = nest.component_name(axis, number)
            body = LoopNode(next(self.uids), name, "component", values, body, of=axis, component=number)
        return LoopNode(next(self.uids), axis.name, "position", dict.fromkeys(numbers, axis), body, of=axis)


def _inside(parts: list[_Part], edges: list[_Edge]) -> list[_Edge]:
    numbers = {part.statement.number for part in parts}
    return [edge for edge in edges if edge.source in numbers and edge.sink in numbers]


def _key(parts: list[_Part], depth: int) -> _Key | None:
    """What tells the next loop from others, where all statements have one and the same."""
    keys = {part.key(depth) if part.at(depth) is not None else None for part in parts}
    return next(iter(keys)) if len(keys) == 1 else None


def _components(units: list[list[_Part]], edges: list[_Edge]) -> list[list[_Part]]:
    """The statements in circles of needs, each after what it needs."""
    owner = {part.statement.number: k for k, unit in enumerate(units) for part in unit}
    needs: list[set[int]] = [set() for _ in units]
    for edge in edges:
        if edge.source in owner and edge.sink in owner:
            needs[owner[edge.sink]].add(owner[edge.source])
    found = components(range(len(units)), lambda k: needs[k])
    return [[part for k in component for part in units[k]] for component in found]


def _units(parts: list[_Part], depth: int) -> list[list[_Part]]:
    """The statements of one equation stay together as long as they have the same loop next; but updates that are cut
    off are between its init and the rest."""
    cut = {(s.stage.uid, s.equation) for s in (part.statement for part in parts) if s.apart is not None}
    units: dict[tuple[int, int, int, bool], list[_Part]] = {}
    for part in parts:
        statement, piece = part.statement, part.statement.piece
        before = statement.kind == "init" and (statement.stage.uid, statement.equation) in cut
        key = (statement.stage.uid, statement.loops_of, piece.number if piece else 0, before)
        units.setdefault(key, []).append(part)
    found: list[list[_Part]] = []
    for unit in units.values():
        places = {None if (at := part.at(depth)) is None else at[0] for part in unit}
        together = len(places) == 1 and None not in places
        found += [unit] if together else [[part] for part in unit]
    return found
