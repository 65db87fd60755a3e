"""Short circles of cells that need each other, for all sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .isl import Map, World, dim_type
from .systems import Need

SHORT = 3  # cells
Steps = Mapping[tuple[int, int], Map]  # from cells of a stage to those of another that they need, by the stages' uids
Cell = tuple[int, tuple[int, ...]]


def short_circle(needs: list[Need], world: World) -> tuple[dict[str, int], list[Cell]] | None:
    """Sizes, and the fewest cells of which each needs the next one; the first is at the end again."""
    step: dict[tuple[int, int], Map] = {}
    for need in needs:
        relation = need.relation.reset_tuple_id(dim_type.in_).reset_tuple_id(dim_type.out).reverse()
        _add(step, (need.sink[0], need.source[0]), relation)
    walks: list[Steps] = [step]
    while True:
        for (start, end), walk in walks[-1].items():
            closed = walk.intersect(Map.identity(walk.get_space())) if start == end else None
            point = None if closed is None else world.smallest(closed.domain())
            if point is not None:
                at = world.fixed(point.sizes)
                fixed = [{k: relation.intersect_params(at) for k, relation in each.items()} for each in walks]
                return point.sizes, _path((start, point.coordinates), fixed, world)
        if len(walks) == SHORT:
            return None
        longer: dict[tuple[int, int], Map] = {}
        for (start, middle), walk in walks[-1].items():
            for (begin, end), relation in step.items():
                if begin == middle:
                    _add(longer, (start, end), walk.apply_range(relation))
        walks.append(longer)


def _add(steps: dict[tuple[int, int], Map], key: tuple[int, int], relation: Map) -> None:
    steps[key] = steps[key].union(relation).coalesce() if key in steps else relation


def _path(start: Cell, walks: Sequence[Steps], world: World) -> list[Cell]:
    """A circle of as many steps as there are walks, of that many steps each, through a cell that is on one."""
    path = [start]
    for left in reversed(walks[:-1]):
        path.append(_next(path[-1], start, walks[0], left, world))
    return [*path, start]


def _next(cell: Cell, last: Cell, step: Steps, left: Steps, world: World) -> Cell:
    """The first cell one step from `cell` from which `last` is as far as the steps that are left."""
    for (uid, other), relation in step.items():
        back = left.get((other, last[0]))
        if uid == cell[0] and back is not None:
            reached = _at(relation, dim_type.in_, cell).range()
            point = world.smallest(reached.intersect(_at(back, dim_type.out, last).domain()))
            if point is not None:
                return other, point.coordinates
    raise AssertionError("the cell is on a circle")


def _at(relation: Map, side: dim_type, cell: Cell) -> Map:
    """The pairs with a cell on one side."""
    for k, value in enumerate(cell[1]):
        relation = relation.fix_val(side, k, value)
    return relation
