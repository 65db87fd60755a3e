"""Schedules as text: one command a line, as it is written in Python, and read by a parser that executes nothing.

    # polysched schedule, version 1
    C.split("i", 6, outer="i_o", inner="i_i")
    C.vectorize("j_i")

A line is  stage.word(arguments)  with strings, integers and name=value, where a value may be several in parentheses,
or  stage.equation(number).word(arguments)  for one equation of a recurrence. With  stage.specialize("condition")  for
the stage it is a command on the schedule that a condition on sizes has.
Empty lines, and lines that begin with #, are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Any, NoReturn, get_type_hints

from ..compute.tensor import MAX_NAME
from ..errors import ScheduleError
from .primitives import REGISTRY, Equation, Primitive, Specialized
from .primitives.base import KEYWORDS
from .suggestion import listed, meant, shown

HEADER = "# polysched schedule, version 1"
MAX_TEXT = 1 << 20
MAX_COMMANDS = 1000
_TOKEN = re.compile(r"""\s*(?:"([^"\\]*)"|(-?[0-9]+)|([a-z_]+)|(.))""", re.DOTALL)
_LINE = re.compile(
    r"([^\s.()\"]+)(?:\.specialize\(\"([^\"\\]*)\"\))?(?:\.equation\(([0-9]{1,6})\))?\.([^\s.()\"]+)\((.*)\)\Z",
    re.DOTALL,
)
MAX_DIGITS = 18
_KINDS = {"string": "a name in double quotes", "integer": "an integer"}
_TYPES = {word: get_type_hints(record) for word, record in REGISTRY.items()}


def schedule_text(log: tuple[tuple[str, Primitive], ...]) -> str:
    """The log in text form."""
    return "\n".join([HEADER, *(f"{stage}.{command}" for stage, command in log)]) + "\n"


