"""Errors that a workload's own code raises, told apart from polysched's: what they say, and where."""

from __future__ import annotations

import os
import traceback

from ...errors import Location, PolyschedError

_LONGEST = 300
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def described(error: BaseException) -> str:
    """The kind of an error, and the first line of what it says."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return ": ".join(filter(None, (type(error).__name__, said[:_LONGEST])))


def fault_of_user(error: BaseException) -> str | None:
    """What the user's code raised, and in which line of it; None if polysched did.

    The line may be one that calls a library, which raised. It is not one that calls polysched: what that does not
    accept is a PolyschedError, and any other error from there is its own fault.
    """
    if isinstance(error, PolyschedError):
        return None
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        return f"{type(error).__name__}: {error.msg} ({Location(error.filename, error.lineno)})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if file.startswith(_PACKAGE):
            return None
        library = file.startswith(("<", _STANDARD_LIBRARY)) or f"-packages{os.sep}" in file
        if frame.lineno is not None and not library:
            where = "" if frame.name == "<module>" else f", in {frame.name}"
            return f"{described(error)} ({Location(file, frame.lineno)}{where})"
    return None
