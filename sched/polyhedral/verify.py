"""The rules that a Program and a loop tree keep, checked after every step in tests and with `check=True`.

A broken rule is a fault of polysched, never of a user, so it is an AssertionError that names the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce as fold

from ..compute.expr import Axis, Expr, Read, Reduce, walk
from ..compute.tensor import Tensor
from .affine import affine
from .bounds import access_relation, guarded_reads, outside
from .isl import Map, PwAff, earlier_inputs
from .placement import counters_of
from .program import Program, Statement
from .requirements import requirements
from .systems import systems
from .tree import Leaf, LoopNode, Node, Sequence, Tree, loops_of, statements_below


def verify_program(program: Program) -> None:
    """Raise AssertionError unless the Program keeps its rules."""
    for broken in _program_faults(program):
        raise AssertionError(f"the Program breaks a rule: {broken}")


def verify_tree(program: Program, tree: Tree) -> None:
    """Raise AssertionError unless the loop tree keeps its rules."""
    for broken in _tree_faults(program, tree):
        raise AssertionError(f"the loop tree breaks a rule: {broken}")


def _program_faults(program: Program) -> Iterator[str]:
    stages = list(program.stages)
    whole = [statement for statement in program.statements if statement.apart is None]
    for number, statement in enumerate(whole):
        if statement.number != number:
            yield f"{statement.label} has the number {statement.number} and stands at {number}"
    numbers = sorted(statement.number for statement in program.statements)
    if numbers != list(range(len(numbers))):
        yield f"its statements have the numbers {numbers}"
    for statement in program.statements:
        if statement.stage.uid in program.inlined:
            yield f"{statement.label} is a statement of an inlined stage"
        yield from _statement_faults(program, statement, stages.index(statement.stage))
        yield from _cell_faults(program, statement)
        yield from _missing(program, statement)
    for output in program.outputs:
        if output.uid in program.inlined:
            yield f"the output {output.name} is inlined"
    for pair in requirements(program):
        if pair.source is not pair.sink:
            continue
        itself = Map.identity(pair.relation.get_space()).intersect(pair.relation)
        if not itself.is_empty():
            yield f"an instance of {pair.source.label} must run before itself"


def _statement_faults(program: Program, statement: Statement, place: int) -> Iterator[str]:
    if len({id(axis) for axis in statement.axes}) != len(statement.axes):
        yield f"{statement.label} has an axis twice"
    for node in walk(statement.value):
        if isinstance(node, Axis) and not any(node is axis for axis in statement.axes):
            yield f"{statement.label} uses the axis {node.name}, which it does not have"
        if isinstance(node, Reduce):
            yield f"{statement.label} has a reduction inside its value"
        if isinstance(node, Read) and node.tensor.equations and node.tensor is not statement.stage:
            if node.tensor.uid in program.inlined:
                yield f"{statement.label} reads the inlined {node.tensor.name}"
            elif program.stages.index(node.tensor) >= place and not _together(program, node.tensor, statement.stage):
                yield f"{statement.label} reads {node.tensor.name}, which is computed later"
    if not statement.writes().is_single_valued():
        yield f"an instance of {statement.label} writes several elements"
    if statement.kind != "update" and not statement.writes().is_injective():
        yield f"two instances of {statement.label} write one element"


def _cell_faults(program: Program, statement: Statement) -> Iterator[str]:
    """Elements that have no place in the buffer of a stage in loops of others. (What is read is computed.)"""
    box = program.placements[statement.stage.uid].stored
    for index, origin, extent in zip(statement.indices, box.origin, box.shape, strict=True):
        if statement.prefix and not outside(index - origin, extent, statement.frame, statement.domain).is_empty():
            yield f"{statement.label} leaves its buffer"


def _missing(program: Program, sink: Statement) -> Iterator[str]:
    """Reads of elements that are not computed at the point of the loops around where they are read, and not at an
    earlier one either where that is kept."""
    for read, instances in guarded_reads(sink.value, sink.frame, sink.domain):
        around = program.placements[read.tensor.uid].around if read.tensor.equations else None
        if around is None or sink.accumulates(read) or not around.loops:
            continue
        first = (s for s in program.of_stage(read.tensor) if s.kind in ("define", "init"))
        computed = fold(Map.union, (_at_points(s, s.prefix, s.frame.map_to(_affine(s, s.indices))) for s in first))
        counters = counters_of(around, sink, len(around.axes)).intersect_domain(instances)
        needed = counters.reverse().apply_range(access_relation(read, sink.frame, instances))
        earlier = earlier_inputs(computed, around.kept).apply_range(computed)
        if not needed.is_subset(computed.union(earlier)):
            yield f"{sink.label} reads elements of {read.tensor.name} that are not computed where it reads them"


def _at_points(statement: Statement, axes: tuple[Axis, ...], elements: Map) -> Map:
    """From the values of these axes to the elements."""
    points = statement.frame.map_to(_affine(statement, axes)).intersect_domain(statement.domain)
    return points.reverse().apply_range(elements)


def _affine(statement: Statement, values: tuple[Expr, ...]) -> list[PwAff]:
    found = [affine(value, statement.frame) for value in values]
    return [value for value in found if value is not None]


def _together(program: Program, stage: Tensor, other: Tensor) -> bool:
    return any(stage in group and other in group for group in systems(program))


def _tree_faults(program: Program, tree: Tree) -> Iterator[str]:
    found = statements_below(tree.root)
    for statement in program.statements:
        count = sum(other is statement for other in found)
        if count != 1:
            yield f"{statement.label} stands {count} times in the tree"
    uids = [loop.uid for loop in loops_of(tree.root)]
    if len(set(uids)) != len(uids):
        yield "two loops have one uid"
    yield from _node_faults(tree, tree.root, ())


def _node_faults(tree: Tree, node: Node, outer: tuple[LoopNode, ...]) -> Iterator[str]:
    match node:
        case Leaf(statement):
            yield from _leaf_faults(tree, statement, outer)
        case Sequence(children):
            for child in children:
                yield from _node_faults(tree, child, outer)
        case LoopNode():
            below = {statement.number for statement in statements_below(node)}
            if set(node.values) != below:
                yield f"loop {node.name} has counters for {sorted(node.values)} around the statements {sorted(below)}"
            if (node.kind in ("position", "component")) != (node.of is not None):
                yield f"loop {node.name} is a {node.kind} loop of {node.of}"
            yield from _node_faults(tree, node.body, (*outer, node))


def _leaf_faults(tree: Tree, statement: Statement, outer: tuple[LoopNode, ...]) -> Iterator[str]:
    resolved: set[Axis] = set()
    for loop in outer:
        for axis in (node for node in walk(loop.values[statement.number]) if isinstance(node, Axis)):
            if axis not in tree.fused and not any(axis is own for own in statement.axes):
                yield f"loop {loop.name} counts by {axis.name}, which {statement.label} does not have"
        if loop.kind == "component":
            assert loop.of is not None
            resolved.add(loop.of)
    used = {node for loop in outer for node in walk(loop.values[statement.number]) if isinstance(node, Axis)}
    for axis in used & set(tree.fused):
        if axis not in resolved:
            yield f"the virtual axis {axis.name} is never resolved around {statement.label}"
