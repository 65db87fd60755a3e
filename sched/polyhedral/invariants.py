"""Bounds of the cells of recurrences that hold by induction: the slopes of affine functions, found by linear programs.

Of each equation whose cells have no bound yet, one is sought that is affine in its axes and sizes, c0 + c1 * i + ...
That it is never exceeded by what the equation makes of cells that keep to theirs is an affine inequality over all
instances, whose coefficients are sums of the unknown c. By Farkas' lemma it holds if they are in the dual cone of
the instances, so the c are the points of a polyhedron, and isl finds the smallest slopes in it. What is found is a
guess, which `value_bounds` proves. (Template polyhedra and Farkas' lemma: Colon, Sankaranarayanan and Sipma 2003.)
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Cast, Const, Expr, Op, Read, Size, walk
from ..compute.simplify import linear
from ..compute.tensor import Equation, Tensor
from .affine import affine, condition_sets
from .definitions import Several
from .isl import Frame, PwAff, Set, dim_type, has_divisions
from .narrowing import accumulates
from .value_ranges import Range, Ranges, _Values

Side = Literal["lower", "upper"]
Unknown = tuple[int, int, Side]  # a bound: the uid of a stage, which of its equations, and which side
Term = tuple[Unknown, Hashable]  # one of its coefficients: of a size's name, of an axis' number, or None for c0
Linear = dict[Term | None, int]  # a sum of coefficients times integers; that of None is a number
Form = dict[Hashable, Linear]  # what stands before a size's name, an axis, or None for 1, in an affine function
Part = tuple[Set, Form]
_MOST = 16  # alternatives, and equations times pieces of domains, that are looked at
_LIMIT = 1 << 40
_LARGEST: Term = ((-1, -1, "upper"), None)  # the largest bound of a cell


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """An equation of the system, what its statements compute, its cells, and what is known of their values."""

    stage: Tensor
    number: int
    equation: Equation
    value: Expr
    domain: Set
    known: Range


class TooMany(Exception):
    """More alternatives, or pieces, than are looked at; or a form that is none."""


def invariants(system: Sequence[Cells], ranges: Ranges, unknown: Sequence[Unknown]) -> Iterator[dict[Unknown, PwAff]]:
    """Bounds for all that is unknown, as functions on the frames of the cells, with as few terms as possible."""
    try:
        choices = list(_Search(system, ranges, unknown).systems())
    except TooMany:
        return
    sizes = [size.name for size in ranges.world.sizes.values()]
    axes = list(range(max(len(cells.equation.axes) for cells in system)))
    for slopes, others in ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1)):
        found = False
        supports = itertools.product(itertools.combinations(axes, slopes), itertools.combinations(sizes, others))
        for support in (own + other for own, other in supports):
            wanted = (_solved(rows, unknown, support, ranges) for rows in choices)
            solution = next((s for s in wanted if s is not None), None)
            if solution is not None and _is_new(solution, support):
                yield {u: _function(u, solution, system, ranges) for u in unknown}
                found = True
        if found:
            return


def _is_new(solution: Mapping[Term, int], support: Sequence[Hashable]) -> bool:
    return all(any(solution.get(term) for term in solution if term[1] == column) for column in support)


class _Search:
    """What has to hold of the coefficients: for each choice where a bound may follow from one operand or another."""

    def __init__(self, system: Sequence[Cells], ranges: Ranges, unknown: Sequence[Unknown]) -> None:
        self.system, self.ranges, self.unknown = system, ranges, set(unknown)
        self.uids = {cells.stage.uid for cells in system}

    def systems(self) -> Iterator[list[Linear]]:
        """Inequalities, row >= 0, one list a choice."""
        each = [self._rows(cells, side) for cells in self.system for side in self._sides(cells)]
        for choice in itertools.islice(itertools.product(*each), _MOST):
            yield [*self._largest(), *(row for rows in choice for row in rows)]

    def _largest(self) -> Iterator[Linear]:
        """Where no size is symbolic, what makes LARGEST as large as any bound, in absolute values."""
        for cells in () if self.ranges.world.sizes else self.system:
            frame = self.ranges.frame(cells.stage, cells.equation, reducing=False)
            for side in self._sides(cells):
                own = _template((cells.stage.uid, cells.number, side), list(cells.equation.axes), self.ranges)
                for sign in (1, -1):
                    yield from _rows(cells.domain, {None: {_LARGEST: 1}}, _added({}, own, sign), 1, frame)

    def _sides(self, cells: Cells) -> list[Side]:
        sides: tuple[Side, Side] = ("lower", "upper")
        return [side for side in sides if (cells.stage.uid, cells.number, side) in self.unknown]

    def _rows(self, cells: Cells, side: Side) -> list[list[Linear]]:
        """What has to hold for one bound, for each choice."""
        equation = cells.equation
        frame = self.ranges.frame(cells.stage, equation, reducing=True)
        operand, finish = cells.value, None
        if equation.reduce is not None:
            update, finish = cells.value.children if isinstance(cells.value, Several) else (cells.value, None)
            if equation.reduce.name not in ("min", "max"):
                raise TooMany
            operand = next(o for o in update.children if not accumulates(o, cells.stage, equation))
        inside = self.ranges.domain(frame, equation, reducing=True)
        walker = _Walker(self, cells, frame)
        parts = walker.bounds(operand, inside, side)
        if finish is not None:
            walker.accumulated = parts
            whole = frame.named(frame.widened(cells.domain.reset_tuple_id(), len(frame.axes) - len(equation.axes)))
            parts = walker.bounds(finish, whole, side)
        own = _template((cells.stage.uid, cells.number, side), list(equation.axes), self.ranges)
        sign = 1 if side == "upper" else -1
        return [[row for at, form in choice for row in _rows(at, own, form, sign, frame)] for choice in parts]


@dataclass(slots=True, eq=False)
class _Walker:
    """Bounds of the values of one equation, as forms: several that each hold, each in parts of the instances."""

    search: _Search
    cells: Cells
    frame: Frame
    accumulated: list[list[Part]] | None = None

    def bounds(self, expr: Expr, at: Set, side: Side) -> list[list[Part]]:
        """Lists, each of which bounds the expression where its parts are."""
        if at.is_empty():
            return [[]]
        if not self._is_open(expr):
            return [list(self._pieces(self._concrete(expr, at), at, side))]
        match expr:
            case Read() if self.accumulated is not None and accumulates(expr, self.cells.stage, self.cells.equation):
                return self.accumulated
            case Read():
                return [list(self._read(expr, at, side))]
            case Cast(operand):
                return self.bounds(operand, at, side)
            case Op("select", (condition, yes, no)):
                holds, fails = condition_sets(condition, self.frame)
                branches = (self.bounds(yes, at.intersect(holds), side), self.bounds(no, at.intersect(fails), side))
                return _both(*branches)
            case Op("min" | "max" as name, (a, b)):
                sides = self.bounds(a, at, side), self.bounds(b, at, side)
                return _both(*sides) if (name == "max") == (side == "upper") else _few([*sides[0], *sides[1]])
            case Op("add", (a, b)):
                return self._sum(self.bounds(a, at, side), self.bounds(b, at, side), 1)
            case Op("sub", (a, b)):
                return self._sum(self.bounds(a, at, side), self.bounds(b, at, _other(side)), -1)
            case Op("neg", (a,)):
                return self._scaled(self.bounds(a, at, _other(side)), -1)
            case Op("mul", (a, Const(value))) | Op("mul", (Const(value), a)):
                return self._scaled(self.bounds(a, at, side if value >= 0 else _other(side)), int(value))
        return [list(self._pieces(self._concrete(expr, at), at, side))]

    def _is_open(self, expr: Expr) -> bool:
        return any(isinstance(node, Read) and node.tensor.uid in self.search.uids for node in walk(expr))

    def _concrete(self, expr: Expr, at: Set) -> Range:
        return _Values(self.search.ranges, self.cells.stage, self.frame).of(expr, at)

    def _read(self, read: Read, at: Set, side: Side) -> Iterator[Part]:
        """The bounds of a cell, by the equation that defines it."""
        indices = [affine(index, self.frame) for index in read.indices]
        found = [index for index in indices if index is not None]
        if len(found) < len(indices):
            raise TooMany
        to = self.frame.tuple_of(found)
        for cells in self.search.system:
            if cells.stage.uid != read.tensor.uid:
                continue
            there = at.intersect(cells.domain.reset_tuple_id().preimage_multi_pw_aff(to))
            if there.is_empty():
                continue
            unknown = cells.stage.uid, cells.number, side
            if unknown in self.search.unknown:
                yield there, _template(unknown, list(read.indices), self.search.ranges)
            else:
                known = getattr(cells.known, side).reset_tuple_id(dim_type.in_).pullback_multi_pw_aff(to)
                yield from self._pieces(Range(known, known), there, side)

    def _pieces(self, own: Range, at: Set, side: Side) -> Iterator[Part]:
        bound: PwAff = getattr(own, side)
        for where, function in bound.intersect_domain(at).get_pieces():
            yield where, _form(function, self.frame)

    def _sum(self, a: list[list[Part]], b: list[list[Part]], sign: int) -> list[list[Part]]:
        made = []
        for left, right in itertools.product(a, b):
            pairs = ((x.intersect(y), _added(f, g, sign)) for (x, f), (y, g) in itertools.product(left, right))
            made.append([(at, form) for at, form in pairs if not at.is_empty()])
        return _few(made)

    def _scaled(self, a: list[list[Part]], factor: int) -> list[list[Part]]:
        return [[(at, _added({}, form, factor)) for at, form in parts] for parts in a]


def _both(a: list[list[Part]], b: list[list[Part]]) -> list[list[Part]]:
    return _few([[*left, *right] for left, right in itertools.product(a, b)])


def _few(choices: list[list[Part]]) -> list[list[Part]]:
    if len(choices) > _MOST or any(len(parts) > 4 * _MOST for parts in choices):
        raise TooMany
    return choices


def _other(side: Side) -> Side:
    return "lower" if side == "upper" else "upper"


def _added(a: Form, b: Form, factor: int) -> Form:
    """a + factor * b."""
    made = {column: dict(own) for column, own in a.items()}
    for column, own in b.items():
        mine = made.setdefault(column, {})
        for term, value in own.items():
            mine[term] = mine.get(term, 0) + factor * value
    return made


def _template(unknown: Unknown, indices: list[Expr], ranges: Ranges) -> Form:
    """The unknown bound of the cell at these indices."""
    form: Form = {None: {(unknown, None): 1}}
    for size in ranges.world.sizes:
        form[size] = {(unknown, size): 1}
    for k, index in enumerate(indices):
        terms, constant = linear(index)
        one: Form = {None: {(unknown, k): constant}}
        for atom, factor in terms.values():
            if not isinstance(atom, (Axis, Size)):
                raise TooMany
            one[atom if isinstance(atom, Axis) else atom.name] = {(unknown, k): factor}
        form = _added(form, one, 1)
    return form


def _form(function: Any, frame: Frame) -> Form:
    """An affine function of isl's, on a frame."""
    if function.dim(dim_type.div) or function.is_nan():
        raise TooMany
    form: Form = {None: {None: _integer(function.get_constant_val())}}
    for k, axis in enumerate(frame.axes):
        form[axis] = {None: _integer(function.get_coefficient_val(dim_type.in_, k))}
    for k in range(function.dim(dim_type.param)):
        value = _integer(function.get_coefficient_val(dim_type.param, k))
        size = frame.world.size_of_parameter(function.get_dim_name(dim_type.param, k))
        if value and size is not None:
            form[size.name] = {None: value}
    return form


