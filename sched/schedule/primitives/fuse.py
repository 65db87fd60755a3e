"""fuse: adjacent loops become one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.dtypes import INDEX
from ...compute.expr import Axis, Const, Expr, Size
from ...compute.simplify import constant_value, lower_bound, simplify, upper_bound
from ...errors import ScheduleError
from ...polyhedral.kept_order import without_fusion
from ...polyhedral.tree import Fused, Node, Tree
from ..nest import Loop, StageNest
from ..suggestion import listed
from .base import Primitive, primitive
from .mark import unmarked

MAX_DEPTH = 4  # the positions in boxes of boxes grow with two to this power


@primitive
@dataclass(frozen=True, slots=True)
class Fuse(Primitive):
    """Make one loop of adjacent ones, outermost first; its counter is the position in their box.

    Before::

        for i in 0..n:
            for j in 0..m:

    After ``fuse("i", "j")``::

        for i_j in 0..n * m:          # i = i_j // m, j = i_j % m

    Legal when: always; the order of instances does not change. In recurrences, statements that have not all of these
    loops get others, which must keep what needs what in order.
    Also called: fuse (Halide, TVM), collapse (OpenMP).
    """

    loops: tuple[str, ...]
    name: str
    word: ClassVar[str] = "fuse"

    def rewrite(self, nest: StageNest) -> StageNest:
        return fused(nest, self.loops, self.name)

    def taken_back(self, tree: Tree, of: frozenset[int]) -> Node | None:
        return without_fusion(tree.root, self.name, tree.fused, of)


def fused(nest: StageNest, names: tuple[str, ...], name: str, word: str = "fuse") -> StageNest:
    """The nest with adjacent loops replaced by one over their virtual axis."""
    places = [nest.position(part) for part in names]
    if len(names) < 2 or places != list(range(places[0], places[0] + len(names))):
        raise ScheduleError(
            f"{word} takes loops that stand directly inside each other, outermost first, not "
            f"({', '.join(names)}); the loops of {nest.label} are {listed(nest.names)}: reorder them first"
        )
    first = places[0]
    parts = nest.loops[first : first + len(names)]
    for part in parts:
        unmarked(nest, part, word, "mark the result")
        if nest.fused_depth(part.value) >= MAX_DEPTH:
            raise ScheduleError(
                f"loop {part.name} of {nest.label} is made of loops that were fused {MAX_DEPTH} times over, and "
                "fuse goes no deeper; fuse all of them at once, as in fuse(outer, ..., inner)"
            )
    begins = tuple(lower_bound(part.begin) for part in parts)
    extents = tuple(simplify(upper_bound(part.end) - begin) for part, begin in zip(parts, begins, strict=True))
    position = Axis(name, Const(0, INDEX), _count(nest, extents))
    box = Fused(position, tuple(part.value for part in parts), begins, extents, position.upper)
    nest = nest.replaced(first, Loop(name, position, position.lower, position.upper), count=len(parts))
    return replace(nest, fused={**nest.fused, position: box}, parts={**nest.parts, position: names})


def _product(extents: tuple[Expr, ...]) -> Expr:
    product: Expr = extents[0]
    for extent in extents[1:]:
        product = product * extent
    return simplify(product)


def _count(nest: StageNest, extents: tuple[Expr, ...]) -> Expr:
    """The number of positions: a literal, or a size of its own that isl knows nothing about but its sign."""
    literal = constant_value(_product(extents))
    if literal is not None:
        return Const(literal, INDEX)
    return Size(f"|{nest.label}.{len(nest.fused)}|")
