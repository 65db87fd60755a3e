"""Recipes that leave a schedule as it was where they cannot do all that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...errors import ScheduleError
from ..schedule import Schedule


def carried_out(schedule: Schedule, commands: Callable[[], object]) -> bool:
    """Whether commands are accepted, which are proven together; none of them is kept if they are not."""
    try:
        with all_or_none(schedule), schedule.transaction(apart=True):
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
        schedule.take_back(count)
        raise
    finally:
        schedule.advises = advises
