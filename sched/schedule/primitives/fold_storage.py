"""fold_storage: a buffer that is used over and over along a dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.layout import parsed_form, shown_form
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

    Where the layout has a term of a sum of positions, that can be folded: three diagonals of a plane are
    ``reorder_storage("i+j", "i")`` and ``fold_storage("i+j", 3)``.

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
        names = tuple(axis.name for axis in stage.equations[0].axes)
        layout = state.program.layout(stage)
        form = parsed_form(self.axis, names)
        forms = layout.forms(len(names))
        if form is None or form not in forms:
            there = [shown_form(form, names) for form in forms]
            what = "dimensions are" if there == list(names) else "layout has terms of"
            none = f"no dimension {self.axis}" if form is None else f"no term of {self.axis} in its layout"
            raise ScheduleError(f"{stage.name} has {none}; its {what} {listed(there)}{meant(self.axis, there)}")
        folds = {**dict(layout.folds), form: self.size}
        return replace(state, program=state.program.with_layout(stage, replace(layout, folds=folds)))
