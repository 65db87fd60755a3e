"""Transactions: commands that are proven together, as what the last of them leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BudgetError, LegalityError, ScheduleError
from .primitives import Primitive, Specialize, Specialized

if TYPE_CHECKING:
    from .schedule import Schedule

Command = tuple[str, Primitive]


@contextmanager
def transaction(schedule: Schedule, *, apart: bool = False) -> Iterator[None]:
    """See `Schedule.transaction`. One in another one is a part of it, unless it is proven `apart`, with all that came
    before."""
    start = len(schedule.log)
    schedule.opened += 1
    try:
        yield
    except BaseException:
        schedule.take_back(start)
        raise
    finally:
        schedule.opened -= 1
    if apart or not schedule.opened:
        _end(schedule, start)


def _end(schedule: Schedule, start: int) -> None:
    """Prove what the commands from `start` on amount to. What is too hard at once is proven step by step; and so is
    what is refused, to find out where it begins, if anybody wants to know."""
    try:
        prove_last(schedule)
    except ScheduleError as error:
        commands = schedule.log[start:]
        schedule.take_back(start)
        if not (schedule.advises or isinstance(error, BudgetError)):
            raise
        refused = step_by_step(schedule, commands)
        if refused is not None:
            raise refused.error from None


def prove_last(schedule: Schedule) -> None:
    """Prove the state after the last command, and those of conditions."""
    for branch in schedule.branches:
        prove_last(branch.schedule)
    own = [k for k, (_, command) in enumerate(schedule.log) if not isinstance(command, (Specialize, Specialized))]
    if own and not schedule.state.is_proven:
        name, command = schedule.log[own[-1]]
        schedule.prove(schedule.states[own[-1]], schedule.state, schedule[name].tensor, command)


class Refused(NamedTuple):
    """The number of a command, and why it is refused."""

    step: int
    error: ScheduleError


def carry_out(schedule: Schedule, commands: Sequence[Command]) -> Refused | None:
    """Carry commands out as one transaction; or return with which of them what is refused begins."""
    advises, schedule.advises = schedule.advises, False
    try:
        with transaction(schedule, apart=True):
            _applied(schedule, commands)
            return None
    except Exception:  # what commands rely on need not hold in states that nobody has proven
        schedule.advises = advises
        return step_by_step(schedule, commands)
    finally:
        schedule.advises = advises


def step_by_step(schedule: Schedule, commands: Sequence[Command]) -> Refused | None:
    """Carry commands out, as few as possible of them at a time, so that the schedule is legal after each step; none of
    them if one is refused, which is returned."""
    start, done = len(schedule.log), 0
    opened, schedule.opened = schedule.opened, 0
    try:
        while done < len(commands):
            done = _step(schedule, commands, done)
    except ScheduleError as error:
        schedule.take_back(start)
        return Refused(done, error)
    finally:
        schedule.opened = opened
    return None


def _step(schedule: Schedule, commands: Sequence[Command], first: int) -> int:
    """Carry out the fewest commands after which the schedule is legal; returns how many are done."""
    try:
        _applied(schedule, commands[first : first + 1])
        return first + 1
    except LegalityError as refusal:
        end = _next_legal(schedule, commands, first)
        if end is None:
            raise refusal from None
        return end


def _next_legal(schedule: Schedule, commands: Sequence[Command], first: int) -> int | None:
    """Carry out those commands after which the schedule is legal again, of which the first alone is refused; how many
    are done then, or None if there are no such."""
    start, advises, schedule.advises = len(schedule.log), schedule.advises, False
    try:
        for end in range(first + 1, len(commands) + 1):
            schedule.opened += 1
            try:
                _applied(schedule, commands[end - 1 : end])
            finally:
                schedule.opened -= 1
            if end > first + 1 and _is_legal(schedule):
                return end
    except Exception:  # as above; and a command that cannot be carried out is none with more of them, either
        pass
    finally:
        schedule.advises = advises
    schedule.take_back(start)
    return None


def _is_legal(schedule: Schedule) -> bool:
    try:
        prove_last(schedule)
    except ScheduleError:
        return False
    return True


def _applied(schedule: Schedule, commands: Iterable[Command]) -> None:
    for name, command in commands:
        schedule.apply(schedule.named(name, command), command)


def legal_count(schedule: Schedule, most: int) -> int:
    """After how many commands, and not more than these, the schedule is legal."""
    trial = schedule.copy()
    trial.advises = False
    for count in range(most, 0, -1):
        trial.take_back(count)
        if _is_legal(trial):
            return count
    return 0
