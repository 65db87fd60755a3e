"""Schedules as text: one command a line, as it is written in Python, and read by a parser that executes nothing.

    # polysched schedule, version 1
    C.split("i", 6, outer="i_o", inner="i_i")
    C.vectorize("j_i")

A line is  stage.word(arguments)  with strings, integers and name=value, where a tuple field takes several values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

from ..compute.tensor import MAX_NAME
from ..errors import ScheduleError
from .primitives import REGISTRY, Primitive

HEADER = "# polysched schedule, version 1"
MAX_TEXT = 1 << 20
_TOKEN = re.compile(r"""\s*(?:"([^"\\\n]*)"|(\d{1,18})\b|([^\W\d]\w*)|(.))""")
_LINE = re.compile(r"([^\W\d]\w*)\.([^\W\d]\w*)\((.*)\)\s*\Z")


def schedule_text(log: tuple[tuple[str, Primitive], ...]) -> str:
    """The log in text form."""
    return "\n".join([HEADER, *(f"{stage}.{command}" for stage, command in log)]) + "\n"


def parse_schedule(text: Any) -> Iterator[tuple[int, str, Primitive]]:
    """The commands of a text as (line number, stage name, record)."""
    if not isinstance(text, str):
        raise ScheduleError(f"a schedule's text is a str, not a {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise ScheduleError(f"a schedule's text has at most {MAX_TEXT} characters, and this has {len(text)}")
    lines = text.splitlines()
    if not lines or lines[0].strip() != HEADER:
        raise ScheduleError(f"a schedule's text begins with the line {HEADER!r}")
    for number, line in enumerate(lines[1:], 2):
        if line.strip() and not line.lstrip().startswith("#"):
            yield (number, *_command(line, number))


def _command(line: str, number: int) -> tuple[str, Primitive]:
    match = _LINE.match(line.strip())
    if match is None:
        raise _malformed(number, f"{line.strip()[:60]!r} is not of the form stage.command(arguments)")
    stage, word, arguments = match.groups()
    record = REGISTRY.get(word)
    if record is None:
        raise _malformed(number, f"{word[:MAX_NAME]!r} is no command; commands are {', '.join(sorted(REGISTRY))}")
    return stage, _record(record, *_arguments(arguments, number), number)


def _arguments(text: str, number: int) -> tuple[list[Any], dict[str, list[Any]]]:
    """Positional values, and values by name; what follows name=value belongs to that name."""
    positional: list[Any] = []
    named: dict[str, list[Any]] = {}
    current, expect, name = positional, "value", None
    for string, integer, word, other in _tokens(text):
        if expect == "value" and other == "" and word is None:
            current.append(string if string is not None else int(integer or 0))
            expect = "comma"
        elif expect == "value" and word is not None and word not in named:
            name, expect = word, "equals"
        elif expect == "equals" and other == "=" and name is not None:
            current = named.setdefault(name, [])
            expect = "value"
        elif expect == "comma" and other == ",":
            expect = "value"
        else:
            raise _malformed(number, f"unexpected {string or integer or word or other!r} in its arguments")
    if expect != "comma" and (positional or named):
        raise _malformed(number, "its arguments end too early")
    return positional, named


def _tokens(text: str) -> Iterator[tuple[str | None, str | None, str | None, str]]:
    for match in _TOKEN.finditer(text.strip()):
        string, integer, word, other = match.groups()
        yield string, integer, word, other or ""


def _record(record: type[Primitive], positional: list[Any], named: dict[str, list[Any]], number: int) -> Primitive:
    """The record whose fields the arguments fill exactly; a tuple field takes all positional values that are left."""
    values: dict[str, Any] = {}
    hints = get_type_hints(record)
    rest = list(positional)
    for field in fields(record):
        kind = hints[field.name]
        several = kind not in (str, int)
        given = named.pop(field.name, None)
        if given is None:
            given, rest = (rest, []) if several else (rest[:1], rest[1:])
        wanted = int if kind is int else str
        if (not several and len(given) != 1) or not all(type(value) is wanted for value in given):
            shape = f"{'one or more' if several else 'one'} {'integer' if kind is int else 'name in quotes'}"
            raise _malformed(number, f"{record.word} needs {shape} for {field.name}")
        if wanted is str and not all(v.isidentifier() and len(v) <= MAX_NAME for v in given):
            raise _malformed(number, f"{field.name} of {record.word} is no name")
        values[field.name] = tuple(given) if several else given[0]
    if rest or named:
        raise _malformed(number, f"{record.word} has too many arguments")
    return record(**values)


def _malformed(number: int, what: str) -> ScheduleError:
    return ScheduleError(f"line {number}: {what}")
