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
    own = [s for s in program.of_stage(update.stage) if s.equation == update.equation]
    writes = update.writes()
    for later in own:
        if later.kind == "init":
            yield Requirement("init", later, update, later.writes().apply_range(writes.reverse()))
        if later.kind == "update":
            yield accumulation(update, later)
        if later.kind == "finish":
            for source in (s for s in own if s is update or s.kind == "init"):
                yield Requirement("finish", source, later, source.writes().apply_range(later.writes().reverse()))


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
