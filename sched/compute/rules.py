"""From the equations of a recurrence as they were written to equations over one axis a dimension.

u[t + 1, i] = f(t, i) becomes u[t, i] = f(t - 1, i) where t >= 1: the left side is solved for its axes, one dimension
after the other, and what it leaves out becomes a condition. Where a coefficient is not 1, u[2 * i] = f(i), the axis is
a quotient, f(i // 2) where i % 2 == 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import DefinitionError, Location
from .dtypes import BOOL, INDEX
from .expr import Axis, Const, Expr, Op, Reduce, same, substitute, transform, walk
from .simplify import Terms, from_linear, linear, simplify
from .tensor import Equation

FREE = Const(INDEX.highest, INDEX)  # the upper bound of an axis that takes every value that the left side allows
ZERO = Const(0, INDEX, weak=True)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One equation as it was written: tensor[left] = body, where `where` holds."""

    left: tuple[Expr, ...]
    body: Expr
    where: Expr | None
    location: Location | None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the left side, in the order in which they appear."""
        return tuple(dict.fromkeys(node for index in self.left for node in walk(index) if isinstance(node, Axis)))


def dimension_names(name: str, rank: int, rules: Sequence[Rule]) -> tuple[str, ...]:
    """What the dimensions are called: each as the first axis that indexes it alone, d0, d1, ... where there is none."""
    names: list[str] = []
    for dimension in range(rank):
        candidates = [_only_axis(rule.left[dimension]) for rule in rules]
        free = (axis.name for axis in candidates if axis is not None and axis.name not in names)
        names.append(next(free, f"d{dimension}"))
    if len(set(names)) != len(names):
        raise DefinitionError(f"two dimensions of {name} have the name {names[-1]}; rename an axis")
    return tuple(names)


def _only_axis(index: Expr) -> Axis | None:
    axes = [node for node in walk(index) if isinstance(node, Axis)]
    return axes[0] if len(axes) == 1 else None


def closed_equations(name: str, shape: tuple[Expr, ...], rules: Sequence[Rule]) -> tuple[Equation, ...]:
    """The rules as equations that all have the same axes, one a dimension, and share reduction axes of one name."""
    names = dimension_names(name, len(shape), rules)
    dims = tuple(Axis(axis, ZERO, extent) for axis, extent in zip(names, shape, strict=True))
    closed = [_closed(name, dims, rule) for rule in rules]
    return tuple(_with_shared_axes(name, dims, closed))


def _closed(name: str, dims: tuple[Axis, ...], rule: Rule) -> Equation:
    values, conditions = _solved(name, dims, rule)
    for axis, value in values.items():
        conditions += _range_conditions(axis, value)
    if rule.where is not None:
        conditions.append(simplify(substitute(rule.where, values)))
    where: Expr | None = None
    for condition in conditions:
        where = condition if where is None else Op("and", (where, condition), BOOL)
    return Equation(dims, dims, _over(rule.body, values), where=where, location=rule.location)


def _solved(name: str, dims: tuple[Axis, ...], rule: Rule) -> tuple[dict[Axis, Expr], list[Expr]]:
    """The axes of the left side as functions of the dimensions, and when the dimensions are those of the left side."""
    values: dict[Axis, Expr] = {}
    conditions: list[Expr] = []
    open_dimensions = list(range(len(dims)))
    while any(axis not in values for axis in rule.axes):
        step = next((s for d in open_dimensions if (s := _step(rule.left[d], dims[d], values)) is not None), None)
        if step is None:
            missing = ", ".join(axis.name for axis in rule.axes if axis not in values)
            raise DefinitionError(
                f"the left side {name}[{', '.join(map(str, rule.left))}] does not determine {missing}: every index is "
                "a sum of axes times integers, and each axis must follow from one index and the axes before it",
                location=rule.location,
            )
        dimension, axis, value, condition = step[0], step[1], step[2], step[3]
        values[axis] = value
        conditions += condition
        open_dimensions = [d for d in open_dimensions if dims[d] is not dimension]
    for d in open_dimensions:
        index = simplify(substitute(rule.left[d], values))
        conditions.append(Op("eq", (dims[d], index), BOOL))
    return values, conditions


def _step(index: Expr, dimension: Axis, values: dict[Axis, Expr]) -> tuple[Axis, Axis, Expr, list[Expr]] | None:
    """dimension = index, solved for the one axis in it that is not known; None if there is none or another form."""
    terms, constant = linear(simplify(substitute(index, values)))
    known = [node for value in values.values() for node in walk(value)]
    unknown = [(atom, c) for atom, c in terms.values() if isinstance(atom, Axis) and not _among(atom, known)]
    others = [a for a, _ in terms.values() if not isinstance(a, Axis)]
    inside = [n for other in others for n in walk(other) if isinstance(n, Axis) and not _among(n, known)]
    if len(unknown) != 1 or inside:
        return None
    axis, coefficient = unknown[0]
    assert isinstance(axis, Axis)
    rest: Terms = {k: (atom, -c) for k, (atom, c) in terms.items() if atom is not axis}
    difference = simplify(dimension + from_linear(rest, -constant))
    if coefficient < 0:
        difference = simplify(-difference)
    size = abs(coefficient)
    if size == 1:
        return dimension, axis, difference, []
    whole = Op("eq", (simplify(difference % size), ZERO), BOOL)
    return dimension, axis, simplify(difference // size), [whole]


def _among(node: Expr, nodes: list[Expr]) -> bool:
    return any(node is other for other in nodes)


def _range_conditions(axis: Axis, value: Expr) -> list[Expr]:
    """axis.lower <= value < axis.upper, without what holds for every dimension."""
    found: list[Expr] = []
    dimension = value if isinstance(value, Axis) else None
    if dimension is None or not same(axis.lower, dimension.lower):
        found.append(_compared("ge", value, axis.lower))
    if axis.upper is not FREE and (dimension is None or not same(axis.upper, dimension.upper)):
        found.append(_compared("lt", value, axis.upper))
    return found


def _compared(name: str, value: Expr, bound: Expr) -> Expr:
    """value >= bound, with the constant part on the right."""
    terms, constant = linear(value)
    return simplify(Op(name, (from_linear(terms, 0), simplify(bound - constant)), BOOL))


def _over(body: Expr, values: dict[Axis, Expr]) -> Expr:
    """The body with its axes replaced, and reduction axes whose bounds are."""
    replaced = dict(values)
    for reduce in (node for node in walk(body) if isinstance(node, Reduce)):
        for axis in reduce.axes:
            lower, upper = (simplify(substitute(bound, replaced)) for bound in (axis.lower, axis.upper))
            replaced[axis] = Axis(axis.name, lower, upper, reduction=True, location=axis.location)
    return simplify(_with_axes(body, replaced))


def _with_axes(body: Expr, replaced: dict[Axis, Expr]) -> Expr:
    def visit(node: Expr) -> Expr:
        if isinstance(node, Axis):
            return replaced.get(node, node)
        if isinstance(node, Reduce):
            return replace(node, axes=tuple(_as_axis(replaced.get(axis, axis)) for axis in node.axes))
        return node

    return transform(body, visit)


def _as_axis(expr: Expr) -> Axis:
    assert isinstance(expr, Axis)
    return expr


def _with_shared_axes(name: str, dims: tuple[Axis, ...], equations: list[Equation]) -> list[Equation]:
    """Reduction axes of one name become one, over what all of them cover; `within` is what each covers itself."""
    shared: dict[str, Axis] = {}
    for equation in equations:
        for axis in equation.loops[len(dims) :]:
            if any(axis.name == dim.name for dim in dims):
                raise DefinitionError(
                    f"the reduction axis {axis.name} of {name} has the name of a dimension; rename it",
                    location=axis.location,
                )
            known = shared.setdefault(axis.name, axis)
            nested = any(_is_reduction(n) for a in (axis, known) for bound in (a.lower, a.upper) for n in walk(bound))
            if known is not axis and nested:
                raise DefinitionError(
                    f"two equations of {name} have reduction axes {axis.name}, with bounds that are made of others; "
                    "give those of each equation names of their own",
                    location=axis.location,
                )
            if not (same(known.lower, axis.lower) and same(known.upper, axis.upper)):
                lower = known.lower if same(known.lower, axis.lower) else Op("min", (known.lower, axis.lower), INDEX)
                upper = known.upper if same(known.upper, axis.upper) else Op("max", (known.upper, axis.upper), INDEX)
                shared[axis.name] = replace(known, lower=lower, upper=upper)
    return [_with_reduction_axes(equation, shared) for equation in equations]


def _is_reduction(node: Expr) -> bool:
    return isinstance(node, Axis) and node.reduction


def _with_reduction_axes(equation: Equation, shared: dict[str, Axis]) -> Equation:
    own = equation.loops[len(equation.axes) :]
    replaced: dict[Axis, Expr] = {axis: shared[axis.name] for axis in own}
    within: Expr | None = None
    for axis in own:
        for condition in _range_conditions(axis, shared[axis.name]):
            inside = substitute(condition, replaced)
            within = inside if within is None else Op("and", (within, inside), BOOL)
    return replace(equation, body=_with_axes(equation.body, replaced), within=within)
