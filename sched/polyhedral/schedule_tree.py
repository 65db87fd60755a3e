"""From the loop tree to isl's schedule tree and its loops.

Virtual axes are given to isl as further dimensions of the statements, bounded by the extents of the box and otherwise
unrelated to its components; the code generator later replaces the component loops by the components of the position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from functools import reduce as fold

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Size, walk
from .affine import affine
from .isl import Frame, PwAff, Set, inert
from .isl_trees import AstNode, IslSchedule, TreeBuilder, generate_ast
from .program import Program, Statement
from .tile_bands import TileNumbers, band_of_tiles, tile_numbers
from .tree import Leaf, LoopNode, Node, Sequence, Tree, loops_of, statements_below

_ZERO = Const(0, INDEX)


@dataclass(frozen=True, slots=True, eq=False)
class Extended:
    """A statement over its axes and the virtual axes of the loops around it; in a band of tiles, with the numbers of
    the tile as parameters."""

    statement: Statement
    frame: Frame
    domain: Set
    numbers: TileNumbers | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.frame.axes

    def counter(self, loop: LoopNode) -> PwAff:
        """The value of a loop's counter."""
        value = loop.values[self.statement.number]
        counter = affine(value if self.numbers is None else self.numbers.inside(value), self.frame)
        assert counter is not None, f"the counter of {loop.name} is affine in axes and virtual axes"
        return counter.intersect_domain(self.domain)


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """What runs in the tiles of a band, as one statement over the counters of `loops`, the numbers of the tiles and
    what is around; `inside` are the loops in a tile, in which these are parameters. There may be nothing in a tile."""

    loops: tuple[LoopNode, ...]
    parameters: tuple[str, ...]
    inside: Nest


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """A Program's loops as isl makes them, or those in a tile of a band. `loops`, `statements` and `bands` are looked
    up by the names used in the AST."""

    schedule: IslSchedule
    ast: AstNode
    loops: dict[str, LoopNode]
    statements: dict[str, Extended]
    bands: dict[str, Band]
    program: Program

    def is_end(self, name: str | None) -> bool:
        """Whether a statement of the AST is the end of an iteration, where nothing is done."""
        return name not in self.statements and name not in self.bands

    def size_of_parameter(self, name: str) -> Size:
        """The size that a parameter of the AST stands for."""
        size = self.program.world.size_of_parameter(name)
        assert size is not None, f"{name} is neither a loop nor a size"
        return size

    def each(self) -> Iterator[Nest]:
        """This nest, and those in its tiles."""
        yield self
        for band in self.bands.values():
            yield from band.inside.each()


def make_nest(program: Program, tree: Tree) -> Nest:
    """isl's loops for the tree, for all sizes of the Program's context."""
    extended = {s.number: _extended(program, tree, s) for s in statements_below(tree.root)}
    region = _Region(program, tree.root, extended, program.context)
    with program.world.budgeted("generating loops"):
        return region.nest()


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """The tiles of a band, in a convex set of the counters of `loops`."""

    loops: tuple[LoopNode, ...]
    frame: Frame
    domain: Set
    parameters: tuple[str, ...]
    inside: _Region

    def counter(self, loop: LoopNode) -> PwAff:
        """The value of a loop's counter."""
        value = self.frame.axis(self.frame.axes[self.loops.index(loop)])
        assert value is not None
        return value.intersect_domain(self.domain)


_Item = Extended | _Tiles


