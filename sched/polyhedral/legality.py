"""Is a loop tree legal? One check for every command, with the smallest witness where it is not.

Proven here is that the tree keeps every pair of `requirements` in order, for all sizes; see `order` for when two
instances are in order. Positions of fused loops with symbolic extents are no affine functions: what is legal by what
is known of them is legal, and what is not is looked for at given sizes, where they are affine. A step that is neither
proven nor refuted is undecided, and never accepted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..compute.expr import Axis, Const, Expr, Size, substitute
from ..compute.sizes import evaluate_extent
from ..errors import BudgetError, LegalityError, one
from .band_order import certainly_ordered
from .counters import at_sizes
from .isl import Point, World
from .order import Violations, violations
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
        """The element that the source writes; of a clobber, what overwrites."""
        statement, first = self.requirement.source, 0
        if self.requirement.kind == "clobber":
            statement, first = self.requirement.sink, len(statement.axes)
        at: dict[Axis, int] = dict(zip(statement.axes, self.point.coordinates[first:], strict=False))
        return statement.stage.name, tuple(_number(index, at, self.point.sizes) for index in statement.indices)


def first_violation(
    tree: Tree, pairs: Iterable[Requirement], world: World, step: str, *, any_of_them: bool = False
) -> Violation | None:
    """The smallest violation among `pairs`, or None: the tree is legal for all sizes. With `any_of_them`, the smallest
    one of the first of them that has any."""
    found: list[Violation] = []
    undecided = False
    with world.budgeted(step):
        for requirement in pairs:
            bad = _violations(tree, requirement, world)
            if bad is None:
                continue
            witness = _smallest(requirement, bad, world)
            if witness is not None and not bad.exact:
                witness = _search(tree, requirement, world)
                undecided = undecided or witness is None
            if witness is not None:
                found.append(witness)
                if any_of_them:
                    break
    if undecided and not found:
        raise BudgetError(
            f"{step}: undecided, so it is refused: it depends on where the iterations of a fused loop of symbolic "
            f"extents fall, and no violation was found at sizes up to {max(_DIAGONAL)}; fix the extents of the inner "
            "fused loops, or split the loops before they are fused"
        )
    return min(found, key=lambda violation: violation.point.order, default=None)


def _violations(tree: Tree, requirement: Requirement, world: World) -> Violations | None:
    """The pairs that may be in the wrong order; None where there are none. What has been found once for a requirement
    is known for all trees that are alike around its statements."""

    def found() -> Violations | None:
        if certainly_ordered(tree, requirement):
            return None
        bad = violations(tree, requirement)
        return None if bad.reversed.is_empty() and bad.together.is_empty() else bad

    if tree.fused:
        return found()
    return world.once("violations", (requirement, *tree.order_of(requirement.source, requirement.sink)), found)


def _smallest(requirement: Requirement, bad: Violations, world: World) -> Violation | None:
    found = [
        Violation(requirement, point, together)
        for pairs, together in ((bad.reversed, False), (bad.together, True))
        if (point := world.smallest(pairs)) is not None
    ]
    return min(found, key=lambda violation: violation.point.order, default=None)


# Sizes at which `_search` looks: just around powers of two, because factors mostly are; and some that differ.
_DIAGONAL = (*range(1, 10), 12, 15, 17, 24, 31, 33, 63, 65, 127, 129, 257, 513, 1025)
_MIXED = (1, 2, 3, 5, 9)
_STEPS = 40


def _search(tree: Tree, requirement: Requirement, world: World) -> Violation | None:
    """A violation at sizes none of which can be made smaller alone."""
    sizes = [size for size in world.sizes.values() if not size.name.startswith("|")]

    def at(values: tuple[int, ...]) -> Violation | None:
        named = dict(zip((size.name for size in sizes), values, strict=True))
        relation = requirement.relation.intersect_params(world.fixed(named))
        here = replace(requirement, relation=relation)
        witness = _smallest(here, violations(at_sizes(tree, named), here), world)
        return None if witness is None else replace(witness, requirement=requirement)

    def smaller(values: tuple[int, ...], best: Violation) -> Violation:
        for k, size in enumerate(sizes):
            for value in range(_promised(size, 0), values[k], size.multiple_of)[:_STEPS]:
                witness = at((*values[:k], value, *values[k + 1 :]))
                if witness is not None:
                    values, best = (*values[:k], value, *values[k + 1 :]), witness
                    break
        return best

    for values in _candidates(sizes):
        witness = at(values)
        if witness is not None:
            return smaller(values, witness)
    return None


def _candidates(sizes: list[Size]) -> Iterator[tuple[int, ...]]:
    for value in _DIAGONAL[: len(_DIAGONAL) if sizes else 1]:
        yield tuple(_promised(size, value) for size in sizes)
    if len(sizes) > 1:
        for values in itertools.islice(itertools.product(_MIXED, repeat=len(sizes)), len(_MIXED) ** 3):
            yield tuple(map(_promised, sizes, values))


def _promised(size: Size, value: int) -> int:
    """The least value from `value` on that the size may have."""
    least = max(value, size.min)
    return least + -least % size.multiple_of


def refusal(step: str, violation: Violation, skews: tuple[str, ...] = ()) -> LegalityError:
    """The error that shows a user the two instances, the element between them, and what would be accepted: `skews` are
    commands that make the step legal when they come before all others."""
    requirement, sizes = violation.requirement, violation.point.sizes
    at = f"at {', '.join(f'{name}={value}' for name, value in sizes.items())} " if sizes else ""
    source, sink = (
        _instance(statement, values)
        for statement, values in ((requirement.source, violation.source), (requirement.sink, violation.sink))
    )
    element = _element(violation.cell)
    order = f"runs {source} and {sink} at the same time" if violation.together else f"runs {sink} before {source}"
    return LegalityError(
        f"{step}: {at}it {order}, {_why(requirement, element, (source, sink))}. {_advice(requirement, skews)}",
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
        case "clobber":
            return f"but {instances[1]} writes {element} into the cell of an element that {instances[0]} still reads"
        case "finish":
            return f"but all of {element} must be accumulated before its value is made of that"
        case "accumulate":
            reduce = requirement.sink.reduce
            assert reduce is not None
            return (
                f"but both accumulate into {element}, and the order of {one(reduce.operand.dtype.name)} {reduce.name} "
                "is part of its definition"
            )


def _advice(requirement: Requirement, skews: tuple[str, ...]) -> str:
    if skews:
        return f"It is legal after {' and '.join(skews)}, before the loops are split or moved"
    if requirement.kind == "clobber":
        return (
            f"Fold {requirement.sink.stage.name} to a larger size, or compute it where fewer of its elements are "
            "needed at a time"
        )
    reduce = requirement.sink.reduce
    if requirement.kind != "accumulate" or reduce is None:
        return "Keep the loop that carries this dependence serial, outside the loops that it orders"
    names = ", ".join(axis.name for axis in reduce.axes)
    own = requirement.sink.axes[len(requirement.sink.prefix) :]
    data = ", ".join(axis.name for axis in own if not axis.reduction) or "none"
    return (
        f"Keep the loops made of {names} serial and in order (splitting them and moving the loops of {data} is legal), "
        f"or declare that the order is free with ps.{reduce.name}(..., reassociate=True)"
    )


def _number(index: Expr, at: dict[Axis, int], sizes: dict[str, int]) -> int:
    values: dict[Axis, Expr] = {axis: Const(value, axis.dtype) for axis, value in at.items()}
    return evaluate_extent(substitute(index, values), sizes)
