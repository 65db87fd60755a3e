"""From the loop tree to isl's schedule tree and its loops.

Virtual axes are given to isl as further dimensions of the statements, bounded by the extents of the box and otherwise
unrelated to its components; the code generator later replaces the component loops by the components of the position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..compute.expr import Axis, Expr, Size, walk
from .affine import affine
from .isl import Frame, PwAff, Set, inert
from .isl_trees import AstNode, IslSchedule, TreeBuilder, generate_ast
from .program import Program, Statement
from .tree import Leaf, LoopNode, Node, Sequence, Tree, loops_of, statements_below


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

    def size_of_parameter(self, name: str) -> Size:
        """The size that a parameter of the AST stands for."""
        size = self.program.world.size_of_parameter(name)
        assert size is not None, f"{name} is neither a loop nor a size"
        return size


def make_nest(program: Program, tree: Tree) -> Nest:
    """isl's loops for the tree, for all sizes of the Program's context."""
    extended = {s.number: _extended(program, tree, s) for s in statements_below(tree.root)}
    builder = TreeBuilder(program.world, [e.domain for e in extended.values()])
    loops = {inert("L", loop.uid, loop.name): loop for loop in loops_of(tree.root)}
    marks = {id(loop): mark for mark, loop in loops.items()}

    def add(node: Node) -> None:
        match node:
            case Leaf():
                return
            case Sequence(children):
                parts = [[extended[s.number].domain for s in statements_below(child)] for child in children]
                builder.sequence(parts, [partial(add, child) for child in children])
            case LoopNode():
                counters = [_counter(node, extended[s.number]) for s in statements_below(node)]
                builder.loop(marks[id(node)], counters, lambda: add(node.body))

    with program.world.budgeted("generating loops"):
        add(tree.root)
        schedule = builder.schedule()
        ast = generate_ast(schedule, program.context)
    return Nest(schedule, ast, loops, {e.frame.name or "": e for e in extended.values()}, program)


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
