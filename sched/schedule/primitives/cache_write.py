"""cache_write: a stage computed in a small buffer of its own, and written back once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...compute.expr import Read
from ...compute.recurrence import Recurrence
from ...compute.tensor import Tensor, new_uid
from ...errors import ScheduleError
from ...polyhedral.definitions import ComputedIn, with_reads
from ..nest import StageNest, default_nest
from ..place import Place
from .base import Primitive, State, primitive
from .cache_read import check_new


@primitive
@dataclass(frozen=True, slots=True)
class CacheWrite(Primitive):
    """Compute a stage in a buffer of what one iteration of a loop writes, and copy it from there.

    Before::

        for i_o in 0..n // 8:
            for i_i in 0..8:
                for r in 0..k:
                    C[8 * i_o + i_i] += A[8 * i_o + i_i, r]

    After ``s[C].cache_write(at="i_o")``::

        for i_o in 0..n // 8:
            for i in 0..8:
                for r in 0..k:
                    C_cache[i] += A[8 * i_o + i, r]
            for i_i in 0..8:
                C[8 * i_o + i_i] = C_cache[i_i]

    The new stage has the definition, with its reduction, and its default loops, and is computed at the loop; without
    `at`, before the stage. The stage keeps the commands about loops that are not its reduction's, and is a copy now.

    A recurrence is computed in the new stage, by its equations, and copied afterwards; compute_with brings the copy
    into its loops, and then the new stage, which is no output, may be folded and laid out as it suits them.

    Legal when: always; `at` is a loop that is not made of reduction axes.
    Also called: cache_write (TVM), a wrapper Func (Halide), accumulation buffers.
    """

    at: str = ""
    name: str = field(kw_only=True)
    word: ClassVar[str] = "cache_write"

    def apply(self, state: State, stage: Tensor) -> State:
        nest = state.nest(stage)
        check_new(state, self.name)
        if self.at and nest.is_reduction(nest.loop(self.at)):
            raise ScheduleError(
                f"cache_write at {self.at} of {stage.name}: a loop of its reduction cannot be around the whole of the "
                "sum; choose one of the stage's own loops"
            )
        definitions = state.program.definitions
        if definitions.has_rules(stage) and self.at:
            raise ScheduleError(
                f"cache_write at {self.at} of {stage.name}: the cells of a recurrence are computed where its equations "
                "say, and not in a loop of the copy; cache_write without at= makes a buffer of all cells, which may be "
                "folded"
            )
        copy = _buffer(stage, self.name, recurrence=definitions.has_rules(stage))
        own = definitions.equations[stage.uid].axes
        kept = without_reductions(nest, default_nest(stage, own))
        rewrites = (*state.program.rewrites, ComputedIn(stage, copy))
        places = {**state.places, copy.uid: Place(stage, self.at, stage, self.at)} if self.at else state.places
        return replace(state, places=places, nests={**state.nests, stage.uid: kept}).with_rewrites(rewrites)


def _buffer(stage: Tensor, name: str, *, recurrence: bool) -> Tensor:
    """The stage that takes over a definition."""
    if not recurrence:
        return Tensor(name, stage.shape, stage.dtype, new_uid(), stage.equations, location=stage.location)
    copy = Recurrence(name, stage.shape, stage.dtype, new_uid(), location=stage.location)
    own = (
        replace(e, body=with_reads(e.body, stage, lambda r: Read(copy, r.indices, r.location))) for e in stage.equations
    )
    object.__setattr__(copy, "equations", tuple(own))  # closed already: frozen from here on
    return copy


def without_reductions(nest: StageNest, start: StageNest) -> StageNest:
    """The loops that the commands so far make of `start`, which has fewer: commands about loops that are not there
    are left out."""
    for command in nest.history:
        restricted = command.restricted(start.names)
        if restricted is not None:
            start = restricted.carried_out(start)
    return start
