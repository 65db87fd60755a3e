"""Schedules in files beside a workload: NAME.SCHEDULE.sched is a schedule of the workload in NAME.py. They are data:
read within a limit, parsed, never executed."""

from __future__ import annotations

from pathlib import Path

from ...errors import ScheduleError
from ...schedule.text import MAX_TEXT

SUFFIX = ".sched"


def beside(file: Path) -> dict[str, Path]:
    """The schedule files of the workload in `file`, by the names of their schedules."""
    found = {}
    try:
        candidates = sorted(p for p in file.parent.iterdir() if p.suffix == SUFFIX)
    except OSError:  # a definition that was typed in has no directory
        return {}
    for path in candidates:
        stem, _, name = path.stem.rpartition(".")
        if stem == file.stem and name:
            found[name] = path
    return found


def read_text(file: Path) -> str:
    """The text of a schedule file. Raises `ScheduleError` if it cannot be read, is too long, or is no text."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            raise ScheduleError(f"{file.name} is longer than the {MAX_TEXT} bytes that a schedule may have")
        return data.decode("utf-8")
    except OSError as error:
        raise ScheduleError(f"the schedule {file.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScheduleError(f"the schedule {file.name} is not UTF-8 text") from None
