"""Makes a failing case smaller: fewer commands, smaller factors and sizes, fewer stages, simpler expressions."""

from __future__ import annotations

import ast
import multiprocessing
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from random_cases import Case
from random_definitions import Definition

Verdict = Callable[[Case], str | None]
_SECONDS = 60


def shrunk(case: Case, verdict: Verdict, attempts: int = 400) -> Case:
    """A smaller case that fails as the case does: by a crash, or by the same kind of complaint."""
    kind = _kind(_tried(case, verdict))
    if kind is None:
        return case
    improved = True
    while improved and attempts > 0:
        improved = False
        for smaller in _smaller(case):
            attempts -= 1
            if attempts <= 0:
                break
            if _kind(_tried(smaller, verdict)) == kind:
                case, improved = smaller, True
                break
    return case


def _tried(case: Case, verdict: Verdict) -> str | None:
    """The verdict, given by a child of its own that may crash."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(verdict(case)))
    child.start()
    theirs.close()
    try:
        result = ours.recv() if ours.poll(_SECONDS) else "hang"
    except EOFError:
        result = "crash"
    if result == "hang":
        child.kill()
    child.join()
    assert result is None or isinstance(result, str)
    return result


def _kind(why: str | None) -> str | None:
    """What two failures have in common that have the same cause, as far as one can tell."""
    if why is None or why.startswith(("DefinitionError", "BoundsError", "ScheduleError", "LegalityError", "NameError")):
        return None
    if why.startswith("at {"):
        return re.sub(r"^at \{.*?\}: ", "", why).split(":")[0].split(" ", 1)[-1].split(", flush")[0]
    return why.split(":")[0]


def _smaller(case: Case) -> Iterator[Case]:
    """Cases that are one step smaller, the greatest steps first."""
    if len(case.sizes) > 1:
        for sizes in case.sizes:
            yield replace(case, sizes=(sizes,))
    for k in range(len(case.commands)):
        yield replace(case, commands=case.commands[:k] + case.commands[k + 1 :])
    if len(case.definition.outputs) > 1:
        for output in case.definition.outputs:
            yield _defined(case, outputs=[output])
    yield from _without_lines(case)
    for index, line in enumerate(case.definition.lines):
        for simpler in _simpler(line):
            yield _defined(case, lines=[simpler if k == index else old for k, old in enumerate(case.definition.lines)])
    for sizes in case.sizes:
        for name, value in sizes.items():
            for less in sorted({0, 1, value // 2, value - 1}):
                if 0 <= less < value:
                    yield replace(case, sizes=({**sizes, name: less},))
    for k, command in enumerate(case.commands):
        for number in re.finditer(r", (\d+)", command):
            for less in sorted({2, 3, int(number[1]) // 2}):
                if 1 < less < int(number[1]):
                    changed = f"{command[: number.start(1)]}{less}{command[number.end(1) :]}"
                    yield replace(case, commands=(*case.commands[:k], changed, *case.commands[k + 1 :]))


def _defined(case: Case, lines: list[str] | None = None, outputs: list[str] | None = None) -> Case:
    old = case.definition
    return replace(case, definition=Definition(lines or old.lines, outputs or old.outputs, old.data))


def _without_lines(case: Case) -> Iterator[Case]:
    """Without the definitions that nothing uses."""
    lines = case.definition.lines
    for index, line in enumerate(lines):
        name = re.split(r"\W", line)[0]
        if not line.startswith(f"{name} ="):
            continue
        others = " ".join(lines[:index] + lines[index + 1 :]) + " ".join(case.commands)
        if name not in case.definition.outputs and not re.search(rf"\b{name}\b", others):
            kept = tuple({k: v for k, v in sizes.items() if k != name} for sizes in case.sizes)
            yield replace(_defined(case, lines=lines[:index] + lines[index + 1 :]), sizes=kept)


def _simpler(line: str) -> Iterator[str]:
    """The line with one expression inside its function, or of an equation, replaced by an operand of it."""
    tree = ast.parse(line)
    for node in ast.walk(tree):
        assigned = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
        defined = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if not (isinstance(node, ast.Lambda) or assigned or defined):
            continue
        for parent, name, place, expr in _places(node):
            for operand in _operands(expr):
                _put(parent, name, place, operand)
                yield ast.unparse(tree)
            _put(parent, name, place, expr)


def _places(root: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    for parent in list(ast.walk(root)):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for place, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        yield parent, name, place, item
            elif isinstance(value, ast.expr):
                yield parent, name, None, value


def _put(parent: ast.AST, name: str, place: int | None, expr: ast.AST) -> None:
    if place is None:
        setattr(parent, name, expr)
    else:
        getattr(parent, name)[place] = expr


def _operands(expr: ast.AST) -> list[Any]:
    match expr:
        case ast.Call(args=args):
            return [a for a in args if not isinstance(a, ast.Constant)]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Compare(left=left, comparators=comparators):
            return [left, *comparators]
        case ast.Subscript(slice=ast.Tuple(elts=_)):
            return []
    return []
