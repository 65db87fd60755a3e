"""parallel: a loop's iterations on several threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import ScheduleError
from ..nest import StageNest
from .base import Primitive, primitive
from .fuse import fused
from .mark import marked


@primitive
@dataclass(frozen=True, slots=True)
class Parallel(Primitive):
    """Run the iterations of a loop on the threads of the target; several adjacent loops are fused first.

    Before::

        for i_o in 0..n:
            for j_o in 0..m:

    After ``parallel("i_o", "j_o")``::

        parallel for i_o_j_o in 0..n * m:

    Threads that update one element of a re-associable reduction have partial results of their own: the iterations are
    cut into 16 chunks, whatever the number of threads, and the results of the chunks are combined in their order. So a
    float sum has the same bits in every run, but others than under another schedule.

    Legal when: no dependence is between two iterations, except among the updates of one element of a re-associable
    reduction.
    Also called: parallel (Halide, TVM), parallel for collapse (OpenMP).
    """

    loops: tuple[str, ...]
    name: str = ""
    word: ClassVar[str] = "parallel"
    marks: ClassVar[bool] = True

    def rewrite(self, nest: StageNest) -> StageNest:
        if len(self.loops) == 1:
            if self.name:
                raise ScheduleError(
                    f"parallel over the one loop {self.loops[0]} keeps its name; name= is for the loop that several "
                    "are fused into"
                )
            return marked(nest, self.loops[0], "parallel")
        if not self.name:
            raise ScheduleError("parallel over several loops needs name= for the loop that they are fused into")
        return marked(fused(nest, self.loops, self.name, self.word), self.name, "parallel")
