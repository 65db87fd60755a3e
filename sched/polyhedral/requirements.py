"""What every schedule must respect: pairs of instances, exact and for all sizes.

Definitions say which value each read sees, so the pairs follow from accesses alone, and they are memory-based: every
update of an element is after its init and before its readers, not only the first and the last one. That is what makes
it sound to free the order among the updates of a re-associable reduction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ..compute.expr import Read
from .bounds import guarded_reads
from .isl import Map, Set
from .program import Program, Statement


@dataclass(frozen=True, slots=True, eq=False)
class Requirement:
    """Every pair of `relation` must run source first. Where the order is `free`, it may run in any order, and in
    different threads or lanes: those of a reduction have partial results of their own, and lanes of a mix take turns.

    flow        the source writes the element that the sink reads
    init        the source initialises what the sink accumulates into
    accumulate  both update one element
    clobber     the sink overwrites the cell of an element that the source reads (see `clobber`)
    finish      the source accumulates, or initialises, what the sink makes the element's value of
    """

    kind: Literal["flow", "init", "accumulate", "clobber", "finish"]
    source: Statement
    sink: Statement
    relation: Map
    free: bool = False


def requirements(program: Program) -> tuple[Requirement, ...]:
    """All pairs that a schedule of the Program must keep in order. Between statements that are what they were, they are
    the same objects as before."""
    found: list[Requirement] = []
    for statement in program.statements:
        if statement.kind == "update":
            found += _within_reduction(program, statement)
        found += _flows(program, statement)
    return tuple(found)


def _within_reduction(program: Program, update: Statement) -> Iterator[Requirement]:
    own = [s for s in program.of_stage(update.stage) if s.equation == update.equation]
    once = program.world.once
    for later in own:
        if later.kind == "init":
            yield from once("init", (later, update), partial(_of_one_element, "init", later, update))
        if later.kind == "update":
            yield from once("accumulate", (update, later), partial(_accumulated, update, later))
        if later.kind == "finish":
            for source in (s for s in own if s is update or s.kind == "init"):
                yield from once("finish", (source, later), partial(_of_one_element, "finish", source, later))


def _of_one_element(kind: Literal["init", "finish"], source: Statement, sink: Statement) -> tuple[Requirement, ...]:
    return _pairs(Requirement(kind, source, sink, source.writes().apply_range(sink.writes().reverse())))


def _accumulated(update: Statement, later: Statement) -> tuple[Requirement, ...]:
    return _pairs(accumulation(update, later))


def _pairs(requirement: Requirement) -> tuple[Requirement, ...]:
    """The requirement, unless there is no pair."""
    return () if requirement.relation.is_empty() else (requirement,)


def accumulation(update: Statement, later: Statement) -> Requirement:
    """The pairs of updates of one element, in the order of the definition."""
    reduce = update.reduce
    assert reduce is not None
    counters = []
    for statement in (update, later):
        order = [statement.frame.axis(axis) for axis in reduce.axes]
        counters.append(statement.frame.tuple_of([value for value in order if value is not None]))
    same = update.writes().apply_range(later.writes().reverse())
    return Requirement(
        "accumulate", update, later, counters[0].lex_lt_map(counters[1]).intersect(same), reduce.reassociate
    )


def _flows(program: Program, sink: Statement) -> Iterator[Requirement]:
    once = program.world.once

    def reads() -> tuple[tuple[Read, Set], ...]:
        return tuple(guarded_reads(sink.value, sink.frame, sink.domain))

    for read, needed in once("reads", (sink,), reads):
        if sink.accumulates(read) or not read.tensor.equations:
            continue
        placed = program.placements[read.tensor.uid].around.kept > 0  # then elements are those of a place
        looked = partial(program.elements_read, read, sink, needed)
        elements = looked() if placed else once("elements", (sink, read, needed), looked)
        for source in _writers(program.of_stage(read.tensor)):
            flow = partial(_flow, source, sink, elements)
            yield from flow() if placed else once("flow", (source, sink, elements), flow)


def _flow(source: Statement, sink: Statement, elements: Map) -> tuple[Requirement, ...]:
    return _pairs(Requirement("flow", source, sink, source.writes().apply_range(elements.reverse())))


def _writers(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """The statements that write what readers see; what is finished is accumulated before."""
    finished = {s.equation for s in statements if s.kind == "finish"}
    return (s for s in statements if s.kind == "finish" or s.equation not in finished)
