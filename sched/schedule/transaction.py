"""Transactions: commands that are proven together, as what the last of them leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import BudgetError, ScheduleError
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
    """Prove what the commands from `start` on amount to. What is too hard at once is proven one by one; and so is what
    is refused, to find out where it begins, if anybody wants to know."""
    try:
        prove_last(schedule)
    except ScheduleError as error:
        commands = schedule.log[start:]
        schedule.take_back(start)
        if not (schedule.advises or isinstance(error, BudgetError)):
            raise
        one_by_one(schedule, commands)


def prove_last(schedule: Schedule) -> None:
    """Prove the state after the last command, and those of conditions."""
    for branch in schedule.branches:
        prove_last(branch.schedule)
    own = [k for k, (_, command) in enumerate(schedule.log) if not isinstance(command, (Specialize, Specialized))]
    if own and not schedule.state.is_proven:
        name, command = schedule.log[own[-1]]
        schedule.prove(schedule.states[own[-1]], schedule.state, schedule[name].tensor, command)


def at_once(schedule: Schedule, commands: Iterable[Command]) -> bool:
    """Carry commands out in one transaction, if that is possible."""
    advises, schedule.advises = schedule.advises, False
    try:
        with transaction(schedule, apart=True):
            for name, command in commands:
                schedule.apply(schedule.named(name, command), command)
    except Exception:  # what commands rely on need not hold in states that nobody has proven
        return False
    finally:
        schedule.advises = advises
    return True


def one_by_one(schedule: Schedule, commands: Iterable[Command]) -> None:
    """Carry commands out, each proven; none of them if one is refused."""
    start, opened, schedule.opened = len(schedule.log), schedule.opened, 0
    try:
        for name, command in commands:
            schedule.apply(schedule.named(name, command), command)
    except ScheduleError:
        schedule.take_back(start)
        raise
    finally:
        schedule.opened = opened


def legal_count(schedule: Schedule, most: int) -> int:
    """After how many commands, and not more than these, the schedule is legal."""
    trial = schedule.copy()
    trial.advises = False
    for count in range(most, 0, -1):
        trial.take_back(count)
        try:
            prove_last(trial)
        except ScheduleError:
            continue
        return count
    return 0
