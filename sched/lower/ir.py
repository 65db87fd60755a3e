"""Loop IR: what runs, in order, on buffers. Values are `compute` expressions over the nodes added here.

An expression has lanes: 1, or those of the vectors in it (`lanes`); an operation on operands of different lanes
repeats the scalar ones. All index arithmetic is int64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from ..compute.dtypes import INDEX, DType
from ..compute.expr import Expr, Op
from .abi import RuntimeCheck

LoopKind = Literal["serial", "parallel", "vectorize", "unroll"]


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Storage for elements of one type, addressed by one index a dimension.

    scope   "argument": passed in; "heap": allocated for the call, 64-byte aligned; "stack": of constant size, private
            to its `Allocate`; "register": such a one that is kept in registers when its indices are constants.
    A single index on a row-major buffer of several dimensions is a position in row-major order.
    strides in elements, one a dimension, or None for row-major.
    streaming  it is written past the caches, where whole vectors are aligned, if it has so many bytes.
    padded  tiles at its end may be accessed as a whole, as far as its shape goes. Of a register buffer, elements
            outside of the loops around its accesses may hold anything: all those loops have the same bounds, which hold
            for the whole of its `Allocate`. Other memory has places that no element has, and an element is written in
            one iteration at most before others replace all of them.
    """

    name: str
    dtype: DType
    shape: tuple[Expr, ...]
    scope: Literal["argument", "heap", "stack", "register"]
    strides: tuple[Expr, ...] | None = None
    padded: bool = False
    streaming: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """What a re-associable reduction accumulates into: its elements, and for argmin and argmax the values beside them.

    `reduction` is a name of `REDUCTIONS`. Its updates may run in any order, and on partial results, which have the
    name of the whole. Those of a min or max of floats may have two buffers: of numbers, and of NaN where there was one.
    """

    name: str
    reduction: str
    buffers: tuple[Buffer, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Var(Expr):
    """A loop variable or a name bound by `Let`. Identity is the object; the name is for reading."""

    name: str
    dtype: DType = INDEX
    weak: bool = False

    def shown(self, text: Callable[[Expr], str]) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ramp(Expr):
    """The vector base, base + 1, ..., base + lanes - 1 of indices."""

    base: Expr
    lanes: int
    dtype: DType = INDEX
    weak: bool = False

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base,)

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return Ramp(operands[0], self.lanes, self.dtype, self.weak)

    def shown(self, text: Callable[[Expr], str]) -> str:
        return f"ramp({text(self.base)}, {self.lanes})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Load(Expr):
    """An element, or one an index lane, of a buffer; lanes whose `mask` is false are not read and give 0.

    The lanes of a load are those of its indices (a mask may be a vector only where they are). One of a `finished`
    element reads what is made of a sum from the same buffer, while its statement accumulates other elements there.
    """

    buffer: Buffer
    indices: tuple[Expr, ...]
    mask: Expr | None = None
    weak: bool = False
    finished: bool = False

    @property
    def dtype(self) -> DType:  # type: ignore[override]  # its buffer's
        return self.buffer.dtype

    @property
    def is_data(self) -> bool:
        return True

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.indices if self.mask is None else (*self.indices, self.mask)

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        rank = len(self.indices)
        mask = None if self.mask is None else operands[rank]
        return Load(self.buffer, operands[:rank], mask, self.weak, self.finished)

    def shown(self, text: Callable[[Expr], str]) -> str:
        where = "" if self.mask is None else f" if {text(self.mask)}"
        return f"{self.buffer.name}[{', '.join(map(text, self.indices))}{where}]"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rarely(Expr):
    """usual[part], but where the condition holds, that part of a function of `argument` that is hardly ever needed.

    function  the name of its expansion (lower/math/expansion.py), which runs only if the condition holds in a lane
    usual     what all parts are elsewhere; nodes of one tuple run the function once
    """

    condition: Expr
    function: str
    argument: Expr
    usual: tuple[Expr, ...]
    part: int
    weak: bool = False

    @property
    def dtype(self) -> DType:  # type: ignore[override]  # that of the part
        return self.usual[self.part].dtype

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.condition, self.argument, *self.usual

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        condition, argument, *usual = operands
        return replace(self, condition=condition, argument=argument, usual=tuple(usual))


# Operations that combine the lanes of their one operand into a scalar: the lower half with the upper half, and so on
# with the result, an odd last lane after the others. `min` and `max` propagate NaN.
HORIZONTAL = frozenset({"lanes_add", "lanes_mul", "lanes_min", "lanes_max", "lanes_and", "lanes_or"})


def lanes(expr: Expr) -> int:
    """How many values `expr` has: 1 for a scalar. All vectors in it have as many."""
    pending, seen = [expr], set[int]()
    while pending:
        node = pending.pop()
        if isinstance(node, Ramp):
            return node.lanes
        children = node.children
        if children and not (isinstance(node, Op) and node.name in HORIZONTAL) and id(node) not in seen:
            seen.add(id(node))  # operations may share operands, over and over
            pending += children
    return 1


