"""The gate to LLVM's text: modules, functions and blocks, in which every identifier is made here.

No name of the user's enters the text, so no name can change its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Module:
    """The text of a module under construction. Everything is printed in the order in which it was first asked for."""

    __slots__ = (
        "_attributes",
        "_declarations",
        "_functions",
        "_globals",
        "_metadata",
        "_named",
        "_triple",
        "cells",
        "lines",
    )

    def __init__(self, triple: str, attributes: str) -> None:
        assert re.fullmatch(r"[\w.+-]*", triple), triple
        self._triple = triple
        self.lines: Mapping[int, int] = {}  # of the statements of loop IR, by id; see debug_lines.py
        self._attributes: list[str] = [attributes]
        self._declarations: dict[str, str] = {}
        self._globals: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._metadata: list[str] = []
        self._named = 0
        self.cells: list[str] = []

    @property
    def is_linux(self) -> bool:
        """Whether the code is for Linux."""
        return "linux" in self._triple

    def fresh_function(self, stem: str) -> str:
        """A function name that no other function has."""
        self._named += 1
        return f"@{stem}{self._named}"

    def declare(self, result: str, name: str, parameters: str, attributes: str = "") -> str:
        """The external function @name, declared once."""
        if name not in self._declarations:
            self._declarations[name] = f"declare {result} @{name}({parameters}){attributes}"
        return f"@{name}"

    def constant(self, name: str, definition: str) -> str:
        """The private constant @name, defined once."""
        if name not in self._globals:
            self._globals[name] = f"@{name} = private unnamed_addr constant {definition}"
        return f"@{name}"

    def helper(self, name: str, definition: str) -> str:
        """The internal function @name with the given parameters, attributes and body, defined once."""
        if name not in self._globals:
            self._globals[name] = definition
        return f"@{name}"

    def cells_of(self, stem: str, count: int) -> str:
        """A new internal array of pointers, null at first."""
        name = f"{stem}{len(self.cells)}"
        self._globals[name] = f"@{name} = internal global [{count} x ptr] zeroinitializer, align 64"
        self.cells.append(f"@{name}")
        return f"@{name}"

    def attribute_group(self, attributes: str) -> str:
        """The number of an attribute group; group #0 are the attributes of all functions that are defined here."""
        if attributes not in self._attributes:
            self._attributes.append(attributes)
        return f"#{self._attributes.index(attributes)}"

    def metadata(self, node: str) -> str:
        """A metadata node equal to `node`."""
        if node not in self._metadata:
            self._metadata.append(node)
        return f"!{self._metadata.index(node)}"

    def loop_metadata(self) -> str:
        """A new loop's metadata: the schedule has said how it runs, and LLVM adds nothing to that."""
        options = ", ".join(
            self.metadata(node)
            for node in (
                '!{!"llvm.loop.vectorize.enable", i1 false}',
                '!{!"llvm.loop.unroll.disable"}',
                '!{!"llvm.loop.distribute.enable", i1 false}',
            )
        )
        number = len(self._metadata)
        self._metadata.append(f"distinct !{{!{number}, {options}}}")
        return f"!llvm.loop !{number}"

    def unlikely(self) -> str:
        """The weights of a branch that is hardly ever taken."""
        return "!prof " + self.metadata('!{!"branch_weights", i32 1, i32 1048575}')

    def nontemporal(self) -> str:
        """The mark of a store past the caches."""
        return "!nontemporal " + self.metadata("!{i32 1}")

    def define(self, header: str, body: str) -> None:
        """Add a function: `header` is its linkage, result, name and parameters."""
        self._functions[header] = f"define {header} #0 {{\n{body}\n}}"

    def defines(self, header: str) -> bool:
        """Whether a function with this header has been added."""
        return header in self._functions

    def text(self) -> str:
        parts = [
            f'target triple = "{self._triple}"',
            "\n".join(self._globals.values()),
            "\n\n".join(self._functions.values()),
            "\n".join(self._declarations.values()),
            "\n".join(f"attributes #{n} = {{ {a} }}" for n, a in enumerate(self._attributes)),
            "\n".join(f"!{n} = {node}" for n, node in enumerate(self._metadata)),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


class Function:
    """The body of a function, written block by block in the order in which it runs.

    Regions nest as the control flow does: what was computed before a region may be used again in it, what was computed
    in it may not be used after it. Within these bounds the same instruction is written once.
    """

    __slots__ = ("_count", "_entry", "_known", "_lines", "_loaded", "block", "mark")

    def __init__(self) -> None:
        self._entry: list[str] = []
        self._lines: list[str] = []
        self._known: dict[str, str] = {}
        self._loaded: dict[str, dict[str, str]] = {}
        self._count = 0
        self.block = "entry"
        self.mark = ""  # a comment behind every instruction from here on

    def fresh(self) -> str:
        """A name for a value, to be defined by `do`."""
        self._count += 1
        return f"%v{self._count}"

    def pure(self, instruction: str) -> str:
        """The result of an instruction without effects, which gives the same wherever it is executed."""
        name = self._known.get(instruction)
        if name is None:
            self._count += 1
            name = f"%v{self._count}"
            self._known[instruction] = name
            self._lines.append(f"  {name} = {instruction}{self.mark}")
        return name

    def result(self, instruction: str) -> str:
        """The result of an instruction that reads or writes memory."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {instruction}{self.mark}")
        return name

    def load(self, memory: str, instruction: str) -> str:
        """The result of a load from the object that the pointer `memory` is to. Within a block the same load is written
        once between stores to that object: objects do not overlap."""
        known = self._loaded.setdefault(memory, {})
        name = known.get(instruction)
        if name is None:
            name = known[instruction] = self.result(instruction)
        return name

    def store(self, memory: str, instruction: str) -> None:
        """A store to the object that the pointer `memory` is to."""
        self._loaded.pop(memory, None)
        self._lines.append(f"  {instruction}{self.mark}")

    def do(self, instruction: str) -> None:
        """An instruction without a result, which stores nothing that `load` reads in the same block."""
        self._lines.append(f"  {instruction}{self.mark}")

    @property
    def length(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def rearrange(self, start: int, order: Callable[[list[str]], list[str]]) -> None:
        """Put the lines from `start` on, which are in one block, in another order."""
        self._lines[start:] = order(self._lines[start:])

    def in_blocks(self, length: int) -> None:
        """Cut what has been written, without any control flow, into blocks of so many lines."""
        whole, self._lines = self._lines, []
        for first in range(0, len(whole), length):
            if first:
                label = self.label()
                self.jump(label)
                self.start(label)
            self._lines += whole[first : first + length]

    def label(self) -> str:
        """A name for a block, to be started by `start`."""
        self._count += 1
        return f"b{self._count}"

    def start(self, label: str) -> None:
        """Begin the block `label`; the one before has been ended by a branch."""
        self._lines.append(f"{label}:")
        self._loaded.clear()
        self.block = label

    def jump(self, label: str) -> None:
        """End the block."""
        self.do(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str, metadata: str = "") -> None:
        """End the block with a conditional branch."""
        self.do(f"br i1 {condition}, label %{yes}, label %{no}{', ' if metadata else ''}{metadata}")

    def alloca(self, type_: str, align: int) -> str:
        """Stack memory that lives as long as the call; in the entry block, whatever block is written now."""
        self._count += 1
        name = f"%v{self._count}"
        self._entry.append(f"  {name} = alloca {type_}, align {align}")
        return name

    def initially(self, instruction: str) -> None:
        """An instruction of the entry block, after the allocas made so far."""
        self._entry.append(f"  {instruction}")

    @contextmanager
    def region(self) -> Iterator[None]:
        """What is computed inside is forgotten after."""
        before = len(self._known)
        try:
            yield
        finally:
            while len(self._known) > before:
                self._known.popitem()  # the last one added

    def body(self) -> str:
        return "\n".join(("entry:", *self._entry, *self._lines))
