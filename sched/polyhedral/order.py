"""When does one instance certainly run before another under a loop tree?

The order is partial: iterations of a parallel loop are not ordered, and the lanes of a vector loop run a statement at
the same time, after everything that is before it in the body. `violations` walks down the loops that two statements
share and keeps the pairs that are still equal; a pair leaves either in order or as a violation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..compute.expr import Axis, Const, Expr, Op, same, walk
from ..compute.simplify import from_linear, linear
from .affine import affine
from .counters import all_exact, exact, expand_fused, once
from .isl import Frame, Map, MultiPwAff, PwAff
from .lanes import puts_lanes_in_order
from .positions import box_of
from .program import Statement
from .requirements import Requirement, accumulation
from .tree import Fused, LoopNode, Tree


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is certain of the counters of pairs: that the source's is before the sink's, that it is not after it, and
    of all pairs outside `maybe_equal` that they differ."""

    before: Map
    not_after: Map
    maybe_equal: Map


@dataclass(frozen=True, slots=True)
class Violations:
    """Pairs that run the wrong way round, and pairs that run at the same time. No pairs at all is the proof.

    Pairs that are no violations may be among them unless they are `exact`.
    """

    reversed: Map
    together: Map
    exact: bool


def violations(tree: Tree, requirement: Requirement) -> Violations:
    """The pairs of the requirement that the tree does not run in order, for all sizes."""
    source, sink, remaining = requirement.source, requirement.sink, requirement.relation
    nothing = remaining.subtract(remaining)
    wrong, together = nothing, nothing
    outer: list[LoopNode] = []
    vectors: list[LoopNode] = []
    exact = True
    loops, first = _shared_loops(tree, requirement)
    for node in loops:
        if node.kind == "vectorize":
            vectors.append(node)
            continue
        exact = exact and _is_known(tree, node, source, sink)
        if requirement.free:
            remaining = remaining.intersect(_compare(tree, node, outer, source, sink).maybe_equal)
        else:
            apart = _in_no_order(tree, node, vectors, requirement, remaining)
            if apart is not None:
                equal = _equal(tree, node, source, sink)
                together = together.union(apart.subtract(equal))
                remaining = remaining.subtract(apart.subtract(equal))
            if node.kind != "parallel":
                outcome = _compare(tree, node, outer, source, sink)
                wrong = wrong.union(remaining.subtract(outcome.not_after))
                remaining = remaining.intersect(outcome.not_after).subtract(outcome.before)
        outer.append(node)
        if remaining.is_empty():
            return Violations(wrong, together, exact)
    if first is not None:
        wrong = wrong if first is source or requirement.free else wrong.union(remaining)
        return Violations(wrong, together, exact)
    return Violations(wrong, together if requirement.free else together.union(remaining), exact)


def _in_no_order(
    tree: Tree, node: LoopNode, vectors: list[LoopNode], requirement: Requirement, pairs: Map
) -> Map | None:
    """Those of the pairs, in equal iterations of the loops around, whose iterations of a loop are in no order: all of a
    parallel loop, and in `vectors`, those of different lanes where lanes do not go through the loop side by side."""
    source, sink = requirement.source, requirement.sink
    if node.kind == "parallel":
        return pairs
    if not vectors or puts_lanes_in_order(tree, node, source, sink, pairs):
        return None
    one_lane = pairs
    for vector in vectors:
        one_lane = one_lane.intersect(_equal(tree, vector, source, sink))
    return pairs.subtract(one_lane)


def shares_accumulator(tree: Tree, node: LoopNode, update: Statement) -> bool:
    """Whether iterations of a loop, in one iteration of all loops around it, may update one element in any order."""
    reduce = update.reduce
    if reduce is None or not reduce.reassociate:
        return False
    axes = _axes(tree, node, update)
    if axes <= set(reduce.axes) or node.kind not in ("parallel", "vectorize"):
        return bool(axes) and axes <= set(reduce.axes)
    remaining = accumulation(update, update).relation
    outer: list[LoopNode] = []
    for around, _ in tree.path_to(update):
        if around is node:
            return not remaining.is_subset(_equal(tree, node, update, update))
        if isinstance(around, LoopNode) and around.kind not in ("position", "component"):
            if around.kind != "vectorize":
                remaining = remaining.intersect(_compare(tree, around, outer, update, update).maybe_equal)
            outer.append(around)
    raise AssertionError("the loop is around the update")


