"""Where a stage is computed: as a whole, or inside the loops of the stages that read it.

A stage that is computed inside loops is computed anew at every point of those loops: its statements get one more axis a
loop, the `prefix`, and the points (prefix, element) at which its consumers need it are their domain (domain expansion).
Its own axes are counted from the first element needed, so its loops are those of a tensor of the size of the footprint.
Stored elements are told apart by the first `kept` axes of the prefix: by all of them where it is stored where it is
computed; by fewer where it is stored further out, and then what an earlier point has computed is not computed again, as
in a sliding window. From there on these are statements like all others, and so are the requirements between them.

The polyhedral form of Halide's compute_at and store_at (Ragan-Kelley et al., PLDI 2013).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Reduce, substitute, walk
from ..compute.reductions import REDUCTIONS
from ..compute.simplify import constant_value, simplify
from ..compute.tensor import Equation, Tensor
from .affine import affine
from .bounds import access_relation, guarded_reads, iteration_domain
from .isl import Frame, Map, Set, World, bounds, each_dimension, earlier_inputs, inert, most, reach, without
from .statement import Piece, Statement, StatementKind


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """The elements origin, ..., origin + shape - 1 of each dimension; `origin` is made of prefix axes."""

    origin: tuple[Expr, ...]
    shape: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """The loops that a stage is computed in, outermost first; none by default.

    loops     each as the uid of the stage that it is a loop of, and its name
    axes      for each loop, an axis that stands for its counter
    counters  for each stage that reads this one (by uid): the counters in terms of that stage's axes
    kept      the number of loops around the place where the stage is stored
    fused     for axes of fused loops, by their numbers: what the positions are of
    """

    loops: tuple[tuple[int, str], ...] = ()
    axes: tuple[Axis, ...] = ()
    counters: Mapping[int, tuple[Expr, ...]] = field(default_factory=dict)
    kept: int = 0
    fused: Mapping[int, Components] = field(default_factory=dict)

    def counter(self, stage: Tensor, loop: str) -> Axis:
        """The axis that stands for a loop of a stage."""
        return self.axes[self.loops.index((stage.uid, loop))]

    def resolved(self) -> tuple[Around, dict[Axis, Expr]]:
        """The same with a loop over each component instead of fused ones, and what these are of the fused ones' axes.

        Footprints are affine, and their boxes small, in the counters of tiles, and not in positions among them."""
        whole = {k: (axis,) for k, axis in enumerate(self.axes)}
        axes = {**whole, **{k: parts.axes for k, parts in self.fused.items()}}
        counters = {
            uid: tuple(
                c for k, own in enumerate(all_) for c in (self.fused[k].counters[uid] if k in self.fused else (own,))
            )
            for uid, all_ in self.counters.items()
        }
        flat = tuple(axis for k in range(len(self.axes)) for axis in axes[k])
        values = {
            axis: value for parts in self.fused.values() for axis, value in zip(parts.axes, parts.values, strict=True)
        }
        kept = sum(len(axes[k]) for k in range(self.kept))
        return Around((), flat, counters, kept), values


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What a fused loop's position is of.

    axes      for each component, an axis that stands for it
    values    the components in terms of the axis of the position
    counters  as those of `Around`
    """

    axes: tuple[Axis, ...]
    values: tuple[Expr, ...]
    counters: Mapping[int, tuple[Expr, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where the statements of a stage are.

    equation  what it computes, over the prefix and axes of its own that are counted from the origin of `computed`
    value     what its (last) statement computes, likewise
    computed  the elements needed at a point of the prefix, `stored` those stored at a point of the kept prefix
    domain    the points (prefix, own axes) at which it is computed; None for all elements of the tensor
    needed    the same with what an earlier point has computed
    """

    around: Around
    equation: Equation
    value: Expr
    computed: Box
    stored: Box
    domain: Map | None = None
    needed: Map | None = None

    @property
    def prefix(self) -> tuple[Axis, ...]:
        return self.around.axes

    @property
    def kept(self) -> tuple[Axis, ...]:
        """The prefix axes that tell stored elements apart."""
        return self.around.axes[: self.around.kept]


def at_root(stage: Tensor, equation: Equation, value: Expr) -> Placement:
    """The stage computed as a whole, before its readers."""
    whole = Box(tuple(Const(0, INDEX) for _ in stage.shape), stage.shape)
    return Placement(Around(), equation, value, whole, whole)


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Stages that are computed at the same points: one, or several that need each other.

    rank     the dimensions, from the first on, that what is needed of them is told by: all of those that all have
    closure  for each of them, by its uid, from a position in these to its elements that any element of the stages there
             may be or need; None where they need none
    """

    stages: tuple[Tensor, ...]
    rank: int
    closure: Mapping[int, Map] | None = None


def inside(
    stage: Tensor,
    equation: Equation,
    value: Expr,
    around: Around,
    members: Members,
    consumers: Sequence[Statement],
    wider: Sequence[Statement],
    world: World,
) -> Placement:
    """The stage, one of `members`, computed at every point of the loops `around` where the consumers need these;
    `wider` are the consumers as if they computed again what they keep from earlier points."""
    loops = world.frame(around.axes, inert("O", stage.uid, stage.name))
    footprint = _footprint(stage, equation, around, members, wider, world)
    everything = needed = footprint.needed
    if wider is not consumers:
        needed = everything.intersect_domain(loops.relation(_read(members, around, consumers)).domain())
    if around.kept < len(around.axes):
        before = earlier_inputs(needed, around.kept)
        needed = needed.subtract(before.apply_range(needed)).coalesce().detect_equalities()
    computed = footprint.computed
    at, own = {}, []
    for axis, origin, extent in zip(equation.axes, computed.origin, computed.shape, strict=True):
        own.append(replace(axis, lower=Const(0, INDEX), upper=extent))
        at[axis] = _element(origin, own[-1])
    placed = moved(equation, at, tuple(own))
    reduce = placed.reduce
    if reduce is not None and equation.reduce is not None:
        at |= dict(zip(equation.reduce.axes, reduce.axes, strict=True))
    return Placement(around, placed, substitute(value, at), computed, footprint.stored, needed, everything)


@dataclass(frozen=True, slots=True, eq=False)
class _Footprint:
    """What is needed at a point of the loops, and boxes around it and around what is stored."""

    needed: Map
    computed: Box
    stored: Box


def _footprint(
    stage: Tensor,
    equation: Equation,
    around: Around,
    members: Members,
    wider: Sequence[Statement],
    world: World,
) -> _Footprint:
    """The footprint at a point, found in the components of fused loops: there it is affine, and small for tiles."""
    tiles, values = around.resolved()
    name = inert("O", stage.uid, stage.name)
    loops, points = world.frame(tiles.axes, name), world.frame(around.axes, name)
    closure = None if members.closure is None else members.closure[stage.uid]
    needed = _needed(_read(members, tiles, wider), equation, loops, closure)
    stored = box_around(_of_kept(needed, tiles), world.frame(tiles.axes[: tiles.kept], "K"), stage.shape)
    computed = box_around(needed, loops, stage.shape)
    if around.fused:
        components = [affine(values.get(axis, axis), points) for axis in tiles.axes]
        known = [value for value in components if value is not None]
        assert len(known) == len(components), "the inner extents of fused loops are literals"
        needed = points.relation(points.map_to(known, name).apply_range(needed)).coalesce()
    return _Footprint(needed, _at(computed, values), _at(stored, values))


def _at(box: Box, values: dict[Axis, Expr]) -> Box:
    return Box(tuple(simplify(substitute(origin, values)) for origin in box.origin), box.shape) if values else box


def _needed(read: Map, equation: Equation, loops: Frame, closure: Map | None) -> Map:
    """From a point of the loops to the elements that are needed there: the convex hull of what is read, and what that
    needs of the stage itself, in the tensor.

    More than is read may be computed, as every element is defined; less may not. The hull is that of wider consumers,
    whose footprints do not differ from point to point as those of a sliding window do.
    """
    hull = Map.from_basic_map(read.simple_hull()).intersect_domain(read.domain())
    if closure is not None:
        hull = each_dimension(hull).apply_range(closure).coalesce()
    whole = iteration_domain(loops.world.frame(equation.axes, "P"), equation.axes, loops.universe().params())
    return loops.relation(hull.intersect_range(whole.reset_tuple_id()))


def _read(members: Members, around: Around, consumers: Sequence[Statement]) -> Map:
    """From a point of the loops to the elements of the stages that are read there, in the dimensions that all have."""
    found: Map | None = None
    for consumer in consumers:
        for read, instances in guarded_reads(consumer.value, consumer.frame, consumer.domain):
            if read.tensor in members.stages:
                counters = counters_of(around, consumer, len(around.axes)).intersect_domain(instances)
                elements = counters.reverse().apply_range(access_relation(read, consumer.frame, instances))
                elements = without(elements, "out", members.rank, len(read.indices) - members.rank)
                found = elements if found is None else found.union(elements)
    assert found is not None, f"{members.stages[0].name} is read"
    # Counters of splits of splits divide what the loops outside decide; the equalities say so.
    return found.coalesce().detect_equalities()


def counters_of(around: Around, consumer: Statement, count: int) -> Map:
    """From an instance of a consumer to the first `count` counters of the loops around; of a recurrence that reads
    itself, those that it stands for itself."""
    counters = around.counters.get(consumer.stage.uid, consumer.prefix)
    values = [affine(counter, consumer.frame) for counter in counters[:count]]
    assert all(value is not None for value in values), "only loops with affine counters have stages computed in them"
    return consumer.frame.map_to([value for value in values if value is not None])


def _of_kept(needed: Map, around: Around) -> Map:
    return without(needed, "in", around.kept, len(around.axes) - around.kept)


def box_around(needed: Map, frame: Frame, shape: tuple[Expr, ...]) -> Box:
    """The smallest box that is known around what is needed at a point, dimension by dimension: of a literal extent, of
    one that depends on the sizes alone, or the whole dimension."""
    sides = [_side(needed, frame, dimension, extent, len(shape)) for dimension, extent in enumerate(shape)]
    return Box(tuple(origin for origin, _ in sides), tuple(extent for _, extent in sides))


def _side(needed: Map, frame: Frame, dimension: int, extent: Expr, rank: int) -> tuple[Expr, Expr]:
    alone = without(without(needed, "out", dimension + 1, rank - dimension - 1), "out", 0, dimension)
    alone = frame.relation(alone)
    origins = [simplify(origin) for origin in bounds(alone, frame, "lower")]
    whole = constant_value(extent)
    best: tuple[Expr, int] | None = None
    for origin in origins:
        known = affine(origin, frame)
        assert known is not None, "bounds of isl's are affine"
        last = reach(alone, known)
        if last is not None and (best is None or last + 1 < best[1]):
            best = origin, max(last + 1, 0)
    if best is None:
        return _symbolic_side(alone, frame, origins, extent)
    if whole is not None and whole <= best[1]:
        return Const(0, INDEX), extent
    return best[0], Const(best[1], INDEX)


def _symbolic_side(alone: Map, frame: Frame, origins: list[Expr], extent: Expr) -> tuple[Expr, Expr]:
    """The whole dimension, or what depends on the sizes alone and is smaller, at small sizes up to a constant."""
    best: tuple[Expr, Expr] = Const(0, INDEX), extent
    for origin, last in itertools.product(origins, bounds(alone, frame, "upper")):
        reached = simplify(last - origin + 1)
        if any(isinstance(node, Axis) for node in walk(reached)):
            continue
        more, less = (affine(difference, frame) for difference in (reached - best[1], best[1] - reached))
        assert more is not None and less is not None, "bounds of isl's are affine"
        excess, gain = most(more, alone.domain()), most(less, alone.domain())
        if excess is not None and (gain is None or excess <= 0 < gain):
            best = origin, reached
    return best


def moved(equation: Equation, at: dict[Axis, Expr], own: tuple[Axis, ...]) -> Equation:
    """The equation with its axes counted from elsewhere."""
    body = substitute(equation.body, at)
    if isinstance(body, Reduce):
        fresh: dict[Axis, Axis] = {}
        for axis in body.axes:  # whose bounds may be made of the ones before it
            lower, upper = (simplify(substitute(bound, {**at, **fresh})) for bound in (axis.lower, axis.upper))
            fresh[axis] = replace(axis, lower=lower, upper=upper)
        body = replace(body, operand=substitute(body.operand, dict(fresh)), axes=tuple(fresh.values()))
    where = None if equation.where is None else simplify(substitute(equation.where, at))
    return Equation(own, tuple(simplify(substitute(index, at)) for index in equation.indices), body, where)


def statements_of(stage: Tensor, placement: Placement, first: int, world: World, context: Set) -> Iterator[Statement]:
    """The statements of a stage, numbered from `first`: one, or an init and an update."""
    equation, reduce = placement.equation, placement.equation.reduce

    def made(number: int, kind: StatementKind, axes: tuple[Axis, ...], value: Expr) -> Statement:
        frame = world.frame((*placement.prefix, *axes), inert("S", number, f"{stage.name}_{kind}"))
        domain = _domain(frame, placement, axes, context)
        about = (number, stage, kind, frame.axes, equation.indices, value, reduce, frame, domain)
        return Statement(*about, placement.prefix, placement.around.kept)

    if reduce is None:
        yield made(first, "define", equation.axes, placement.value)
        return
    identity = Const(REDUCTIONS[reduce.name].identity(reduce.operand.dtype), reduce.operand.dtype)
    yield made(first, "init", equation.axes, identity)
    yield made(first + 1, "update", equation.loops, placement.value)


def _domain(frame: Frame, placement: Placement, axes: tuple[Axis, ...], context: Set) -> Set:
    """The instances of a statement over `axes` at every point at which its stage is computed."""
    if placement.domain is None:
        return iteration_domain(frame, axes, context)
    own = placement.equation.axes
    points = frame.world.frame((*placement.prefix, *own), "P")
    domain = _where(placement, points, placement.domain).intersect_params(context)
    rest = axes[len(own) :]
    return frame.widened(domain, len(rest)).intersect(iteration_domain(frame, rest, context))


def _where(placement: Placement, points: Frame, elements: Map) -> Set:
    """The points (prefix, own axes) that stand for these elements."""
    own = map(_element, placement.computed.origin, placement.equation.axes)
    values = [affine(value, points) for value in (*placement.prefix, *own)]
    place = points.map_to([value for value in values if value is not None])
    return place.intersect_range(elements.wrap().flatten()).domain()


def placed_statement(whole: Statement, placement: Placement, number: int, context: Set) -> Statement:
    """A statement of a recurrence, given as it is at the root, at every point at which its stage is computed."""
    axes, own, world = whole.axes, placement.equation.axes, whole.frame.world
    at: dict[Axis, Expr] = dict(zip(axes, map(_element, placement.computed.origin, own), strict=True))
    frame = world.frame((*placement.prefix, *own), inert("S", number, f"{whole.stage.name}_{whole.kind}"))
    assert placement.domain is not None and whole.rule is not None, "it is an equation's, and in loops"
    needed = placement.domain.intersect_range(whole.domain.reset_tuple_id())
    return replace(
        whole,
        number=number,
        axes=frame.axes,
        indices=tuple(simplify(substitute(index, at)) for index in whole.indices),
        value=substitute(whole.value, at),
        frame=frame,
        domain=frame.named(_where(placement, frame, needed)).intersect_params(context),
        prefix=placement.prefix,
        kept=placement.around.kept,
        rule=moved(whole.rule, at, own),
        piece=None if whole.piece is None else _piece(whole.piece, at),
    )


def _piece(piece: Piece, at: dict[Axis, Expr]) -> Piece:
    region = tuple(simplify(substitute(condition, at)) for condition in piece.region)
    return replace(piece, written=substitute(piece.written, at), region=region)


def _element(origin: Expr, axis: Axis) -> Expr:
    return simplify(origin + axis)
