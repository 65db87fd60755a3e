"""compute_at: a stage computed in a loop of a stage that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..place import Place
from ..suggestion import listed, meant
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class ComputeAt(Primitive):
    """Compute what each iteration of a consumer's loop needs of a stage, at the beginning of that iteration.

    Before::

        for i in 0..n + 2:
            B[i] = A[i] + 1
        for i_o in 0..n // 32:
            for i_i in 0..32:
                C[i] = B[i] + B[i + 2]

    After ``s[B].compute_at(C, "i_o")``::

        for i_o in 0..n // 32:
            for i in 0..34:               # B[32 * i_o + i]
                B[i] = A[32 * i_o + i] + 1
            for i_i in 0..32:
                C[32 * i_o + i_i] = B[i_i] + B[i_i + 2]

    The stage's loops are then those of what one iteration needs, counted from 0, and it is stored in a buffer of that
    size, one for each thread. Where iterations need the same elements, each computes them for itself (see `store_at`).

    In loops of a recurrence, an iteration computes what all equations need that are in it; they share the loops then.
    A recurrence in loops of another one that reads it is computed there with all that its cells need of each other,
    such as steps over time, from a neighbourhood that grows with each (see `block_steps`). In loops of any other stage
    it is so, too: of the chains of a filter, each thread has those of its own rows. Stages that need each other in one
    iteration are placed together.

    Legal when: everything that reads the stage is inside the loop. The stage is no output, and the loop is not
    vectorized.
    Also called: compute_at (Halide, TVM), overlapped tiling.
    """

    consumer: str
    loop: str
    word: ClassVar[str] = "compute_at"

    def apply(self, state: State, stage: Tensor) -> State:
        place = placed_at(state, stage, self.consumer, self.loop)
        stages = state.together(stage, place)
        if place.host in stages:
            raise ScheduleError(
                f"{stage.name} cannot be computed in {place.loop} of {place.host.name}: each needs the other in one "
                "iteration of the loops that they share"
            )
        for other in stages:
            if any(output is other for output in state.program.outputs):
                raise ScheduleError(
                    f"{stage.name} is computed together with {other.name}, which it needs and which needs it, and that "
                    "is an output, which is computed as a whole, at the root"
                )
        return state.with_place(stages, place)


def placed_at(state: State, stage: Tensor, consumer: str, loop: str) -> Place:
    """Computed and stored at a loop of a consumer."""
    state.nest(stage)
    if any(output is stage for output in state.program.outputs):
        raise ScheduleError(f"{stage.name} is an output, which is computed as a whole, at the root")
    host = host_named(state, stage, consumer)
    position = state.nest(host).position(loop)
    _check_outside(state, stage, host)
    return Place(host, state.nest(host).loops[position].name, host, loop)


def _check_outside(state: State, stage: Tensor, host: Tensor) -> None:
    """Refuse loops of a stage that shares those of this one, or is computed in loops of one that does."""
    around = host
    while (place := state.places.get(around.uid)) is not None:
        if place.host is stage:
            raise ScheduleError(
                f"{stage.name} cannot be computed in loops of {host.name}, as {around.name} shares those of "
                f"{stage.name}: {around.name}.compute_root() first"
            )
        around = place.host


def host_named(state: State, stage: Tensor, name: str) -> Tensor:
    """The stage with this name that comes after `stage`."""
    live = state.program.live_stages()
    later = live[[s is stage for s in live].index(True) + 1 :]
    for other in later:
        if other.name == name:
            return other
    names = [other.name for other in later]
    raise ScheduleError(
        f"{stage.name} is computed in loops of stages that read it, and {name} is none; those after it are "
        f"{listed(names)}{meant(name, names)}"
    )
