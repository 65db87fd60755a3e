"""store_streaming: results written past the caches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..suggestion import shown
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class StoreStreaming(Primitive):
    """Write the elements of a stage past the caches: memory is then not read before it is written, and what is in the
    caches stays there.

    Before::

        vectorized for j in 0..16:
            C[i, j] = ...

    After ``s[C].store_streaming()``::

        vectorized for j in 0..16:
            C[i, j] = ...                 # streaming stores

    It is for large outputs that nobody reads soon, and for vectorized loops: single elements, masked tails and vectors
    that are not aligned to 16 bytes are stored as always (kernels allocate outputs aligned to 64 bytes). So is all of a
    tensor whose rows are not whole cache lines of 64 bytes, but for rows of 2048 bytes and more on targets whose
    vectors are a line: their loops of vectors begin at the first one, after a masked vector.

    With `at_least`, it is for outputs of so many bytes, which is decided in each call where sizes are symbolic: what
    stays in a cache is better written there.

    Legal when: always.
    Also called: non-temporal stores, streaming stores (`_mm512_stream_ps`).
    """

    at_least: int = 0
    word: ClassVar[str] = "store_streaming"
    named: ClassVar[frozenset[str]] = frozenset({"at_least"})

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        if isinstance(self.at_least, bool) or not isinstance(self.at_least, int) or not 0 <= self.at_least < 1 << 62:
            raise ScheduleError(
                f"store_streaming of {stage.name} takes at_least, the bytes from which on it is streamed, that is an "
                f"integer from 0 to {(1 << 62) - 1}, not {shown(self.at_least)}"
            )
        layout = replace(state.program.layout(stage), streaming=self.at_least)
        return replace(state, program=state.program.with_layout(stage, layout))
