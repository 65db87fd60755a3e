"""block_steps: several steps of a recurrence at a time, those in between in a stage of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...compute.expr import Expr, Read, Reduce, walk
from ...compute.recurrence import Recurrence
from ...compute.simplify import difference, simplify
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.definitions import StepsBlocked
from ...polyhedral.steps import planes_of
from ..place import Place
from .base import Primitive, State, checked_factor, primitive
from .cache_read import check_new


@primitive
@dataclass(frozen=True, slots=True)
class BlockSteps(Primitive):
    """Compute `factor` steps of a recurrence at a time: only the last plane of each block of steps is one of the
    recurrence's then; those in between are a stage of their own, computed in the loop over blocks.

    Before::

        for t in 1..T + 1:
            for i in 0..n:
                u[t, i] = u[t - 1, i] + u[t - 1, i - 1]

    After ``s[u].block_steps("t", 8, name="u_blocks", steps="u_steps")``::

        for t in 1..(T + 7) // 8 + 1:
            for t_s in 0..7:
                for i in 0..n:
                    u_steps[t - 1, t_s, i] = ...  # of u_blocks[t - 1] in the first step, else of the step before
            for i in 0..n:
                u_blocks[t, i] = u_steps[t - 1, 6, i] + u_steps[t - 1, 6, i - 1]

    Where the number of steps is no multiple of `factor`, the last block goes on with the last plane. Tiles of the new
    recurrence, with the steps between moved into the loop over them by ``s["u_steps"].compute_at("u_blocks", "i_o")``,
    overlap: each computes the steps for itself, from its neighbourhood, so that all of a block can run at once.

    Where a step reads cells of its own, as sweeps in place do, all steps of a block are of the second stage, in loops
    that it shares with the first: its plane 0 is a copy of the plane before, and its last one is copied::

        for t in 0..(T + 7) // 8:
            for i in 0..n:
                u_steps[t, 0, i] = u_blocks[t, i]
            for t_s in 1..9:
                for i in 0..n:
                    u_steps[t, t_s, i] = ...  # of u_steps[t, t_s - 1] and of u_steps[t, t_s]
            for i in 0..n:
                u_blocks[t + 1, i] = u_steps[t, 8, i]

    Legal when: each step is made of the one before and of itself, of the same tensor, without sums; and only the last
    plane, or the first, is read elsewhere. The recurrence is no output. Give this command before others on it.
    Also called: temporal blocking, overlapped or trapezoidal time tiling, ghost zones.
    """

    loop: str
    factor: int
    name: str = field(kw_only=True)
    steps: str = field(kw_only=True)
    word: ClassVar[str] = "block_steps"
    named: ClassVar[frozenset[str]] = frozenset({"steps"})

    def apply(self, state: State, stage: Tensor) -> State:
        checked_factor(self.factor, f"block_steps of {stage.name}")
        what = f"block_steps of {stage.name}"
        nest, program = state.nest(stage), state.program
        recurrence = _recurrence(state, stage, self.loop, what)
        if self.factor < 2:
            raise ScheduleError(f"{what}: a block has 2 steps or more")
        if nest.history or nest.apart or program.cuts.get(stage.uid) or stage.uid in program.layouts:
            raise ScheduleError(f"{what}: there are commands on it already; block its steps before")
        for name in (self.name, self.steps):
            check_new(state, name)
        if self.name == self.steps:
            raise ScheduleError(f"{what}: the stages of blocks and of steps need different names")
        in_place = _is_in_place(state, recurrence, what)
        with program.world.budgeted(what):
            planes = planes_of(
                recurrence, self.factor, self.name, self.steps, program.world, program.context, in_place=in_place
            )
        if not (planes.of_blocks and planes.of_steps):
            raise ScheduleError(f"{what}: it has no step at any size, as its shape is {stage}")
        values = program.definitions.values[recurrence.uid].children
        if any(list(_reads(made.value(values), recurrence)) for made in planes.of_blocks if made.before is None):
            raise ScheduleError(
                f"{what}: in its first plane, what reads the one before is left out by more than its step; give that "
                "plane an equation of its own"
            )
        places = dict(state.places)
        if not in_place:
            places[planes.steps.uid] = Place(planes.blocks, self.loop, planes.blocks, self.loop)
        nests = {uid: own for uid, own in state.nests.items() if uid != stage.uid}
        moved = replace(state, nests=nests, places=places)
        return moved.with_rewrites((*program.rewrites, StepsBlocked(recurrence, planes)))


def _recurrence(state: State, stage: Tensor, loop: str, what: str) -> Recurrence:
    """The stage, if it is a recurrence over steps of this name that stands alone."""
    definitions, nest = state.program.definitions, state.nest(stage)
    if not isinstance(stage, Recurrence) or not definitions.has_rules(stage):
        raise ScheduleError(f"{what}: it is no recurrence")
    first = stage.equations[0].axes[0]
    if nest.names[nest.position(loop)] != first.name or len(stage.equations[0].axes) < 2:
        raise ScheduleError(f"{what}: {loop} is not its first dimension, of several; that is {first.name}")
    others = [other.name for other in state.system(stage) if other is not stage]
    if others:
        raise ScheduleError(
            f"{what}: it is computed together with {', '.join(others)}, and blocks are for one tensor alone; tiles "
            "that do not overlap, as skews make them, are for several"
        )
    if any(tensor is stage for tensor in (*state.program.outputs, *state.program.arguments)):
        raise ScheduleError(f"{what}: it is an output, and all of its planes are asked for")
    if any(isinstance(node, Reduce) for equation in stage.equations for node in walk(equation.body)):
        raise ScheduleError(f"{what}: its equations have sums; write these out, or declare them as stages")
    return stage


def _is_in_place(state: State, stage: Recurrence, what: str) -> bool:
    """Whether steps are made of themselves, too. Refuses those that are made of others than the one before, and planes
    in between that are read elsewhere."""
    values, (step, *_) = state.program.definitions.values, stage.equations[0].axes
    in_place = False
    for read in _reads(values[stage.uid], stage):
        back = difference(step, read.indices[0])
        in_place |= back == 0
        if back not in (0, 1):
            where = "at a step that is not a number of steps back" if back is None else f"{back} steps back"
            raise ScheduleError(
                f"{what}: it reads {read}, {where}, and steps are made of themselves and the one before alone"
            )
    last = simplify(stage.shape[0] - 1)
    for consumer in state.program.definitions.consumers(stage):
        for read in _reads(values[consumer.uid], stage):
            if 0 not in (difference(read.indices[0], last), difference(read.indices[0], last - last)):
                raise ScheduleError(
                    f"{what}: {consumer.name} reads {read}, and of the planes only the last, {last}, and the first are "
                    "certainly there then"
                )
    return in_place


def _reads(value: Expr, tensor: Tensor) -> Iterator[Read]:
    return (node for node in walk(value) if isinstance(node, Read) and node.tensor is tensor)
