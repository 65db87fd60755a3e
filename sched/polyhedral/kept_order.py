"""What a command leaves as it was: loop trees that run all pairs in the order in which others run them.

Two loops over x // c and x % c, one directly in the other, have the order of one over x; so has a loop with a constant
added, or a multiple of the counter of a loop around it, since what is compared there agrees in that. Where a tree is
another one but for such changes, what was proven of that holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, same
from ..compute.simplify import constant_value, simplify
from .order import rejoined
from .tree import Leaf, LoopNode, Node, Sequence


def marked_anew(old: Node, new: Node) -> frozenset[int] | None:
    """The numbers of the statements in loops that are of another kind in `new` than in `old`; None where the order of
    instances may differ in more than that."""
    match old, new:
        case Leaf(statement), Leaf(other):
            return frozenset() if statement is other else None
        case Sequence(children), Sequence(others) if len(children) == len(others):
            found = [marked_anew(child, other) for child, other in zip(children, others, strict=True)]
        case LoopNode(), LoopNode() if old.of is new.of and old.component == new.component and _alike(old, new):
            found = [marked_anew(old.body, new.body), frozenset(() if old.kind == new.kind else new.values)]
        case _:
            return None
    known = [numbers for numbers in found if numbers is not None]
    return frozenset().union(*known) if len(known) == len(found) else None


def _alike(old: LoopNode, new: LoopNode) -> bool:
    """Whether two loops have the same counters, or the one's are the other's and a number."""
    if old.values.keys() != new.values.keys():
        return False
    if all(same(old.values[n], new.values[n]) for n in old.values):
        return True
    apart = {constant_value(simplify(new.values[n] - old.values[n])) for n in old.values}
    return len(apart) == 1 and None not in apart


def without_split(node: Node, outer: str, inner: str, of: frozenset[int]) -> Node | None:
    """The tree with one loop for each two of these names around statements `of` these numbers; None where one does not
    stand directly in the other."""
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
    `of` these numbers."""
    if isinstance(node, LoopNode) and node.name == by:
        around = node
    if isinstance(node, LoopNode) and node.name == loop and node.values.keys() <= of:
        if around is None or around.kind != "serial":
            return None
        times = Const(factor, INDEX)
        values: dict[int, Expr] = {n: simplify(node.values[n] - around.values[n] * times) for n in node.values}
        node = replace(node, values=values)
    return _rebuilt(node, lambda child: without_skew(child, loop, factor, by, of, around))


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
