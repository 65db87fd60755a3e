"""Recipes that leave a schedule as it was where they cannot do all that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...errors import ScheduleError
from ..schedule import Schedule


def carried_out(schedule: Schedule, commands: Callable[[], object]) -> bool:
    """Whether all commands are accepted; none of them is kept if one is refused."""
    try:
        with all_or_none(schedule):
            commands()
    except ScheduleError:
        return False
    return True


@contextmanager
def all_or_none(schedule: Schedule) -> Iterator[None]:
    """Take all commands back if one is refused; refusals that are expected do not look for advice."""
    count, advises = len(schedule.log), schedule.advises
    schedule.advises = False
    try:
        yield
    except ScheduleError:
        while len(schedule.log) > count:
            schedule.undo()
        raise
    finally:
        schedule.advises = advises
