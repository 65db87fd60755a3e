"""split: one loop becomes two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.expr import Axis, walk
from ...compute.simplify import simplify
from ...errors import ScheduleError
from ...polyhedral.kept_order import without_split
from ...polyhedral.tree import Node, Tree
from ..nest import Loop, StageNest
from ..suggestion import shown
from .base import Primitive, checked_factor, primitive
from .mark import unmarked


@primitive
@dataclass(frozen=True, slots=True)
class Split(Primitive):
    """Cut a loop into pieces of `factor` iterations; the last piece may be shorter. With `offset`, the first one is, by
    so many iterations.

    Before::

        for i in 0..n:

    After ``split("i", 6)``::

        for i_o in 0..(n + 5) // 6:
            for i_i in 0..6:          # up to n

    and after ``split("i", 6, offset=5)``, with pieces 0, 1..6, 7..12 as those of something one iteration behind::

        for i_o in 0..(n + 10) // 6:
            for i_i in 0..6:
                i = 6 * i_o + i_i - 5

    Legal when: always; the order of instances does not change.
    Also called: split (Halide, TVM), strip-mining.
    """

    loop: str
    factor: int
    outer: str
    inner: str
    offset: int = 0
    word: ClassVar[str] = "split"
    named: ClassVar[frozenset[str]] = frozenset({"offset"})

    def rewrite(self, nest: StageNest) -> StageNest:
        checked_factor(self.factor, f"split of {self.loop}")
        if isinstance(self.offset, bool) or not isinstance(self.offset, int) or not 0 <= self.offset < self.factor:
            raise ScheduleError(
                f"split of {self.loop} takes an offset that is an integer from 0 to {self.factor - 1}, not "
                f"{shown(self.offset)}"
            )
        position = nest.position(self.loop)
        outer, inner = split_loop(nest, nest.loops[position], self.factor, self.outer, self.inner, self.offset)
        return nest.replaced(position, outer, inner)

    def taken_back(self, tree: Tree, of: frozenset[int]) -> Node | None:
        return without_split(tree.root, self.outer, self.inner, of)


def split_loop(nest: StageNest, loop: Loop, factor: int, outer: str, inner: str, offset: int = 0) -> tuple[Loop, Loop]:
    """The outer and inner loop. Pieces are counted from the loop's begin, or from 0 where that depends on axes."""
    unmarked(nest, loop, "split", "mark a piece")
    if outer == inner:
        raise ScheduleError(f"split of {loop.name} makes two loops, which need two names, not {outer} twice")
    loop = replace(loop, reversed=False)
    fixed = not any(isinstance(node, Axis) for node in walk(loop.begin))
    begin = simplify(loop.begin - loop.begin) if fixed else loop.begin
    value = simplify(loop.value - loop.begin) if fixed else loop.value
    begin, value = simplify(begin + offset), simplify(value + offset)
    first, end = simplify(begin // factor), begin + loop.extent
    pieces = simplify((end + (factor - 1)) // factor - first)
    size = simplify(loop.extent * 0 + factor)
    return (
        replace(loop, name=outer, value=simplify(value // factor), begin=first, extent=pieces),
        replace(loop, name=inner, value=simplify(value % factor), begin=simplify(size - factor), extent=size),
    )
