"""Loops that do not run as they are marked, in words for the user."""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.reductions import REDUCTIONS
from .ir import For, Stmt, statements, sub_statements
from .passes.lanes_in_order import is_mixed
from .tiles import is_tile


def loops_in_order(loops: Stmt) -> list[str]:
    """Parallel loops over a reduction inside vector loops, and vector loops over data and a reduction, before any
    pass."""
    mixed = [
        f"P007: loop {loop.var.name} of {accumulator.name} runs in order, lane by lane: it is a vector loop over data "
        "and a reduction, and several of its lanes update one element; vectorize a loop over one of both"
        for loop in _vector_loops(loops)
        for accumulator in loop.shared
        if is_mixed(loop, accumulator)
    ]
    found = (
        f"P007: loop {inner.var.name} of {accumulator.name} runs in order, on one thread: it is parallel over a "
        f"reduction, inside the vector loop {outer.var.name}"
        for outer in _vector_loops(loops)
        for inner in statements(outer.body)
        if isinstance(inner, For) and inner.kind == "parallel"
        for accumulator in inner.shared
    )
    return list(dict.fromkeys((*mixed, *found)))


def loops_without_partial_results(loops: Stmt) -> list[str]:
    """Vector loops over a reduction whose lanes share an element still, after `vector_reductions`."""
    found: dict[str, None] = {}
    for around, loop in _with_loops(loops, ()):
        for accumulator in loop.shared if loop.kind == "vectorize" else ():
            where = f"loop {loop.var.name} of {accumulator.name}"
            if REDUCTIONS[accumulator.reduction].combine is None:
                found[f"P005: {where} has no vector form and runs lane by lane"] = None
            elif any(not is_tile(outer) and accumulator in outer.shared for outer in around):
                found[
                    f"P006: the lanes of {where} are combined in every iteration: its element moves in a serial loop "
                    "inside the loops of the reduction"
                ] = None
    return list(found)


def _vector_loops(stmt: Stmt) -> list[For]:
    return [s for s in statements(stmt) if isinstance(s, For) and s.kind == "vectorize"]


def _with_loops(stmt: Stmt, around: tuple[For, ...]) -> Iterator[tuple[tuple[For, ...], For]]:
    """Every loop, with those around it."""
    if isinstance(stmt, For):
        yield around, stmt
        around = (*around, stmt)
    for inner in sub_statements(stmt):
        yield from _with_loops(inner, around)
