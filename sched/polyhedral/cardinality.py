"""How many points a set has at given sizes."""

from __future__ import annotations

from collections.abc import Mapping

from .isl import Set, World, dim_type, independent_dimensions


def cardinality(points: Set, world: World, sizes: Mapping[str, int]) -> int:
    """How many points a set has at these sizes, at which it is finite.

    Groups of dimensions that are independent of all others are counted by themselves and multiplied; each is enumerated
    by isl, all but its last dimension.
    """
    flat = points.flatten().intersect_params(world.fixed({n: v for n, v in sizes.items() if n in world.sizes}))
    flat = flat.project_out(dim_type.param, 0, flat.dim(dim_type.param)).coalesce()
    flat = flat.reset_tuple_id() if flat.has_tuple_id() else flat
    total = 1
    for group in independent_dimensions(flat):
        rank, rest, alone = flat.dim(dim_type.set), flat, flat
        for k in reversed(range(rank)):
            if k in group:
                rest = rest.project_out(dim_type.set, k, 1)
            else:
                alone = alone.project_out(dim_type.set, k, 1)
        free, lines = rest, alone
        for k in range(rank):
            if k in group:
                free = free.insert_dims(dim_type.set, k, 1)
            else:
                lines = lines.insert_dims(dim_type.set, k, 1)
        if len(group) == rank or not free.intersect(lines).is_subset(flat):
            continue
        total *= int(alone.count_val().to_python())
        # What is left keeps its number of dimensions, so that the numbers of the other groups stay what they are.
        for k in group:
            free = free.fix_val(dim_type.set, k, world.val(0))
        flat = free
    return total * int(flat.count_val().to_python())
