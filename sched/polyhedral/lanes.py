"""Which loops inside a vector loop put lanes in order.

All lanes run at once, each iteration of a loop inside for those that have it. But where lanes have different ones, isl
makes no loop of one iteration a lane, and counts from the lane's own begin where there are strides; and where two
statements have different lanes or iterations, it makes several loops. Then nothing is said of the order of lanes.
"""

from __future__ import annotations

from .counters import all_exact, exact, once
from .isl import Map, involves_input
from .statement import Statement
from .tree import LoopNode, Tree


def puts_lanes_in_order(tree: Tree, node: LoopNode, source: Statement, sink: Statement, pairs: Map) -> bool:
    """Whether lanes of two statements go through a loop inside their vector loop side by side, at all sizes at which
    there are pairs."""
    ranges = [_in_lanes(tree, node, end) for end in dict.fromkeys((source, sink))]
    known = [each for each in ranges if each is not None]
    if len(known) < len(ranges):
        return False
    if len(known) == 1 or known[0].is_equal(known[1]):
        return True
    first, second = (each.intersect_params(pairs.params()) for each in known)
    return first.is_equal(second)


def _in_lanes(tree: Tree, node: LoopNode, statement: Statement) -> Map | None:
    """From the counters of the loops around to those of a loop, where all lanes have the same of the latter; or where
    they have all from the first to the last, and more than one, and a loop that is written out begins alike in all."""
    path = [loop for loop, _ in tree.path_to(statement) if isinstance(loop, LoopNode)]
    place = next(k for k, loop in enumerate(path) if loop.uid == node.uid)
    around = [loop for loop in path[:place] if loop.kind not in ("position", "component")]
    lanes = [k for k, loop in enumerate(around) if loop.kind == "vectorize"]
    values = [loop.values[statement.number] for loop in around]
    value = node.values[statement.number]

    def found() -> Map | None:
        counters, own = all_exact(values, statement.frame, tree), exact(value, statement.frame, tree)
        if counters is None or own is None:
            return None
        prefix = statement.frame.map_to(counters).intersect_domain(statement.domain)
        taken = prefix.reverse().apply_range(Map.from_pw_aff(own))
        if not any(involves_input(taken, k) for k in lanes):
            return taken
        later = statement.frame.world.from_text("{ [a] -> [b] : b >= a }")
        hull = taken.apply_range(later).intersect(taken.apply_range(later.reverse()))
        if taken.is_single_valued() or not hull.is_subset(taken):
            return None
        written_out = node.kind == "unroll" and any(involves_input(taken.lexmin(), k) for k in lanes)
        return None if written_out else taken

    return once(f"in lanes {lanes}, {node.kind}", tree, statement, (statement, value, *values), found)
