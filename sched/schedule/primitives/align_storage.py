"""align_storage: rows of memory that begin at multiples of a number of elements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.layout import parsed_term
from ..suggestion import listed, shown
from .base import Primitive, State, primitive
from .reorder_storage import check_intermediate

MOST = 1 << 16  # elements


@primitive
@dataclass(frozen=True, slots=True)
class AlignStorage(Primitive):
    """Pad the extent of a stored dimension to a multiple of a number of elements, and `offset` more.

    Before::

        B: float32[n, 100]

    After ``s[B].align_storage("j", 16)``::

        B: float32[n, 112]        # each row begins at a cache line

    and after ``s[B].align_storage("j", 128, offset=16)``::

        B: float32[n, 144]        # rows are 9 cache lines apart: no power of two

    The strides of all dimensions further out are products of that extent. Rows whose length is a power of two, as
    images and matrices have it, meet in the same few sets of a cache where columns are walked; an odd number of lines
    keeps them apart. Of a dimension that is stored in several terms, one is named as in the layout: "j%64".

    Legal when: the stage is no output, whose layout is its caller's, and the dimension is not the outermost of the
    layout, whose extent no stride is made of. It composes with `reorder_storage`, `fold_storage` and `compute_at`.
    Also called: align_storage (Halide), storage_align (TVM), array padding (Rivera and Tseng, PLDI 1998).
    """

    term: str
    multiple: int
    offset: int = 0
    word: ClassVar[str] = "align_storage"
    named: ClassVar[frozenset[str]] = frozenset({"offset"})

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        check_intermediate(state, stage, self.word)
        what = f"align_storage of {stage.name}"
        _check_number(self.multiple, 1, MOST, f"{what} takes a multiple")
        _check_number(self.offset, 0, self.multiple - 1, f"{what} to multiples of {self.multiple} takes an offset")
        layout, names = state.program.layout(stage), tuple(axis.name for axis in stage.equations[0].axes)
        terms = layout.stored_terms(len(names))
        inner = [term.shown(names) for term in terms[1:]]
        instead = f"what is aligned is one of {listed(inner)}" if inner else "it has no other dimension"
        try:
            term = parsed_term(self.term, names)
        except ValueError:
            term = None
        if term not in terms:
            raise ScheduleError(f"{what}: {shown(self.term)} is no term of how it is stored; {instead}")
        if term == terms[0]:
            raise ScheduleError(
                f"{what}: {self.term} is the outermost dimension stored, and no stride is made of its extent; {instead}"
            )
        assert term is not None
        pads = {**layout.pads, term: (self.multiple, self.offset)}
        return replace(state, program=state.program.with_layout(stage, replace(layout, pads=pads)))


def _check_number(number: object, least: int, most: int, what: str) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise ScheduleError(f"{what} that is an integer from {least} to {most}, not {shown(number)}")