class _Region:
    """The loops of the whole tree, or those in a tile of a band."""

    def __init__(self, program: Program, root: Node, extended: Mapping[int, Extended], context: Set) -> None:
        self.program, self.root, self.context = program, root, context
        self.extended, self.bands = dict(extended), dict(self._bands(root, (), extended))
        self.loops = {inert("L", loop.uid, loop.name): loop for loop in loops_of(root)}
        self.marks = {id(loop): mark for mark, loop in self.loops.items()}
        self.ends = {id(end.loops[-1]): end for end in _ends(root, (), self._items)}
        self.builder = TreeBuilder(program.world, self._below(root))

    def nest(self) -> Nest:
        """The loops that isl makes."""
        self._add(self.root)
        schedule = self.builder.schedule()
        ast = generate_ast(schedule, self.context)
        items = self._items(self.root)
        tiles = [item for item in items if isinstance(item, _Tiles)]
        bands = {band.frame.name or "": Band(band.loops, band.parameters, band.inside.nest()) for band in tiles}
        extended = {item.frame.name or "": item for item in items if isinstance(item, Extended)}
        return Nest(schedule, ast, self.loops, extended, bands, self.program)

    def _bands(
        self, node: Node, around: tuple[LoopNode, ...], extended: Mapping[int, Extended]
    ) -> Iterator[tuple[int, _Tiles]]:
        """The bands of tiles whose loops are made apart, by their last loops."""
        match node:
            case Leaf():
                return
            case Sequence(children):
                for child in children:
                    yield from self._bands(child, around, extended)
            case LoopNode():
                plain = all(e.numbers is None and e.frame is e.statement.frame for e in extended.values())
                band = band_of_tiles(around, node) if plain else ()
                if band:
                    yield id(band[-1]), _tiles(self.program, (*around, *band), extended)
                else:
                    yield from self._bands(node.body, (*around, node), extended)

    def _items(self, node: Node) -> list[_Item]:
        """The statements below a node, and the bands in their place."""
        match node:
            case Leaf(statement):
                return [self.extended[statement.number]]
            case Sequence(children):
                return [item for child in children for item in self._items(child)]
            case LoopNode():
                return [self.bands[id(node)]] if id(node) in self.bands else self._items(node.body)

    def _below(self, node: Node) -> list[Set]:
        """All that runs below a node."""
        own = (self.ends[id(loop)] for loop in loops_of(node) if id(loop) in self.ends)
        return [item.domain for item in self._items(node)] + [points for end in own for points in (end.first, end.last)]

    def _add(self, node: Node) -> None:
        match node:
            case Leaf():
                return
            case Sequence(children):
                self.builder.sequence(
                    [self._below(child) for child in children], [partial(self._add, child) for child in children]
                )
            case LoopNode():
                counters = [item.counter(node) for item in self._items(node)]
                counters += [c for end in self.ends.values() if node in end.loops for c in end.counters(node)]
                self.builder.loop(self.marks[id(node)], counters, lambda: self._inside(node))

    def _inside(self, node: LoopNode) -> None:
        end = self.ends.get(id(node))
        if id(node) in self.bands:
            return
        if end is None:
            self._add(node.body)
        else:
            self.builder.sequence(
                [[end.first], self._below(node.body), [end.last]], [_nothing, partial(self._add, node.body), _nothing]
            )


def _tiles(program: Program, loops: tuple[LoopNode, ...], extended: Mapping[int, Extended]) -> _Tiles:
    """The tiles of the band that ends with the last of these loops, all that are around what is in its tiles."""
    name = inert("T", loops[-1].uid, loops[-1].name)
    axes = tuple(Axis(loop.name, _ZERO, _ZERO) for loop in loops)
    parameters = tuple(inert("N", loop.uid, loop.name) for loop in loops)
    held = dict(zip(axes, parameters, strict=True))
    inside = {
        s.number: _in_tile(extended[s.number], tile_numbers(loops, axes, s), held)
        for s in statements_below(loops[-1].body)
    }
    some = next(iter(inside.values()))
    frame = program.world.frame(axes, name)
    domain = frame.named(some.frame.around_held([e.domain for e in inside.values()])).intersect_params(program.context)
    context = some.frame.held_in(domain)
    return _Tiles(loops, frame, domain, parameters, _Region(program, loops[-1].body, inside, context))


