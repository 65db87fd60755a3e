"""The direction of the imports, as docs/architecture.md states it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sched"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = ("compute", "polyhedral", "schedule", "lower", "target")

# Which rooms, and which single files of other rooms, the files of a room may import; errors.py all may.
MAY_IMPORT = {
    "compute": {"compute"},
    "polyhedral": {"polyhedral", "compute"},
    "schedule": {"schedule", "polyhedral", "compute"},
    "schedule.recipes": {"schedule", "polyhedral", "compute", "target.machine"},
    "lower": {"lower", "schedule", "polyhedral", "compute", "target.machine"},
    "target": {"target", "lower", "schedule", "polyhedral", "compute"},
}

# The machine description is a leaf: apart from what LLVM knows of processors it imports nothing of ours.
LEAVES = {"target.machine": {"target.processors"}, "target.processors": set[str](), "errors": set[str]()}

# What only some files may import, by the module's first name.
GATES = {
    "islpy": {"polyhedral.isl", "polyhedral.isl_points", "polyhedral.isl_trees"},
    "llvmlite": {"target.jit", "target.processors"},
}

LONGEST = 420  # lines of a file

# Imports that are run when a method is called, from above; each has its reason beside it in the code.
LAZY = {("schedule.schedule", "target.build"), ("schedule.schedule", "target.explain")}


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, ours relative to the package and with a leading dot, and whether at load."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    typing = {id(node) for i in ast.walk(tree) if is_type_checking(i) for node in ast.walk(i)}
    package = file.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in typing:
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and id(node) not in typing:
            if not node.level:
                yield node.module or "", id(node) not in inside
                continue
            base = package[: len(package) - node.level + 1]
            module = ".".join((*base, *filter(None, [node.module])))
            for alias in node.names:
                whole = f"{module}.{alias.name}".lstrip(".")
                known = (PACKAGE / Path(*whole.split("."))).with_suffix(".py").exists()
                yield "." + (whole if known else module), id(node) not in inside


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def allowed(module: str, imported: str) -> bool:
    if imported == "errors":
        return True
    if module in LEAVES:
        return imported in LEAVES[module]
    room = max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len)
    return any(imported == may or imported.startswith(f"{may}.") for may in MAY_IMPORT[room])


def test_the_rooms_are_these() -> None:
    assert {file.parent.relative_to(PACKAGE).parts[0] for file in FILES if file.parent != PACKAGE} == set(ROOMS)
    assert {file.name for file in FILES if file.parent == PACKAGE} == {"__init__.py", "__main__.py", "errors.py"}


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_imports_point_down(file: Path) -> None:
    module = module_of(file)
    if module in ("", "__main__"):  # the public API, and the command line, import from all rooms
        return
    wrong = []
    for imported, at_load in imports(file):
        ours = imported.startswith(".")
        assert not imported.startswith("polysched"), "imports inside the package are relative"
        if ours and not allowed(module, imported[1:]) and (at_load or (module, imported[1:]) not in LAZY):
            wrong.append(imported[1:])
    assert not wrong, f"{module} may not import {', '.join(wrong)}"


@pytest.mark.parametrize("library", GATES)
def test_libraries_have_one_gate(library: str) -> None:
    users = {module_of(file) for file in FILES for name, _ in imports(file) if name.partition(".")[0] == library}
    assert users == GATES[library]


def test_files_are_short() -> None:
    lengths = {module_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}
    assert not any(file.stem in ("utils", "util", "helpers", "misc") for file in FILES)
