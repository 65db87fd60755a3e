"""The loops that recurrences, and stages that need each other, have before any command.

They are in an order in which all cells can be computed, also where a recurrence is in the loops of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..compute.expr import Axis
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from ..errors import DefinitionError
from ..polyhedral.program import Program
from ..polyhedral.requirements import Requirement, requirements
from ..polyhedral.systems import Level, default_order, is_system, needs_between, systems
from .nest import Loop, StageNest, axis_loop


def default_nests(program: Program, pairs: tuple[Requirement, ...]) -> dict[int, StageNest]:
    """The default loops of the stages that are recurrences, or need each other."""
    found: dict[int, StageNest] = {}
    for stage, orders in _orders(program, pairs):
        inner = dict.fromkeys(axis for equation in stage.equations for axis in equation.loops[len(equation.axes) :])
        found[stage.uid] = _nest(stage, orders, stage.equations[0].axes, tuple(inner))
    return found


def nest_inside(program: Program, stage: Tensor, axes: tuple[Axis, ...]) -> StageNest:
    """The default loops of a recurrence in the loops of others, over the axes that it has there: in the order that they
    have in `program`, where it is at the root."""
    orders = program.world.once(
        "default orders", (program.definitions,), lambda: dict(_orders(program, requirements(program)))
    )
    return _nest(stage, orders[stage], axes)


_Orders = list[tuple[Level, ...]]  # of the equations of a stage


def _orders(program: Program, pairs: tuple[Requirement, ...]) -> Iterator[tuple[Tensor, _Orders]]:
    for group in systems(program):
        if is_system(group):
            order = default_order(group, needs_between(group, pairs), program.world)
            if order is None:
                names = ", ".join(stage.name for stage in group)
                raise DefinitionError(f"no order of loops computes {names}; declare fewer stages between them")
            yield from ((s, [order[s.uid, k] for k in range(len(s.equations))]) for s in group)


def _nest(stage: Tensor, orders: _Orders, axes: tuple[Axis, ...], inner: tuple[Axis, ...] = ()) -> StageNest:
    """Loops over these axes, and over the inner ones in them: in the order of most equations, apart where an equation
    has another one."""
    most = max(orders, key=orders.count)
    nests = [StageNest(stage, (*(_loop(x, axes) for x in o), *map(axis_loop, inner)), (*axes, *inner)) for o in orders]
    apart = {k: replace(nests[k], equation=k) for k, order in enumerate(orders) if order != most}
    return replace(nests[orders.index(most)], apart=apart)


def _loop(level: Level, every: tuple[Axis, ...]) -> Loop:
    axes = {axis.name: axis for axis in every}
    axis, value = axes[level.name], level.counter(axes)
    begin = axis.lower
    for other, factor in level.skew:
        begin = begin + axes[other] * factor
    extent = simplify(axis.upper - axis.lower)
    return Loop(level.name, value, simplify(begin), extent, reversed=level.sign < 0)
