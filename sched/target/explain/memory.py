"""Where intermediates live, and how many bytes of them there are at once: read off the loop IR, with its allocations.

What is allocated in the body of a parallel loop, each thread has for itself. Memory that is allocated in code that runs
one after the other, or in one of two versions of a loop, is not there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, Op, Size, transform
from ...compute.simplify import constant_value, difference, simplify
from ...lower.ir import Allocate, Buffer, For, Stmt, sub_statements

Place = Literal["heap", "stack", "registers"]
_PLACES: Mapping[str, Place] = {"heap": "heap", "stack": "stack", "register": "registers"}


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One intermediate: an expression of the sizes that are not known, at most a literal number of bytes otherwise.

    place    "heap": aligned blocks, kept from call to call; "stack"; "registers": accumulators of loops
    private  whether each thread of a parallel loop has its own
    """

    name: str
    bytes: Expr
    place: Place
    private: bool


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The intermediates of a kernel, without its arguments, and the most bytes of them that are there at once, without
    those in registers: `shared` by all threads, and `private` to each."""

    stored: tuple[Stored, ...]
    shared: Expr
    private: Expr
    threads: int

    @property
    def total(self) -> Expr:
        """Of all threads together."""
        return simplify(self.shared + self.private * self.threads)


def memory_of(body: Stmt, sizes: Mapping[str, int], threads: int) -> Memory:
    """The memory of a kernel's loop IR at sizes of which these are known."""

    def fixed(expr: Expr) -> Expr:
        def known(node: Expr) -> Expr:
            return Const(sizes[node.name], INDEX) if isinstance(node, Size) and node.name in sizes else node

        return simplify(transform(expr, known))

    found = tuple(_merged(_stored(body, fixed, private=False)))
    shared, private = _peaks(body, fixed)
    several = any(one.private for one in found)
    return Memory(found, shared, private, threads if several else 1)


def _size(buffer: Buffer, fixed: Callable[[Expr], Expr]) -> Expr:
    size: Expr = Const(buffer.dtype.bytes, INDEX)
    for extent in buffer.shape:
        size = size * fixed(extent)
    return simplify(size)


def _stored(stmt: Stmt, fixed: Callable[[Expr], Expr], *, private: bool) -> Iterator[Stored]:
    if isinstance(stmt, Allocate):
        name = stmt.buffer.name
        if stmt.buffer.scope == "register":
            name = name.rpartition("_")[0] or name
        yield Stored(name, _size(stmt.buffer, fixed), _PLACES[stmt.buffer.scope], private)
    private = private or (isinstance(stmt, For) and stmt.kind == "parallel")
    for inner in sub_statements(stmt):
        yield from _stored(inner, fixed, private=private)


def _merged(found: Iterator[Stored]) -> Iterator[Stored]:
    """Each once, however many versions of a loop there are."""
    seen = set[tuple[str, str, bool, str]]()
    for one in found:
        key = (one.name, one.place, one.private, str(one.bytes))
        if key not in seen:
            seen.add(key)
            yield one


def _peaks(stmt: Stmt, fixed: Callable[[Expr], Expr]) -> tuple[Expr, Expr]:
    """The most bytes at once that are shared, and that a thread of a parallel loop has."""
    shared: Expr = _NOTHING
    private: Expr = _NOTHING
    for inner in sub_statements(stmt):
        below, each = _peaks(inner, fixed)
        shared, private = _most(shared, below), _most(private, each)
    if isinstance(stmt, Allocate) and stmt.buffer.scope != "register":
        shared = simplify(shared + _size(stmt.buffer, fixed))
    if isinstance(stmt, For) and stmt.kind == "parallel":
        return _NOTHING, simplify(private + shared)
    return shared, private


_NOTHING = Const(0, INDEX)


def _most(a: Expr, b: Expr) -> Expr:
    if constant_value(a) == 0 or difference(a, b) == 0:
        return b
    return a if constant_value(b) == 0 else simplify(Op("max", (a, b), INDEX))
