"""What makes recurrences a definition: every cell has one value, and there is an order to compute them in.

Proven when a system is first used, for all sizes. That reads are in bounds is proven here as for `compute`; as every
cell is defined, they are then of cells that are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..compute.define import system_provers
from ..compute.expr import Size
from ..compute.recurrence import Recurrence
from ..compute.rules import FREE
from ..compute.tensor import Tensor
from ..errors import DefinitionError, Location
from .affine import affine
from .bounds import iteration_domain, prove_in_bounds
from .circles import SHORT, Cell, short_circle
from .isl import Set
from .pieces import pairs_of
from .program import Program, unproven_program
from .requirements import requirements
from .statement import Statement
from .systems import Need, default_order, needs_between, systems

SMALL_SIZES = (1, 2, 3, 4, 6)  # at which a circle of more cells is looked for than `short_circle` finds
CORNER = 8  # and the first coordinates of a dimension that take part


def prove_defined(stages: tuple[Tensor, ...], new: tuple[Tensor, ...]) -> None:
    """Raise unless the recurrences among `new`, and what they need each other for, mean something."""
    recurrences = [stage for stage in new if isinstance(stage, Recurrence)]
    for stage in recurrences:
        prove_in_bounds(stage)
    program = unproven_program(stages)
    with program.world.budgeted("the recurrences " + ", ".join(stage.name for stage in recurrences)):
        for stage in recurrences:
            _prove_left_sides(stage, program)
            _prove_one_value(stage, program)
        pairs = requirements(program)
        for group in systems(program):
            needs = needs_between(group, pairs)
            if any(stage in new for stage in group) and default_order(group, needs, program.world) is None:
                _refuse_order(group, needs, program)


def _prove_left_sides(stage: Recurrence, program: Program) -> None:
    """Axes with a range of their own are not cut off silently where the left side leaves the tensor."""
    for rule in stage.rules:
        axes = tuple(axis for axis in rule.axes if axis.upper is not FREE)
        frame = program.world.frame(axes, "W")
        for dimension, index in enumerate(rule.left):
            value, extent = affine(index, frame), affine(stage.shape[dimension], frame)
            if value is None or extent is None:
                continue
            domain = iteration_domain(frame, axes, program.context)
            bad = domain.subtract(value.ge_set(frame.const(0)).intersect(value.lt_set(extent)))
            point = program.world.smallest(bad)
            if point is not None and rule.where is None:
                values = dict(zip((axis.name for axis in axes), point.coordinates, strict=True))
                advice = "change the range of the axis, or leave it out for every value that the left side allows"
                if not axes:
                    advice = "cells are counted from 0; limit the equation by where= to sizes at which it is inside"
                raise DefinitionError(
                    f"{_sizes(point.sizes | values)}the left side {stage.name}[{', '.join(map(str, rule.left))}] is "
                    f"outside {stage}: {advice}",
                    location=rule.location,
                )


def _prove_one_value(stage: Recurrence, program: Program) -> None:
    """Every cell is defined by exactly one equation."""
    definers = [s for s in program.of_stage(stage) if s.kind in ("define", "init")]
    for first, second in itertools.combinations(definers, 2):
        twice = first.domain.reset_tuple_id().intersect(second.domain.reset_tuple_id())
        _refuse_cell(stage, program, twice, f"is defined twice, {_lines(stage, first, second)}", _where(stage, second))
    axes = stage.equations[0].axes
    left = iteration_domain(program.world.frame(axes, "W"), axes, program.context).reset_tuple_id()
    for statement in definers:
        left = left.subtract(statement.domain.reset_tuple_id())
    advice = "is not defined by any equation: define every cell, or make the tensor smaller"
    _refuse_cell(stage, program, left, advice, stage.location)


def _refuse_cell(stage: Recurrence, program: Program, bad: Set, what: str, location: Location | None) -> None:
    point = program.world.smallest(bad)
    if point is not None:
        raise DefinitionError(f"{_sizes(point.sizes)}{_cell(stage, point.coordinates)} {what}", location=location)


def _lines(stage: Recurrence, first: Statement, second: Statement) -> str:
    where = " and ".join(f"in {_where(stage, s)}" for s in (first, second))
    return f"{where}; limit one of the equations with where= or the range of an axis"


def _where(stage: Recurrence, statement: Statement) -> Location | None:
    return stage.equations[statement.equation].location


def _sizes(sizes: dict[str, int]) -> str:
    return f"at {', '.join(f'{name}={value}' for name, value in sizes.items())}, " if sizes else ""


def _cell(stage: Tensor, indices: tuple[int, ...]) -> str:
    return f"{stage.name}[{', '.join(map(str, indices))}]"


def _refuse_order(group: tuple[Tensor, ...], needs: list[Need], program: Program) -> None:
    names = ", ".join(stage.name for stage in group)
    location = next((s.equations[-1].location for s in group if s.equations[-1].location), group[0].location)
    found = _circle(group, needs, program)
    if found is not None:
        sizes, cells = found
        chain = f"{cells[0]} needs {', which needs '.join(cells[1:])}"
        raise DefinitionError(f"{_sizes(sizes)}{chain}: no order computes {names}", location=location)
    raise DefinitionError(
        f"no order of the loops of {names} was found in which every cell is computed before those that need it, "
        f"and no circle of up to {SHORT} cells, nor a longer one at sizes up to {SMALL_SIZES[-1]} among the first "
        f"{CORNER} cells of each dimension. Orders are tried along the dimensions, forwards or backwards, or a sum of "
        "them with factors up to 3, of all equations or of each alone: write the recurrence over another dimension, a "
        "step or a distance, along which all values are computed, or as several equations, each in an order of its own",
        location=location,
    )


def _circle(group: tuple[Tensor, ...], needs: list[Need], program: Program) -> tuple[dict[str, int], list[str]] | None:
    """Sizes and cells that need each other in a circle, the first one at the end again: a short one, or a longer one
    at smaller sizes."""
    stages = {stage.uid: stage for stage in group}
    found = [each for each in (short_circle(needs, program.world), _small_circle(needs, program)) if each is not None]
    if not found:
        return None
    sizes, circle = min(found, key=lambda each: sum(each[0].values()))
    return sizes, [_cell(stages[uid], indices) for uid, indices in circle]


def _small_circle(needs: list[Need], program: Program) -> tuple[dict[str, int], list[Cell]] | None:
    """A circle of any number of cells at small sizes."""
    for size in SMALL_SIZES:
        sizes = {known.name: _allowed(known, size) for known in program.sizes}
        edges: dict[Cell, list[Cell]] = {}
        for need in needs:
            at = need.relation.intersect_params(program.world.fixed(sizes).intersect(program.context))
            for before, after in pairs_of(at, CORNER):
                edges.setdefault((need.sink[0], after), []).append((need.source[0], before))
        circle = _find_circle(edges)
        if circle is not None:
            return sizes, circle
        if not sizes:
            break
    return None


def _allowed(size: Size, least: int) -> int:
    least = max(least, size.min)
    return -(-least // size.multiple_of) * size.multiple_of


def _find_circle(edges: dict[Cell, list[Cell]]) -> list[Cell] | None:
    """A shortest circle through the first cell, in order, that is on one."""
    for start in sorted(edges):
        came: dict[Cell, Cell] = {}
        front = [start]
        while front:
            further: list[Cell] = []
            for cell, other in _steps(front, edges):
                if other == start:
                    path = [start, cell]
                    while path[-1] != start:
                        path.append(came[path[-1]])
                    return path[::-1]
                if other not in came:
                    came[other] = cell
                    further.append(other)
            front = further
    return None


def _steps(front: list[Cell], edges: dict[Cell, list[Cell]]) -> Iterator[tuple[Cell, Cell]]:
    return ((cell, other) for cell in front for other in edges.get(cell, ()))


system_provers.append(prove_defined)
