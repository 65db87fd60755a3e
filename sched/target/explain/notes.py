"""Numbered notes on the performance of a schedule: what users otherwise find out by measuring.

P001 to P007 are warnings of the build (`Kernel.warnings`); P008 and on follow from the schedule, the sizes and the
target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...compute.expr import Axis, walk
from ...compute.reductions import REDUCTIONS
from ...polyhedral.statement import Statement
from ...polyhedral.tree import LoopNode, Tree, loops_of, statements_below
from ..machine import Target
from .costs import Level
from .vectors import Lanes, Tile


def keeps_order(statement: Statement) -> bool:
    """Whether the updates of a float sum or product must run in the order of its definition."""
    reduce = statement.reduce
    return (
        statement.kind == "update" and reduce is not None and not reduce.reassociate
        and reduce.operand.dtype.is_float and not REDUCTIONS[reduce.name].exact
    )  # fmt: skip


def waits(tree: Tree, statement: Statement) -> bool:
    """Whether the innermost loops of a sum in order are of its reduction, so that each addition waits for the last."""
    if not keeps_order(statement) or statement.reduce is None:
        return False
    loops = [n for n, _ in tree.path_to(statement) if isinstance(n, LoopNode)]
    return bool(loops) and _is_reduction(loops[-1], statement)


def is_chain(tree: Tree, statement: Statement) -> bool:
    """Whether the next iteration that runs of a sum in order adds to the elements of this one: the innermost loop that
    is not written out, as lanes or copies of elements, is of its reduction."""
    if not keeps_order(statement):
        return False
    for loop in [n for n, _ in tree.path_to(statement) if isinstance(n, LoopNode)][::-1]:
        if loop.kind in ("serial", "parallel") or _is_reduction(loop, statement):
            return _is_reduction(loop, statement)
    return False


def _is_reduction(loop: LoopNode, statement: Statement) -> bool:
    axes = [node for node in walk(loop.values[statement.number]) if isinstance(node, Axis)]
    return any(axis.reduction for axis in axes)


def scalar_code(lanes: Sequence[Lanes], tree: Tree) -> Iterator[str]:
    """Stages without a vector loop, and why a sum cannot have one over its reduction."""
    for one in lanes:
        statement = one.statement
        if one.loop is not None or statement.kind == "init" or one.there == 1:
            continue
        loops = [n for n, _ in tree.path_to(statement) if isinstance(n, LoopNode)]
        if not loops:
            continue
        name = statement.stage.name
        if waits(tree, statement):
            yield (
                f"P009: the sum {name} keeps its order, so loop {loops[-1].name} cannot be vectorized and each "
                "addition waits for the one before it; vectorize a loop over the elements inside it, or declare "
                "the order free with reassociate=True"
            )
        yield f"P008: {name} has no vector loop: it uses 1 of {one.there} lanes; vectorize an inner loop over elements"


def partial_vectors(lanes: Sequence[Lanes]) -> Iterator[str]:
    for one in lanes:
        if one.loop is None or one.statement.kind == "init" or not one.loop.most or one.loop.most % one.there == 0:
            continue
        yield (
            f"P011: loop {one.loop.name} of {one.statement.stage.name} has {one.loop.most} iterations in vectors of "
            f"{one.there} lanes: the last vector uses {one.loop.most % one.there} of them"
        )


def tails(levels: Sequence[Level]) -> Iterator[str]:
    """Vector loops that are not full in their last run at these sizes."""
    for top in levels:
        for level in top.all_below():
            loop, own = level.iteration.loop, level.iteration.iterations
            if (
                loop is None
                or loop.kind != "vectorize"
                or not loop.most
                or own is None
                or len(level.iteration.outer) < 2
            ):
                continue
            runs = level.iteration.outer[-2]
            if runs and own < runs * loop.most and all(s.kind != "init" for s in statements_below(loop)):
                share = own / (runs * loop.most)
                yield (
                    f"P012: loop {loop.name} of {level.stage} has a tail at these sizes: {share:.1%} of its iterations "
                    "do work, the others are masked"
                )


def short_parallel_loops(levels: Sequence[Level], target: Target) -> Iterator[str]:
    threads = target.thread_count()
    for top in levels:
        for level in top.all_below():
            loop, outer = level.iteration.loop, level.iteration.outer
            if loop is None or loop.kind != "parallel" or outer[-1] is None:
                continue
            runs = outer[-2] if len(outer) > 1 else 1
            each = outer[-1] / runs if runs else 0
            if each < threads:
                yield (
                    f"P010: parallel loop {loop.name} of {level.stage} has {each:g} iterations, fewer than the "
                    f"{threads} threads: split it less coarsely, or make an outer or fused loop parallel"
                )
            elif each < 4 * threads and each % threads:
                yield (
                    f"P010: parallel loop {loop.name} of {level.stage} has {each:g} iterations for {threads} threads: "
                    f"the last round keeps {each % threads:g} of them busy"
                )


def spills(tiles: Sequence[Tile], target: Target) -> Iterator[str]:
    for tile in tiles:
        if tile.spills(target):
            yield (
                f"P013: the {tile.rows} x {tile.columns} accumulators of {tile.name} need {tile.needed} registers with "
                f"their operands, and there are {target.vector_registers}: some will be spilled to memory"
            )


def unmarked(tree: Tree, target: Target) -> Iterator[str]:
    """A target with several threads and no parallel loop."""
    if target.thread_count() > 1 and not any(loop.kind == "parallel" for loop in loops_of(tree.root)):
        yield f"P014: no loop is parallel: the kernel runs on one of {target.thread_count()} threads"