def _integer(value: Any) -> int:
    if not value.is_int():
        raise TooMany
    return int(value.to_python())


def _rows(at: Set, own: Form, other: Form, sign: int, frame: Frame) -> Iterator[Linear]:
    """What makes sign * (own - other) nowhere negative in a set: its coefficients are in the dual cone of that."""
    difference = _added(own, other, -1)
    plain = at.reset_tuple_id().remove_divs()
    names = [plain.get_dim_name(dim_type.param, k) or "" for k in range(plain.dim(dim_type.param))]
    sizes = [frame.world.size_of_parameter(name) for name in names]
    plain = plain.move_dims(dim_type.set, 0, dim_type.param, 0, len(names))
    columns = [None, *(size.name if size is not None else "" for size in sizes), *frame.axes]
    for cone in plain.coefficients().flatten().get_basic_sets():
        for constraint in cone.get_constraints():
            if has_divisions(constraint):
                raise TooMany
            row: Linear = {None: int(constraint.get_constant_val().to_python())}
            for k, column in enumerate(columns):
                factor = int(constraint.get_coefficient_val(dim_type.set, k).to_python())
                for term, value in difference.get(column, {}).items() if factor else ():
                    row[term] = row.get(term, 0) + sign * factor * value
            yield row
            if constraint.is_equality():
                yield {term: -value for term, value in row.items()}


