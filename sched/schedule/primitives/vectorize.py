"""vectorize: a loop's iterations as the lanes of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..nest import StageNest
from .base import Primitive, primitive
from .mark import constant_extent, marked


@primitive
@dataclass(frozen=True, slots=True)
class Vectorize(Primitive):
    """Run the iterations of a loop as lanes: every statement in it runs for all lanes before the next one.

    Loops inside stay loops, over vectors. More lanes than the target's vectors have become several vectors; tails
    are masked.

    Before::

        for j_i in 0..64:

    After ``vectorize("j_i")``::

        vectorized for j_i in 0..64:

    Legal when: no dependence is between two lanes, except among the updates of one element of a re-associable
    reduction: lanes have partial results of their own, which are combined after all loops that go on accumulating into
    the same elements. Where the loop is made of data and reduction axes, lanes that may update one element run one
    after the other, with the warning P007. The loop must have at most a literal number of iterations: split it first.
    Also called: vectorize (Halide, TVM), simd (OpenMP).
    """

    loop: str
    word: ClassVar[str] = "vectorize"
    marks: ClassVar[bool] = True

    def rewrite(self, nest: StageNest) -> StageNest:
        constant_extent(nest, self.loop, "vectorize", limit=1024)
        return marked(nest, self.loop, "vectorize")
