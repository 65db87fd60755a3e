"""What every schedule must respect: pairs of instances, exact and for all sizes.

Definitions say which value each read sees, so the pairs follow from accesses alone, and they are memory-based: every
update of an element is after its init and before its readers, not only the first and the last one. That is what makes
it sound to free the order among the updates of a re-associable reduction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .bounds import guarded_reads
from .isl import Map
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
    """All pairs that a schedule of the Program must keep in order."""
    found: list[Requirement] = []
    for statement in program.statements:
        if statement.kind == "update":
            found += _within_reduction(program, statement)
        found += _flows(program, statement)
    return tuple(r for r in found if not r.relation.is_empty())


def _within_reduction(program: Program, update: Statement) -> Iterator[Requirement]:
    init, _, *rest = (s for s in program.of_stage(update.stage) if s.equation == update.equation)
    writes = update.writes()
    yield Requirement("init", init, update, init.writes().apply_range(writes.reverse()))
    yield accumulation(update)
    for finish in rest:
        for source in (init, update):
            yield Requirement("finish", source, finish, source.writes().apply_range(finish.writes().reverse()))


def accumulation(update: Statement) -> Requirement:
    """The pairs of updates of one element."""
    reduce, writes = update.reduce, update.writes()
    assert reduce is not None
    order = [update.frame.axis(axis) for axis in reduce.axes]
    counters = update.frame.tuple_of([value for value in order if value is not None])
    later = counters.lex_lt_map(counters).intersect(writes.apply_range(writes.reverse()))
    return Requirement("accumulate", update, update, later, free=reduce.reassociate)


def _flows(program: Program, sink: Statement) -> Iterator[Requirement]:
    for read, needed in guarded_reads(sink.value, sink.frame, sink.domain):
        if sink.accumulates(read) or not read.tensor.equations:
            continue
        elements = program.elements_read(read, sink, needed)
        for source in _writers(program.of_stage(read.tensor)):
            yield Requirement("flow", source, sink, source.writes().apply_range(elements.reverse()))


def _writers(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """The statements that write what readers see; what is finished is accumulated before."""
    finished = {s.equation for s in statements if s.kind == "finish"}
    return (s for s in statements if s.kind == "finish" or s.equation not in finished)