def _shared_loops(tree: Tree, requirement: Requirement) -> tuple[list[LoopNode], Statement | None]:
    """The loops around both statements, without those whose counters are equal in all pairs; and which of the two
    comes first below them in a sequence, if one does."""
    source, sink = requirement.source, requirement.sink
    around, source_first = tree.around_both(source, sink)
    loops: list[LoopNode] = []
    in_lanes = False
    for node in around:
        if node.kind in ("position", "component"):
            continue
        in_lanes = in_lanes or node.kind == "vectorize"
        if not requirement.relation.is_subset(_equal(tree, node, source, sink)):
            loop = _unshifted(node, (source.number, sink.number))
            if in_lanes:  # lanes may be in order of the one loop, and not of the other
                loops.append(loop)
            else:
                _add(loops, loop, (source.number, sink.number))
    return loops, None if source_first is None else source if source_first else sink


def _unshifted(node: LoopNode, numbers: tuple[int, int]) -> LoopNode:
    """The loop with counters from which a number that both are shifted by is taken: they compare as before."""
    terms = {number: linear(node.values[number]) for number in numbers}
    shifts = {shift for _, shift in terms.values()}
    if len(shifts) > 1 or shifts == {0}:
        return node
    return replace(node, values={number: from_linear(found, 0) for number, (found, _) in terms.items()})


def _add(loops: list[LoopNode], node: LoopNode, numbers: tuple[int, int]) -> None:
    """Add a loop inside; a loop over x // c and one over x % c directly in it have the order of one over x, where c is
    the same for both statements."""
    whole = {n: rejoined(loops[-1].values[n], node.values[n]) for n in numbers} if loops else {}
    serial = loops and loops[-1].kind in _SERIAL and node.kind in _SERIAL
    values = {number: found[0] for number, found in whole.items() if found is not None}
    if serial and len(values) == len(whole) and len({found[1] for found in whole.values() if found}) == 1:
        outer = loops.pop()
        _add(loops, replace(outer, values=values), numbers)
    else:
        loops.append(node)


_SERIAL = ("serial", "unroll")


def rejoined(quotient: Expr, remainder: Expr) -> tuple[Expr, int] | None:
    """x and c of x // c and x % c."""
    match quotient, remainder:
        case Op("floordiv", (x, Const(c))), Op("mod", (y, Const(d))) if c == d > 0 and same(x, y):
            return x, int(c)
    return None


def is_reduction_counter(tree: Tree, node: LoopNode, update: Statement) -> bool:
    """Whether all lanes of a vector loop accumulate into one element, so that they are combined before the update."""
    return all(axis.reduction for axis in _axes(tree, node, update))


def _axes(tree: Tree, node: LoopNode, statement: Statement) -> set[Axis]:
    """The axes of a statement that a loop's counter is made of."""
    value = expand_fused(node.values[statement.number], tree, linear=False)
    return {axis for axis in walk(value) if isinstance(axis, Axis)}


def _is_known(tree: Tree, node: LoopNode, source: Statement, sink: Statement) -> bool:
    """Whether it is known of all pairs how their counters compare."""
    pair = _Pair(source.frame, sink.frame, source.number, sink.number)
    return _coordinates(tree, node.values[source.number], node.values[sink.number], pair) is not None


def _compare(tree: Tree, node: LoopNode, outer: list[LoopNode], source: Statement, sink: Statement) -> _Outcome:
    left, right = node.values[source.number], node.values[sink.number]
    return _compare_values(tree, left, right, _Pair(source.frame, sink.frame, source.number, sink.number), outer)


def _compare_values(tree: Tree, left: Expr, right: Expr, pair: _Pair, outer: list[LoopNode]) -> _Outcome:
    known = _coordinates(tree, left, right, pair)
    if known is None:
        return _opaque(tree, left, right, pair, outer)
    before, equal = known[0].lex_lt_map(known[1]), known[0].eq_map(known[1])
    return _Outcome(before, before.union(equal), equal)


def _coordinates(tree: Tree, left: Expr, right: Expr, pair: _Pair) -> tuple[MultiPwAff, MultiPwAff] | None:
    """What two counters compare by, lexicographically: themselves where they are affine, or their components."""
    alone = exact(left, pair.source, tree), exact(right, pair.sink, tree)
    if alone[0] is not None and alone[1] is not None:
        return pair.source.tuple_of([alone[0]]), pair.sink.tuple_of([alone[1]])
    boxes = box_of(left, tree.fused), box_of(right, tree.fused)
    if boxes[0] is None or boxes[1] is None or not boxes[0].is_like(boxes[1]):
        return None
    first = all_exact(boxes[0].components, pair.source, tree)
    second = all_exact(boxes[1].components, pair.sink, tree)
    return None if first is None or second is None else (pair.source.tuple_of(first), pair.sink.tuple_of(second))


