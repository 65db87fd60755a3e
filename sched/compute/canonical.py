"""The canonical text of a definition: equal texts mean equal definitions, in every process.

The text lists every node once, after its operands, with all its fields but those that say nothing of what is computed.
Fields are taken from the dataclasses themselves, so that a field or a node that is added later is in the text without
a line here; a value that cannot be written down is refused, and never left out.

Axes, tensors and scalars are what they are by identity, and get numbers: tensors and scalars in the order of their
creation, which orders stages and arguments, axes in the order in which they are met. Other nodes that are equal are
written once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from .expr import Axis, Op, Read, Scalar
from .tensor import Tensor

_BY_IDENTITY = (Axis, Scalar, Tensor)
# Where a node stands in the user's program, when it was made, and what `simplify` knows of it.
_LEFT_OUT = frozenset({"location", "uid", "simple", "form"})


def canonical_text(outputs: Iterable[Tensor], arguments: Iterable[Tensor | Scalar]) -> str:
    """The text of the definition of `outputs` as a kernel with these positional arguments.

    Raises TypeError for a definition that holds something that has no canonical form.
    """
    outputs, arguments = tuple(outputs), tuple(arguments)
    numbers = _numbered((*outputs, *arguments))
    writer = _Writer({id(item): number for number, item in enumerate(numbers)})
    for item in numbers:
        writer.define(item)
    writer.lines.append(f"outputs {writer.value(outputs)}")
    writer.lines.append(f"arguments {writer.value(arguments)}")
    return "\n".join(writer.lines) + "\n"


def _numbered(roots: Iterable[Tensor | Scalar]) -> list[Tensor | Scalar]:
    """All tensors and scalars that the roots need, in the order of their creation."""
    found: dict[int, Tensor | Scalar] = {}
    pending: list[object] = list(roots)
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (Tensor, Scalar)):
            found[item.uid] = item
        if (names := _FIELDS[type(item)]) is not None:
            pending += [getattr(item, name) for name in names]
        elif isinstance(item, (tuple, list)):
            pending += item
    return [found[uid] for uid in sorted(found)]


class _Fields(dict[type, tuple[str, ...] | None]):
    """By type: the fields of a dataclass that count, and None for what is no dataclass."""

    def __missing__(self, kind: Any) -> tuple[str, ...] | None:
        names = None
        if is_dataclass(kind):
            names = tuple(field.name for field in fields(kind) if field.name not in _LEFT_OUT)
        self[kind] = names
        return names


_FIELDS = _Fields()


class _Writer:
    def __init__(self, numbers: dict[int, int]) -> None:
        self.numbers = numbers
        self.lines: list[str] = []
        self._names: dict[int, str] = {}  # of nodes, by identity; the definition keeps them alive
        self._known: dict[str, str] = {}  # of nodes, by what is written of them

    def define(self, item: Tensor | Scalar) -> None:
        self.lines.append(f"{self.value(item)} {self._written(item)}")

    def value(self, value: Any) -> str:
        """The value, written out or as the name of a line."""
        if value is None or isinstance(value, (bool, int)):
            return repr(value)
        if isinstance(value, float):
            return value.hex()
        if isinstance(value, str):
            return json.dumps(value)
        if isinstance(value, (tuple, list)):
            return f"({' '.join([self.value(item) for item in value])})"
        if id(value) in self.numbers:
            return f"${self.numbers[id(value)]}"
        if _FIELDS[type(value)] is None:
            raise TypeError(f"{type(value).__name__} {value!r:.60} has no canonical form")
        if id(value) not in self._names:
            self._name(value)
        return self._names[id(value)]

    def _name(self, root: Any) -> None:
        """Write the lines of a node and of what it is made of, without recursion: expressions may be deep."""
        pending = [(root, False)]
        while pending:
            node, ready = pending.pop()
            if id(node) in self._names:
                continue
            if ready:
                self._names[id(node)] = self._line(node)
            else:
                pending.append((node, True))
                pending += [(part, False) for part in reversed(self._parts(node)) if id(part) not in self._names]

    def _parts(self, node: Any) -> list[Any]:
        """The nodes in the fields of a node that have lines of their own."""
        found: list[Any] = []
        pending = [getattr(node, name) for name in reversed(_FIELDS[type(node)] or ())]
        while pending:
            value = pending.pop()
            if _FIELDS[type(value)] is not None:
                if id(value) not in self.numbers:
                    found.append(value)
            elif isinstance(value, (tuple, list)):
                pending += reversed(value)
        return found

    def _line(self, node: Any) -> str:
        written = self._written(node)
        if isinstance(node, _BY_IDENTITY) or written not in self._known:
            self._known[written] = f"%{len(self.lines)}"
            self.lines.append(f"{self._known[written]} {written}")
        return self._known[written]

    def _written(self, node: Any) -> str:
        values = " ".join([self.value(getattr(node, name)) for name in _FIELDS[type(node)] or ()])
        # The line of a run-time check is part of what the kernel says when it fails.
        where = f" {node.location}" if isinstance(node, Read) and any(map(_is_checked, node.indices)) else ""
        return f"{type(node).__name__} {values}{where}"


def _is_checked(index: object) -> bool:
    return isinstance(index, Op) and index.name == "checked"
