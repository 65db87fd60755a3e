"""Parts of sets and relations: polyhedra as conditions, pairs one by one, least distances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr
from .isl import Constraint, Frame, Map, PwAff, Set, dim_type, has_divisions


def pairs_of(relation: Map, corner: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs of a relation without parameters whose coordinates are all below `corner`."""
    inputs = relation.dim(dim_type.in_)
    points = relation.wrap().flatten()
    for k in range(points.dim(dim_type.set)):
        points = points.upper_bound_val(dim_type.set, k, corner - 1)
    coordinates: list[tuple[int, ...]] = []
    points.foreach_point(lambda point: coordinates.append(tuple(_coordinates(point))))
    return sorted((at[:inputs], at[inputs:]) for at in coordinates)


def _coordinates(point: Any) -> Iterator[int]:
    for k in range(point.get_space().dim(dim_type.set)):
        yield int(point.get_coordinate_val(dim_type.set, k).to_python())


def convex_pieces(domain: Set) -> list[Set]:
    """The set in disjoint parts that are each the points of a polyhedron."""
    whole = domain.coalesce()
    if whole.n_basic_set() > 1:
        whole = whole.make_disjoint().coalesce()
    return [Set.from_basic_set(part) for part in whole.get_basic_sets()]


def conditions_of(part: Set, known: Set, frame: Frame) -> tuple[Expr, ...]:
    """What makes the part of a polyhedron within `known`, as conditions on the frame's axes and sizes; those that are
    not linear are left out."""
    found: list[Expr] = []
    for piece in part.gist(known).get_basic_sets():
        for constraint in piece.get_constraints():
            if not has_divisions(constraint):
                found.append(_condition(constraint, frame))
    return tuple(found)


def _condition(constraint: Constraint, frame: Frame) -> Expr:
    """The constraint with positive terms on the left and the others on the right."""
    left: list[Expr] = []
    right: list[Expr] = []
    names = [constraint.get_dim_name(dim_type.param, k) for k in range(constraint.dim(dim_type.param))]
    sizes = [frame.world.size_of_parameter(name or "") for name in names]
    terms: list[tuple[dim_type, int, Expr]] = [(dim_type.set, k, axis) for k, axis in enumerate(frame.axes)]
    terms += [(dim_type.param, k, size) for k, size in enumerate(sizes) if size is not None]
    for kind, k, atom in terms:
        factor = int(constraint.get_coefficient_val(kind, k).to_python())
        if factor:
            (left if factor > 0 else right).append(atom * abs(factor) if abs(factor) > 1 else atom)
    constant = int(constraint.get_constant_val().to_python())
    if constant:
        (left if constant > 0 else right).append(Const(abs(constant), INDEX, weak=True))
    sides = [sum(side[1:], side[0]) if side else Const(0, INDEX, weak=True) for side in (left, right)]
    return sides[0] == sides[1] if constraint.is_equality() else sides[0] >= sides[1]


def least_difference(relation: Map, first: PwAff, second: PwAff) -> int | None:
    """The least of second(output) - first(input) over the pairs of a relation, for all sizes; None without a bound."""
    counters = relation.apply_domain(Map.from_pw_aff(first)).apply_range(Map.from_pw_aff(second))
    least = counters.deltas().dim_min_val(0)
    return int(least.to_python()) if least.is_int() else None
