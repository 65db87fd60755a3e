"""What a user may have meant by a name that is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def listed(names: Iterable[str]) -> str:
    """Names in a message."""
    return ", ".join(names) or "none"


def meant(name: object, known: Iterable[str]) -> str:
    """A question to append to a message, or nothing where no known name is close."""
    names = {other.lower(): other for other in reversed(list(known))}
    close = get_close_matches(str(name)[:64].lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[close[0]]}?" if close else ""


def shown(value: object) -> str:
    """What was given instead of what is taken, within reason."""
    try:
        text = repr(value)
    except Exception:  # a foreign object's, or an integer that is too long to print
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:40]}..."