def _in_tile(extended: Extended, numbers: TileNumbers, held: Mapping[Axis, str]) -> Extended:
    """A statement in a tile with given numbers."""
    frame = extended.frame.holding(held)
    domain = extended.domain
    for value, extent in numbers.ranges():
        offset = affine(value, frame)
        assert offset is not None, "tiles are made of sums of axes"
        domain = domain.intersect(offset.ge_set(frame.const(0))).intersect(offset.lt_set(frame.const(extent)))
    for value in numbers.zeros:
        sum_of = affine(value, frame)
        assert sum_of is not None, "loops around tiles have sums of axes for counters"
        domain = domain.intersect(sum_of.eq_set(frame.const(0)))
    return Extended(extended.statement, frame, domain, numbers)


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """The beginning and the end of each iteration of the last of these loops, as statements that do nothing.

    isl runs what is in the first or in the last iteration alone before or after a loop, which is the same order; but
    the memory that an iteration has for itself is not there then. What is between the beginning and the end of an
    iteration, and those of another, stays in the loop."""

    loops: tuple[LoopNode, ...]
    first: Set
    last: Set
    frames: tuple[Frame, Frame]

    def counters(self, loop: LoopNode) -> Iterator[PwAff]:
        for frame, points in zip(self.frames, (self.first, self.last), strict=True):
            value = frame.axis(frame.axes[self.loops.index(loop)])
            assert value is not None
            yield value.intersect_domain(points)


def _ends(node: Node, around: tuple[LoopNode, ...], items: Callable[[Node], list[_Item]]) -> Iterator[_Ends]:
    """The ends of loops in which iterations have elements of stages for themselves: of parallel ones, and of those that
    equations of a recurrence share, of which each is in iterations of its own."""
    match node:
        case Leaf():
            return
        case Sequence(children):
            for child in children:
                yield from _ends(child, around, items)
        case LoopNode():
            loops, inside = (*around, node), items(node)
            shared = node.kind == "parallel" or any(s.rule is not None for s in statements_below(node))
            if shared and any(loop.stores for loop in loops_of(node)):
                yield from _ends_of(loops, inside)
            if not (len(inside) == 1 and isinstance(inside[0], _Tiles)):
                yield from _ends(node.body, loops, items)


def _ends_of(loops: tuple[LoopNode, ...], items: list[_Item]) -> Iterator[_Ends]:
    """The ends of the iterations of a loop; none where all statements are in all of them."""
    world, axes = items[0].frame.world, [Axis(loop.name, _ZERO, _ZERO) for loop in loops]
    iterations = [
        item.frame.map_to([item.counter(loop) for loop in loops]).intersect_domain(item.domain).range()
        for item in items
    ]
    points = fold(Set.union, iterations).coalesce()
    if not all(own.is_equal(points) for own in iterations):
        one, two = (world.frame(axes, inert(word, loops[-1].uid, loops[-1].name)) for word in ("B", "E"))
        yield _Ends(loops, one.named(points), two.named(points), (one, two))


def _extended(program: Program, tree: Tree, statement: Statement) -> Extended:
    virtual = _virtual_axes(tree, statement)
    if not virtual:
        return Extended(statement, statement.frame, statement.domain)
    frame = program.world.frame((*statement.axes, *virtual), statement.frame.name or "")
    domain = frame.widened(statement.domain, len(virtual))
    for axis in virtual:
        position, count = frame.axis(axis), affine(tree.fused[axis].count, frame)
        assert position is not None and count is not None
        domain = domain.intersect(position.ge_set(frame.const(0))).intersect(position.lt_set(count))
    return Extended(statement, frame, domain)


def _virtual_axes(tree: Tree, statement: Statement) -> tuple[Axis, ...]:
    found: dict[Axis, None] = {}
    for loop in loops_of(tree.root):
        value = loop.values.get(statement.number)
        for node in walk(value) if value is not None else ():
            if isinstance(node, Axis) and node in tree.fused:
                found[node] = None
    return tuple(found)
