"""Which values the integers of a definition can have: for each, a lower and an upper bound as functions of the axes and
sizes, by interval arithmetic with isl.

Bounds are of numbers that do not wrap. Where an operation may leave its type is added to `Ranges.unfit`: what is found
holds at all other sizes. What is not known has the bounds of its type. Of cells of a recurrence bounds are
assumed, and shown by induction over the order in which they are computed (`value_bounds`).
(Bounds inference: Ragan-Kelley et al., Halide, PLDI 2013.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..compute.dtypes import BOOL, INDEX, DType
from ..compute.expr import Cast, Const, Expr, Op, Read, walk
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Equation, Tensor
from .affine import affine, condition_sets
from .bounds import equation_domain
from .definitions import Definitions, Several
from .isl import Frame, Map, PwAff, Set, World, dim_type, inert
from .narrowing import accumulates, holds


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """lower <= value <= upper, wherever both are functions."""

    lower: PwAff
    upper: PwAff

    def within(self, domain: Set) -> Range:
        return Range(self.lower.intersect_domain(domain), self.upper.intersect_domain(domain))

    def joined(self, other: Range) -> Range:
        """What has either value, where there is either."""
        return Range(self.lower.union_min(other.lower), self.upper.union_max(other.upper))


@dataclass(frozen=True, slots=True, eq=False)
class Unfit:
    """Instances at which a value may be outside of a type, and the value's range."""

    stage: Tensor
    value: Expr
    frame: Frame
    range: Range
    dtype: DType
    points: Set

    @property
    def sizes(self) -> Set:
        return self.points.params()


@dataclass(slots=True, eq=False)
class Ranges:
    """The ranges of the values of a Program's definitions.

    limits   numbers between which all elements of arguments are, by their uids, where that is more than their type
    assumed  of the cells of stages, by their uids, over their axes
    exact    expressions, by their ids, that have to fit into the type `to`
    unfit    where they may not, or something that may leave its own type
    seen     those of `exact` that were looked at
    wrapping whether what may leave its type has all values there, instead of being noted
    """

    definitions: Definitions
    world: World
    context: Set
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    assumed: Mapping[int, Range] = field(default_factory=dict)
    exact: frozenset[int] = frozenset()
    to: DType = INDEX
    unfit: list[Unfit] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    wrapping: bool = False
    _known: dict[int, Range] = field(default_factory=dict)

    def frame(self, stage: Tensor, equation: Equation, *, reducing: bool) -> Frame:
        axes = equation.loops if reducing else equation.axes
        return self.world.frame(axes, inert("V", stage.uid, stage.name))

    def domain(self, frame: Frame, equation: Equation, *, reducing: bool) -> Set:
        return equation_domain(frame, equation, self.context, reducing=reducing)

    def of_equation(self, stage: Tensor, equation: Equation, value: Expr) -> Range:
        """The values of the cells that an equation defines, over its axes; `value` is what its statements compute."""
        frame = self.frame(stage, equation, reducing=False)
        domain = self.domain(frame, equation, reducing=False)
        if equation.reduce is None:
            return _Values(self, stage, frame).of(value, domain).within(domain)
        update, finish = value.children if isinstance(value, Several) else (value, None)
        found = self._accumulated(stage, equation, update, frame, domain)
        if finish is not None:
            found = _Values(self, stage, frame, equation, found).of(finish, domain)
        return found.within(domain)

    def _accumulated(self, stage: Tensor, equation: Equation, update: Expr, frame: Frame, domain: Set) -> Range:
        """What a reduction accumulates, over the equation's axes."""
        reduce = equation.reduce
        assert reduce is not None
        combine = REDUCTIONS[reduce.name].combine
        loops = self.frame(stage, equation, reducing=True)
        inside = self.domain(loops, equation, reducing=True)
        values = _Values(self, stage, frame)
        if not isinstance(update, Op) or not stage.dtype.is_int:
            return values.of_type(stage.dtype)
        operand = next(o for o in update.operands if not accumulates(o, stage, equation))
        own = _Values(self, stage, loops).of(operand, inside)
        if combine not in ("min", "max", "add"):
            return values.of_type(stage.dtype)
        count = len(loops.axes) - len(frame.axes)
        each = Range(_extreme(own.lower, inside, frame, count, -1), _extreme(own.upper, inside, frame, count, 1))
        if combine != "add":  # of nothing at all, the identity is the type's
            none = domain.subtract(_outer(Map.from_pw_aff(own.upper).domain(), frame, count))
            self.refuse(stage, update, frame, values.of_type(stage.dtype), stage.dtype, none)
            return each
        times = _times(inside, frame, count)
        zero = frame.const(0)
        if times is None:
            return values.of_type(stage.dtype)
        total = values.product(times, Range(each.lower.min(zero), each.upper.max(zero)), domain)
        nothing = Range(zero, zero)
        whole = values.of_type(stage.dtype) if total is None else total.joined(nothing)
        return values.held(whole, stage.dtype, update, domain)

    def of_stage(self, stage: Tensor) -> Range | None:
        """The values of the elements of a stage, over its axes; None where they are those of its type."""
        if stage.uid in self.assumed:
            return self.assumed[stage.uid]
        if stage.uid not in self.definitions.values or self.definitions.has_rules(stage):
            return None
        if stage.uid not in self._known:
            equation, value = self.definitions.equations[stage.uid], self.definitions.values[stage.uid]
            self._known[stage.uid] = self.of_equation(stage, equation, value)
        return self._known[stage.uid]

    def refuse(self, stage: Tensor, value: Expr, frame: Frame, own: Range, dtype: DType, points: Set) -> None:
        if not points.is_empty():
            self.unfit.append(Unfit(stage, value, frame, own, dtype, points))

    @property
    def misses(self) -> Set:
        """The sizes at which something does not fit."""
        found = self.world.parameter_frame().empty()
        for one in self.unfit:
            found = found.union(one.sizes)
        return found.coalesce()


