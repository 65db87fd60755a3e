"""Whether the values of stages fit into a narrow integer type, and at which sizes: the proof behind `narrow`.

A stage that is no recurrence has the range of its expression. The cells of a system of recurrences first have that of
their type, which always holds; once more through the equations gives the bounds that a `max` or `min` makes. Where
that is not enough, bounds are guessed (`invariants`), and proven by induction: if all cells that an equation reads
keep to theirs, so does the one that it defines, at all sizes at which nothing wraps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce as fold
from types import MappingProxyType

from ..compute.define import tensors_read
from ..compute.dtypes import DType
from ..compute.expr import Expr, Read, walk
from ..compute.tensor import Equation, Tensor
from .bounds import size_context
from .definitions import Definitions, narrow_value
from .invariants import Cells, Unknown, invariants
from .isl import PwAff, Set, World, inert
from .narrowing import Narrowing
from .value_ranges import Range, Ranges, Unfit, inside_of, outside

_PASSES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """At which sizes not all values are known to fit, and the instances for which they are not."""

    misses: Set
    unfit: tuple[Unfit, ...]


def fit(
    definitions: Definitions,
    narrow: Mapping[int, Tensor],
    to: DType,
    world: World,
    context: Set,
    limits: Mapping[int, tuple[int, int]] = MappingProxyType({}),
) -> Fit:
    """Whether stages, whose narrow tensors are given by their uids, may be computed in the type `to`. `limits` are the
    numbers between which the elements of arguments are, by their uids, where that is more than their type."""
    narrowing = Narrowing(narrow, to)
    stages = [stage for stage in definitions.stages if stage.uid in narrow]
    for stage in stages:
        narrow_value(definitions, stage, narrowing)
    start = Ranges(definitions, world, context, limits, to=to)
    last = replace(start, exact=frozenset(map(id, narrowing.exact)))
    rules = [s for s in definitions.circle(stages[0]) if definitions.has_rules(s) and s.dtype.is_int]
    system, guesses = _guessed(start, rules, to) if rules else ([], [])
    proofs = [_proven(last, system, guess, stages) for guess in guesses or [{}]]
    misses = fold(Set.intersect, (proof.misses for proof in proofs))
    return Fit(misses.coalesce(), tuple(proofs[0].unfit))


def _guessed(start: Ranges, rules: Sequence[Tensor], to: DType) -> tuple[list[Cells], list[dict[Unknown, PwAff]]]:
    """The equations of a system, and guesses for what has no bound. These are made for all sizes, so that they are the
    same where a condition on them is known."""
    tensors = {t.uid: t for stage in rules for t in (stage, *tensors_read(stage))}
    free = replace(start, context=size_context(start.world, tuple(tensors.values())), unfit=[], _known={})
    system = _known(free, rules, to)
    unknown = list(_unknown(system, to))
    guesses = list(invariants(system, _assuming(free, system), unknown)) if unknown else []
    return system if free.context.is_equal(start.context) else _known(start, rules, to), guesses


def _known(start: Ranges, rules: Sequence[Tensor], to: DType) -> list[Cells]:
    """The equations of a system with ranges that hold at all sizes at which nothing wraps in those that read no cells;
    in others, what may wrap has all values of its type."""
    system, uids = list(_of_type(start, rules)), {stage.uid for stage in rules}
    for _ in range(_PASSES):
        strict, before = _assuming(start, system), len(list(_unknown(system, to)))
        wrapping = replace(strict, wrapping=True, _known={})
        system = [
            replace(c, known=(wrapping if _reads(c.value, uids) else strict).of_equation(c.stage, c.equation, c.value))
            for c in system
        ]
        if len(list(_unknown(system, to))) in (0, before):
            break
    return system


def _reads(value: Expr, uids: set[int]) -> bool:
    return any(isinstance(node, Read) and node.tensor.uid in uids for node in walk(value))


def _of_type(start: Ranges, rules: Sequence[Tensor]) -> Iterator[Cells]:
    """The equations of stages, with all values of their types."""
    for stage in rules:
        values = start.definitions.values[stage.uid].children
        for number, (equation, value) in enumerate(zip(stage.equations, values, strict=True)):
            frame = start.frame(stage, equation, reducing=False)
            domain = start.domain(frame, equation, reducing=False)
            low, high = frame.const(int(stage.dtype.lowest)), frame.const(int(stage.dtype.highest))
            yield Cells(stage, number, equation, value, domain, Range(low, high).within(domain))


def _assuming(start: Ranges, system: Sequence[Cells]) -> Ranges:
    """What follows from the ranges of a system's cells."""
    assumed: dict[int, Range] = {}
    for cells in system:
        known = assumed.get(cells.stage.uid)
        own = cells.known.within(cells.domain)
        assumed[cells.stage.uid] = own if known is None else known.joined(own)
    return replace(start, assumed=assumed, unfit=[], seen=set(), _known={})


