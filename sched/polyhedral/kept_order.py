"""What a command leaves as it was: loop trees that run all pairs in the order in which others run them.

Two loops over x // c and x % c, one directly in the other, have the order of one over x; so has a loop with a constant
added, or a multiple of the counter of a loop around it, since what is compared there agrees in that; and one over the
position in a box, that of loops over the components. Where a tree is another one but for such changes, what was proven
of that holds. Inside a vector loop none of this is known: whether its lanes are in order of a loop depends on how that
is made (`lanes.py`), so loops there must be what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, same
from ..compute.simplify import constant_value, simplify
from .order import rejoined
from .statement import Statement
from .tree import Fused, Leaf, LoopNode, Node, Sequence, Tree, loops_of

_RESOLVED = ("position", "component")  # loops of one value, which no order follows from


def runs_alike(old: Tree, new: Tree, source: Statement, sink: Statement) -> bool:
    """Whether two trees are known to run the instances of two statements in one order."""
    numbers = {source.number, sink.number}
    (before, first), (after, second) = (
        ([node for node in loops if node.kind not in _RESOLVED], first)
        for loops, first in (old.around_both(source, sink), new.around_both(source, sink))
    )
    if len(before) != len(after) or first != second:
        return False
    in_lanes = (any(node.kind == "vectorize" for node in before[:k]) for k in range(len(before)))
    return all(_alike(a, b, numbers, lanes) for a, b, lanes in zip(before, after, in_lanes, strict=True))


def all_runs_alike(old: Node, new: Node, in_lanes: bool = False) -> bool:
    """Whether two trees are known to run all instances in one order; below a vector loop, if `in_lanes`."""
    old, new = _unresolved(old), _unresolved(new)
    match old, new:
        case Leaf(statement), Leaf(other):
            return statement is other
        case Sequence(children), Sequence(others) if len(children) == len(others):
            return all(all_runs_alike(a, b, in_lanes) for a, b in zip(children, others, strict=True))
        case LoopNode(), LoopNode() if old.values.keys() == new.values.keys():
            inside = in_lanes or old.kind == "vectorize"
            return _alike(old, new, old.values.keys(), in_lanes) and all_runs_alike(old.body, new.body, inside)
    return False


def _unresolved(node: Node) -> Node:
    return _unresolved(node.body) if isinstance(node, LoopNode) and node.kind in _RESOLVED else node


def _alike(old: LoopNode, new: LoopNode, numbers: Collection[int], in_lanes: bool) -> bool:
    """Whether two loops are of one kind, and have the same counters, or the one's are the other's and a number."""
    if old.kind != new.kind and (in_lanes or _kind(old) != _kind(new)):
        return False
    if all(same(old.values[n], new.values[n]) for n in numbers):
        return True
    apart = {constant_value(simplify(new.values[n] - old.values[n])) for n in numbers}
    return len(apart) == 1 and None not in apart


def _kind(node: LoopNode) -> str:
    """An unrolled loop runs as a serial one."""
    return "serial" if node.kind == "unroll" else node.kind


def without_split(node: Node, outer: str, inner: str, of: frozenset[int]) -> Node | None:
    """The tree with one loop for each two of these names around statements `of` these numbers; None where one does not
    stand directly in the other, or in a vector loop."""
    if _in_vector(node, outer) or _in_vector(node, inner):
        return None
    match node:
        case LoopNode(values=values) if not values.keys() <= of:
            pass
        case LoopNode(name=name, body=LoopNode(name=other) as body) if name == outer and other == inner:
            whole = {n: rejoined(node.values[n], body.values[n]) for n in node.values}
            found = {n: pair for n, pair in whole.items() if pair is not None}
            if len(found) < len(whole) or len({factor for _, factor in found.values()}) > 1:
                return None
            return replace(node, values={n: x for n, (x, _) in found.items()}, body=body.body)
        case LoopNode(name=name) if name in (outer, inner):
            return None
    return _rebuilt(node, lambda child: without_split(child, outer, inner, of))


def without_skew(
    node: Node, loop: str, factor: int, by: str, of: frozenset[int], around: LoopNode | None = None
) -> Node | None:
    """The tree before a multiple of the counter of the serial loop `by` was added to that of `loop`, around statements
    `of` these numbers; None in a vector loop."""
    if _in_vector(node, loop):
        return None
    if isinstance(node, LoopNode) and node.name == by:
        around = node
    if isinstance(node, LoopNode) and node.name == loop and node.values.keys() <= of:
        if around is None or around.kind != "serial":
            return None
        times = Const(factor, INDEX)
        values: dict[int, Expr] = {n: simplify(node.values[n] - around.values[n] * times) for n in node.values}
        node = replace(node, values=values)
    return _rebuilt(node, lambda child: without_skew(child, loop, factor, by, of, around))


def without_fusion(node: Node, name: str, boxes: Mapping[Axis, Fused], of: frozenset[int]) -> Node | None:
    """The tree with loops over the components of the fused loop `name` around statements `of` these numbers; None in a
    vector loop."""
    if _in_vector(node, name):
        return None
    if isinstance(node, LoopNode) and node.name == name and node.kind == "serial" and node.values.keys() <= of:
        position, *others = dict.fromkeys(node.values.values())
        box = boxes.get(position) if isinstance(position, Axis) else None
        if box is None or others:
            return None
        made: Node = node.body
        for component in reversed(box.components):
            made = replace(node, values=dict.fromkeys(node.values, component), body=made)
        return made
    return _rebuilt(node, lambda child: without_fusion(child, name, boxes, of))


def _in_vector(node: Node, name: str) -> bool:
    """Whether a node is a vector loop with a loop of this name in it."""
    match node:
        case LoopNode(kind="vectorize", body=body):
            return any(loop.name == name for loop in loops_of(body))
    return False


def _rebuilt(node: Node, change: Callable[[Node], Node | None]) -> Node | None:
    match node:
        case Leaf():
            return node
        case Sequence(children):
            made = [change(child) for child in children]
            known = tuple(child for child in made if child is not None)
            return Sequence(known) if len(known) == len(made) else None
        case LoopNode():
            body = change(node.body)
            return None if body is None else replace(node, body=body)
