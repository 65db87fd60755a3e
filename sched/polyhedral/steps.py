"""A recurrence over steps in blocks of several: the planes between blocks, and those within a block.

u[t], for t up to T, is blocks[t // b] where t is a multiple of b, and steps[t // b, t % b - 1] elsewhere. The block
after the last whole one goes on with the plane T, which so is the last one of `blocks` whatever T is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, substitute, transform
from ..compute.recurrence import Recurrence
from ..compute.simplify import constant_value, simplify
from ..compute.tensor import Equation, new_uid
from .bounds import equation_domain
from .isl import Set, World


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An equation of a new recurrence: of which one of the old recurrence it is, None for a copy of the plane before;
    what the axes of that are there; and the plane before, of which stage, at these first indices."""

    stage: Recurrence
    equation: Equation
    number: int | None
    at: dict[Axis, Expr]
    before: tuple[Recurrence, tuple[Expr, ...]] | None

    def value(self, values: tuple[Expr, ...]) -> Expr:
        """What it computes, where those are what the old equations do."""
        return self.equation.body if self.number is None else self.rewritten(values[self.number])

    def rewritten(self, value: Expr) -> Expr:
        """An expression of the old equation with the plane before in the place of what it reads of its stage. The first
        plane has none before, and what would read it is left out with the conditions that do not hold there."""
        if self.before is None:
            return transform(simplify(substitute(value, self.at)), _chosen)
        tensor, first = self.before

        def read(node: Expr) -> Expr:
            if not isinstance(node, Read) or node.tensor is not self.stage:
                return node
            return Read(tensor, (*first, *(substitute(index, self.at) for index in node.indices[1:])), node.location)

        return substitute(transform(value, read), self.at)


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The two recurrences that take the place of one, with what their equations are made of."""

    blocks: Recurrence
    steps: Recurrence
    of_blocks: tuple[Made, ...]
    of_steps: tuple[Made, ...]

    def read(self, read: Read) -> Expr:
        """What replaces a read of the first or of the last plane elsewhere."""
        first = constant_value(simplify(read.indices[0])) == 0
        plane = ZERO if first else simplify(self.blocks.shape[0] - 1)
        return Read(self.blocks, (plane, *read.indices[1:]), read.location)


def planes_of(stage: Recurrence, factor: int, name: str, steps: str, world: World, context: Set) -> Planes:
    """The planes of a recurrence, each made of the one before, in blocks of so many."""
    step, *cells = stage.equations[0].axes
    last = simplify(stage.shape[0] - 1)
    count = simplify((last + (factor - 1)) // factor)
    blocks = Recurrence(name, (simplify(count + 1), *stage.shape[1:]), stage.dtype, new_uid(), location=stage.location)
    inner = Recurrence(
        steps, (count, Const(factor - 1, INDEX), *stage.shape[1:]), stage.dtype, new_uid(), location=stage.location
    )
    block, first, within = (Axis(step.name, ZERO, extent) for extent in (blocks.shape[0], count, inner.shape[1]))
    within = replace(within, name=f"{step.name}_s")
    own, theirs = (tuple(replace(axis) for axis in cells) for _ in range(2))
    whole = _Axes(stage, last, (block, *own), own)
    parts = _Axes(stage, last, (first, within, *theirs), theirs)
    before = inner, (simplify(block - 1), Const(factor - 2, INDEX))
    of_blocks = [
        *whole.equations(ZERO, None, _is(block, 0)),
        *whole.equations(simplify(block * factor), before, _compared("ge", block, 1)),
    ]
    of_steps = [
        *parts.equations(simplify(first * factor + 1), (blocks, (first,)), _is(within, 0)),
        *parts.equations(
            simplify(first * factor + within + 1), (inner, (first, simplify(within - 1))), _compared("ge", within, 1)
        ),
    ]
    made = []
    for tensor, axes, equations in ((blocks, (block, *own), of_blocks), (inner, (first, within, *theirs), of_steps)):
        frame = world.frame(axes, "S")
        there = [m for m in equations if not equation_domain(frame, m.equation, context, reducing=False).is_empty()]
        object.__setattr__(tensor, "equations", tuple(m.equation for m in there))  # closed: frozen from here on
        made.append(tuple(there))
    return Planes(blocks, inner, *made)


ZERO = Const(0, INDEX, weak=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """The axes of a new recurrence, and those of them that are the old one's but for the step."""

    stage: Recurrence
    last: Expr
    axes: tuple[Axis, ...]
    cells: tuple[Axis, ...]

    def equations(self, step: Expr, before: tuple[Recurrence, tuple[Expr, ...]] | None, where: Expr) -> Iterator[Made]:
        """What is computed where the step is this one: each old equation, and beyond the last step a copy."""
        old = self.stage.equations[0].axes
        at: dict[Axis, Expr] = dict(zip(old, (step, *self.cells), strict=True))
        beyond = simplify(step - self.last)
        known = constant_value(step)
        inside = () if known == 0 else (_compared("le", beyond, 0),)
        for number, equation in enumerate(self.stage.equations):
            own = () if equation.where is None else (simplify(substitute(equation.where, at)),)
            made = Made(self.stage, equation, number, at, before)
            body = made.rewritten(equation.body)
            yield replace(made, equation=self._equation(body, (where, *inside, *own), equation))
        if before is not None:
            tensor, first = before
            copy = Made(self.stage, self.stage.equations[0], None, {}, before)
            body = Read(tensor, (*first, *self.cells))
            conditions = (where, _compared("ge", beyond, 1))
            yield replace(copy, equation=self._equation(body, conditions, self.stage.equations[0]))

    def _equation(self, body: Expr, conditions: tuple[Expr, ...], old: Equation) -> Equation:
        where: Expr | None = None
        for condition in conditions:
            if not (isinstance(condition, Const) and condition.value):
                where = condition if where is None else Op("and", (where, condition), BOOL)
        return Equation(self.axes, self.axes, simplify(body), where, location=old.location)


def _chosen(node: Expr) -> Expr:
    """The operand that a select takes, where that is known."""
    match node:
        case Op("select", (Const(value), yes, no)):
            return yes if value else no
    return node


def _is(axis: Axis, value: int) -> Expr:
    return _compared("eq", axis, value)


def _compared(name: str, value: Expr, bound: int) -> Expr:
    return simplify(Op(name, (value, Const(bound, INDEX, weak=True)), BOOL))
