"""Specialization: what a user holds of the schedule that a condition on sizes has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from ..compute.expr import Expr
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from .branches import Branch, branch_of
from .primitives import Primitive, Specialized, State
from .schedule import Schedule
from .text import parse_commands
from .transaction import Command


class Specialization(Schedule):
    """The schedule of the sizes for which a condition holds, as part of the schedule that has it.

    It is read and given commands like any other. Its commands stand in the log of the whole, which is what is saved,
    compared and built; what it says of itself, and `copy`, are its own commands alone.
    """

    def __init__(self, whole: Schedule, words: str) -> None:
        self._whole, self._words = whole, words

    @property
    def _branch(self) -> Branch:
        return branch_of(self._whole, self._words)

    # What a Schedule has as attributes is the branch's, read anew each time, as undo of the whole may take it back: so
    # they are properties here, which mypy does not let stand for attributes.
    @property
    def outputs(self) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self._whole.outputs

    @property
    def advises(self) -> bool:
        return self._branch.schedule.advises

    @advises.setter
    def advises(self, advises: bool) -> None:
        self._branch.schedule.advises = advises

    @property
    def condition(self) -> Expr | None:  # type: ignore[override]
        return self._branch.condition

    @property
    def _log(self) -> list[Command]:  # type: ignore[override]
        return self._branch.schedule._log

    @property
    def _states(self) -> list[State]:  # type: ignore[override]
        return self._branch.schedule._states

    @property
    def _branches(self) -> list[tuple[Branch, ...]]:  # type: ignore[override]
        return self._branch.schedule._branches

    def apply(self, stage: Tensor, command: Primitive) -> None:
        """See `Schedule.apply`."""
        self._whole.apply(stage, Specialized(self._words, command))

    def extend(self, commands: str | Sequence[str]) -> None:
        """See `Schedule.extend`."""
        parsed = list(parse_commands(commands))
        self._whole.extend([f"{stage}.{Specialized(self._words, command)}" for _, stage, command in parsed])

    def undo(self) -> str:
        """Take the last command back, if it was one of these, and return it in text form."""
        stage, last = self._whole.log[-1]
        if not isinstance(last, Specialized) or last.condition != self._words:
            raise ScheduleError(
                f"the last command was not one for {self._words}; undo of the whole schedule takes back what came after"
            )
        self._whole.undo()
        return f"{stage}.{last.command}"

    def transaction(self, *, apart: bool = False) -> AbstractContextManager[None]:
        """See `Schedule.transaction`."""
        return self._whole.transaction(apart=apart)

    def take_back(self, count: int) -> None:
        """Take all of these commands but the first `count` back."""
        taken = len(self.log) - count
        whole = self._whole.log[len(self._whole.log) - taken :]
        assert all(isinstance(c, Specialized) and c.condition == self._words for _, c in whole), "others came after"
        self._whole.take_back(len(self._whole.log) - taken)

    def copy(self) -> Schedule:
        """The schedule of these sizes by itself, independent of this one: it may be scheduled, and not built."""
        return self._branch.schedule.copy()
