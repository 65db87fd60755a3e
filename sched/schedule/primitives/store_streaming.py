"""store_streaming: results written past the caches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
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

    Legal when: always.
    Also called: non-temporal stores, streaming stores (`_mm512_stream_ps`).
    """

    word: ClassVar[str] = "store_streaming"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        layout = replace(state.program.layout(stage), streaming=True)
        return replace(state, program=state.program.with_layout(stage, layout))
