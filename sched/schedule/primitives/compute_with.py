"""compute_with: two stages in one loop nest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..place import Place
from ..suggestion import listed, meant
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class ComputeWith(Primitive):
    """Run a stage in the loops of another one, down to a loop: the outer loops of the two become one.

    Before::

        for i in 0..n:
            B[i] = A[i] + 1
        for i in 0..n:
            C[i] = A[i] * 2

    After ``s[B].compute_with(C, "i")``::

        for i in 0..n:
            B[i] = A[i] + 1
            C[i] = A[i] * 2

    Loops are matched from the outermost on, by their counters, which may run over different ranges. In each iteration
    the stages run in the order of their definitions.

    Legal when: no value is read before it is written in the common order. The loops shared are not marked for the
    stage (they are as the other stage's are marked), and both stages are at the root.
    Also called: compute_with (Halide), loop fusion.
    """

    other: str
    loop: str
    word: ClassVar[str] = "compute_with"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        others = {s.name: s for s in state.program.live_stages() if s is not stage}
        if self.other not in others:
            raise ScheduleError(
                f"{stage.name} is computed with another stage, and {self.other} is none; the others are "
                f"{listed(others)}{meant(self.other, list(others))}"
            )
        host = others[self.other]
        state.nest(host).position(self.loop)
        return state.with_place(stage, Place(host, self.loop, shared=True))
