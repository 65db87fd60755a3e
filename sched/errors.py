"""Every error a caller can meet, and where in the caller's file it happened.

A message says what was asked, why not, and what would be accepted; the location of the user's line is appended
by the base class, so that no raiser has to remember it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


def user_location() -> Location | None:
    """The innermost line on the stack that is not polysched's own."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not _is_ours_or_pythons(file):
            return Location(file, frame.f_lineno)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


def _is_ours_or_pythons(file: str) -> bool:
    """Whether a frame is of polysched or of the standard library (contextlib stands between our frames)."""
    if file.startswith((_PACKAGE, "<frozen")):
        return True
    return file.startswith(_STANDARD_LIBRARY) and "-packages" + os.sep not in file


class PolyschedError(Exception):
    """Base of all errors that polysched raises on purpose.

    `location` is the line of the user's program that asked for what is refused: the line of the definition for
    errors found in a definition, the line of the call otherwise.
    """

    def __init__(self, message: str, *, location: Location | None = None) -> None:
        self.location = location or user_location()
        self.reason = message
        super().__init__(f"{message} ({self.location})" if self.location else message)


class DefinitionError(PolyschedError):
    """A computation that has no meaning: types that do not combine, axes out of scope, names that are no names."""


class BoundsError(PolyschedError):
    """An access that leaves its tensor: at definition time with the smallest sizes and the point where it does,
    at run time when an index that was read from data fails its check."""


class ScheduleError(PolyschedError):
    """A schedule command that cannot be carried out: no such loop, a factor that is no factor, a stage already
    inlined. The message lists what is there."""


class LegalityError(ScheduleError):
    """A schedule command that would change the answer.

    `source` and `sink` are the two instances that would run in the wrong order, each as (stage, {axis: value});
    `sizes` are the smallest sizes at which it happens; `cell` is the tensor element between them as
    (tensor, indices).
    """

    def __init__(
        self,
        message: str,
        *,
        source: tuple[str, dict[str, int]],
        sink: tuple[str, dict[str, int]],
        sizes: dict[str, int],
        cell: tuple[str, tuple[int, ...]],
        location: Location | None = None,
    ) -> None:
        self.source, self.sink, self.sizes, self.cell = source, sink, sizes, cell
        super().__init__(message, location=location)


class BudgetError(ScheduleError):
    """A proof that was not finished within its budget of isl operations; undecided is never taken for legal."""


class TargetError(PolyschedError):
    """A target that does not exist, or cannot run or express what was asked of it."""


class ArgumentError(PolyschedError):
    """A kernel called with an array or a scalar that it was not built for. The message names the argument."""


def one(word: str) -> str:
    """A word with its indefinite article, as messages have it: an int64, a uint8."""
    return f"{'an' if word[0] in 'aeio' else 'a'} {word}"