def inside_of(own: Range) -> Set:
    """Where a range is known."""
    return own.lower.domain().intersect(own.upper.domain())


def outside(own: Range, dtype: DType, frame: Frame, domain: Set) -> Set:
    """The instances at which a value of this range may be none of a type's."""
    low, high = frame.const(int(dtype.lowest)), frame.const(int(dtype.highest))
    beyond = own.lower.lt_set(low).union(own.upper.gt_set(high)).intersect(domain)
    return beyond.union(domain.subtract(inside_of(own)))


def _outer(points: Set, frame: Frame, count: int) -> Set:
    """A set of loops without the last `count` of them, in the frame of the others."""
    return frame.named(points.project_out(dim_type.set, len(frame.axes), count))


def _extreme(bound: PwAff, inside: Set, frame: Frame, count: int, sign: int) -> PwAff:
    """The largest (or least) value of a bound over the last `count` loops."""
    relation = Map.from_pw_aff(bound.intersect_domain(inside))
    alone = frame.relation(relation.project_out(dim_type.in_, len(frame.axes), count))
    return alone.dim_max(0) if sign > 0 else alone.dim_min(0)


def _times(inside: Set, frame: Frame, count: int) -> Range | None:
    """Between how many iterations the last `count` loops have; None where that is not affine."""
    none, product = frame.const(0), frame.const(1)
    rank = len(frame.axes)
    for k in range(count):
        alone = inside.project_out(dim_type.set, rank + k + 1, count - k - 1).project_out(dim_type.set, rank, k)
        one = _as_relation(alone, frame)
        extent = one.dim_max(0).sub(one.dim_min(0)).add(frame.const(1))
        if not (extent.is_cst() or product.is_cst()):
            return None
        product = product.mul(extent)
    return Range(none, product)


def _as_relation(points: Set, frame: Frame) -> Map:
    """The points of a frame and one dimension more as a relation from the frame to that."""
    rank = len(frame.axes)
    plain = points.reset_tuple_id() if points.has_tuple_id() else points
    return frame.relation(Map.from_range(plain).move_dims(dim_type.in_, 0, dim_type.out, 0, rank))


