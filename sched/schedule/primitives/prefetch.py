"""prefetch: what a later iteration reads is fetched into the cache."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...compute.expr import Read, walk
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.tree import Ahead
from ..suggestion import listed, meant
from .base import Primitive, State, checked_factor, primitive


@primitive
@dataclass(frozen=True, slots=True)
class Prefetch(Primitive):
    """Fetch into the cache what a later iteration reads of a tensor: in each iteration of the loop `at`, what that loop
    will read when the loop `by` (the same by default, or one around it) is `distance` iterations further on.

    Before::

        for i in 0..n:
            for j in 0..m:
                C[i, j] = A[i, j] * 2

    After ``s[C].prefetch(A, at="i")``::

        for i in 0..n:
            prefetch A[i + 1, 0..m]
            for j in 0..m:
                C[i, j] = A[i, j] * 2

    and after ``j_o, j_i = s[C].split("j", 16)`` and ``s[C].prefetch(A, at="j_o", by="i")``, a line at a time::

        for i in 0..n:
            for j_o in 0..m // 16:
                prefetch A[i + 1, 16 * j_o..16 * j_o + 16]
                for j_i in 0..16:
                    C[i, 16 * j_o + j_i] = A[i, 16 * j_o + j_i] * 2

    The tensor is anything that is read in the loop, also by stages that are computed in it. What is fetched is the
    smallest box known around what is read, one prefetch a cache line, of elements inside the tensor alone. Hardware
    follows a stream by itself; a prefetch helps where it ends, as rows do, or jumps, as panels and tiles do.

    Legal when: the elements differ between iterations of `by`, of which there are more than `distance` at some sizes,
    and are at most 64 KiB an iteration; where that depends on sizes, nothing is fetched at sizes at which there are
    more. No loop around is vectorized. No bit changes.
    Also called: prefetch (Halide, whose `from` is `by`), software prefetching (Callahan, Kennedy and Porterfield,
    ASPLOS 1991).
    """

    tensor: str
    distance: int = 1
    at: str = field(kw_only=True)
    by: str = field(kw_only=True)
    word: ClassVar[str] = "prefetch"
    named: ClassVar[frozenset[str]] = frozenset({"distance"})

    def apply(self, state: State, stage: Tensor) -> State:
        nest = state.nest(stage)
        checked_factor(self.distance, f"prefetch of {self.tensor}", "distance")
        nest.position(self.at)
        nest.position(self.by)
        ahead = Ahead(stage, _tensor(state, stage, self.tensor), self.at, self.by, self.distance)
        return replace(state, ahead=(*state.ahead, ahead))


def _tensor(state: State, stage: Tensor, name: str) -> Tensor:
    """The tensor of this name that something reads."""
    reads = (node for s in state.program.statements for node in walk(s.value) if isinstance(node, Read))
    found = {read.tensor.name: read.tensor for read in reads}
    if name not in found:
        raise ScheduleError(
            f"prefetch in {stage.name}: nothing reads {name}; what is read is {listed(found)}{meant(name, found)}"
        )
    return found[name]
