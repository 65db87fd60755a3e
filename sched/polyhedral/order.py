"""When does one instance certainly run before another under a loop tree?

The order is partial: iterations of a parallel loop are not ordered, and the lanes of a vector loop run a statement at
the same time, after everything that is before it in the body. `violations` walks down the loops that two statements
share and keeps the pairs that are still equal; a pair leaves either in order or as a violation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..compute.expr import Axis, Const, Expr, Op, same, substitute, walk
from .affine import affine
from .isl import Frame, Map, PwAff
from .program import Statement
from .requirements import Requirement
from .tree import Fused, LoopNode, Sequence, Tree, path_to


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Pairs whose counters are certainly in order, and pairs that may be equal and are not in the wrong order."""

    before: Map
    maybe_equal: Map


@dataclass(frozen=True, slots=True)
class Violations:
    """Pairs that run the wrong way round, and pairs that run at the same time. No pairs at all is the proof."""

    reversed: Map
    together: Map


def violations(tree: Tree, requirement: Requirement) -> Violations:
    """The pairs of the requirement that the tree does not run in order, for all sizes."""
    source, sink, remaining = requirement.source, requirement.sink, requirement.relation
    nothing = remaining.subtract(remaining)
    wrong, together = nothing, nothing
    outer: list[LoopNode] = []
    for (node, at), (other, to) in zip(path_to(tree.root, source), path_to(tree.root, sink), strict=False):
        if isinstance(node, Sequence):
            if at != to:
                return Violations(wrong if at < to or requirement.exclusive else wrong.union(remaining), together)
            continue
        assert isinstance(node, LoopNode) and node is other, "paths differ only below a sequence"
        if node.kind in ("position", "component"):
            continue
        if node.kind == "vectorize" and not requirement.exclusive:
            outer.append(node)
            continue
        if node.kind in ("parallel", "vectorize"):
            equal = _equal(tree, node, source, sink)
            if node.kind == "parallel" or not _is_reduction_counter(tree, node, sink):
                together = together.union(remaining.subtract(equal))
            remaining = remaining.intersect(equal)
        else:
            outcome = _compare(tree, node, outer, source, sink)
            if not requirement.exclusive:
                wrong = wrong.union(remaining.subtract(outcome.before).subtract(outcome.maybe_equal))
            remaining = remaining.intersect(outcome.maybe_equal)
        outer.append(node)
        if remaining.is_empty():
            return Violations(wrong, together)
    return Violations(wrong, together if requirement.exclusive else together.union(remaining))


def _is_reduction_counter(tree: Tree, node: LoopNode, update: Statement) -> bool:
    """Whether all lanes of a vector loop accumulate into one element, so that they are combined before the update."""
    value = expand_fused(node.values[update.number], tree, linear=False)
    return all(axis.reduction for axis in walk(value) if isinstance(axis, Axis))


def _compare(tree: Tree, node: LoopNode, outer: list[LoopNode], source: Statement, sink: Statement) -> _Outcome:
    left, right = node.values[source.number], node.values[sink.number]
    exact = _exact(left, source.frame, tree), _exact(right, sink.frame, tree)
    if exact[0] is not None and exact[1] is not None:
        return _Outcome(exact[0].lt_map(exact[1]), exact[0].eq_map(exact[1]))
    return _opaque(tree, left, right, _Pair(source.frame, sink.frame, source.number, sink.number), outer)


def _equal(tree: Tree, node: LoopNode, source: Statement, sink: Statement) -> Map:
    """Pairs whose counters are certainly equal."""
    left, right = node.values[source.number], node.values[sink.number]
    exact = _exact(left, source.frame, tree), _exact(right, sink.frame, tree)
    if exact[0] is not None and exact[1] is not None:
        return exact[0].eq_map(exact[1])
    pair = _Pair(source.frame, sink.frame, source.number, sink.number)
    return _positions_equal(tree, left, right, pair)


@dataclass(frozen=True, slots=True)
class _Pair:
    source: Frame
    sink: Frame
    source_number: int
    sink_number: int


