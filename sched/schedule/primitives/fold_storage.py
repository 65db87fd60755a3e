"""fold_storage: a buffer that is used over and over along a dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..suggestion import listed, meant
from .base import Primitive, State, checked_factor, primitive
from .reorder_storage import check_intermediate


@primitive
@dataclass(frozen=True, slots=True)
class FoldStorage(Primitive):
    """Store only `size` positions of a dimension at a time: position x is where x modulo size is.

    Before, a sliding window over rows::

        B: float32[n + 2, m]
        for i in 0..n:
            B[i + 2, j] = ...
            C[i, j] = B[i, j] + B[i + 1, j] + B[i + 2, j]

    After ``s[B].fold_storage("i", 3)``::

        B: float32[3, m]
        for i in 0..n:
            B[(i + 2) % 3, j] = ...
            C[i, j] = B[i % 3, j] + B[(i + 1) % 3, j] + B[(i + 2) % 3, j]

    Legal when: nothing is overwritten before it is read for the last time. The stage is no output.
    Also called: fold_storage (Halide), modulo buffer, storage folding, rolling buffer.
    """

    axis: str
    size: int
    word: ClassVar[str] = "fold_storage"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        check_intermediate(state, stage, self.word)
        checked_factor(self.size, f"fold_storage of {stage.name}")
        names = [axis.name for axis in stage.equations[0].axes]
        if self.axis not in names:
            raise ScheduleError(
                f"{stage.name} has no dimension {self.axis}; its dimensions are {listed(names)}"
                f"{meant(self.axis, names)}"
            )
        layout = state.program.layout(stage)
        folds = {**dict(layout.folds), names.index(self.axis): self.size}
        return replace(state, program=state.program.with_layout(stage, replace(layout, folds=folds)))
