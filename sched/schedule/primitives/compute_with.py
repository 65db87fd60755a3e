"""compute_with: two stages in one loop nest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.systems import is_system
from ..place import Place
from ..suggestion import listed, meant
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class ComputeWith(Primitive):
    """Run a stage in the loops of another one, down to a loop: the outer loops of the two become one.

    Before::

        for i in 0..n:
            B[i] = A[i] + 1
        for i in 0..n:
            C[i] = A[i] * 2

    After ``s[B].compute_with(C, "i")``::

        for i in 0..n:
            B[i] = A[i] + 1
            C[i] = A[i] * 2

    Loops are matched from the outermost on, by their counters, which may run over different ranges. In each iteration
    the stages run in the order of their definitions; what a reduction accumulates is begun before the loops in which
    it accumulates.

    A stage that is computed in a loop of a consumer shares its loops there with a stage that comes before it, which is
    then computed there, too. Before, with both in a loop ``i`` of a stage that reads them::

        for j in 0..m:
            e[j] = exp(x[i, j])
        total = 0
        for r in 0..m:
            total = total + e[r]

    After ``s[e].compute_with(total, "r")``::

        total = 0
        for r in 0..m:
            e[r] = exp(x[i, r])
            total = total + e[r]

    With a recurrence, each equation of which is in the loops that its needs ask for, a stage shares loops of the same
    name and kind: give it those first, by the same splits, skews and orders. Commands on either are then for both.

    Legal when: no value is read before it is written in the common order. The loops shared are not marked for the
    stage (they are as the other stage's are marked), nor are they fused ones.
    Also called: compute_with (Halide), loop fusion.
    """

    other: str
    loop: str
    word: ClassVar[str] = "compute_with"

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        others = {s.name: s for s in state.program.live_stages() if s is not stage}
        if self.other not in others:
            raise ScheduleError(
                f"{stage.name} is computed with another stage, and {self.other} is none; the others are "
                f"{listed(others)}{meant(self.other, list(others))}"
            )
        host = others[self.other]
        if is_system(state.system(stage)) or is_system(state.system(host)):
            return self._joined(state, stage, host)
        state.nest(host).position(self.loop)
        mine, theirs = (None if at is None else at.own for at in map(state.places.get, (stage.uid, host.uid)))
        if mine is None or theirs is None or not theirs.is_at(mine.host, mine.loop):
            mine = theirs
        if mine is not None and any(output is stage for output in state.program.outputs):
            raise ScheduleError(
                f"{stage.name} is an output, which is computed as a whole, at the root; {host.name}, whose loops it "
                f"would share, is computed in those of {mine.host.name}; {host.name}.compute_root() first, or share "
                "loops of another stage"
            )
        _check_outside(state, stage, host)
        return state.with_place((stage,), Place(host, self.loop, shared=True, inside=mine))

    def _joined(self, state: State, stage: Tensor, host: Tensor) -> State:
        """The state with the stage in the system of the host, whose loops it must share then down to `loop`."""
        placed = [s for s in (stage, host) if s.uid in state.places]
        if placed:
            raise ScheduleError(
                f"{placed[0].name} is computed in loops of {state.places[placed[0].uid].host.name}; those of a "
                "recurrence are shared at the root: compute_root first"
            )
        if not any(self.loop in nest.names for nest in state.nest(host).each()):
            state.nest(host).position(self.loop)
        made = state.with_joined(stage, host, self.loop)
        if not made.share(stage, host, {self.loop}):
            raise ScheduleError(
                f"{stage.name} and {host.name} would not share {self.loop}: they share loops of the same name and kind "
                f"in which nothing that is needed runs backwards. The loops of {stage.name} are "
                f"{listed(state.nest(stage).names)}, and those of {host.name} {listed(state.nest(host).names)}"
            )
        return made


def _check_outside(state: State, stage: Tensor, host: Tensor) -> None:
    """Refuse to share loops of a stage that is computed inside those of this one."""
    around = host
    while (place := state.places.get(around.uid)) is not None and place.own is not None:
        around = place.own.host
        if around is stage:
            raise ScheduleError(
                f"{stage.name} would share loops of {host.name}, and {host.name} is computed in those of {stage.name}; "
                f"{host.name}.compute_root() first, or share loops of another stage"
            )
