"""store_at: the elements of a stage kept over several iterations, each computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from .base import Primitive, State, primitive
from .compute_at import host_named


@primitive
@dataclass(frozen=True, slots=True)
class StoreAt(Primitive):
    """Keep what is computed of a stage for all iterations inside a loop further out, and compute each element once,
    in the first iteration that needs it; without a consumer and a loop, keep it for the whole call.

    Before, with ``s[B].compute_at(C, "i")``::

        for i in 0..n:
            for i in i..i + 3:            # three elements of B, of which two have been computed before
                B[i] = A[i] + 1
            C[i] = B[i] + B[i + 1] + B[i + 2]

    After ``s[B].store_at()``::

        for i in 0..n:
            for i in (i + 2 if i > 0 else 0)..i + 3:
                B[i] = A[i] + 1
            C[i] = B[i] + B[i + 1] + B[i + 2]

    Legal when: the iterations of the loops between the two places run in order, each before those that use what it
    computed.
    Also called: store_at and store_root (Halide), sliding window, rolling buffer (TVM).
    """

    consumer: str = ""
    loop: str = ""
    word: ClassVar[str] = "store_at"

    def apply(self, state: State, stage: Tensor) -> State:
        place = state.places.get(stage.uid)
        own = None if place is None else place.own
        if place is None or own is None:
            raise ScheduleError(
                f"{stage.name} is computed and stored at the root; store_at is for a stage that is computed inside a "
                f"loop: {stage.name}.compute_at(consumer, loop) comes first"
            )
        host = host_named(state, stage, self.consumer) if self.consumer else None
        if host is not None:
            state.nest(host).position(self.loop)
        stored = replace(own, store_host=host, store_loop=self.loop)
        return state.with_place(state.together(stage), replace(place, inside=stored) if place.shared else stored)
