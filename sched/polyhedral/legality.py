"""Is a loop tree legal? One check for every command, with the smallest witness where it is not.

Proven here is that the tree keeps every pair of `requirements` in order, for all sizes; see `order` for when two
instances are in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..compute.expr import Axis, Const, Expr, substitute
from ..compute.sizes import evaluate_extent
from ..errors import LegalityError
from .isl import Point, World
from .order import violations
from .program import Statement
from .requirements import Requirement
from .tree import Tree


@dataclass(frozen=True, slots=True)
class Violation:
    """The smallest pair of instances that a tree runs in the wrong order."""

    requirement: Requirement
    point: Point
    together: bool

    @property
    def source(self) -> dict[str, int]:
        axes = self.requirement.source.axes
        return {axis.name: v for axis, v in zip(axes, self.point.coordinates, strict=False)}

    @property
    def sink(self) -> dict[str, int]:
        first = len(self.requirement.source.axes)
        axes = self.requirement.sink.axes
        return {axis.name: v for axis, v in zip(axes, self.point.coordinates[first:], strict=False)}

    @property
    def cell(self) -> tuple[str, tuple[int, ...]]:
        """The element that the source writes."""
        statement = self.requirement.source
        at: dict[Axis, int] = dict(zip(statement.axes, self.point.coordinates, strict=False))
        return statement.stage.name, tuple(_number(index, at, self.point.sizes) for index in statement.indices)


def first_violation(tree: Tree, pairs: tuple[Requirement, ...], world: World, step: str) -> Violation | None:
    """The smallest violation among `pairs`, or None: the tree is legal for all sizes."""
    found: list[Violation] = []
    with world.budgeted(step):
        for requirement in pairs:
            bad = violations(tree, requirement)
            for pairs_of, together in ((bad.reversed, False), (bad.together, True)):
                point = world.smallest(pairs_of)
                if point is not None:
                    found.append(Violation(requirement, point, together))
    return min(found, key=lambda violation: violation.point.order, default=None)


def refusal(step: str, violation: Violation) -> LegalityError:
    """The error that shows a user the two instances, the element between them, and what would be accepted."""
    requirement, sizes = violation.requirement, violation.point.sizes
    at = f"at {', '.join(f'{name}={value}' for name, value in sizes.items())} " if sizes else ""
    source, sink = (
        _instance(statement, values)
        for statement, values in ((requirement.source, violation.source), (requirement.sink, violation.sink))
    )
    element = _element(violation.cell)
    order = f"runs {source} and {sink} at the same time" if violation.together else f"runs {sink} before {source}"
    return LegalityError(
        f"{step}: {at}it {order}, {_why(requirement, element, (source, sink))}. {_advice(requirement)}",
        source=(requirement.source.stage.name, violation.source),
        sink=(requirement.sink.stage.name, violation.sink),
        sizes=dict(sizes),
        cell=violation.cell,
    )


def _instance(statement: Statement, values: dict[str, int]) -> str:
    return f"{statement.label}[{', '.join(f'{name}={value}' for name, value in values.items())}]"


def _element(cell: tuple[str, tuple[int, ...]]) -> str:
    return f"{cell[0]}[{', '.join(map(str, cell[1]))}]"


def _why(requirement: Requirement, element: str, instances: tuple[str, str]) -> str:
    match requirement.kind:
        case "flow":
            return f"but {instances[1]} reads {element}, which {instances[0]} writes"
        case "init":
            return f"but {element} must be initialised before anything is accumulated into it"
        case "accumulate":
            if requirement.exclusive:
                return f"but both update {element}"
            reduce = requirement.sink.reduce
            assert reduce is not None
            return (
                f"but both accumulate into {element}, and the order of a {reduce.operand.dtype.name} {reduce.name} "
                "is part of its definition"
            )


def _advice(requirement: Requirement) -> str:
    reduce = requirement.sink.reduce
    if requirement.kind != "accumulate" or reduce is None:
        return "Keep the loop that carries this dependence serial, outside the loops that it orders"
    names = ", ".join(axis.name for axis in reduce.axes)
    data = ", ".join(axis.name for axis in requirement.sink.axes if not axis.reduction) or "none"
    if requirement.exclusive:
        return f"Keep the loops made of {names} serial, unrolled or vectorized; the loops of {data} may be parallel"
    return (
        f"Keep the loops made of {names} serial and in order (splitting them and moving the loops of {data} is legal), "
        f"or declare that the order is free with ps.{reduce.name}(..., reassociate=True)"
    )


def _number(index: Expr, at: dict[Axis, int], sizes: dict[str, int]) -> int:
    values: dict[Axis, Expr] = {axis: Const(value, axis.dtype) for axis, value in at.items()}
    return evaluate_extent(substitute(index, values), sizes)
