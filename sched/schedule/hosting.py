"""Which loops can have a stage computed in them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, same, walk
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.counters import expand_fused
from ..polyhedral.program import Program
from ..polyhedral.tree import Sequence, Tree
from .nest import Loop, StageNest
from .suggestion import listed

Nests = Mapping[int, StageNest]
_ANY = Const(0, INDEX)


def check_host(stage: Tensor, nest: StageNest, loop: Loop) -> None:
    """Refuse loops whose iterations cannot have a stage of their own."""
    if loop.kind == "vectorize":
        raise ScheduleError(
            f"{stage.name} cannot be computed inside {loop.name} of {nest.stage.name}, which is vectorized: compute it "
            f"outside of that loop, and vectorize the loops of {stage.name} as well, or inline it"
        )
    open_axes = [node for node in walk(unfused(nest, loop.value)) if isinstance(node, Axis) and node in nest.fused]
    if open_axes:
        parts = nest.parts.get(open_axes[0], ())
        raise ScheduleError(
            f"{stage.name} cannot be computed inside {loop.name} of {nest.stage.name}, which is made of fused loops "
            "of symbolic extents: what is needed there is not affine in its counter; compute it outside of it, at the "
            f"root or in a loop around, fix the extents of all but the outermost of {listed(parts)}, or leave these "
            "apart and make the outermost parallel"
        )


def check_resolved(stage: Tensor, nest: StageNest, around: list[str]) -> None:
    """Refuse places further in than all loops made of a fused one, where these are pieces of it."""
    inside = nest.names.index(around[-1])
    for axis in nest.fused:
        made = [k for k, loop in enumerate(nest.loops) if any(axis is part for part in nest.virtual(loop.value))]
        if made and max(made) < inside and nest.position_of(axis, lambda _: _ANY) is None:
            raise ScheduleError(
                f"{stage.name} cannot be computed inside {around[-1]} of {nest.stage.name}, further in than all pieces "
                f"of the fused loop {axis.name}: it can be computed at {listed(nest.names[: max(made) + 1])}, or leave "
                f"{axis.name} in one piece"
            )


def check_loop(stage: Tensor, host: Tensor, loop: str, nests: Nests) -> None:
    if host.uid not in nests or loop not in nests[host.uid].names:
        there = f"its loops are {listed(nests[host.uid].names)}" if host.uid in nests else f"{host.name} has no loops"
        raise ScheduleError(
            f"{stage.name} is computed or stored at {loop} of {host.name}, which is not there; {there}. Before a "
            f"command that takes this loop away, place {stage.name} at another one, or at the root with compute_root"
        )


def check_readers(program: Program, stage: Tensor, reader: Tensor, counters: tuple[Expr, ...]) -> None:
    """Refuse loops over axes that an equation that reads the stage has not, as those of another one's sum."""
    axes = {node for counter in counters for node in walk(counter) if isinstance(node, Axis)}
    for statement in program.of_stage(reader):
        if not axes <= set(statement.axes) and any(read.tensor is stage for read in statement.reads):
            raise ScheduleError(
                f"{stage.name} cannot be computed there: {statement.label} reads it, and is in no such loop"
            )


def check_apart(stage: Tensor, nest: StageNest, count: int) -> None:
    """Refuse loops of a reader of which an equation of it has others."""
    for number, own in nest.apart.items():
        for mine, theirs in itertools.zip_longest(nest.loops[: max(count, 0)], own.loops[: max(count, 0)]):
            if mine is None or theirs is None or mine.name != theirs.name or not same(mine.value, theirs.value):
                raise ScheduleError(
                    f"{stage.name} cannot be computed there: equation {number} of {nest.stage.name}, which reads it, "
                    "has other loops of its own"
                )


def unfused(nest: StageNest, value: Expr) -> Expr:
    """The value with the positions of fused loops as what they are of, where that is affine."""
    return expand_fused(value, Tree(Sequence(()), nest.fused), linear=True)
