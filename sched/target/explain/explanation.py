"""`explain`: the costs of a schedule at given sizes, or for all sizes, on a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...compute.dtypes import INDEX
from ...compute.expr import Axis, Const, Expr, Size, transform
from ...compute.simplify import simplify, upper_bound
from ...compute.tensor import Tensor
from ...errors import ArgumentError, BudgetError
from ...polyhedral.cardinality import cardinality
from ...polyhedral.footprints import iterations_of
from ...polyhedral.program import Program
from ...polyhedral.statement import Statement
from ...polyhedral.tree import statements_below
from ...schedule.schedule import Schedule
from ...schedule.suggestion import listed, shown
from ..build import lowered_for, warnings_of
from ..machine import Target
from . import notes
from .costs import Level, Roofline, level_of, roofline
from .html import html_of
from .memory import Memory, memory_of
from .text import text_of
from .vectors import Lanes, Tile, lanes_of, tiles_of


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """The outermost loops of stages that run one after the other: their costs, and what bounds them where all sizes
    are known."""

    level: Level
    roofline: Roofline | None


@dataclass(frozen=True, slots=True, eq=False)
class StageCosts:
    """A stage: `computed` instances for the `needed` ones of its definition, in these lanes and register tiles.

    recomputation  computed / needed, where all sizes are known; less than 1 where not all of the stage is needed
    """

    stage: Tensor
    computed: Expr
    needed: Expr
    recomputation: Fraction | None
    lanes: Lanes
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What `Schedule.explain` found: `str()` is a table for people, `_repr_html_` the same for notebooks.

    nests   one row a loop: `nests[0].level` is all of the first one, its `children` are the loops in it
    stages  by their names
    memory  of intermediates: where each is, and how much there is at once
    notes   numbered; each begins with "P" and its number
    where   the sizes for which this is, of a schedule that is specialized; those that are given decide. Else ""
    """

    target: Target
    sizes: Mapping[str, int]
    nests: tuple[Nest, ...]
    stages: Mapping[str, StageCosts]
    memory: Memory
    notes: tuple[str, ...]
    where: str = ""

    def level(self, loop: str, stage: str | None = None) -> Level:
        """The row of a loop, the first of that name; of one stage if that is named.

        Raises ArgumentError for a loop that is not there.
        """
        found = [level for nest in self.nests for level in nest.level.all_below() if level.name]
        for level in found:
            if level.name == loop and stage in (None, level.stage):
                return level
        raise ArgumentError(f"there is no loop {shown(loop)}; the loops are {listed(level.name for level in found)}")

    def __str__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def explain(schedule: Schedule, target: Any = None, **sizes: int) -> Explanation:
    """The costs of a schedule; see `Schedule.explain`."""
    machine = Target.of(target)
    _check(schedule.program, sizes)
    schedule, where = _chosen(schedule, sizes)
    program, tree = schedule.program, schedule.tree()
    known = len(sizes) == len(program.sizes)
    levels = tuple(level_of(row) for row in iterations_of(program, tree, sizes))
    lowered = lowered_for(schedule, machine, verified=False, alone=True)
    tiles = tuple(tiles_of(lowered.stages["promote_accumulators"], machine))
    lanes = {s.number: lanes_of(tree.root, s, machine) for s in statements_below(tree.root)}
    stages = {s.name: _stage_costs(program, s, levels, lanes, tiles, sizes, known) for s in program.live_stages()}
    used = {number: max(1, round(one.used)) for number, one in lanes.items()}
    chains = {
        s.number: max([1, *(tile.vectors for tile in tiles if tile.name == s.stage.name)])
        for s in statements_below(tree.root)
        if notes.is_chain(tree, s)
    }
    nests = tuple(Nest(level, roofline(level, program, machine, sizes, used, chains) if known else None)
                  for level in levels)  # fmt: skip
    said = dict.fromkeys((
        *warnings_of(lowered, schedule),
        *notes.scalar_code(tuple(lanes.values()), tree),
        *notes.partial_vectors(tuple(lanes.values())),
        *notes.tails(levels),
        *notes.short_parallel_loops(levels, machine),
        *notes.unmarked(tree, machine),
        *notes.spills(tiles, machine),
    ))  # fmt: skip
    memory = memory_of(lowered.program.body, sizes, machine.thread_count())
    return Explanation(machine, dict(sizes), nests, stages, memory, tuple(sorted(said)), where)


def _chosen(schedule: Schedule, sizes: Mapping[str, int]) -> tuple[Schedule, str]:
    """The schedule that runs at these sizes, and for which it is; where that is not decided, the one for all others."""

    def known(node: Expr) -> Expr:
        return Const(sizes[node.name], INDEX) if isinstance(node, Size) and node.name in sizes else node

    for branch in schedule.branches:
        found = simplify(transform(branch.condition, known))
        if not isinstance(found, Const):
            break
        if found.value:
            return branch.schedule, f"where {branch.words}"
    others = ", ".join(branch.words for branch in schedule.branches)
    return schedule, f"where none of these holds: {others}" if others else ""


def _check(program: Program, sizes: Mapping[str, Any]) -> None:
    known = {size.name: size for size in program.sizes}
    for name, value in sizes.items():
        if name not in known:
            there = f"its sizes are {listed(known)}" if known else "its sizes are fixed"
            raise ArgumentError(f"explain: the schedule has no size {shown(name)}; {there}")
        size = known[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < size.min or value % size.multiple_of:
            multiple = f", a multiple of {size.multiple_of}" if size.multiple_of > 1 else ""
            raise ArgumentError(
                f"explain: {name} is {shown(value)}; an integer of at least {size.min}{multiple} is expected"
            )


def _stage_costs(
    program: Program, stage: Tensor, levels: tuple[Level, ...], lanes: Mapping[int, Lanes], tiles: tuple[Tile, ...],
    sizes: Mapping[str, int], known: bool,
) -> StageCosts:  # fmt: skip
    """The instances of a stage's last statement, against those that it has where it is computed once, as a whole."""
    own = [s for s in program.of_stage(stage) if s.kind in ("define", "update")]
    numbers = {statement.number for statement in own}
    found = [i for level in levels for i in level.iteration.instances if i.statement.number in numbers]
    computed = needed = _sum(instances.count for instances in found)
    ratio: Fraction | None = Fraction(1)
    if program.placements[stage.uid].prefix:
        once = [s for s in program.as_a_whole(stage) if s.kind != "init"]
        needed, ratio = _sum(_volume(s.axes) for s in once), None
        if known:
            done, least = (_instances(program, statements, sizes) for statements in (own, once))
            if done is not None and least:
                computed, needed, ratio = Const(done, INDEX), Const(least, INDEX), Fraction(done, least)
    own_tiles = tuple(tile for tile in tiles if tile.name == stage.name)
    return StageCosts(stage, computed, needed, ratio, lanes[own[-1].number], own_tiles)


def _instances(program: Program, statements: Sequence[Statement], sizes: Mapping[str, int]) -> int | None:
    try:
        with program.world.budgeted("counting instances"):
            return sum(cardinality(s.domain, program.world, sizes) for s in statements)
    except BudgetError:
        return None


def _volume(axes: Iterable[Axis]) -> Expr:
    total: Expr = Const(1, INDEX)
    for axis in axes:
        total = simplify(total * upper_bound(axis.upper - axis.lower))
    return total


def _sum(counts: Iterable[Expr]) -> Expr:
    total: Expr = Const(0, INDEX)
    for count in counts:
        total = simplify(total + count)
    return total
