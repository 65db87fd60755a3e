"""block_steps: several steps of a recurrence at a time, those in between in a stage of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, NoReturn

from ...compute.components import components
from ...compute.expr import Expr, Read, Reduce, walk
from ...compute.recurrence import Recurrence
from ...compute.simplify import difference, simplify
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.definitions import StepsBlocked, defined, values_of
from ...polyhedral.steps import last_step, planes_of
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

    Recurrences that need each other, such as the fields of a wave, are taken apart together, each into two; those that
    others than this one become are called ``v_blocks`` and ``v_steps`` for v. One whose planes others read in the step
    that makes them has `factor` planes in a block, and its last is copied. They may have different numbers of planes.

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

    Legal when: each step is made of the one before and of itself, without sums; and only the last plane, or the first,
    is read elsewhere. None of them is an output. Give this command before others on them.
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
        what, program = f"block_steps of {stage.name}", state.program
        members = _members(state, stage, self.loop, what)
        if self.factor < 2:
            raise ScheduleError(f"{what}: a block has 2 steps or more")
        names = [
            (self.name, self.steps) if member is stage else (f"{member.name}_blocks", f"{member.name}_steps")
            for member in members
        ]
        made = [name for both in names for name in both]
        for name in made:
            check_new(state, name)
        if len(set(made)) < len(made):
            raise ScheduleError(f"{what}: the stages of blocks and of steps need different names")
        ahead, in_place = _needs(state, members, what)
        with program.world.budgeted(what):
            planes = planes_of(members, ahead, self.factor, names, program.world, program.context, in_place=in_place)
        for pair in planes.pairs:
            if not (pair.of_blocks and pair.of_steps):
                raise ScheduleError(f"{what}: it has no step at any size, as its shape is {pair.stage}")
            values = values_of(program.definitions.values[pair.stage.uid])
            if any(list(_reads(m.value(values), members)) for made in (pair.of_blocks, pair.of_steps) for m in made):
                raise ScheduleError(
                    f"{what}: in the first plane of {pair.stage.name}, what reads the one before is left out by more "
                    "than its step; give that plane an equation of its own"
                )
        gone = {member.uid for member in members}
        nests = {uid: own for uid, own in state.nests.items() if uid not in gone}
        rewrites, host = (
            (*program.rewrites, StepsBlocked(planes)),
            next(p.blocks for p in planes.pairs if p.stage is stage),
        )
        circle, places = defined(program.written, rewrites).circle(host), dict(state.places)
        if not in_place and all(pair.blocks in circle for pair in planes.pairs):  # and so are in one loop over blocks
            places |= {pair.steps.uid: Place(host, self.loop, host, self.loop) for pair in planes.pairs}
        return replace(state, nests=nests, places=places).with_rewrites(rewrites)


def _members(state: State, stage: Tensor, loop: str, what: str) -> tuple[Tensor, ...]:
    """The stage, and those that it needs and that need it, if they are recurrences over steps of this name."""
    program, nest = state.program, state.nest(stage)
    if not isinstance(stage, Recurrence) or not program.definitions.has_rules(stage):
        raise ScheduleError(f"{what}: it is no recurrence")
    first = stage.equations[0].axes[0]
    if nest.names[nest.position(loop)] != first.name or stage.ndim < 2:
        raise ScheduleError(f"{what}: {loop} is not its first dimension, of several; that is {first.name}")
    members = program.definitions.circle(stage)
    for member in members:
        own, name = state.nest(member), member.name
        also = "it" if member is stage else f"{name}, which it needs and which needs it,"
        if member.ndim < 2 or member.equations[0].axes[0].name != first.name:
            raise ScheduleError(f"{what}: {also} has not {first.name} for the first of several dimensions")
        apart = program.cuts.get(member.uid) or member.uid in program.layouts or member.uid in state.places
        if any(each.history for each in own.each()) or apart:
            raise ScheduleError(f"{what}: there are commands on {also} already; block its steps before")
        if any(tensor is member for tensor in (*program.outputs, *program.arguments)):
            raise ScheduleError(f"{what}: {also} is an output, and all of its planes are asked for")
        if any(isinstance(node, Reduce) for equation in member.equations for node in walk(equation.body)):
            whose = "its equations" if member is stage else f"equations of {name}, which it needs,"
            raise ScheduleError(f"{what}: {whose} have sums; write these out, or declare them as stages")
    joined = [other.name for other in state.system(stage) if other not in members]
    if joined:
        raise ScheduleError(f"{what}: {', '.join(joined)} shares its loops by compute_with; block its steps before")
    if last_step(members) is None:
        lasts = ", ".join(f"{member.name} {simplify(member.shape[0])}" for member in members)
        raise ScheduleError(f"{what}: which has the most planes differs from size to size: {lasts}")
    return members


def _needs(state: State, members: tuple[Tensor, ...], what: str) -> tuple[frozenset[int], bool]:
    """The members, by their uids, that others read in the step that makes them; and whether some are made of themselves
    in the same step, so that all are computed in place. Refuses steps that are made of others than the same and the one
    before, and planes in between that are read elsewhere."""
    values = state.program.definitions.values
    same: dict[Tensor, list[Tensor]] = {member: [] for member in members}
    for member in members:
        step = member.equations[0].axes[0]
        for read in _reads(values[member.uid], members):
            back = difference(step, read.indices[0])
            if back == 0:
                same[member].append(read.tensor)
            elif back != 1:
                _refuse(member, read, back, what)
    circles = any(len(group) > 1 for group in components(members, same.__getitem__))
    in_place = circles or any(member in reads for member, reads in same.items())
    for member in members:
        last = simplify(member.shape[0] - 1)
        for consumer in state.program.readers(members):
            for read in _reads(values[consumer.uid], (member,)):
                if 0 not in (difference(read.indices[0], last), difference(read.indices[0], last - last)):
                    raise ScheduleError(
                        f"{what}: {consumer.name} reads {read}, and of the planes only the last, {last}, and the first "
                        "are certainly there then"
                    )
    return frozenset(read.uid for reads in same.values() for read in reads), in_place


def _refuse(member: Tensor, read: Read, back: int | None, what: str) -> NoReturn:
    where = "at a step that is not a number of steps back" if back is None else f"{back} steps back"
    own = "it" if member is read.tensor else member.name
    advice = ""
    if back is not None and back > 1:
        advice = f"; a recurrence of its own can keep the plane before, as v[t + 1, ...] = {read.tensor.name}[t, ...]"
    raise ScheduleError(
        f"{what}: {own} reads {read}, {where}, and steps are made of the one before and of themselves{advice}"
    )


def _reads(value: Expr, members: tuple[Tensor, ...]) -> Iterator[Read]:
    return (node for node in walk(value) if isinstance(node, Read) and node.tensor in members)
