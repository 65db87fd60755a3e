"""Recurrences over steps in blocks of several: the planes between blocks, and those within a block.

u[t], for t up to T, is blocks[t // b] where t is a multiple of b, and steps[t // b, t % b - 1] elsewhere. The block
after the last whole one goes on with the plane T, which so is the last one of `blocks` whatever T is.

Of several that need each other each has its two. One that others read in the step that makes it, as v[t + 1] reads
u[t + 1], has the last plane of a block among its steps, too, from which that of `blocks` is a copy: then the planes of
blocks are made of steps alone, and not of each other.

Where a step reads what it has computed itself, as sweeps in place do, all planes are to be made alike: then steps[k]
begins with a copy of blocks[k], has the b steps after it, and its last plane is copied into blocks[k + 1].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, substitute, transform
from ..compute.recurrence import Recurrence
from ..compute.simplify import constant_value, difference, simplify
from ..compute.tensor import Equation, Tensor, new_uid
from ..errors import DefinitionError
from .bounds import equation_domain
from .isl import Set, World

# A recurrence, and the first indices of its cells.
Plane = tuple[Recurrence, tuple[Expr, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An equation of a new recurrence: of which one of the old `stage` it is, None for a copy of the plane before; what
    the axes of that are there; and the planes of all members, by their uids, in this step and in the one before."""

    stage: Tensor
    equation: Equation
    number: int | None
    at: dict[Axis, Expr]
    planes: Mapping[tuple[int, int], Plane]

    def value(self, values: tuple[Expr, ...]) -> Expr:
        """What it computes, where those are what the old equations do."""
        if self.number is None:
            return self.equation.body
        value = self.rewritten(values[self.number])
        return _masked(self.equation.body, value) if self.equation.masked else value

    def rewritten(self, value: Expr) -> Expr:
        """An expression of the old equation with the new planes in the place of what it reads of the members. The first
        plane has none before, and what would read it is left out with the conditions that do not hold there."""
        step = self.stage.equations[0].axes[0]

        def read(node: Expr) -> Expr:
            if not isinstance(node, Read) or (back := difference(step, node.indices[0])) is None:
                return node
            plane = self.planes.get((node.tensor.uid, back))
            if plane is None:
                return node
            tensor, first = plane
            return Read(tensor, (*first, *(substitute(index, self.at) for index in node.indices[1:])), node.location)

        value = substitute(transform(value, read), self.at)
        return value if any(back for _, back in self.planes) else transform(simplify(value), _chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The two recurrences that take the place of a member, the steps of a block, and what the equations are made of."""

    stage: Tensor
    blocks: Recurrence
    steps: Recurrence
    factor: int
    of_blocks: tuple[Made, ...] = ()
    of_steps: tuple[Made, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """What takes the place of a recurrence, or of several that need each other."""

    pairs: tuple[Pair, ...]

    def read(self, read: Read) -> Expr:
        """What replaces a read of the first or of the last plane of a member elsewhere."""
        pair = next((pair for pair in self.pairs if pair.stage is read.tensor), None)
        if pair is None:
            return read
        first, last = ZERO, simplify(pair.stage.shape[0] - 1)
        if difference(read.indices[0], first) == 0:
            plane: Expr = first
        elif difference(read.indices[0], last) == 0:
            plane = simplify(pair.blocks.shape[0] - 1)
        else:
            raise DefinitionError(
                f"{read} is read of {pair.stage.name}, whose steps are in blocks, and of whose planes only the last, "
                f"{last}, and the first are certainly there then"
            )
        return Read(pair.blocks, (plane, *read.indices[1:]), read.location)


def last_step(stages: Sequence[Tensor]) -> Expr | None:
    """The last plane of the one that has the most; None where that differs from size to size."""
    lasts = [simplify(stage.shape[0] - 1) for stage in stages]
    for last in lasts:
        less = [difference(last, other) for other in lasts]
        if all(number is not None and number >= 0 for number in less):
            return last
    return None


def planes_of(
    stages: Sequence[Tensor],
    ahead: frozenset[int],
    factor: int,
    names: Sequence[tuple[str, str]],
    world: World,
    context: Set,
    *,
    in_place: bool,
) -> Planes:
    """The planes of recurrences, each made of those before, and `in_place` of itself, in blocks of so many; `ahead` are
    those, by their uids, that others read in the step that makes them. The names are those of blocks and of steps."""
    last = last_step(stages)
    assert last is not None, "their numbers of planes differ by numbers"
    count = simplify((last + (factor - 1)) // factor)
    pairs = []
    for stage, (name, steps) in zip(stages, names, strict=True):
        within = Const(factor + 1 if in_place else factor if stage.uid in ahead else factor - 1, INDEX)
        shapes = (simplify(count + 1), *stage.shape[1:]), (count, within, *stage.shape[1:])
        blocks, inner = (
            Recurrence(own, shape, stage.dtype, new_uid(), location=stage.location)
            for own, shape in zip((name, steps), shapes, strict=True)
        )
        pairs.append(Pair(stage, blocks, inner, factor))
    step = stages[0].equations[0].axes[0].name
    taken = {axis.name for stage in stages for axis in stage.equations[0].axes}
    free = next(name for k in itertools.count() if (name := f"{step}_s" + "_" * k) not in taken)
    closed = []
    for pair in pairs:
        whole, parts = _axes(pair, free)
        of_blocks, of_steps = (
            _in_place(pair, pairs, whole, parts) if in_place else _apart(pair, pairs, ahead, whole, parts)
        )
        made = [
            _closed(tensor, axes, equations, world, context)
            for tensor, axes, equations in ((pair.blocks, whole.axes, of_blocks), (pair.steps, parts.axes, of_steps))
        ]
        closed.append(replace(pair, of_blocks=made[0], of_steps=made[1]))
    return Planes(tuple(closed))


def _axes(pair: Pair, inner: str) -> tuple[_Axes, _Axes]:
    """Of blocks, and of steps, whose axis within a block has this name."""
    step, *cells = pair.stage.equations[0].axes
    counts = pair.blocks.shape[0], pair.steps.shape[0], pair.steps.shape[1]
    block, first, within = (Axis(step.name, ZERO, extent) for extent in counts)
    outer = (block,), (first, replace(within, name=inner))
    whole, parts = (
        _Axes(pair.stage, (*own, *copies), copies)
        for own in outer
        for copies in [tuple(replace(axis) for axis in cells)]
    )
    return whole, parts


def _closed(
    tensor: Recurrence, axes: tuple[Axis, ...], made: Sequence[Made], world: World, context: Set
) -> tuple[Made, ...]:
    """Those equations of a recurrence that define a cell at some size."""
    frame = world.frame(axes, "S")
    there = tuple(m for m in made if not equation_domain(frame, m.equation, context, reducing=False).is_empty())
    object.__setattr__(tensor, "equations", tuple(m.equation for m in there))  # closed: frozen from here on
    return there


def _planes(pairs: Sequence[Pair], of: Callable[[Pair], tuple[Plane, Plane | None]]) -> Mapping[tuple[int, int], Plane]:
    """Of this step, and of the one before, if there is one."""
    found = {(other.stage.uid, back): plane for other in pairs for back, plane in enumerate(of(other))}
    return {key: plane for key, plane in found.items() if plane is not None}


def _first_plane(pairs: Sequence[Pair], whole: _Axes) -> Iterator[Made]:
    block, *_ = whole.axes
    return whole.equations(ZERO, _planes(pairs, lambda p: ((p.blocks, (ZERO,)), None)), _is(block, 0))


def _apart(
    pair: Pair, pairs: Sequence[Pair], ahead: frozenset[int], whole: _Axes, parts: _Axes
) -> tuple[list[Made], list[Made]]:
    """The equations of the last planes of blocks, and of the steps in between."""
    (block, *_), (first, within, *_) = whole.axes, parts.axes
    factor = pair.factor
    before = simplify(block - 1)
    ends = _planes(
        pairs, lambda p: ((p.steps, (before, Const(factor - 1, INDEX))), (p.steps, (before, Const(factor - 2, INDEX))))
    )
    later = _compared("ge", block, 1)
    of_blocks = list(_first_plane(pairs, whole))
    if pair.stage.uid in ahead:
        of_blocks.append(whole.copy(ends[pair.stage.uid, 0], later))
    else:
        of_blocks += whole.equations(simplify(block * factor), ends, later)
    begins = _planes(pairs, lambda p: ((p.steps, (first, ZERO)), (p.blocks, (first,))))
    inside = _planes(pairs, lambda p: ((p.steps, (first, within)), (p.steps, (first, simplify(within - 1)))))
    of_steps = [
        *parts.equations(simplify(first * factor + 1), begins, _is(within, 0)),
        *parts.equations(simplify(first * factor + within + 1), inside, _compared("ge", within, 1)),
    ]
    return of_blocks, of_steps


def _in_place(pair: Pair, pairs: Sequence[Pair], whole: _Axes, parts: _Axes) -> tuple[list[Made], list[Made]]:
    """The equations of blocks, which are copies, and of all steps, which begin with one."""
    (block, *_), (first, within, *_) = whole.axes, parts.axes
    factor = pair.factor
    done = pair.steps, (simplify(block - 1), Const(factor, INDEX))
    inside = _planes(pairs, lambda p: ((p.steps, (first, within)), (p.steps, (first, simplify(within - 1)))))
    step = simplify(first * factor + within)
    of_blocks = [*_first_plane(pairs, whole), whole.copy(done, _compared("ge", block, 1))]
    begun = parts.copy((pair.blocks, (first,)), _is(within, 0))
    return of_blocks, [begun, *parts.equations(step, inside, _compared("ge", within, 1), masked=True)]


ZERO = Const(0, INDEX, weak=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """The axes of a new recurrence, and those of them that are the old one's but for the step."""

    stage: Tensor
    axes: tuple[Axis, ...]
    cells: tuple[Axis, ...]

    def equations(
        self, step: Expr, planes: Mapping[tuple[int, int], Plane], where: Expr, *, masked: bool = False
    ) -> Iterator[Made]:
        """What is computed where the step is this one: each old equation, and beyond the last step a copy, in equations
        of its own unless `masked`."""
        old = self.stage.equations[0].axes
        at: dict[Axis, Expr] = dict(zip(old, (step, *self.cells), strict=True))
        beyond = simplify(step - (self.stage.shape[0] - 1))
        known = constant_value(step)
        within = _compared("le", beyond, 0)
        inside = () if known == 0 or masked else (within,)
        before = planes.get((self.stage.uid, 1))
        for number, equation in enumerate(self.stage.equations):
            own = () if equation.where is None else (simplify(substitute(equation.where, at)),)
            made = Made(self.stage, equation, number, at, planes)
            body = made.rewritten(equation.body)
            if masked and before is not None:
                body = Op("select", (within, body, self._cell(before)), body.dtype)
            closed = self._equation(body, (where, *inside, *own), equation)
            yield replace(made, equation=replace(closed, masked=masked))
        if before is not None and not masked:
            yield self.copy(before, where, _compared("ge", beyond, 1))

    def copy(self, plane: Plane, *conditions: Expr) -> Made:
        """Where these hold, the cells of another plane."""
        equation = self.stage.equations[0]
        return Made(self.stage, self._equation(self._cell(plane), conditions, equation), None, {}, {})

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