def parse_schedule(text: Any) -> Iterator[tuple[int, str, Primitive]]:
    """The commands of a text as (line number, stage name, record)."""
    if not isinstance(text, str):
        raise ScheduleError(f"a schedule's text is a str, not a {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise ScheduleError(f"a schedule's text has at most {MAX_TEXT} characters, and this has {len(text)}")
    header, *lines = text.split("\n")
    if header.strip() != HEADER:
        raise ScheduleError(f"line 1: a schedule's text begins with the line {HEADER!r}, not {header[:60]!r}")
    yield from _commands(lines, 2)


def parse_commands(commands: Any) -> Iterator[tuple[int, str, Primitive]]:
    """The commands of lines without a header, or of a sequence of them, as (line number, stage name, record)."""
    lines = commands.splitlines() if isinstance(commands, str) else list(commands)
    strange = next((line for line in lines if not isinstance(line, str)), None)
    if strange is not None:
        raise ScheduleError(f"commands in text form are lines of text, not {shown(strange)}")
    yield from _commands(lines, 1)


def _commands(lines: Sequence[str], first: int) -> Iterator[tuple[int, str, Primitive]]:
    commands = 0
    for number, line in enumerate(lines, first):
        if line.strip() and not line.lstrip().startswith("#"):
            commands += 1
            if commands > MAX_COMMANDS:
                raise _malformed(number, f"a schedule's text has at most {MAX_COMMANDS} commands")
            yield (number, *_command(line.strip(), number))


def _command(line: str, number: int) -> tuple[str, Primitive]:
    match = _LINE.match(line)
    if match is None or not match[1].isidentifier() or len(match[1]) > MAX_NAME:
        raise _malformed(number, f"{line[:60]!r} is not of the form stage.command(arguments)")
    stage, condition, equation, word, arguments = match.groups()
    record = REGISTRY.get(word)
    if record is None:
        known = sorted(REGISTRY)
        raise _malformed(number, f"{word[:MAX_NAME]!r} is no command; commands are {listed(known)}{meant(word, known)}")
    command = _record(record, *_arguments(arguments, number), number)
    command = command if equation is None else Equation(int(equation), command)
    return stage, command if condition is None else Specialized(condition, command)


def _arguments(text: str, number: int) -> tuple[list[Any], dict[str, list[Any]]]:
    """Positional values, and then values by name; several values of one name stand in parentheses."""
    positional: list[Any] = []
    named: dict[str, list[Any]] = {}
    tokens = _Tokens(text, number)
    while tokens.kind != "end":
        if tokens.kind == "word" and tokens.value not in named:
            name = tokens.take("word")
            tokens.take("=")
            named[name] = _values(tokens)
        elif named:
            tokens.refuse("a further name=value")
        else:
            positional.append(tokens.take("string", "integer"))
        if tokens.kind != "end":
            tokens.take(",")
            if tokens.kind == "end":
                tokens.refuse("a value")
    return positional, named


def _values(tokens: _Tokens) -> list[Any]:
    if tokens.kind != "(":
        return [tokens.take("string", "integer")]
    tokens.take("(")
    values = [tokens.take("string", "integer")]
    while tokens.kind == ",":
        tokens.take(",")
        values.append(tokens.take("string", "integer"))
    tokens.take(")")
    return values


class _Tokens:
    """The tokens of a line's arguments; `kind` and `value` are those of the next one."""

    def __init__(self, text: str, number: int) -> None:
        self.number = number
        self._matches = _TOKEN.finditer(text.strip())
        self._next()

    def _next(self) -> None:
        match = next(self._matches, None)
        string, integer, word, other = match.groups() if match is not None else (None, None, None, "end")
        self.kind, self.value = other, other
        if string is not None:
            self.kind, self.value = "string", string
        elif integer is not None:
            if len(integer) > MAX_DIGITS:
                raise _malformed(self.number, f"an integer has at most {MAX_DIGITS} digits, not {len(integer)}")
            self.kind, self.value = "integer", int(integer)
        elif word is not None:
            self.kind, self.value = "word", word

    def take(self, *kinds: str) -> Any:
        """The next token, which must be of one of these kinds."""
        if self.kind not in kinds:
            self.refuse(" or ".join(_KINDS.get(kind, repr(kind)) for kind in kinds))
        value = self.value
        self._next()
        return value

    def refuse(self, expected: str) -> NoReturn:
        """The error for the next token."""
        found = "the end of the arguments" if self.kind == "end" else repr(self.value)[:MAX_NAME]
        raise _malformed(self.number, f"expected {expected}, not {found}")


def _record(record: type[Primitive], positional: list[Any], named: dict[str, list[Any]], number: int) -> Primitive:
    """The record whose fields the arguments fill exactly; a tuple field takes all positional values that are left."""
    values: dict[str, Any] = {}
    rest = list(positional)
    named_fields = KEYWORDS | record.named
    takes = [f"{field.name}=" if field.name in named_fields else field.name for field in fields(record)] or ["nothing"]
    for name in named:
        if name not in _TYPES[record.word]:
            raise _malformed(number, f"{record.word} takes no {name}=; it takes {listed(takes)}{meant(name, takes)}")
    for field in fields(record):
        kind = _TYPES[record.word][field.name]
        several = kind not in (str, int)
        given = named.pop(field.name, None)
        if given is None and field.default is not MISSING and (field.name in named_fields or not rest):
            continue
        if given is None and field.name in named_fields:
            given = []
        elif given is None:
            given, rest = (rest, []) if several else (rest[:1], rest[1:])
        wanted = int if kind is int else str
        fits = len(given) == 1 or (several and given)
        if not fits or not all(type(value) is wanted for value in given):
            shape = "one or more names" if several else "an integer" if kind is int else "one name"
            how = f"as {field.name}=" if field.name in named_fields else f"for {field.name}"
            raise _malformed(number, f"{record.word} needs {shape} {how}; it takes {listed(takes)}")
        terms = (
            field.name in ("layout", "term", "form") or record.word == "fold_storage"
        )  # are read where they are used, as conditions are
        is_name = bool if field.name == "condition" else str.isascii if terms else str.isidentifier
        if wanted is str and not all(is_name(v) and len(v) <= MAX_NAME for v in given):
            raise _malformed(
                number,
                f"{field.name} of {record.word} is no name: a Python identifier of at most {MAX_NAME} characters",
            )
        values[field.name] = tuple(given) if several else given[0]
    if rest:
        raise _malformed(number, f"{record.word} takes {listed(takes)}, and is given more")
    return record(**values)


def _malformed(number: int, what: str) -> ScheduleError:
    return ScheduleError(f"line {number}: {what}")
