"""A recurrence over steps in blocks of several: the planes between blocks, and those within a block.

u[t], for t up to T, is blocks[t // b] where t is a multiple of b, and steps[t // b, t % b - 1] elsewhere. The block
after the last whole one goes on with the plane T, which so is the last one of `blocks` whatever T is.

Where a step reads what it has computed itself, as sweeps in place do, all planes are to be made alike: then steps[k]
begins with a copy of blocks[k], has the b steps after it, and its last plane is copied into blocks[k + 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, substitute, transform
from ..compute.recurrence import Recurrence
from ..compute.simplify import constant_value, difference, simplify
from ..compute.tensor import Equation, new_uid
from .bounds import equation_domain
from .isl import Set, World

Plane = tuple[Recurrence, tuple[Expr, ...]]  # of a recurrence, at these first indices


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An equation of a new recurrence: of which one of the old recurrence it is, None for a copy of the plane before;
    what the axes of that are there; and the plane itself and the one before it."""

    stage: Recurrence
    equation: Equation
    number: int | None
    at: dict[Axis, Expr]
    own: Plane
    before: Plane | None

    def value(self, values: tuple[Expr, ...]) -> Expr:
        """What it computes, where those are what the old equations do."""
        if self.number is None:
            return self.equation.body
        value = self.rewritten(values[self.number])
        return _masked(self.equation.body, value) if self.equation.masked else value

    def rewritten(self, value: Expr) -> Expr:
        """An expression of the old equation with the new planes in the place of what it reads of its stage. The first
        plane has none before, and what would read it is left out with the conditions that do not hold there."""
        step = self.stage.equations[0].axes[0]

        def read(node: Expr) -> Expr:
            if not isinstance(node, Read) or node.tensor is not self.stage:
                return node
            plane = self.own if difference(step, node.indices[0]) == 0 else self.before
            if plane is None:
                return node
            tensor, first = plane
            return Read(tensor, (*first, *(substitute(index, self.at) for index in node.indices[1:])), node.location)

        rewritten = substitute(transform(value, read), self.at)
        return rewritten if self.before is not None else transform(simplify(rewritten), _chosen)


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


def planes_of(
    stage: Recurrence, factor: int, name: str, steps: str, world: World, context: Set, *, in_place: bool
) -> Planes:
    """The planes of a recurrence, each made of the one before, and `in_place` of itself, in blocks of so many."""
    step, *cells = stage.equations[0].axes
    last = simplify(stage.shape[0] - 1)
    count = simplify((last + (factor - 1)) // factor)
    kept = Const(factor + 1 if in_place else factor - 1, INDEX)
    blocks = Recurrence(name, (simplify(count + 1), *stage.shape[1:]), stage.dtype, new_uid(), location=stage.location)
    inner = Recurrence(steps, (count, kept, *stage.shape[1:]), stage.dtype, new_uid(), location=stage.location)
    block, first, within = (Axis(step.name, ZERO, extent) for extent in (blocks.shape[0], count, inner.shape[1]))
    within = replace(within, name=f"{step.name}_s")
    own, theirs = (tuple(replace(axis) for axis in cells) for _ in range(2))
    whole = _Axes(stage, last, (block, *own), own)
    parts = _Axes(stage, last, (first, within, *theirs), theirs)
    of_block, of_step = (blocks, (block,)), (inner, (first, within))
    before = inner, (simplify(block - 1), Const(factor - 2, INDEX))
    step_before = inner, (first, simplify(within - 1))
    begin, later = _is(within, 0), _compared("ge", within, 1)
    if in_place:
        done = inner, (simplify(block - 1), Const(factor, INDEX))
        of_blocks = [whole.copy(done, _compared("ge", block, 1))]
        of_steps = [parts.copy((blocks, (first,)), begin)]
        of_steps += parts.equations(simplify(first * factor + within), of_step, step_before, later, masked=True)
    else:
        of_blocks = list(whole.equations(simplify(block * factor), of_block, before, _compared("ge", block, 1)))
        of_steps = [
            *parts.equations(simplify(first * factor + 1), of_step, (blocks, (first,)), begin),
            *parts.equations(simplify(first * factor + within + 1), of_step, step_before, later),
        ]
    of_blocks = [*whole.equations(ZERO, of_block, None, _is(block, 0)), *of_blocks]
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

    def equations(
        self, step: Expr, own: Plane, before: Plane | None, where: Expr, *, masked: bool = False
    ) -> Iterator[Made]:
        """What is computed where the step is this one: each old equation, and beyond the last step a copy, in equations
        of its own unless `masked`."""
        old = self.stage.equations[0].axes
        at: dict[Axis, Expr] = dict(zip(old, (step, *self.cells), strict=True))
        beyond = simplify(step - self.last)
        known = constant_value(step)
        within = _compared("le", beyond, 0)
        inside = () if known == 0 or masked else (within,)
        for number, equation in enumerate(self.stage.equations):
            condition = () if equation.where is None else (simplify(substitute(equation.where, at)),)
            made = Made(self.stage, equation, number, at, own, before)
            body = made.rewritten(equation.body)
            if masked and before is not None:
                body = Op("select", (within, body, self._cell(before)), body.dtype)
            closed = self._equation(body, (where, *inside, *condition), equation)
            yield replace(made, equation=replace(closed, masked=masked))
        if before is not None and not masked:
            yield self.copy(before, where, _compared("ge", beyond, 1))

    def copy(self, plane: Plane, *conditions: Expr) -> Made:
        """Where these hold, the cells of another plane."""
        equation = self._equation(self._cell(plane), conditions, self.stage.equations[0])
        return Made(self.stage, equation, None, {}, plane, plane)

    def _cell(self, plane: Plane) -> Read:
        tensor, first = plane
        return Read(tensor, (*first, *self.cells))

    def _equation(self, body: Expr, conditions: tuple[Expr, ...], old: Equation) -> Equation:
        where: Expr | None = None
        for condition in conditions:
            if not (isinstance(condition, Const) and condition.value):
                where = condition if where is None else Op("and", (where, condition), BOOL)
        return Equation(self.axes, self.axes, simplify(body), where, location=old.location)


def _masked(select: Expr, value: Expr) -> Expr:
    """A value in the place of what a select takes where its condition holds."""
    mask, _, otherwise = select.children
    return Op("select", (mask, value, otherwise), value.dtype)


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
