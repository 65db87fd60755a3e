"""Is anything overwritten before it is read for the last time?

Where elements share cells (`Layout.folds`), no writer V of another element of the cell may come between a writer W of
an element and an instance R that reads it: V is before W, or after R. Whether V is certainly before W follows from the
tree; for all other V of the cell, `overwrites` requires that they come after R, and that is proven like every other
requirement. With one writer an element this is the classical test on lifetimes (Lefebvre and Feautrier, Parallel
Computing 1998).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..compute.expr import Expr
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from .affine import affine
from .band_order import certainly_ordered
from .isl import Map
from .layout import total
from .order import violations
from .program import Program
from .requirements import Requirement
from .statement import Statement
from .tree import Tree


def overwrites(
    program: Program,
    tree: Tree,
    pairs: Sequence[Requirement],
    folded: Collection[Tensor] | None = None,
) -> Iterator[Requirement]:
    """For every stage with folded dimensions, or for those of them that are given: the pairs of a reader and a later
    writer of the cell."""
    either = tuple(_either_way(pairs)) if program.is_folded else ()
    for stage in program.live_stages() if folded is None else folded:
        if not program.layout(stage).folds:
            continue
        statements = program.of_stage(stage)
        cells = {statement: _cells(program, statement) for statement in statements}
        for source in statements:
            flows = [flow for flow in either if flow.source is source]
            for writer in statements if flows else ():
                not_before = _not_before_once(program, tree, source, writer, cells)
                for flow in () if not_before.is_empty() else flows:
                    later = partial(_after, flow, writer, not_before)
                    yield from program.world.once("after", (flow, writer, not_before), later)


def written_before(program: Program, tree: Tree, stage: Tensor) -> Iterator[Requirement]:
    """Of a stage with folded dimensions: the pairs of writers of two elements of a cell, in the order of the tree."""
    statements = program.of_stage(stage) if program.layout(stage).folds else ()
    cells = {statement: _cells(program, statement) for statement in statements}
    for source in statements:
        for writer in statements:
            shared = _sharing(cells, source, writer).reverse()
            before = shared.subtract(_not_before_once(program, tree, source, writer, cells))
            if not before.is_empty():
                yield Requirement("clobber", writer, source, before)


def _either_way(pairs: Sequence[Requirement]) -> Iterator[Requirement]:
    """The pairs, and those of two statements that are in any order the other way round."""
    for pair in pairs:
        yield pair
        if pair.free and pair.source is not pair.sink:
            yield replace(pair, source=pair.sink, sink=pair.source, relation=pair.relation.reverse())


def _not_before_once(
    program: Program, tree: Tree, source: Statement, writer: Statement, cells: Mapping[Statement, Map]
) -> Map:
    """What `_not_before` gives, found once for all trees that are alike around both statements."""
    looked = partial(_not_before, program, tree, source, writer, cells)
    if tree.fused:
        return looked()
    alike = (program.layout(source.stage), source, writer, *tree.order_of(writer, source))
    return program.world.once("not before", alike, looked)


def _sharing(cells: Mapping[Statement, Map], source: Statement, writer: Statement) -> Map:
    """From instances of `source` to those of `writer` that write another element into the same cell."""
    shared = cells[source].apply_range(cells[writer].reverse())
    return shared.subtract(source.writes().apply_range(writer.writes().reverse()))


def _not_before(
    program: Program, tree: Tree, source: Statement, writer: Statement, cells: Mapping[Statement, Map]
) -> Map:
    """From instances of `writer` to those of `source` that write another element into the cell, and are not certainly
    after it. Elements of a cell are further up or further down in what is folded; if all writers further down are
    certainly before, and all others after, these are all that must be looked at."""
    shared = _sharing(cells, source, writer)
    if shared.is_empty():
        return shared.reverse()
    below = _below(program, source, writer).intersect(shared)
    if certainly_ordered(tree, Requirement("clobber", writer, source, below.reverse())):
        above = shared.subtract(below)
        if certainly_ordered(tree, Requirement("clobber", source, writer, above)):
            return above.reverse()
    earlier = violations(tree, Requirement("clobber", writer, source, shared.reverse()))
    return earlier.reversed.union(earlier.together)


def _below(program: Program, source: Statement, writer: Statement) -> Map:
    """From instances of `source` to those of `writer` whose element is further down in the folded forms: in the first
    of them that is not the same."""
    below: Map | None = None
    for form in sorted(program.layout(source.stage).folds, reverse=True):
        left = affine(total(form, source.indices), source.frame)
        right = affine(total(form, writer.indices), writer.frame)
        assert left is not None and right is not None, "left-hand sides are affine by construction"
        here = left.gt_map(right)
        below = here if below is None else here.union(left.eq_map(right).intersect(below))
    assert below is not None, "something is folded"
    return below


def _after(flow: Requirement, writer: Statement, not_before: Map) -> tuple[Requirement, ...]:
    """The requirement of the instances of `writer` that must come after the sink of `flow`."""
    reader = flow.sink
    either = flow.free and flow.source is flow.sink
    read = flow.relation.union(flow.relation.reverse()) if either else flow.relation
    relation = not_before.apply_range(read).reverse()
    if reader is writer:
        relation = relation.subtract(Map.identity(relation.get_space()))
    return () if relation.is_empty() else (Requirement("clobber", reader, writer, relation),)


def _cells(program: Program, statement: Statement) -> Map:
    """From an instance to the cell it writes: the kept prefix, and where in its box the element is."""
    placement, stage = program.placements[statement.stage.uid], statement.stage
    origins = zip(statement.indices, placement.stored.origin, strict=True)
    positions = tuple(simplify(index - origin) for index, origin in origins)
    forms = program.layout(stage).values(positions, placement.stored.shape)
    values: list[Expr] = [*statement.prefix[: statement.kept], *forms.values()]
    cells = [affine(value, statement.frame) for value in values]
    assert all(cell is not None for cell in cells), "left-hand sides are affine by construction"
    return statement.frame.map_to([cell for cell in cells if cell is not None]).intersect_domain(statement.domain)
