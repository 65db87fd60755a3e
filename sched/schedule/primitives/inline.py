"""inline: a stage computed where it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.definitions import Inlined
from ..suggestion import listed
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class Inline(Primitive):
    """Compute the elements of a stage again wherever they are read, and store none of them.

    Before::

        for i in 0..n:
            B[i] = A[i] + 1
        for i in 0..n:
            C[i] = B[i] * 2

    After ``s[B].inline()``::

        for i in 0..n:
            C[i] = (A[i] + 1) * 2

    Legal when: the stage is no output and no reduction. The result has the same bits: every stage rounds as it is
    defined. A run-time check (ps.checked) in the stage is then made for the elements that are read, and for no others.
    Also called: compute_inline (TVM), the default of a Func in Halide.
    """

    word: ClassVar[str] = "inline"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        why = _why_not(state, stage)
        if why is not None:
            others = listed(s.name for s in state.program.live_stages() if _why_not(state, s) is None)
            raise ScheduleError(f"{why}; stages that can be inlined: {others}")
        return state.with_rewrites((*state.program.rewrites, Inlined(stage)))


def _why_not(state: State, stage: Tensor) -> str | None:
    if any(output is stage for output in state.program.outputs):
        return f"{stage.name} is an output and must be stored"
    if state.program.definitions.equations[stage.uid].reduce is not None:
        return f"{stage.name} is a reduction, and an expression cannot hold one"
    return None