def _solved(
    rows: Sequence[Linear], unknown: Sequence[Unknown], support: Sequence[Hashable], ranges: Ranges
) -> dict[Term, int] | None:
    """The coefficients with the least absolute slopes, and then the tightest constants; None if there are none."""
    zero = Const(0, INDEX)
    terms = [(u, column) for u in unknown for column in (None, *support)]
    slopes = [term for term in terms if term[1] is not None]
    heads = [Axis(name, zero, zero) for name in ("largest", "slopes", "constants")]
    sizes = {term: Axis("size", zero, zero) for term in slopes}
    named = {_LARGEST: heads[0]} | {term: Axis("c", zero, zero) for term in terms}
    frame = ranges.world.frame((*heads, *sizes.values(), *(named[term] for term in terms)), "C")

    def total(parts: Sequence[tuple[Axis, int]], constant: int = 0) -> PwAff:
        value = frame.const(constant)
        for axis, factor in parts:
            own = frame.axis(axis)
            assert own is not None
            value = value.add(own.scale_val(ranges.world.val(factor)))
        return value

    none = frame.const(0)
    points = frame.universe()
    for row in {tuple(sorted(((str(t), v) for t, v in r.items()))): r for r in rows}.values():
        parts = [(named[t], v) for t, v in row.items() if t is not None and t in named and v]
        if not parts and row.get(None, 0) < 0:
            return None
        if parts:
            points = points.intersect(total(parts, row.get(None, 0)).ge_set(none))
    for term in slopes:
        for sign in (1, -1):
            points = points.intersect(total([(sizes[term], 1), (named[term], sign)]).ge_set(none))
    points = points.intersect(total([(heads[1], 1), *((axis, -1) for axis in sizes.values())]).eq_set(none))
    tight = [(named[u, None], -1 if u[2] == "upper" else 1) for u in unknown]
    points = points.intersect(total([(heads[2], 1), *tight]).eq_set(none))
    for axis in (*heads, *(named[term] for term in terms)):
        points = points.intersect(total([(axis, 1)], _LIMIT).ge_set(none))
        points = points.intersect(total([(axis, -1)], _LIMIT).ge_set(none))
    if points.is_empty():
        return None
    point = points.lexmin().sample_point()
    first = len(heads) + len(sizes)
    values = [point.get_coordinate_val(dim_type.set, first + k).to_python() for k in range(len(terms))]
    return {term: int(value) for term, value in zip(terms, values, strict=True)}


def _function(unknown: Unknown, solution: Mapping[Term, int], system: Sequence[Cells], ranges: Ranges) -> PwAff:
    """A bound that was found, on the frame of its cells."""
    uid, number, _ = unknown
    cells = next(c for c in system if (c.stage.uid, c.number) == (uid, number))
    frame = ranges.frame(cells.stage, cells.equation, reducing=False)
    value = frame.const(solution[unknown, None])
    for (owner, column), factor in solution.items():
        if owner != unknown or column is None or not factor:
            continue
        if isinstance(column, int):
            own = frame.axis(cells.equation.axes[column]) if column < len(cells.equation.axes) else None
        else:
            own = frame.size(ranges.world.sizes[str(column)])
        if own is not None:
            value = value.add(own.scale_val(ranges.world.val(factor)))
    return value
