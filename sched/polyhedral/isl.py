"""The gate to isl: named spaces, budgets, errors in our own words. Besides, isl_points and isl_trees import islpy.

Names that users give never reach isl: sizes, statements and loops enter it under names made here (a number and what is
harmless of the user's name, for the reader of a dump). A Program's objects live in one Context; isl sees no mix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce as fold
from typing import Any, Literal, TypeVar

import islpy
from islpy import Constraint, Map, MultiPwAff, PwAff, Set, dim_type

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Size
from ..errors import BudgetError
from .isl_points import Point, first_point, summed_first

__all__ = [
    "ISL_VERSION", "Constraint", "Frame", "Map", "MultiPwAff", "Point", "PwAff", "Set", "World", "anything", "bounds",
    "dim_type", "each_dimension", "earlier_inputs", "has_divisions", "independent_dimensions", "inert",
    "involves_input", "most", "ranges", "reach", "widest", "without",
]  # fmt: skip

DEFAULT_BUDGET = 4_000_000
ISL_VERSION = str(islpy.__version__)
_MOST_KNOWN = 10_000
T = TypeVar("T")
_HARMLESS = re.compile(r"[^A-Za-z0-9_]")


def inert(prefix: str, number: int, name: str) -> str:
    """A name for isl: unique by its number, no keyword, no syntax."""
    return f"{prefix}{number}_{_HARMLESS.sub('_', name[:24])}"


_GIVEN_UP = "affine expression involves some of the domain dimensions"  # a set of isl's own that it cannot take apart


class World:
    """A Context, and the sizes that are its parameters."""

    def __init__(self, sizes: Sequence[Size], budget: int = DEFAULT_BUDGET) -> None:
        self.context = islpy.Context()
        self.budget = budget
        self.sizes: dict[str, Size] = {}
        self._parameters: dict[str, str] = {}
        self._texts: dict[str, Map] = {}
        self._known: dict[tuple[object, ...], tuple[tuple[object, ...], Any]] = {}
        for size in sizes:
            self.add_size(size)

    def add_size(self, size: Size) -> None:
        """Make `size` a parameter; sizes are told apart by their names."""
        if size.name not in self._parameters:
            self._parameters[size.name] = inert("p", len(self._parameters), size.name)
            self.sizes[size.name] = size

    def val(self, value: int) -> islpy.Val:
        return islpy.Val.read_from_str(self.context, str(value))

    def identifier(self, name: str) -> islpy.Id:
        return islpy.Id.read_from_str(self.context, name)

    def space(self, rank: int, name: str | None = None) -> islpy.Space:
        """The space of sets of `rank` dimensions over all sizes."""
        space = islpy.Space.set_alloc(self.context, len(self._parameters), rank)
        for position, parameter in enumerate(self._parameters.values()):
            space = space.set_dim_name(dim_type.param, position, parameter)
        return space if name is None else space.set_tuple_name(dim_type.set, name)

    def frame(self, axes: Sequence[Axis], name: str, held: Mapping[Axis, str] | None = None) -> Frame:
        return Frame(self, tuple(axes), name, held)

    def parameter_frame(self) -> Frame:
        """The frame of expressions of sizes alone."""
        return Frame(self, (), None)

    def size_of_parameter(self, parameter: str) -> Size | None:
        """The size behind a parameter's name."""
        for name, known in self._parameters.items():
            if known == parameter:
                return self.sizes[name]
        return None

    def parameter(self, size: Size) -> str:
        self.add_size(size)
        return self._parameters[size.name]

    def from_text(self, text: str) -> Map:
        """A relation from isl's notation; only ever called with literals of our own, each of which is read once."""
        if text not in self._texts:
            self._texts[text] = Map.read_from_str(self.context, text)
        return self._texts[text]

    def once(self, what: str, objects: tuple[object, ...], compute: Callable[[], T]) -> T:
        """A function of objects, that nobody changes, computed once: they are kept, so that their ids stay theirs.

        Loop trees are made anew after every command, of loops most of which are what they were.
        """
        key = (what, *map(id, objects))
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = objects, compute()
        found: T = self._known[key][1]
        return found

    @contextmanager
    def budgeted(self, step: str, share: int = 1) -> Iterator[None]:
        """Bound the isl operations of a proof, by the budget or one `share`-th of it; the count is the same on every
        machine. Not to be nested."""
        self.context.reset_operations()
        self.context.set_max_operations(max(1, self.budget // share))
        try:
            yield
        except islpy.Error as error:
            if _GIVEN_UP in str(error):
                raise BudgetError(
                    f"{step}: undecided, as isl gave up on it, so it is refused; simplify the step, for example by "
                    "splitting fewer loops or fixing sizes"
                ) from None
            if "maximal number of operations" not in str(error):
                raise
            raise BudgetError(
                f"{step}: undecided within {self.budget} isl operations, so it is refused; raise the budget with "
                "Schedule(..., budget=) or simplify the step, for example by splitting fewer loops or fixing sizes"
            ) from None
        finally:
            self.context.set_max_operations(0)
            self.context.reset_operations()

    def fixed(self, values: Mapping[str, int]) -> Set:
        """The parameters that have these values."""
        frame = self.parameter_frame()
        known = frame.universe()
        for name, value in values.items():
            known = known.intersect(frame.size(self.sizes[name]).eq_set(frame.const(value)))
        return known

    def smallest(self, bad: Set | Map) -> Point | None:
        """The smallest point of `bad`: of the least sum of sizes, and first among those; None if it is empty.

        Every size must be bounded below in `bad`, or there is no smallest; counts of fused loops follow from the
        others and are left out.
        """
        points = bad.wrap().flatten() if isinstance(bad, Map) else bad.flatten()
        if points.is_empty():
            return None
        for k in reversed(range(points.dim(dim_type.param))):
            size = self.size_of_parameter(points.get_dim_name(dim_type.param, k) or "")
            if size is None or size.name.startswith("|"):
                points = points.project_out(dim_type.param, k, 1)
        count = points.dim(dim_type.param)
        names = [points.get_dim_name(dim_type.param, k) for k in range(count)]
        flat = points.reset_tuple_id() if points.has_tuple_id() else points
        flat = flat.move_dims(dim_type.set, 0, dim_type.param, 0, count)
        numbers = first_point(summed_first(flat, count))[1:]
        sizes = {}
        for name, value in zip(names, numbers, strict=False):
            size = self.size_of_parameter(name or "")
            assert size is not None
            sizes[size.name] = value
        return Point(sizes, tuple(numbers[count:]))


class Frame:
    """The iteration space of a statement: its axes are the dimensions, by name.

    `held` are axes that have one value in all of it: parameters, by these names, that no other frame need know.
    `found` are the functions that expressions were found to be, with the expressions, by their ids.
    """

    __slots__ = ("_local", "axes", "found", "held", "name", "space", "world")

    def __init__(
        self, world: World, axes: tuple[Axis, ...], name: str | None, held: Mapping[Axis, str] | None = None
    ) -> None:
        self.world, self.axes, self.name, self.held = world, axes, name, dict(held or {})
        self.found: dict[int, tuple[Expr, PwAff | None]] = {}
        self.space = world.space(len(axes), name) if name is not None else world.space(0).params()
        for parameter in self.held.values():
            self._add_parameter(parameter)
        self._local = islpy.LocalSpace.from_space(self.space)

    def _add_parameter(self, name: str) -> int:
        position = self.space.dim(dim_type.param)
        self.space = self.space.add_dims(dim_type.param, 1).set_dim_name(dim_type.param, position, name)
        return position

    def universe(self) -> Set:
        return Set.universe(self.space)

    def widened(self, domain: Set, extra: int) -> Set:
        """A set of a frame with `extra` fewer axes, unconstrained in the further ones, in this frame."""
        return domain.add_dims(dim_type.set, extra).set_tuple_name(self.name or "")

    def empty(self) -> Set:
        return Set.empty(self.space)

    def named(self, points: Set) -> Set:
        """A set of as many dimensions as this frame has axes, as one of instances of this frame."""
        return points.set_tuple_name(self.name or "")

    def holding(self, held: Mapping[Axis, str]) -> Frame:
        """The frame, with further axes that are held."""
        return Frame(self.world, self.axes, self.name, {**self.held, **held})

    def held_in(self, values: Set) -> Set:
        """The condition that the axes that are held have values in this set, which has a dimension for each."""
        count = values.dim(dim_type.param)
        moved = values.reset_tuple_id() if values.has_tuple_id() else values
        moved = moved.move_dims(dim_type.param, count, dim_type.set, 0, len(self.held))
        for position, name in enumerate(self.held.values(), count):
            moved = moved.set_dim_name(dim_type.param, position, name)
        return moved.params()

    def around_held(self, parts: Sequence[Set]) -> Set:
        """A convex set, over a dimension for each axis that is held, around its values for which there are points."""
        values = fold(Set.union, (points.params() for points in parts))
        values = Set.from_params(values.align_params(self.space.params()))
        for position, name in enumerate(self.held.values()):
            found = values.find_dim_by_name(dim_type.param, name)
            values = values.move_dims(dim_type.set, position, dim_type.param, found, 1)
        return Set.from_basic_set(values.remove_divs().simple_hull())

    def relation(self, relation: Map) -> Map:
        """A relation, with the instances of this frame as its inputs."""
        return relation.set_tuple_name(dim_type.in_, self.name or "")

    def axis(self, axis: Axis) -> PwAff | None:
        """The coordinate of an axis, or None for an axis of another frame."""
        for position, own in enumerate(self.axes):
            if own is axis:
                return PwAff.from_aff(islpy.Aff.var_on_domain(self._local, dim_type.set, position))
        return self._parameter(self.held[axis]) if axis in self.held else None

    def size(self, size: Size) -> PwAff:
        return self._parameter(self.world.parameter(size))

    def _parameter(self, name: str) -> PwAff:
        position = self.space.find_dim_by_name(dim_type.param, name)
        if position < 0:  # the size became known after this frame was made
            position = self._add_parameter(name)
            self._local = islpy.LocalSpace.from_space(self.space)
        return PwAff.from_aff(islpy.Aff.var_on_domain(self._local, dim_type.param, position))

    def const(self, value: int) -> PwAff:
        return PwAff.from_aff(islpy.Aff.val_on_domain(self._local, self.world.val(value)))

    def map_to(self, values: Sequence[PwAff], name: str | None = None) -> Map:
        """The relation from an instance to the tuple of `values`."""
        parts = islpy.PwAffList.alloc(self.world.context, len(values))
        for value in values:
            parts = parts.add(value)
        space = self.space.from_domain().add_dims(dim_type.out, len(values))
        if name is not None:
            space = space.set_tuple_name(dim_type.out, name)
        return Map.from_multi_pw_aff(MultiPwAff.from_pw_aff_list(space, parts))

    def tuple_of(self, values: Sequence[PwAff]) -> MultiPwAff:
        """The values as one multi-dimensional function."""
        parts = islpy.PwAffList.alloc(self.world.context, len(values))
        for value in values:
            parts = parts.add(value)
        return MultiPwAff.from_pw_aff_list(self.space.from_domain().add_dims(dim_type.out, len(values)), parts)


def bounds(relation: Map, frame: Frame, side: Literal["lower", "upper"]) -> list[Expr]:
    """Expressions of the frame's axes and sizes that the output, of one dimension, of a relation on it is never below,
    or never above."""
    found: list[Expr] = []
    wanted = 1 if side == "lower" else -1
    for constraint in relation.simple_hull().get_constraints():
        signs = (1, -1) if constraint.is_equality() else (1,)
        factor = int(constraint.get_coefficient_val(dim_type.out, 0).to_python())
        for sign in signs:
            if sign * factor * wanted > 0 and not has_divisions(constraint):
                rest = _linear_rest(constraint, frame, -wanted * sign)
                rounded = rest + (abs(factor) - 1) if wanted > 0 else rest
                found.append(rest if abs(factor) == 1 else rounded // abs(factor))
    return found


def has_divisions(constraint: Constraint) -> bool:
    """Whether a constraint is about a quotient or a remainder."""
    count = constraint.dim(dim_type.div)
    return any(constraint.involves_dims(dim_type.div, k, 1) for k in range(count))


def _linear_rest(constraint: Constraint, frame: Frame, sign: int) -> Expr:
    """What a constraint has beside its output, times `sign`."""
    total: Expr = Const(sign * int(constraint.get_constant_val().to_python()), INDEX)
    for k, axis in enumerate(frame.axes):
        factor = int(constraint.get_coefficient_val(dim_type.in_, k).to_python())
        total = total + axis * (sign * factor) if factor else total
    for k in range(constraint.dim(dim_type.param)):
        factor = int(constraint.get_coefficient_val(dim_type.param, k).to_python())
        size = frame.world.size_of_parameter(constraint.get_dim_name(dim_type.param, k) or "")
        if factor:
            assert size is not None, "parameters stand for sizes"
            total = total + size * (sign * factor)
    return total


def independent_dimensions(points: Set) -> list[set[int]]:
    """The dimensions of a set in groups, such that no constraint of its hull is about two of them."""
    rank = points.dim(dim_type.set)
    groups = [{k} for k in range(rank)]
    for constraint in points.simple_hull().get_constraints():
        involved = {k for k in range(rank) if constraint.involves_dims(dim_type.set, k, 1)}
        joined = [group for group in groups if group & involved]
        if len(joined) > 1:
            groups = [group for group in groups if not group & involved] + [set().union(*joined)]
    return groups


def reach(relation: Map, origin: PwAff) -> int | None:
    """The largest difference between the output of a relation and `origin` of its input; None without a bound."""
    most = relation.sum(Map.from_pw_aff(origin.neg())).range().dim_max_val(0)
    return int(most.to_python()) if most.is_int() else None


def most(value: PwAff, domain: Set) -> int | None:
    """The largest value on a domain, for all sizes; None without a bound."""
    largest = Map.from_pw_aff(value).intersect_domain(domain).range().dim_max_val(0)
    return int(largest.to_python()) if largest.is_int() else None


def widest(relation: Map) -> int | None:
    """The largest difference of output and input, both of one dimension; None without a bound, or for no pairs."""
    largest = relation.deltas().dim_max_val(0)
    return int(largest.to_python()) if largest.is_int() else None


def ranges(differences: Set) -> list[tuple[int | None, int | None]]:
    """The least and the largest coordinate in each dimension, for all sizes; None without a bound."""
    least = (differences.dim_min_val(k) for k in range(differences.dim(dim_type.set)))
    largest = (differences.dim_max_val(k) for k in range(differences.dim(dim_type.set)))
    known = [[int(v.to_python()) if v.is_int() else None for v in values] for values in (least, largest)]
    return list(zip(*known, strict=True))


def anything(domain: Set, rank: int) -> Map:
    """From each element of a domain to all tuples of so many integers."""
    return Map.from_domain(domain).insert_dims(dim_type.out, 0, rank)


def without(relation: Map, kind: Literal["in", "out"], first: int, count: int) -> Map:
    """The relation with `count` inputs or outputs from `first` on projected out."""
    return relation.project_out(dim_type.in_ if kind == "in" else dim_type.out, first, count)


def each_dimension(relation: Map) -> Map:
    """The least relation around this one that is one of each dimension of its output alone."""
    rank = relation.dim(dim_type.out)
    whole = Map.universe(relation.get_space()).intersect_domain(relation.domain())
    for k in range(rank):
        alone = without(without(relation, "out", k + 1, rank - k - 1), "out", 0, k)
        whole = whole.intersect(alone.insert_dims(dim_type.out, 1, rank - k - 1).insert_dims(dim_type.out, 0, k))
    return whole


def involves_input(relation: Map, k: int) -> bool:
    """Whether what an input is related to differs with its dimension k, where it is related to anything."""
    free = relation.project_out(dim_type.in_, k, 1).insert_dims(dim_type.in_, k, 1)
    return not relation.is_equal(free.intersect_domain(relation.domain()))


def earlier_inputs(relation: Map, kept: int) -> Map:
    """From each input of a relation to the lexicographically smaller ones that agree in the first `kept` dimensions."""
    earlier = Map.lex_gt(relation.domain().get_space())
    for k in range(kept):
        earlier = earlier.equate(dim_type.in_, k, dim_type.out, k)
    return earlier