class _Values:
    """The values of expressions over one frame; of an equation that finishes what it accumulated, with that."""

    def __init__(
        self,
        ranges: Ranges,
        stage: Tensor,
        frame: Frame,
        equation: Equation | None = None,
        accumulated: Range | None = None,
    ) -> None:
        self.ranges, self.stage, self.frame = ranges, stage, frame
        self.equation, self.accumulated = equation, accumulated
        self._found: dict[tuple[int, int], tuple[Expr, Set, Range]] = {}

    def of(self, expr: Expr, domain: Set) -> Range:
        """The range of an integer at the instances of `domain`."""
        key = id(expr), id(domain)
        if key not in self._found:
            found = self._range(expr, domain)
            if id(expr) in self.ranges.exact:
                self._require(expr, found, domain)
            elif isinstance(expr, (Op, Cast)):
                found = self.held(found, expr.dtype, expr, domain)
            self._found[key] = expr, domain, found
        return self._found[key][2]

    def _require(self, expr: Expr, found: Range, domain: Set) -> None:
        """Note where an expression may not fit: elsewhere it is in its own type, too, which has all of the narrow."""
        to = self.ranges.to
        self.ranges.seen.add(id(expr))
        self.ranges.refuse(self.stage, expr, self.frame, found, to, outside(found, to, self.frame, domain))
        if not holds(expr.dtype, to):
            points = outside(found, expr.dtype, self.frame, domain)
            self.ranges.refuse(self.stage, expr, self.frame, found, expr.dtype, points)

    def of_type(self, dtype: DType) -> Range:
        """All values of a type."""
        return self._between(int(dtype.lowest), int(dtype.highest))

    def _between(self, low: int, high: int) -> Range:
        return Range(self.frame.const(low), self.frame.const(high))

    def held(self, own: Range, dtype: DType, value: Expr, domain: Set) -> Range:
        """What an operation gives that wraps beyond its type: its result, at the sizes at which that cannot be; all
        values where it may at every size, or, with `ranges.wrapping`, at the instances at which it may."""
        points = outside(own, dtype, self.frame, domain)
        if points.is_empty():
            return own
        every = self.of_type(dtype)
        if self.ranges.wrapping:
            return own.within(domain.subtract(points)).joined(every.within(points))
        constant = own.lower.is_cst() and own.upper.is_cst()
        if constant or self.ranges.context.is_subset(points.params()):
            return every
        self.ranges.refuse(self.stage, value, self.frame, own, dtype, points)
        return own

    def _range(self, expr: Expr, domain: Set) -> Range:
        exact = affine(expr, self.frame) if expr.dtype == INDEX else None
        if expr.dtype == BOOL or exact is not None:  # parts of it may have to fit
            for node in walk(expr):
                if node is not expr and id(node) in self.ranges.exact:
                    self.of(node, domain)
            return self._between(0, 1) if exact is None else Range(exact, exact)
        match expr:
            case Const(value) if expr.dtype.is_int:
                return self._between(int(value), int(value))
            case Cast(operand) if expr.dtype.is_int and (operand.dtype.is_int or operand.dtype == BOOL):
                return self.of(operand, domain)
            case Read():
                return self._read(expr, domain)
            case Op("select", (condition, yes, no)) if expr.dtype.is_int:
                self.of(condition, domain)
                holds, fails = (domain.intersect(s) for s in condition_sets(condition, self.frame))
                return self.of(yes, holds).within(holds).joined(self.of(no, fails).within(fails))
            case Op("checked", (operand, low, high)) if (a := affine(low, self.frame)) is not None:
                b, own = affine(high, self.frame), self.of(operand, domain)
                return own if b is None else Range(own.lower.max(a), own.upper.min(b.sub(self.frame.const(1))))
            case Op(_, operands) if expr.dtype.is_int and all(o.dtype.is_int for o in operands):
                sides = [self.of(operand, domain) for operand in operands]
                found = self._operation(expr, sides, domain)
                return self.of_type(expr.dtype) if found is None else found
        return self.of_type(expr.dtype) if expr.dtype.is_int else self.of_type(INDEX)

    def _read(self, read: Read, domain: Set) -> Range:
        """An element: of an argument, any of its type or within its limits, wherever it is; of a stage that is read at
        an index that is not affine, any of its type."""
        if self.equation is not None and accumulates(read, self.stage, self.equation):
            assert self.accumulated is not None
            return self.accumulated
        known = self.ranges.of_stage(read.tensor) if read.dtype.is_int else None
        indices = [affine(index, self.frame) for index in read.indices]
        found = [index for index in indices if index is not None]
        if known is None or len(found) < len(indices):
            limits = self.ranges.limits.get(read.tensor.uid)
            return self.of_type(read.dtype) if limits is None else self._between(*limits)
        at = self.frame.tuple_of(found)
        lower, upper = (
            bound.reset_tuple_id(dim_type.in_) if bound.has_tuple_id(dim_type.in_) else bound
            for bound in (known.lower, known.upper)
        )
        own = Range(lower.pullback_multi_pw_aff(at), upper.pullback_multi_pw_aff(at))
        return own if domain.is_subset(inside_of(own)) else self.of_type(read.dtype)

    def _operation(self, expr: Op, sides: list[Range], domain: Set) -> Range | None:
        """The result of an operation that does not wrap, or None where it is not known."""
        a, b = sides[0], sides[-1]
        second = expr.operands[-1]
        literal = int(second.value) if isinstance(second, Const) and len(sides) == 2 else None
        match expr.name:
            case "add":
                return Range(a.lower.add(b.lower), a.upper.add(b.upper))
            case "sub":
                return Range(a.lower.sub(b.upper), a.upper.sub(b.lower))
            case "neg":
                return Range(a.upper.neg(), a.lower.neg())
            case "abs":
                zero, both = self.frame.const(0), a.upper.max(a.lower.neg())
                return Range(a.lower.max(a.upper.neg()).max(zero), both)
            case "min":
                return Range(a.lower.min(b.lower), a.upper.min(b.upper))
            case "max":
                return Range(a.lower.max(b.lower), a.upper.max(b.upper))
            case "mul":
                return self.product(a, b, domain)
            case "shl" if literal is not None and 0 <= literal < expr.dtype.bits:
                return self._scaled(a, 1 << literal)
            case "shr" if literal is not None and 0 <= literal < expr.dtype.bits:
                return self._quotient(a, 1 << literal)
            case "floordiv" if literal is not None and literal > 0:
                return self._quotient(a, literal)
            case "mod" if literal is not None and literal > 0:
                return self._between(0, literal - 1)
            case "and" if literal is not None and literal >= 0:
                return self._between(0, literal)
        return None

    def product(self, a: Range, b: Range, domain: Set) -> Range | None:
        """A product, of which one factor has bounds that are numbers."""
        if (factors := self._numbers(a, domain)) is None:
            a, b = b, a
            factors = self._numbers(a, domain)
        if factors is None:
            return None
        low, high = (self._scaled(b, factor) for factor in factors)
        return Range(low.lower.min(high.lower), low.upper.max(high.upper))

    def _numbers(self, own: Range, domain: Set) -> tuple[int, int] | None:
        """The least and the largest value for all sizes."""
        low, high = own.lower.intersect_domain(domain).min_val(), own.upper.intersect_domain(domain).max_val()
        return (int(low.to_python()), int(high.to_python())) if low.is_int() and high.is_int() else None

    def _scaled(self, own: Range, factor: int) -> Range:
        by = self.frame.world.val(factor)
        ends = own.lower.scale_val(by), own.upper.scale_val(by)
        return Range(*ends) if factor >= 0 else Range(*ends[::-1])

    def _quotient(self, own: Range, divisor: int) -> Range:
        by = self.frame.world.val(divisor)
        return Range(own.lower.scale_down_val(by).floor(), own.upper.scale_down_val(by).floor())