def _unknown(system: Sequence[Cells], to: DType) -> Iterator[Unknown]:
    """The bounds that are numbers beyond the type: of these the definition has others, or none."""
    for cells in system:
        least, most = cells.known.lower.min_val(), cells.known.upper.max_val()
        if least.is_int() and int(least.to_python()) < to.lowest:
            yield cells.stage.uid, cells.number, "lower"
        if most.is_int() and int(most.to_python()) > to.highest:
            yield cells.stage.uid, cells.number, "upper"


def _proven(last: Ranges, system: Sequence[Cells], guess: Mapping[Unknown, PwAff], stages: Sequence[Tensor]) -> Ranges:
    """The ranges with guessed bounds, in which it is noted where the induction, or a value that has to fit, fails."""
    guessed = [_with_guess(cells, guess) for cells in system]
    ranges = _assuming(last, guessed)
    for cells in guessed:
        found = ranges.of_equation(cells.stage, cells.equation, cells.value)
        frame = ranges.frame(cells.stage, cells.equation, reducing=False)
        beyond = found.lower.lt_set(cells.known.lower).union(found.upper.gt_set(cells.known.upper))
        beyond = beyond.union(cells.domain.subtract(inside_of(found))).intersect(cells.domain)
        ranges.refuse(cells.stage, cells.value, frame, found, cells.stage.dtype, beyond)
        if cells.stage in stages:
            _check_stored(ranges, cells.stage, cells.equation, cells.value, found)
    for stage in stages:
        if not ranges.definitions.has_rules(stage):
            equation, value = ranges.definitions.equations[stage.uid], ranges.definitions.values[stage.uid]
            _check_stored(ranges, stage, equation, value, ranges.of_equation(stage, equation, value))
    if ranges.seen != ranges.exact:  # something that has to fit is in what has no range
        frame = last.world.frame((), inert("V", stages[0].uid, stages[0].name))
        everywhere = frame.universe().intersect_params(last.context)
        unknown = Range(frame.const(0), frame.const(0))
        ranges.refuse(stages[0], stages[0].equations[0].value, frame, unknown, ranges.to, everywhere)
    return ranges


def _with_guess(cells: Cells, guess: Mapping[Unknown, PwAff]) -> Cells:
    lower = guess.get((cells.stage.uid, cells.number, "lower"), cells.known.lower)
    upper = guess.get((cells.stage.uid, cells.number, "upper"), cells.known.upper)
    return replace(cells, known=Range(lower, upper).within(cells.domain))


def _check_stored(ranges: Ranges, stage: Tensor, equation: Equation, value: Expr, found: Range) -> None:
    """What a stage stores has to fit."""
    frame = ranges.frame(stage, equation, reducing=False)
    domain = ranges.domain(frame, equation, reducing=False)
    ranges.refuse(stage, value, frame, found, ranges.to, outside(found, ranges.to, frame, domain))
