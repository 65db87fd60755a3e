"""reverse: a loop from its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.simplify import simplify
from ..nest import StageNest
from .base import Primitive, primitive
from .mark import unmarked


@primitive
@dataclass(frozen=True, slots=True)
class Reverse(Primitive):
    """Run the iterations of a loop in the opposite order.

    Before::

        for i in 0..n:                # i = 0, 1, ..., n - 1

    After ``reverse("i")``::

        for i in reversed(0..n):      # i = n - 1, ..., 1, 0

    Legal when: the loop carries no dependence.
    Also called: loop reversal.
    """

    loop: str
    word: ClassVar[str] = "reverse"

    def rewrite(self, nest: StageNest) -> StageNest:
        position = nest.position(self.loop)
        loop = nest.loops[position]
        unmarked(nest, loop, "reverse", "mark it")
        mirrored = simplify(loop.begin + loop.begin + loop.extent - 1 - loop.value)
        return nest.replaced(position, replace(loop, value=mirrored, reversed=not loop.reversed))
