"""From the equations of a recurrence to its statements.

An equation without a reduction is one statement. One that is a reduction is two: an init over the stage's axes, and an
update over those and the reduction's. Where the body is made of the reduction's result, a third one finishes the cell
in which that was accumulated.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.expr import Axis, Const, Expr
from ..compute.recurrence import Recurrence
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Equation, Tensor
from .bounds import equation_domain
from .definitions import Several
from .isl import Set, World, inert
from .statement import Statement, StatementKind


def recurrence_statements(
    stage: Recurrence, values: Expr, first: int, world: World, context: Set
) -> Iterator[Statement]:
    """The statements of all equations, with numbers from `first`."""
    for place, (equation, value) in enumerate(zip(stage.equations, values.children, strict=True)):
        for statement in _equation(stage, place, equation, value, first, world, context):
            first += 1
            yield statement


def _equation(
    stage: Tensor, place: int, equation: Equation, value: Expr, first: int, world: World, context: Set
) -> Iterator[Statement]:
    """The statements of one equation, the `place`-th of its stage."""
    reduce = equation.reduce

    def made(number: int, kind: StatementKind, axes: tuple[Axis, ...], value: Expr) -> Statement:
        frame = world.frame(axes, inert("S", number, f"{stage.name}_{kind}"))
        domain = equation_domain(frame, equation, context, reducing=kind == "update")
        reduced = None if kind == "finish" else reduce
        return Statement(number, stage, kind, axes, equation.indices, value, reduced, frame, domain, equation=place)

    if reduce is None:
        yield made(first, "define", equation.axes, value)
        return
    identity = Const(REDUCTIONS[reduce.name].identity(reduce.operand.dtype), reduce.operand.dtype)
    update, finish = value.children if isinstance(value, Several) else (value, None)
    yield made(first, "init", equation.axes, identity)
    yield made(first + 1, "update", equation.loops, update)
    if finish is not None:
        yield made(first + 2, "finish", equation.axes, finish)
