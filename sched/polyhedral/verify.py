"""The rules that a Program and a loop tree keep, checked after every step in tests and with `check=True`.

A broken rule is a fault of polysched, never of a user, so it is an AssertionError that names the rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.expr import Axis, Read, Reduce, walk
from .isl import Map
from .program import Program, Statement
from .requirements import requirements
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
    for number, statement in enumerate(program.statements):
        if statement.number != number:
            yield f"{statement.label} has the number {statement.number} and stands at {number}"
        if statement.stage.uid in program.inlined:
            yield f"{statement.label} is a statement of an inlined stage"
        yield from _statement_faults(program, statement, stages.index(statement.stage))
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
            elif program.stages.index(node.tensor) >= place:
                yield f"{statement.label} reads {node.tensor.name}, which is computed later"
    if not statement.writes().is_single_valued():
        yield f"an instance of {statement.label} writes several elements"
    if statement.kind != "update" and not statement.writes().is_injective():
        yield f"two instances of {statement.label} write one element"


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
