"""The arguments that methods of stages are given, checked: names, factors, layouts."""

from __future__ import annotations

import operator
from typing import Any

from ..compute.tensor import validated_name
from ..errors import DefinitionError, ScheduleError
from .suggestion import shown


def given_terms(layout: object) -> tuple[str, ...]:
    """The terms of a layout."""
    if not isinstance(layout, (tuple, list)) or not all(isinstance(term, str) for term in layout):
        raise ScheduleError(
            f'a layout is given by its terms, outermost first, as in ("j/64", "k", "j%64"), not {shown(layout)}'
        )
    return tuple("".join(term.split()) for term in layout)


def given_name(loop: object) -> str:
    """The name of a loop."""
    if not isinstance(loop, str):
        raise ScheduleError(
            f"a loop is given by its name, or by what the command that made it returned, not by {shown(loop)}"
        )
    return str(loop)


def given_factor(factor: Any) -> Any:
    """An integer of any type, NumPy's too, as Python's; what is none is left to the primitive to refuse."""
    try:
        return factor if isinstance(factor, bool) else operator.index(factor)
    except (TypeError, DefinitionError):  # a size has no value yet
        return factor


def given_new(name: object, default: str, option: str) -> str:
    """A name that is to be new, or the one that it has by default."""
    try:
        return str(validated_name(default if name is None else name, "loop"))
    except DefinitionError as error:
        raise ScheduleError(f"{error.reason}; choose one with {option}=") from None


def given_pair(names: object, first: str, second: str, option: str) -> tuple[str, str]:
    """Two new names."""
    if names is None:
        return given_new(None, first, option), given_new(None, second, option)
    if not isinstance(names, (tuple, list)) or len(names) != 2:
        raise ScheduleError(f"{option}= takes the names of two loops, not {shown(names)}")
    return given_new(names[0], "", option), given_new(names[1], "", option)
