"""rfactor: a reduction in two steps, of partial results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Axis, Const, Expr, Op, Read, substitute, walk
from ...compute.reductions import REDUCTIONS
from ...compute.simplify import constant_value, difference, simplify, upper_bound
from ...compute.tensor import Equation, Tensor, new_uid
from ...errors import ScheduleError, one
from ...polyhedral.definitions import Factored
from ..nest import Loop, StageNest, default_nest
from ..suggestion import listed
from .base import Primitive, State, primitive, refuse_recurrence
from .cache_read import check_new
from .cache_write import without_reductions


@primitive
@dataclass(frozen=True, slots=True)
class Rfactor(Primitive):
    """Accumulate partial results, one for each value of a reduction loop, and combine those.

    Before, after ``split("r", 8)``::

        for i in 0..n:
            for r_o in 0..k // 8:
                for r_i in 0..8:
                    C[i] += A[i, 8 * r_o + r_i]

    After ``s[C].rfactor("r_i")``::

        for r_i in 0..8:
            for i in 0..n:
                for r_o in 0..k // 8:
                    C_rf[r_i, i] += A[i, 8 * r_o + r_i]
        for i in 0..n:
            for r_i in 0..8:
                C[i] += C_rf[r_i, i]

    The partial results are a stage, which may be vectorized or parallel over the loop, and computed elsewhere. The
    stage keeps the commands about loops that are still there.

    Legal when: the order of the reduction is free: an integer sum or product, min, max, any, all, or one declared with
    reassociate=True. The loop is made of one reduction axis alone, by splits.
    Also called: rfactor (Halide: Suriana, Adams and Kamil, CGO 2017; TVM).
    """

    loop: str
    name: str
    word: ClassVar[str] = "rfactor"

    def apply(self, state: State, stage: Tensor) -> State:
        nest = state.nest(stage)
        refuse_recurrence(stage)
        loop, equation = nest.loop(self.loop), state.program.definitions.equations[stage.uid]
        check_new(state, self.name)
        axis, digit = _factor(nest, loop, equation)
        outer, rest = _partial(equation, axis, digit, self.loop)
        partial = Tensor(
            self.name, (outer.upper, *stage.shape), stage.dtype, new_uid(), (rest,), location=stage.location
        )
        step = Axis(self.loop, Const(0, INDEX, weak=True), outer.upper, reduction=True, location=axis.location)
        assert equation.reduce is not None
        summed = replace(equation.reduce, operand=Read(partial, (step, *equation.indices)), axes=(step,))
        combined = replace(equation, body=summed)
        kept = without_reductions(nest, default_nest(stage, combined.loops))
        rewrites = (*state.program.rewrites, Factored(stage, partial, combined))
        return replace(state, nests={**state.nests, stage.uid: kept}).with_rewrites(rewrites)


@dataclass(frozen=True, slots=True)
class _Digit:
    """(axis - begin) // below % count; without a count, all of (axis - begin) // below."""

    begin: Expr
    below: int
    count: int | None


def _factor(nest: StageNest, loop: Loop, equation: Equation) -> tuple[Axis, _Digit]:
    """The reduction axis and the part of it that a loop counts."""
    reduce, name = equation.reduce, nest.label
    if reduce is None:
        raise ScheduleError(f"rfactor takes a loop of a reduction, and {name} has none")
    reductions = listed(other.name for other in nest.loops if nest.is_reduction(other))
    if REDUCTIONS[reduce.name].combine is None:
        raise ScheduleError(f"rfactor: the partial results of {reduce.name} are pairs, which a stage cannot hold")
    if not reduce.reassociate:
        raise ScheduleError(
            f"rfactor changes the order in which {name} accumulates, and the order of {one(reduce.operand.dtype.name)} "
            f"{reduce.name} is part of its definition; declare that it is free with "
            f"ps.{reduce.name}(..., reassociate=True)"
        )
    axes = nest.axes_of(loop.value)
    if len(axes) != 1 or not next(iter(axes)).reduction:
        raise ScheduleError(
            f"rfactor takes a loop made of one reduction axis, not {loop.name}; loops of the reduction of {name} are "
            f"{reductions}"
        )
    written: dict[Axis, Expr] = dict(zip(nest.axes, equation.loops, strict=True))
    (axis,) = (other for other in reduce.axes if other is written[next(iter(axes))])
    digit = _digit(substitute(loop.value, written), axis)
    if digit is None:
        raise ScheduleError(f"rfactor takes loops that splits have made, not {loop.name}, which counts {loop.value}")
    return axis, _from_lower(digit, axis)