class Stmt:
    """A statement."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Block(Stmt):
    """Statements in order."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class For(Stmt):
    """`body` for var = begin, begin + 1, ..., end - 1.

    vectorize   the body is written for one lane; all lanes run it statement by statement (until `vectorize` is run)
    parallel    iterations run in any order, at the same time

    `shared` are the accumulators of which several iterations update one element, in any order: threads, lanes and
    copies need partial results of their own (see `parallel_reductions` and `vector_reductions`). `peel` are the numbers
    of first and last iterations that are to have code of their own (see `peel_loops`); none of both keeps the loop in
    one piece.

    doacross    all of the body of this serial loop is a parallel loop. Of an iteration, iterations of that may begin
                once those of the iteration before are done whose counters are not greater, and all earlier ones
    """

    var: Var
    begin: Expr
    end: Expr
    body: Stmt
    kind: LoopKind = "serial"
    shared: tuple[Accumulator, ...] = ()
    peel: tuple[int, int] | None = None
    doacross: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class If(Stmt):
    """`then` if the (scalar) condition holds, `otherwise` if not."""

    condition: Expr
    then: Stmt
    otherwise: Stmt | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Let(Stmt):
    """`body` with var bound to value."""

    var: Var
    value: Expr
    body: Stmt


@dataclass(frozen=True, slots=True, eq=False)
class Store(Stmt):
    """buffer[indices] = value, in the lanes whose mask is true.

    An update in `any_order` is of a re-associable reduction: lanes that go to one element may be combined before it.
    """

    buffer: Buffer
    indices: tuple[Expr, ...]
    value: Expr
    mask: Expr | None = None
    any_order: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Check(Stmt):
    """Report index check `check` as failed with `value`, if low <= value < high does not hold in an unmasked lane."""

    check: int
    value: Expr
    low: Expr
    high: Expr
    mask: Expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PrefetchBox(Stmt):
    """Fetch those of the elements origin, ..., origin + extent - 1 of each dimension that the buffer has into the
    cache."""

    buffer: Buffer
    origins: tuple[Expr, ...]
    extents: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prefetch(Stmt):
    """Fetch the cache line of an element of the buffer."""

    buffer: Buffer
    indices: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Allocate(Stmt):
    """`body` with a buffer of its own."""

    buffer: Buffer
    body: Stmt


@dataclass(frozen=True, slots=True, eq=False)
class Comment(Stmt):
    """Words for the reader of the printed IR."""

    words: str


@dataclass(frozen=True, slots=True)
class LoopProgram:
    """A kernel in loop IR: the buffers of the arguments in ABI order, the body, and its run-time checks.

    `others` are further buffers of all the arguments: parts of the body, of which one runs, may have their own.
    """

    buffers: tuple[Buffer, ...]
    body: Stmt
    checks: tuple[RuntimeCheck, ...] = field(default=())
    others: tuple[tuple[Buffer, ...], ...] = field(default=())


def map_statements(stmt: Stmt, function: Callable[[Stmt], Stmt]) -> Stmt:
    """The statement with `function` applied to its direct sub-statements; itself where nothing changed."""
    match stmt:
        case Block(body):
            new = tuple(function(s) for s in body)
            return stmt if all(a is b for a, b in zip(new, body, strict=True)) else Block(new)
        case For() | Let() | Allocate():
            inner = function(stmt.body)
            return stmt if inner is stmt.body else replace(stmt, body=inner)
        case If(condition, then, otherwise):
            yes, no = function(then), None if otherwise is None else function(otherwise)
            return stmt if yes is then and no is otherwise else If(condition, yes, no)
        case _:
            return stmt


def map_values(stmt: Stmt, function: Callable[[Expr], Expr]) -> Stmt:
    """The statement with `function` applied to its own expressions, not to those of its sub-statements."""

    def all_of(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(function(e) for e in exprs)

    def maybe(expr: Expr | None) -> Expr | None:
        return None if expr is None else function(expr)

    match stmt:
        case For():
            return replace(stmt, begin=function(stmt.begin), end=function(stmt.end))
        case If():
            return replace(stmt, condition=function(stmt.condition))
        case Let():
            return replace(stmt, value=function(stmt.value))
        case Store():
            return replace(stmt, indices=all_of(stmt.indices), value=function(stmt.value), mask=maybe(stmt.mask))
        case Check():
            value, low, high = all_of((stmt.value, stmt.low, stmt.high))
            return replace(stmt, value=value, low=low, high=high, mask=maybe(stmt.mask))
        case PrefetchBox():
            return replace(stmt, origins=all_of(stmt.origins), extents=all_of(stmt.extents))
        case Prefetch():
            return replace(stmt, indices=all_of(stmt.indices))
        case _:
            return stmt


def values(stmt: Stmt) -> tuple[Expr, ...]:
    """The statement's own expressions."""
    match stmt:
        case For():
            return (stmt.begin, stmt.end)
        case If():
            return (stmt.condition,)
        case Let():
            return (stmt.value,)
        case Store():
            return (*stmt.indices, stmt.value, *((stmt.mask,) if stmt.mask is not None else ()))
        case Check():
            return (stmt.value, stmt.low, stmt.high, *((stmt.mask,) if stmt.mask is not None else ()))
        case PrefetchBox():
            return (*stmt.origins, *stmt.extents)
        case Prefetch():
            return stmt.indices
        case _:
            return ()


def sub_statements(stmt: Stmt) -> tuple[Stmt, ...]:
    """The direct sub-statements, in order."""
    match stmt:
        case Block(body):
            return body
        case For() | Let() | Allocate():
            return (stmt.body,)
        case If(_, then, otherwise):
            return (then,) if otherwise is None else (then, otherwise)
        case _:
            return ()


def statements(stmt: Stmt) -> Iterator[Stmt]:
    """The statement and everything in it, outermost first."""
    yield stmt
    for inner in sub_statements(stmt):
        yield from statements(inner)