def _exact(value: Expr, frame: Frame, tree: Tree) -> PwAff | None:
    """The counter as a function of the statement's axes, where it is affine."""
    return affine(expand_fused(value, tree, linear=True), frame)


def expand_fused(value: Expr, tree: Tree, *, linear: bool) -> Expr:
    """`value` with virtual axes replaced by positions computed from their components.

    With `linear`, only where the position is affine: where all extents but the first are literals.
    """
    axes = [node for node in walk(value) if isinstance(node, Axis) and node in tree.fused]
    if not axes:
        return value
    replaced: dict[Axis, Expr] = {}
    for axis in axes:
        fused = tree.fused[axis]
        if linear and not all(isinstance(extent, Const) for extent in fused.extents[1:]):
            return value
        position: Expr = Const(0, value.dtype)
        for component, begin, extent in zip(fused.components, fused.begins, fused.extents, strict=True):
            position = position * extent + (component - begin)
        replaced[axis] = expand_fused(position, tree, linear=linear)
    return substitute(value, replaced)


def _opaque(tree: Tree, left: Expr, right: Expr, pair: _Pair, outer: list[LoopNode]) -> _Outcome:
    """The order of counters made of a position that is not affine; sound, and exact for the position itself.

    x // c is monotone in x. x % c has the order of x among pairs with equal x // c, which holds for all remaining
    pairs when that is the counter of a loop outside.
    """
    equal = _positions_equal(tree, left, right, pair)
    nothing = equal.subtract(equal)
    match left, right:
        case Axis(), Axis() if left is right and left in tree.fused:
            lexicographic = _lexicographic(tree, tree.fused[left], pair)
            return _Outcome(nothing if lexicographic is None else lexicographic, equal)
        case Op("floordiv", (x, Const())), Op("floordiv", (y, Const())):
            inner = _opaque(tree, x, y, pair, outer)
            return _Outcome(nothing, inner.before.union(inner.maybe_equal))
        case Op("mod", (x, c)), Op("mod", (y, _)):
            quotient = Op("floordiv", (x, c), left.dtype)
            if any(same(loop.values[pair.source_number], quotient) for loop in outer if loop.kind != "vectorize"):
                return _opaque(tree, x, y, pair, outer)
    return _Outcome(nothing, equal)


def _positions_equal(tree: Tree, left: Expr, right: Expr, pair: _Pair) -> Map:
    """Pairs at which every axis of the two counters, virtual or not, has the same value."""
    everything = Map.from_domain_and_range(pair.source.universe(), pair.sink.universe())
    nothing = everything.subtract(everything)
    if not same(left, right):
        return nothing
    result = everything
    for axis in (node for node in walk(left) if isinstance(node, Axis)):
        alone = Fused(axis, (axis,), (), (), axis)
        coordinates = _components(tree, tree.fused.get(axis, alone), pair)
        if coordinates is None:
            return nothing
        a, b = coordinates
        result = result.intersect(pair.source.tuple_of(a).eq_map(pair.sink.tuple_of(b)))
    return result


def _components(tree: Tree, fused: Fused, pair: _Pair) -> tuple[list[PwAff], list[PwAff]] | None:
    """The affine components of a virtual axis, those of nested ones in their place; None if one is not affine."""
    left: list[PwAff] = []
    right: list[PwAff] = []
    for component in fused.components:
        if isinstance(component, Axis) and component in tree.fused:
            nested = _components(tree, tree.fused[component], pair)
            if nested is None:
                return None
            left += nested[0]
            right += nested[1]
            continue
        a, b = affine(component, pair.source), affine(component, pair.sink)
        if a is None or b is None:
            return None
        left.append(a)
        right.append(b)
    return left, right


def _lexicographic(tree: Tree, fused: Fused, pair: _Pair) -> Map | None:
    components = _components(tree, fused, pair)
    if components is None:
        return None
    return pair.source.tuple_of(components[0]).lex_lt_map(pair.sink.tuple_of(components[1]))
