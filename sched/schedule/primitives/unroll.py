"""unroll: a loop's iterations written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..nest import StageNest
from .base import Primitive, primitive
from .mark import constant_extent, marked


@primitive
@dataclass(frozen=True, slots=True)
class Unroll(Primitive):
    """Write the iterations of a loop out, one after the other.

    Before::

        for i_i in 0..6:

    After ``unroll("i_i")``::

        unrolled for i_i in 0..6:

    Legal when: always; the order of instances does not change. The loop must have at most a literal number of
    iterations: split it first.
    Also called: unroll (Halide, TVM).
    """

    loop: str
    word: ClassVar[str] = "unroll"
    marks: ClassVar[bool] = True

    def rewrite(self, nest: StageNest) -> StageNest:
        constant_extent(nest, self.loop, "unroll", limit=1024)
        return marked(nest, self.loop, "unroll")
