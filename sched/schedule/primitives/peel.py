"""peel: the first and the last iterations of a loop in code of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.peeling import border
from ..nest import StageNest
from ..suggestion import listed, shown
from .base import Primitive, State, primitive

MOST = 64
_MOST_PEELED = 4  # three times as much code a loop


@primitive
@dataclass(frozen=True, slots=True)
class Peel(Primitive):
    """Run the first and the last iterations of a loop in code of their own. In the code for all others, what only those
    need is gone: conditions at borders, masks of tiles that may not be full.

    Before::

        for i in 0..n:
            for j in 0..m:
                C[i, j] = select(i > 0, A[i - 1, j], 0) + A[i, j]

    After ``s[C].peel("i", first=1, last=0)``::

        for i in 0..min(1, n):
            for j in 0..m:
                C[i, j] = 0 + A[i, j]
        for i in 1..n:
            for j in 0..m:
                C[i, j] = A[i - 1, j] + A[i, j]

    ``s[C].peel("i")`` finds the numbers: those of the iterations that decide comparisons in selects otherwise than all
    others do. By itself a kernel has code of its own for full register and vector tiles. ``peel(loop, last=1)`` on a
    loop over tiles says where that is cut, and ``peel(loop, first=0, last=0)`` that this loop is not: one version, with
    masks, and less code. In a vector loop, nothing is cut off at an end that differs between lanes.

    Legal when: always; the order of instances does not change. The loop is not vectorized or unrolled, and at most four
    loops around one another are peeled.
    Also called: loop peeling, index set splitting; partition with Partition::Always or Never (Halide), loop_partition
    (TVM).
    """

    loop: str
    first: int
    last: int
    word: ClassVar[str] = "peel"
    marks: ClassVar[bool] = True
    named: ClassVar[frozenset[str]] = frozenset({"first", "last"})

    def rewrite(self, nest: StageNest) -> StageNest:
        what = f"peel of {self.loop}"
        for name, count in (("first", self.first), ("last", self.last)):
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST:
                raise ScheduleError(f"{what} takes {name}= as an integer from 0 to {MOST}, not {shown(count)}")
        position = nest.position(self.loop)
        loop = nest.loops[position]
        free = [other.name for other in nest.loops if other.kind in ("serial", "parallel")]
        if loop.kind not in ("serial", "parallel"):
            raise ScheduleError(
                f"{what}: all iterations of an unrolled or vectorized loop are one piece of code; peel a loop around "
                f"it, where all tiles but the last are full: loops that can be peeled are {listed(free)}"
            )
        changed = nest.replaced(position, replace(loop, peel=(self.first, self.last)))
        if sum(other.peel not in (None, (0, 0)) for other in changed.loops) > _MOST_PEELED:
            raise ScheduleError(
                f"{what}: each loop that is peeled makes three versions of what is in it, and {_MOST_PEELED} loops of "
                f"{nest.stage.name} are peeled already"
            )
        return changed


def found_border(state: State, stage: Tensor, name: str) -> tuple[int, int]:
    """The numbers of first and last iterations of a loop without which comparisons in it are decided."""
    loop = state.nest(stage).loop(name)
    first = last = 0
    with state.program.world.budgeted(f"peel of {name}"):
        for statement in state.program.of_stage(stage):
            more = border(statement, loop.value, loop.begin, loop.end, MOST)
            first, last = max(first, more[0]), max(last, more[1])
    if first == last == 0:
        raise ScheduleError(
            f"peel of {name}: no comparison in a select of {stage.name} is decided by leaving out the first or the "
            f"last iterations of {name} (up to {MOST}); give their numbers with first= and last=, or 0 for both to keep"
            " the loop in one piece"
        )
    return first, last
