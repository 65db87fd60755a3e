"""The loop tree: what a schedule is to the proof and to code generation.

A loop has, for each statement below it, the value of its counter as a function of the statement's axes. Fused loops
have a counter of their own, a virtual axis: the position in the box of their components, whose extents may be symbolic,
so that the position is no affine function. Below the innermost loop that is made of a virtual axis stand a loop over
the position itself (of kind "position") and one over each of its components (of kind "component"): there, they all have
one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Expr, Op
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from .program import Statement

LoopKind = Literal["serial", "parallel", "vectorize", "unroll", "position", "component"]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A virtual axis: the row-major position of `components`, counted from `begins`, in a box of `extents`.

    `count` is the number of positions: a literal, or a size that stands for the product.
    """

    axis: Axis
    components: tuple[Expr, ...]
    begins: tuple[Expr, ...]
    extents: tuple[Expr, ...]
    count: Expr

    @property
    def product(self) -> Expr:
        """The count as an expression of the extents."""
        product = self.extents[0]
        for extent in self.extents[1:]:
            product = product * extent
        return simplify(product)

    def component(self, number: int, position: Expr) -> Expr:
        """begin + position // (each inner extent) % extent; the outermost needs no remainder."""
        value = position
        for extent in reversed(self.extents[number + 1 :]):
            value = Op("floordiv", (value, extent), INDEX)
        if number:
            value = Op("mod", (value, self.extents[number]), INDEX)
        return simplify(Op("add", (self.begins[number], value), INDEX))


@dataclass(frozen=True, slots=True, eq=False)
class LoopNode:
    """One loop. `values` maps the number of each statement below to its counter; `uid` tells loops apart.

    `most` is the largest number of iterations, where it is a literal. `of` is the virtual axis of a position or
    component loop, `component` which one of its components. `stage` is whose loop it is, and `stores` are the stages of
    which each iteration has its own elements. `peel` are the numbers of first and last iterations that are to have code
    of their own. Iterations of a `doacross` loop may begin before the one before has ended; see `doacross`.
    """

    uid: int
    name: str
    kind: LoopKind
    values: Mapping[int, Expr]
    body: Node
    most: int | None = None
    of: Axis | None = None
    component: int = 0
    stage: Tensor | None = None
    stores: tuple[Tensor, ...] = ()
    peel: tuple[int, int] | None = None
    doacross: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """Children that run one after the other."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A statement."""

    statement: Statement


Node = LoopNode | Sequence | Leaf
Path = tuple[tuple[Node, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """In each iteration of the loop `at` of a stage, fetch what of `tensor` it will read when its loop `by` is
    `distance` iterations further on (see `prefetching`)."""

    stage: Tensor
    tensor: Tensor
    at: str
    by: str
    distance: int


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """The loops of a whole Program, with the virtual axes that they use, and what they fetch ahead."""

    root: Node
    fused: Mapping[Axis, Fused] = field(default_factory=dict)
    ahead: tuple[Ahead, ...] = ()
    _paths: dict[int, Path] = field(default_factory=dict, init=False, repr=False)

    def path_to(self, statement: Statement) -> Path:
        """The loops and sequences above a statement, outermost first, with the position taken in each sequence."""
        if not self._paths:
            self._paths.update(_paths(self.root, ()))
        return self._paths[statement.number]

    def around_both(self, source: Statement, sink: Statement) -> tuple[list[LoopNode], bool | None]:
        """The loops around both statements, outermost first; and whether the source comes first in the sequence below
        them, where there is one."""
        loops: list[LoopNode] = []
        for (node, at), (_, to) in zip(self.path_to(source), self.path_to(sink), strict=False):
            if isinstance(node, LoopNode):
                loops.append(node)
            elif at != to:
                return loops, at < to
        return loops, None

    def order_of(self, source: Statement, sink: Statement) -> tuple[object, ...]:
        """All that the order of instances of two statements follows from, where no loops are fused: the kinds and
        counters of the loops around both, and which of them comes first below."""
        loops, first = self.around_both(source, sink)
        counters = (x for node in loops for x in (node.kind, node.values[source.number], node.values[sink.number]))
        return (*counters, first)


def _paths(node: Node, above: Path) -> Iterator[tuple[int, Path]]:
    match node:
        case Leaf(statement):
            yield statement.number, above
        case LoopNode():
            yield from _paths(node.body, (*above, (node, 0)))
        case Sequence(children):
            for position, child in enumerate(children):
                yield from _paths(child, (*above, (node, position)))


def statements_below(node: Node) -> tuple[Statement, ...]:
    """The statements of a subtree, in order."""
    match node:
        case Leaf(statement):
            return (statement,)
        case Sequence(children):
            return tuple(s for child in children for s in statements_below(child))
        case LoopNode():
            return statements_below(node.body)


def loops_of(node: Node) -> Iterator[LoopNode]:
    """All loops of a subtree, outermost first."""
    match node:
        case LoopNode():
            yield node
            yield from loops_of(node.body)
        case Sequence(children):
            for child in children:
                yield from loops_of(child)
        case Leaf():
            return
