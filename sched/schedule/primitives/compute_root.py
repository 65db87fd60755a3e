"""compute_root: a stage computed as a whole, before its readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from ...polyhedral.definitions import Inlined
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class ComputeRoot(Primitive):
    """Compute all of a stage before the stages that read it: the default, and the way back from `inline` and
    `compute_at`.

    Before::

        for i in 0..n:
            C[i] = (A[i] + 1) * 2

    After ``s[B].compute_root()``::

        for i in 0..n:
            B[i] = A[i] + 1
        for i in 0..n:
            C[i] = B[i] * 2

    Legal when: always. A stage that is computed at the root already keeps its loops.
    Also called: compute_root (Halide, TVM).
    """

    word: ClassVar[str] = "compute_root"

    def apply(self, state: State, stage: Tensor) -> State:
        rewrites = state.program.rewrites
        if stage.uid in state.program.inlined:
            return state.with_rewrites(tuple(r for r in rewrites if not (isinstance(r, Inlined) and r.stage is stage)))
        elsewhere = stage.uid in state.places or stage.uid in state.program.joined
        return state.with_place(state.together(stage), None) if elsewhere else state
