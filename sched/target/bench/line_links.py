"""Which lines of a loop nest, of its loop IR and of its assembly belong together: those of one loop of the schedule.

A line of loop IR belongs to the innermost loop around it; loops that have been unrolled or vectorized are gone there,
so lines of the nest in them belong to the innermost loop around that is left. Lines of assembly follow the loop IR by
LLVM's debug locations (see lower/llvm/debug_lines.py): where LLVM has moved or merged instructions of several lines, it
gives them none, and they belong to nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Line = tuple[str, int | None]
_LOOP = re.compile(r"^(\s*)(?:(?:parallel|vectorized|unrolled) )?for (\w+)(?:\.\d+)? in ")
_STAGE = re.compile(r"^\s*(\w+): \w+(?:\[|$|,| )")
_STORE = re.compile(r"^\s*(\w+?)(?:_tile\d+)?(?:\[.*?\])? = ")
_LOC = re.compile(r"^\s*\.loc\s+\d+\s+(\d+)\b")
_NOISE = re.compile(r"^\s+\.|^\.L(?:tmp|func_(?:begin|end)|CPI)\w+:|^\s*$")  # directives, and labels of no code


@dataclass(frozen=True, slots=True)
class Links:
    """The lines of the three texts, each with the number of its loop."""

    nest: tuple[Line, ...]
    loops: tuple[Line, ...]
    asm: tuple[Line, ...]


def link_lines(nest: str, loops: str, asm: str) -> Links:
    """Link the sources "nest", "loops" and "asm-lines" of a kernel."""
    owners = _nest_owners(nest)
    known = {owner for path in owners for owner in path}
    of_loops = _loop_owners(loops, known)
    left = {owner for owner in of_loops if owner is not None}
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(o for p in owners for o in p if o in left))}
    of_nest = [next((numbers[o] for o in reversed(path) if o in numbers), None) for path in owners]
    numbered = [None if owner is None else numbers[owner] for owner in of_loops]
    return Links(
        tuple(zip(nest.splitlines(), of_nest, strict=True)),
        tuple(zip(loops.splitlines(), numbered, strict=True)),
        tuple(_asm_lines(asm, numbered)),
    )


Owner = tuple[str, str]  # stage and loop


def _nest_owners(nest: str) -> list[tuple[Owner, ...]]:
    """For each line of a printed nest the loops around it, outermost first, and its own if it is a loop."""
    found: list[tuple[Owner, ...]] = []
    stages, open_loops = list[tuple[int, str]](), list[tuple[int, Owner]]()
    for line in nest.splitlines():
        indent = len(line) - len(line.lstrip())
        while open_loops and open_loops[-1][0] >= indent:
            open_loops.pop()
        while stages and stages[-1][0] >= indent:
            stages.pop()
        if match := _STAGE.match(line):
            stages.append((indent, match[1]))
        if match := _LOOP.match(line):
            open_loops.append((indent, (stages[-1][1] if stages else "", match[2])))
        found.append(tuple(owner for _, owner in open_loops))
    return found


def _loop_owners(loops: str, known: set[Owner]) -> list[Owner | None]:
    """For each line of loop IR its innermost loop. Loops of several stages may have one name: it is the stage's that is
    stored to in the loop."""
    lines = loops.splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines]
    found: list[Owner | None] = []
    open_loops: list[tuple[int, Owner | None]] = []
    for number, line in enumerate(lines):
        while open_loops and open_loops[-1][0] >= indents[number]:
            open_loops.pop()
        if match := _LOOP.match(line):
            inside = open_loops[-1][1] if open_loops else None
            stages = {stage for stage, loop in known if loop == match[2]}
            owner = _stored(lines, indents, number, stages) if len(stages) > 1 else next(iter(stages), None)
            open_loops.append((indents[number], (owner, match[2]) if owner is not None else inside))
        found.append(open_loops[-1][1] if open_loops else None)
    return found


def _stored(lines: list[str], indents: list[int], number: int, stages: set[str]) -> str | None:
    """The stage that is stored to in the loop at line `number`, and not in a loop of the same name inside it."""
    header = _LOOP.match(lines[number])
    skipped: int | None = None
    for line, indent in zip(lines[number + 1 :], indents[number + 1 :], strict=True):
        if indent <= indents[number]:
            break
        if skipped is not None and indent > skipped:
            continue
        inner = _LOOP.match(line)
        skipped = indent if inner and header and inner[2] == header[2] else None
        if (match := _STORE.match(line)) and match[1] in stages:
            return match[1]
    return min(stages)


def _asm_lines(asm: str, numbered: list[int | None]) -> list[Line]:
    found: list[Line] = []
    current: int | None = None
    for line in asm.splitlines():
        if match := _LOC.match(line):
            place = int(match[1])
            current = numbered[place - 1] if 0 < place <= len(numbered) else None
        elif not _NOISE.match(line):
            text = line.expandtabs(8).rstrip()
            found.append((text, current if text.startswith(" ") else None))
    return found
