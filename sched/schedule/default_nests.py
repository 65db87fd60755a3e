"""The loops that recurrences, and stages that need each other, have before any command.

They are in an order in which all cells can be computed, also where a recurrence is in the loops of others.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.expr import Axis
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from ..errors import DefinitionError
from ..polyhedral.program import Program
from ..polyhedral.requirements import Requirement, requirements
from ..polyhedral.systems import Cells, Level, default_order, is_system, needs_between, systems
from .nest import Loop, StageNest, axis_loop


def default_nests(program: Program, pairs: tuple[Requirement, ...]) -> dict[int, StageNest]:
    """The default loops of the stages that are recurrences, or need each other."""
    found: dict[int, StageNest] = {}
    for stage, levels in _orders(program, pairs):
        cells = Cells(stage, program.world.frame(stage.equations[0].axes, "C"))
        made = [_loop(level, cells.axes) for level in levels if cells.value(level) is not None]
        inner = dict.fromkeys(axis for equation in stage.equations for axis in equation.loops[len(equation.axes) :])
        found[stage.uid] = StageNest(stage, (*made, *map(axis_loop, inner)), (*cells.axes, *inner))
    return found


def nest_inside(program: Program, stage: Tensor, axes: tuple[Axis, ...]) -> StageNest:
    """The default loops of a recurrence in the loops of others, over the axes that it has there: in the order that they
    have in `program`, where it is at the root."""
    orders = program.world.once(
        "default orders", (program.definitions,), lambda: dict(_orders(program, requirements(program)))
    )
    return StageNest(stage, tuple(_loop(level, axes) for level in orders[stage]), axes)


def _orders(program: Program, pairs: tuple[Requirement, ...]) -> Iterator[tuple[Tensor, tuple[Level, ...]]]:
    for group in systems(program):
        if is_system(group):
            order = default_order(group, needs_between(group, pairs), program.world)
            if order is None:
                names = ", ".join(stage.name for stage in group)
                raise DefinitionError(f"no order of loops computes {names}; declare fewer stages between them")
            yield from ((stage, order[stage.uid]) for stage in group)


def _loop(level: Level, every: tuple[Axis, ...]) -> Loop:
    axes = {axis.name: axis for axis in every}
    axis, value = axes[level.name], level.counter(axes)
    begin = axis.lower
    for other, factor in level.skew:
        begin = begin + axes[other] * factor
    extent = simplify(axis.upper - axis.lower)
    return Loop(level.name, value, simplify(begin), extent, reversed=level.sign < 0)