def _digit(value: Expr, axis: Axis) -> _Digit | None:
    """The part of an axis that a counter is, if it is one."""
    match value:
        case Op("floordiv", (inner, Const(divisor))):
            part = _digit(inner, axis)
            if part is None or (part.count is not None and part.count % divisor):
                return None
            left = None if part.count is None else int(part.count // divisor)
            return _Digit(part.begin, part.below * int(divisor), left)
        case Op("mod", (inner, Const(modulus))):
            part = _digit(inner, axis)
            if part is None or (part.count is not None and part.count % modulus):
                return None
            return _Digit(part.begin, part.below, int(modulus))
        case Op("add" | "sub" as sign, (Op("floordiv") as inner, Const(shift))):
            part = _digit(inner, axis)
            if part is not None and part.count is None:
                moved = part.below * int(shift)
                return replace(part, begin=simplify(part.begin - moved if sign == "add" else part.begin + moved))
    begin = simplify(axis - value)
    return None if any(isinstance(node, Axis) for node in walk(begin)) else _Digit(begin, 1, None)


def _from_lower(digit: _Digit, axis: Axis) -> _Digit:
    """The same part, counted from where the axis begins if that is a literal."""
    lower, begin = constant_value(axis.lower), constant_value(digit.begin)
    if lower is None or begin is None:
        return digit
    if digit.count is None:
        return digit if digit.below > 1 else replace(digit, begin=Const(lower, INDEX))
    return replace(digit, begin=Const(lower - (lower - begin) % (digit.below * digit.count), INDEX))


def _partial(equation: Equation, axis: Axis, digit: _Digit, name: str) -> tuple[Axis, Equation]:
    """The axis of the partial results, and what they are.

    The reduction's axis is begin + (above * count + it) * below + lower, where `above` and `lower` are further
    reduction axes, whose ends leave out what is beyond the end of the axis.
    """
    reduce = equation.reduce
    assert reduce is not None
    zero, extent = Const(0, INDEX, weak=True), simplify(axis.upper - digit.begin)
    pieces = upper_bound((extent + (digit.below - 1)) // digit.below)
    outer = Axis(name, zero, pieces if digit.count is None else Const(digit.count, INDEX), location=axis.location)
    position: Expr = outer * digit.below
    made: list[Axis] = []
    if digit.count is not None:
        whole = digit.below * digit.count
        above = simplify((extent - position + (whole - 1)) // whole)
        made.append(Axis(f"{axis.name}_o", zero, above, reduction=True, location=axis.location))
        position = made[-1] * whole + position
    if digit.below > 1:
        lower = Op("min", (Const(digit.below, INDEX), simplify(extent - position)), INDEX)
        made.append(Axis(f"{axis.name}_i", zero, lower, reduction=True, location=axis.location))
        position = position + made[-1]
    at: dict[Axis, Expr] = {axis: simplify(digit.begin + position)}
    axes: list[Axis] = []
    for other in reduce.axes:
        if other is not axis:
            bounds = other.lower, other.upper
            if any(node in at for bound in bounds for node in walk(bound)):  # the others are those of the axis' bounds
                low, high = (simplify(substitute(bound, at)) for bound in bounds)
                at[other] = replace(other, lower=low, upper=high)
            moved = at.get(other, other)
            assert isinstance(moved, Axis)
            axes.append(moved)
        axes += made if other is axis else []
    operand = substitute(reduce.operand, at)
    inside = [Op("ge", (at[axis], axis.lower), BOOL)] if difference(digit.begin, axis.lower) != 0 else []
    inside += [Op("lt", (at[axis], axis.upper), BOOL)] if not made and difference(outer.upper, extent) != 0 else []
    identity = Const(REDUCTIONS[reduce.name].identity(operand.dtype), operand.dtype)
    for condition in inside:
        operand = Op("select", (condition, operand, identity), operand.dtype)
    body = replace(reduce, operand=operand, axes=tuple(axes)) if axes else operand
    return outer, Equation((outer, *equation.axes), (outer, *equation.indices), body)
