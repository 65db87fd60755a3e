"""equation: the loops of one equation of a recurrence, apart from those of its others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..suggestion import shown
from .base import Primitive, State


@dataclass(frozen=True, slots=True)
class Equation(Primitive):
    """A command on the loops of one equation: `u.equation(1).split("i", 8, ...)`.

    The equation's loops are those of the stage until then, and are its own from then on: a command on the stage is
    carried out for it, too, where it has the loops that are named. Which loops it still shares with the other equations
    follows from what needs what, by their names and kinds.
    """

    number: int
    command: Primitive
    word: ClassVar[str] = "equation"

    def apply(self, state: State, stage: Tensor) -> State:
        checked_equation(stage, self.number, state)
        return self.command.apply_to_equation(state, stage, self.number)

    def __str__(self) -> str:
        return f"{self.word}({self.number}).{self.command}"


def checked_equation(stage: Tensor, number: Any, state: State) -> int:
    """`number` if a recurrence has such an equation."""
    if not state.program.definitions.has_rules(stage):
        raise ScheduleError(f"{stage.name} is no recurrence, and its one equation is scheduled by s[{stage.name}]")
    count = len(stage.equations) + len(state.program.cuts.get(stage.uid, ()))
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
        raise ScheduleError(
            f"the equations of {stage.name} are numbered from 0 to {count - 1}, in the order in which they were "
            f"written, and there is none {shown(number)}"
        )
    return number
