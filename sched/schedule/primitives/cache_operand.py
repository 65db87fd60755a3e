"""cache_operand: what an equation of a recurrence reads at fewer axes than it has, in a stage of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...compute.expr import Axis, Expr, Op, Read, substitute, walk
from ...compute.recurrence import Recurrence
from ...compute.tensor import Equation, Tensor, new_uid
from ...errors import ScheduleError
from ...polyhedral.bounds import equation_domain, outside
from ...polyhedral.definitions import OperandCopied
from ..suggestion import listed, meant
from .base import Primitive, State, primitive
from .cache_read import check_new


@primitive
@dataclass(frozen=True, slots=True)
class CacheOperand(Primitive):
    """Keep what an equation of a recurrence reads at the named axes alone, in a stage over these axes.

    Before, shortest paths over the first k nodes::

        for k in 1..n + 1:
            for i in 0..n:
                for j in 0..n:
                    d[k, i, j] = min(d[k - 1, i, j], d[k - 1, i, k - 1] + d[k - 1, k - 1, j])

    After ``s[d].equation(1).cache_operand("k", "i", name="column")``::

        for k in 1..n + 1:
            for i in 0..n:
                column[k, i] = d[k - 1, i, k - 1]
            for i in 0..n:
                for j in 0..n:
                    d[k, i, j] = min(d[k - 1, i, j], column[k, i] + d[k - 1, k - 1, j])

    The new stage is one more recurrence of the system, with the loops of the axes that it has; its readers may then run
    long after the cells themselves have been overwritten: storage of the recurrence is folded further, and steps of it
    run together in blocks. Give this command before loops are split.

    Legal when: the equation reads one such operand, inside its tensor wherever the new stage is computed. No copy
    changes a bit.
    Also called: storing a pivot row or column apart; expansion (Feautrier 1988) of a single operand.
    """

    axes: tuple[str, ...]
    name: str = field(kw_only=True)
    word: ClassVar[str] = "cache_operand"

    def apply(self, state: State, stage: Tensor) -> State:
        raise ScheduleError(
            f"cache_operand is for one equation of a recurrence, as in s[{stage.name}].equation(0).{self}"
        )

    def apply_to_equation(self, state: State, stage: Tensor, number: int) -> State:
        what = f"cache_operand of equation {number} of {stage.name}"
        if number >= len(stage.equations):
            raise ScheduleError(f"{what}: it is cut off another one; cache its operand before it is")
        check_new(state, self.name)
        equation = stage.equations[number]
        read = _operand(state, stage, number, self.axes, what)
        copy, at = _copy(self.name, self.axes, equation, read)
        _check_bounds(state, copy, what)
        rewrites = (*state.program.rewrites, OperandCopied(stage, number, read, copy, at))
        return state.with_rewrites(rewrites)


def _operand(state: State, stage: Tensor, number: int, names: tuple[str, ...], what: str) -> Read:
    """The one operand that is a function of these axes alone."""
    cells = [axis.name for axis in stage.equations[number].axes]
    for name in names:
        if name not in cells:
            raise ScheduleError(
                f"{what}: {name!r} is no axis of its cells; there is {listed(cells)}{meant(name, cells)}"
            )
    value = state.program.definitions.values[stage.uid].children[number]
    operands: dict[str, Read] = {}
    for node in walk(value):
        if isinstance(node, Read):
            operands.setdefault(str(node), node)
    at = {text: _axes_of(read) for text, read in operands.items()}
    found = [read for text, read in operands.items() if at[text] == set(names)]
    if len(found) != 1 or len(set(names)) != len(names):
        others = [
            f"{text} at {', '.join(n for n in cells if n in own)}" for text, own in at.items() if own < set(cells)
        ]
        raise ScheduleError(
            f"{what}: it reads {'several operands' if found else 'nothing'} at {', '.join(names)} alone; what it reads "
            f"at some of its axes is {listed(others) if others else 'nothing'}"
        )
    return found[0]


def _axes_of(read: Read) -> set[str]:
    return {node.name for index in read.indices for node in walk(index) if isinstance(node, Axis)}


def _copy(name: str, names: tuple[str, ...], equation: Equation, read: Read) -> tuple[Recurrence, tuple[Axis, ...]]:
    """The stage over these axes of an equation, where its conditions on them alone hold; and those axes."""
    at = tuple(next(axis for axis in equation.axes if axis.name == own) for own in names)
    axes = tuple(replace(axis) for axis in at)
    renamed: dict[Axis, Expr] = dict(zip(at, axes, strict=True))
    where: Expr | None = None
    for condition in _conjuncts(equation.where):
        if {node for node in walk(condition) if isinstance(node, Axis)} <= set(at):
            own = substitute(condition, renamed)
            where = own if where is None else Op("and", (where, own), own.dtype)
    body = substitute(read, renamed)
    made = Recurrence(name, tuple(axis.upper for axis in axes), read.dtype, new_uid(), location=read.location)
    closed = Equation(axes, axes, body, where, location=read.location)
    object.__setattr__(made, "equations", (closed,))  # closed already: frozen from here on
    return made, at


def _conjuncts(condition: Expr | None) -> Iterator[Expr]:
    if isinstance(condition, Op) and condition.name == "and":
        for operand in condition.operands:
            yield from _conjuncts(operand)
    elif condition is not None:
        yield condition


def _check_bounds(state: State, copy: Recurrence, what: str) -> None:
    """Refuse a copy of more than is certainly there."""
    (equation,), world = copy.equations, state.program.world
    frame, read = world.frame(equation.axes, "S"), equation.body
    assert isinstance(read, Read)
    with world.budgeted(what):
        domain = equation_domain(frame, equation, state.program.context, reducing=False)
        for index, extent in zip(read.indices, read.tensor.shape, strict=True):
            if not outside(index, extent, frame, domain).is_empty():
                raise ScheduleError(
                    f"{what}: {read} is not inside {read.tensor.name} for all of {', '.join(map(str, equation.axes))}; "
                    "the condition under which it is read is on other axes, too"
                )
