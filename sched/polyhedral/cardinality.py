"""How many points a set has at given sizes."""

from __future__ import annotations

from collections.abc import Mapping

from .isl import Set, World, dim_type


def cardinality(points: Set, world: World, sizes: Mapping[str, int]) -> int:
    """How many points a set has at these sizes, at which it is finite.

    Dimensions that are independent of all others are counted by themselves and multiplied; what is left is enumerated
    by isl, all but its last dimension.
    """
    flat = points.flatten().intersect_params(world.fixed({n: v for n, v in sizes.items() if n in world.sizes}))
    flat = flat.project_out(dim_type.param, 0, flat.dim(dim_type.param)).coalesce()
    flat = flat.reset_tuple_id() if flat.has_tuple_id() else flat
    total, position = 1, 0
    while position < flat.dim(dim_type.set):
        after = flat.dim(dim_type.set) - position - 1
        alone = flat.project_out(dim_type.set, position + 1, after).project_out(dim_type.set, 0, position)
        rest = flat.project_out(dim_type.set, position, 1)
        free = rest.insert_dims(dim_type.set, position, 1)
        line = alone.insert_dims(dim_type.set, 0, position).add_dims(dim_type.set, after)
        if free.intersect(line).is_subset(flat):
            total, flat = total * int(alone.count_val().to_python()), rest
        else:
            position += 1
    return total * int(flat.count_val().to_python())
