"""reorder_storage: another layout of a stage's elements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.layout import Layout, shown_form
from ..suggestion import listed
from .base import Primitive, State, primitive
from .cache_read import storage_terms


@primitive
@dataclass(frozen=True, slots=True)
class ReorderStorage(Primitive):
    """Store the elements of a stage in another order, given by terms of its axes, outermost first.

    Before::

        B: float32[n, m]

    After ``s[B].reorder_storage("j", "i")``::

        B: float32[m, n]

    and after ``s[B].reorder_storage("j/16", "i", "j%16")``, panels of 16 columns. Terms may be of sums of positions
    times integers: ``reorder_storage("i+j", "i")`` stores the diagonals one after the other, so that a vector along one
    of them is contiguous. A sum takes as much room as it has values.

    Legal when: no two elements are in one place, for all sizes. The stage is no output, whose layout is its caller's.
    Also called: reorder_storage (Halide), transform_layout (TVM), affine allocation (Quilleré and Rajopadhye 2000).
    """

    layout: tuple[str, ...]
    word: ClassVar[str] = "reorder_storage"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        check_intermediate(state, stage, self.word)
        if not self.layout:
            names = ", ".join(axis.name for axis in stage.equations[0].axes)
            raise ScheduleError(f"reorder_storage of {stage.name} takes terms of its axes {names}, outermost first")
        terms = storage_terms(self.layout, stage, state.program, f"reorder_storage of {stage.name}")
        before = state.program.layout(stage)
        lost = [
            term.shown([axis.name for axis in stage.equations[0].axes]) for term in before.pads if term not in terms
        ]
        if lost:
            raise ScheduleError(
                f"reorder_storage of {stage.name}: {', '.join(lost)} has been aligned, and is no term of this layout; "
                f"reorder_storage first, and then align_storage one of {', '.join(self.layout[1:])}"
            )
        layout = replace(before, terms=terms)
        check_folds(layout, stage, f"reorder_storage of {stage.name}")
        return replace(state, program=state.program.with_layout(stage, layout))


def check_folds(layout: Layout, stage: Tensor, what: str) -> None:
    """Refuse folds of what the layout has no term of."""
    names = [axis.name for axis in stage.equations[0].axes]
    forms = layout.forms(len(names))
    for form in layout.folds:
        if form not in forms:
            there = listed(shown_form(form, names) for form in forms)
            raise ScheduleError(
                f"{what}: {shown_form(form, names)} is folded, and would be in no term of the layout; what can be "
                f"folded then is {there}: take the fold back first, with undo"
            )


def check_intermediate(state: State, stage: Tensor, word: str) -> None:
    """Refuse stages that callers see."""
    if any(argument is stage for argument in (*state.program.outputs, *state.program.arguments)):
        inner = [s.name for s in state.program.live_stages() if not any(s is o for o in state.program.outputs)]
        others = f"stages that are stored inside are {', '.join(inner)}" if inner else "no stage is stored inside"
        raise ScheduleError(f"{word}: {stage.name} is an output, and its layout is its caller's; {others}")
