"""skew: a loop started later in each iteration of an outer one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.expr import Const
from ...compute.simplify import simplify
from ...errors import ScheduleError
from ...polyhedral.kept_order import without_skew
from ...polyhedral.tree import Node, Tree
from ..nest import Loop, StageNest
from ..suggestion import listed, shown
from .base import MAX_FACTOR, Primitive, primitive
from .mark import unmarked


@primitive
@dataclass(frozen=True, slots=True)
class Skew(Primitive):
    """Add a multiple of an outer loop's counter to a loop's: the iterations stay, in the order that they had.

    What it is for comes after it: tiling, or moving the loop outside, where dependences between iterations of both
    loops stand against it. In a wavefront, the skewed loop is outside and all that is inside it may be parallel.

    Before::

        for t in 0..m:
            for i in 0..n:

    After ``skew("i", 1, by="t")``::

        for t in 0..m:
            for i' in t..n + t:       # i = i' - t

    Legal when: always; the order of instances does not change. `by` stands outside of the loop.
    Also called: skew (Tiramisu, AlphaZ), loop skewing (Wolfe 1986).
    """

    loop: str
    factor: int
    by: str
    word: ClassVar[str] = "skew"

    def rewrite(self, nest: StageNest) -> StageNest:
        position = nest.position(self.loop)
        loop, by = nest.loops[position], nest.loop(self.by)
        if nest.position(self.by) >= position:
            outer = listed(other.name for other in nest.loops[:position])
            raise ScheduleError(
                f"skew of {self.loop} takes a loop outside of it as by=, and {self.by} is none; there are {outer}"
            )
        checked_multiple(self.factor, f"skew of {self.loop}")
        if nest.virtual(loop.value) or nest.virtual(by.value):
            raise ScheduleError(
                f"skew takes loops whose counters are sums of axes, and {self.loop} or {self.by} is made of fused "
                "loops; skew first, and then fuse"
            )
        unmarked(nest, loop, "skew", "mark it")
        added = by.value * Const(self.factor, by.value.dtype)
        begin = simplify(loop.begin + added)
        return nest.replaced(position, replace(loop, value=simplify(loop.value + added), begin=begin))

    def taken_back(self, tree: Tree, of: frozenset[int]) -> Node | None:
        return without_skew(tree.root, self.loop, self.factor, self.by, of)


def checked_multiple(factor: object, what: str) -> int:
    """`factor` if it is an integer of at most MAX_FACTOR, and not 0."""
    if isinstance(factor, bool) or not isinstance(factor, int) or not 0 < abs(factor) <= MAX_FACTOR:
        raise ScheduleError(
            f"{what} takes an integer from -{MAX_FACTOR} to {MAX_FACTOR} other than 0, not {shown(factor)}"
        )
    return factor


def moved(loop: Loop, amount: int) -> Loop:
    """The loop with `amount` added to its counter."""
    return replace(loop, value=simplify(loop.value + amount), begin=simplify(loop.begin + amount))