def _equal(tree: Tree, node: LoopNode, source: Statement, sink: Statement) -> Map:
    """Pairs whose counters are certainly equal."""
    left, right = node.values[source.number], node.values[sink.number]
    pair = _Pair(source.frame, sink.frame, source.number, sink.number)
    known = _coordinates(tree, left, right, pair)
    return _positions_equal(tree, left, right, pair) if known is None else known[0].eq_map(known[1])


def maybe_equal(tree: Tree, pair: Requirement, relation: Map, left: Expr, right: Expr) -> Map:
    """The pairs of `relation` whose counters may be equal: all of them where that is not known."""

    def found() -> Map:
        source, sink = exact(left, pair.source.frame, tree), exact(right, pair.sink.frame, tree)
        return relation if source is None or sink is None else relation.intersect(source.eq_map(sink))

    return once("maybe equal", tree, pair.source, (pair, relation, left, right), found)


def never_after(tree: Tree, pair: Requirement, relation: Map, left: Expr, right: Expr) -> bool:
    """Whether the source's counter is at most the sink's in all pairs of `relation`, as far as that is known."""

    def found() -> bool:
        source, sink = exact(left, pair.source.frame, tree), exact(right, pair.sink.frame, tree)
        return source is not None and sink is not None and relation.is_subset(source.le_map(sink))

    return once("never after", tree, pair.source, (pair, relation, left, right), found)


def has_one_value(tree: Tree, statement: Statement, value: Expr) -> bool:
    """Whether a counter is the same at all instances of a statement."""

    def found() -> bool:
        known = exact(value, statement.frame, tree)
        if known is None:
            return False
        taken = Map.from_pw_aff(known.intersect_domain(statement.domain)).range()
        return Map.from_domain_and_range(taken, taken).is_single_valued()

    return once("one value", tree, statement, (statement, value), found)


@dataclass(frozen=True, slots=True)
class _Pair:
    source: Frame
    sink: Frame
    source_number: int
    sink_number: int


def _opaque(tree: Tree, left: Expr, right: Expr, pair: _Pair, outer: list[LoopNode]) -> _Outcome:
    """The order of counters made of a position of which too little is known; sound.

    x // c is monotone in x, and not the same where the x are c apart. x % c has the order of x among pairs with equal
    x // c; when that is the counter of a loop outside, all other pairs are in order already.
    """
    equal = _positions_equal(tree, left, right, pair)
    everything = Map.universe(equal.get_space())
    nothing = everything.subtract(everything)
    match left, right:
        case Op("floordiv", (x, Const(divisor))), Op("floordiv", (y, Const(other))) if divisor == other > 0:
            before, after = _apart(tree, x, y, int(divisor), pair)
            not_after = _compare_values(tree, x, y, pair, outer).not_after
            return _Outcome(before, not_after.union(before), everything.subtract(before).subtract(after))
        case Op("mod", (x, c)), Op("mod", (y, _)):
            quotient = Op("floordiv", (x, c), left.dtype)
            if any(same(loop.values[pair.source_number], quotient) for loop in outer):
                return _compare_values(tree, x, y, pair, outer)
    return _Outcome(nothing, equal, everything)


_ROWS = 3  # between positions, by which their distance is estimated


def _apart(tree: Tree, left: Expr, right: Expr, least: int, pair: _Pair) -> tuple[Map, Map]:
    """Pairs of positions of which the first is certainly `least` before the second, or after it.

    Where the outermost components are k apart or more, positions are k times the extent of the others apart, and what
    these are.
    """
    everything = Map.from_domain_and_range(pair.source.universe(), pair.sink.universe())
    nothing = everything.subtract(everything)
    boxes = box_of(left, tree.fused), box_of(right, tree.fused)
    if boxes[0] is None or boxes[1] is None or not boxes[0].is_like(boxes[1]):
        return nothing, nothing
    (inner, count), (other, _) = boxes[0].inner(), boxes[1].inner()
    before, after = nothing, nothing
    for rows in range(_ROWS + 1):
        distance = least - count * rows
        row, to = boxes[0].components[0], boxes[1].components[0]
        first = all_exact((row, row + rows, inner, inner + distance), pair.source, tree)
        second = all_exact((to, to + rows, other, other + distance), pair.sink, tree)
        if first is None or second is None:
            return nothing, nothing
        before = before.union(first[1].le_map(second[0]).intersect(first[3].le_map(second[2])))
        after = after.union(first[0].ge_map(second[1]).intersect(first[2].ge_map(second[3])))
    return before, after


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
