"""From the loop tree to isl's schedule tree and its loops.

Virtual axes are given to isl as further dimensions of the statements, bounded by the extents of the box and otherwise
unrelated to its components; the code generator later replaces the component loops by the components of the position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from functools import reduce as fold

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Size, walk
from .affine import affine
from .isl import Frame, PwAff, Set, inert
from .isl_trees import AstNode, IslSchedule, TreeBuilder, generate_ast
from .program import Program, Statement
from .tree import Leaf, LoopNode, Node, Sequence, Tree, loops_of, statements_below

_ZERO = Const(0, INDEX)


@dataclass(frozen=True, slots=True, eq=False)
class Extended:
    """A statement over its axes and the virtual axes of the loops around it."""

    statement: Statement
    frame: Frame
    domain: Set

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.frame.axes


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """A Program's loops as isl makes them. `loops` and `statements` are looked up by the names used in the AST."""

    schedule: IslSchedule
    ast: AstNode
    loops: dict[str, LoopNode]
    statements: dict[str, Extended]
    program: Program

    def is_end(self, name: str | None) -> bool:
        """Whether a statement of the AST is the end of an iteration, where nothing is done."""
        return name not in self.statements

    def size_of_parameter(self, name: str) -> Size:
        """The size that a parameter of the AST stands for."""
        size = self.program.world.size_of_parameter(name)
        assert size is not None, f"{name} is neither a loop nor a size"
        return size


def make_nest(program: Program, tree: Tree) -> Nest:
    """isl's loops for the tree, for all sizes of the Program's context."""
    extended = {s.number: _extended(program, tree, s) for s in statements_below(tree.root)}
    loops = {inert("L", loop.uid, loop.name): loop for loop in loops_of(tree.root)}
    marks = {id(loop): mark for mark, loop in loops.items()}
    ends = {id(end.loops[-1]): end for end in _ends(tree.root, (), extended)}
    marked = [points for end in ends.values() for points in (end.first, end.last)]
    builder = TreeBuilder(program.world, [*(e.domain for e in extended.values()), *marked])

    def below(node: Node) -> list[Set]:
        found = [extended[s.number].domain for s in statements_below(node)]
        own = (ends[id(loop)] for loop in loops_of(node) if id(loop) in ends)
        return found + [points for end in own for points in (end.first, end.last)]

    def add(node: Node) -> None:
        match node:
            case Leaf():
                return
            case Sequence(children):
                builder.sequence([below(child) for child in children], [partial(add, child) for child in children])
            case LoopNode():
                counters = [_counter(node, extended[s.number]) for s in statements_below(node)]
                counters += [counter for end in ends.values() if node in end.loops for counter in end.counters(node)]
                builder.loop(marks[id(node)], counters, lambda: inside(node))

    def inside(node: LoopNode) -> None:
        end = ends.get(id(node))
        if end is None:
            add(node.body)
        else:
            builder.sequence([[end.first], below(node.body), [end.last]], [_nothing, partial(add, node.body), _nothing])

    with program.world.budgeted("generating loops"):
        add(tree.root)
        schedule = builder.schedule()
        ast = generate_ast(schedule, program.context)
    return Nest(schedule, ast, loops, {e.frame.name or "": e for e in extended.values()}, program)


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


def _ends(node: Node, around: tuple[LoopNode, ...], extended: Mapping[int, Extended]) -> Iterator[_Ends]:
    """The ends of loops in which iterations have elements of stages for themselves: of parallel ones, and of those that
    equations of a recurrence share, of which each is in iterations of its own."""
    match node:
        case Leaf():
            return
        case Sequence(children):
            for child in children:
                yield from _ends(child, around, extended)
        case LoopNode():
            loops, statements = (*around, node), statements_below(node)
            shared = node.kind == "parallel" or any(s.rule is not None for s in statements)
            if shared and any(loop.stores for loop in loops_of(node)):
                yield from _ends_of(loops, [extended[s.number] for s in statements])
            yield from _ends(node.body, loops, extended)


def _ends_of(loops: tuple[LoopNode, ...], statements: list[Extended]) -> Iterator[_Ends]:
    """The ends of the iterations of a loop; none where all statements are in all of them."""
    world, axes = statements[0].frame.world, [Axis(loop.name, _ZERO, _ZERO) for loop in loops]
    iterations = [
        e.frame.map_to([_counter(loop, e) for loop in loops]).intersect_domain(e.domain).range() for e in statements
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


def _counter(loop: LoopNode, extended: Extended) -> PwAff:
    value: Expr = loop.values[extended.statement.number]
    counter = affine(value, extended.frame)
    assert counter is not None, f"the counter of {loop.name} is affine in axes and virtual axes"
    return counter.intersect_domain(extended.domain)
