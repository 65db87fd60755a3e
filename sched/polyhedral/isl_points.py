"""The smallest points of isl's sets: what a refusal shows as its witness."""

from __future__ import annotations

from dataclasses import dataclass

import islpy
from islpy import Constraint, Set, dim_type


@dataclass(frozen=True, slots=True)
class Point:
    """The smallest sizes, and then the first instance or pair of instances, of a set or relation."""

    sizes: dict[str, int]
    coordinates: tuple[int, ...]

    @property
    def order(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Smaller is a better witness: small sizes, then early instances."""
        sizes = tuple(self.sizes.values())
        return sum(sizes), sizes, self.coordinates


def first_point(points: Set) -> tuple[int, ...]:
    """The coordinates of the lexicographic minimum of a set that has one.

    lexmin() finds them too, but may take half a minute where there are quotients by large numbers.
    """
    parts = [Set.from_basic_set(part) for part in points.get_basic_sets()]
    found: list[int] = []
    for position in range(points.dim(dim_type.set)):
        parts = [part for part in parts if not part.is_empty()]  # of an empty one, the least value is any
        values = [part.dim_min_val(position) for part in parts]
        found.append(min(int(value.to_python()) for value in values))
        parts = [
            part.fix_val(dim_type.set, position, value)
            for part, value in zip(parts, values, strict=True)
            if value.to_python() == found[-1]
        ]
    return tuple(found)


def summed_first(points: Set, count: int) -> Set:
    """The set with one dimension more, the first, that is the sum of the `count` dimensions after it."""
    points = points.insert_dims(dim_type.set, 0, 1)
    total = Constraint.alloc_equality(islpy.LocalSpace.from_space(points.get_space()))
    one = islpy.Val.one(points.get_ctx())
    total = total.set_coefficient_val(dim_type.set, 0, one.neg())
    for position in range(1, 1 + count):
        total = total.set_coefficient_val(dim_type.set, position, one)
    return points.add_constraint(total)
