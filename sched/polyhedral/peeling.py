"""How many of a loop's first and last iterations decide the conditions of what is computed in it differently.

For each comparison in a select: where it fails, or where it holds, may be a few iterations at one end of the loop, for
all sizes. Without these, it is decided.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.dtypes import INDEX
from ..compute.expr import Expr, Op, walk
from ..compute.operations import COMPARISONS
from .affine import affine, condition_sets
from .isl import Set, most
from .statement import Statement


def border(statement: Statement, counter: Expr, begin: Expr, end: Expr, limit: int) -> tuple[int, int]:
    """The iterations at both ends of a loop from `begin` to `end` without which as many comparisons as possible are
    decided; of each no more than `limit`."""
    from_begin, from_end = (affine(value, statement.frame) for value in (counter - begin, end - 1 - counter))
    first = last = 0
    if from_begin is None or from_end is None:
        return first, last
    for condition in _comparisons(statement.value):
        sides = _sides(condition, statement)
        options = [(most(from_begin, points), most(from_end, points)) for points in sides]
        if any(points.is_empty() for points in sides):
            continue
        at_begin = min((a + 1 for a, _ in options if a is not None), default=limit + 1)
        at_end = min((b + 1 for _, b in options if b is not None), default=limit + 1)
        if min(at_begin, at_end) > limit:
            continue
        if at_begin <= at_end:
            first = max(first, at_begin)
        else:
            last = max(last, at_end)
    return first, last


def _comparisons(value: Expr) -> Iterator[Op]:
    for node in walk(value):
        if isinstance(node, Op) and node.name == "select":
            for part in walk(node.operands[0]):
                if isinstance(part, Op) and part.name in COMPARISONS and part.operands[0].dtype == INDEX:
                    yield part


def _sides(condition: Op, statement: Statement) -> tuple[Set, Set]:
    """The instances at which a comparison may fail, and at which it may hold."""
    holds, fails = condition_sets(condition, statement.frame)
    return fails.intersect(statement.domain), holds.intersect(statement.domain)
