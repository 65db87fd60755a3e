"""Give the threads of a parallel loop over a reduction partial results of their own.

The iterations are cut into chunks, whose number does not depend on the threads. Each chunk accumulates into elements
that no other has, and after the loop they are combined in the order of the chunks: the result is the same in every run,
on any number of threads, also for sums of floats.

    parallel for r in 0..n:         heap C_part: float32[16, m]
        for i in 0..m:              parallel for r_chunk in 0..16:
            C[i] += A[r, i]    ->       for i in 0..m: C_part[r_chunk, i] = 0
                                        for r in r_chunk * n // 16..(r_chunk + 1) * n // 16:
                                            for i in 0..m: C_part[r_chunk, i] += A[r, i]
                                    for r_chunk in 0..16:
                                        for i in 0..m: C[i] += C_part[r_chunk, i]; C_part[r_chunk, i] = 0

Which elements a chunk has is what its loops reach: what runs before and after it are the loops of the update, without
those that neither the element nor the bounds and conditions around it follow. Where one of the loops left runs over
the reduction (a triangle, a fused loop), an element is met several times; so what has been combined is set back.

Privatisation of reductions: Polly (Doerfert et al., IMPACT 2015), OpenMP's reduction clause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, transform
from ...compute.reductions import REDUCTIONS
from ...compute.simplify import constant_value, simplify
from ..combining import begin, merge
from ..ir import (
    Accumulator,
    Allocate,
    Block,
    Buffer,
    For,
    If,
    Let,
    Load,
    Stmt,
    Store,
    Var,
    map_statements,
    statements,
    values,
)
from ..rewrite import EMPTY, block, fresh, is_element, is_empty, variables

CHUNKS = 16

_Leaf = Callable[[tuple[Expr, ...]], Stmt]


def parallel_reductions(stmt: Stmt) -> Stmt:
    """The statement without accumulators that several iterations of a parallel loop update.

    Inside a vector loop, a parallel loop that shares accumulators runs in order: its lanes are not one by one.
    """
    return _outside(stmt, in_vector=False)


def _outside(stmt: Stmt, *, in_vector: bool) -> Stmt:
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: _outside(inner, in_vector=in_vector))
    if stmt.kind == "parallel" and stmt.shared and not in_vector:
        return _chunked(stmt)
    if stmt.kind == "parallel" and stmt.shared:
        stmt = replace(stmt, kind="serial", shared=())
    inside = in_vector or stmt.kind == "vectorize"
    body = _outside(stmt.body, in_vector=inside)
    return stmt if body is stmt.body else replace(stmt, body=body)


@dataclass(frozen=True, slots=True, eq=False)
class _Partial:
    """An accumulator, the one that a chunk has in its place, and the dimensions that the latter keeps."""

    whole: Accumulator
    own: Accumulator
    kept: tuple[int, ...]

    def place(self, chunk: Expr, indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return (chunk, *(indices[dimension] for dimension in self.kept))

    def begun(self, chunk: Expr) -> _Leaf:
        return lambda indices: begin(self.own, self.place(chunk, indices))

    def combined(self, chunk: Expr) -> _Leaf:
        def leaf(indices: tuple[Expr, ...]) -> Stmt:
            place = self.place(chunk, indices)
            merged = merge(self.whole, indices, self.own, place)
            repeatable = REDUCTIONS[self.whole.reduction].exact
            return merged if repeatable else block(merged, begin(self.own, place))

        return leaf


def _chunked(loop: For) -> Stmt:
    trips = simplify(loop.end - loop.begin)
    literal = constant_value(trips)
    count = CHUNKS if literal is None else max(1, min(CHUNKS, literal))
    partials = [_partial(loop, accumulator, count) for accumulator in loop.shared]

    def over(chunk: Var, body: Stmt) -> Stmt:
        """The loop's iterations in a chunk, in order."""
        first, last = (simplify(loop.begin + trips * edge // count) for edge in (chunk, chunk + 1))
        return replace(loop, begin=first, end=last, body=body, kind="serial", shared=())

    chunk, later = Var(f"{loop.var.name}_chunk"), Var(f"{loop.var.name}_chunk")
    body = loop.body
    for partial in partials:
        body = _redirected(body, partial, chunk)
    before = [_reached(over(chunk, loop.body), partial, partial.begun(chunk)) for partial in partials]
    after = [_reached(over(later, loop.body), partial, partial.combined(later)) for partial in partials]
    inside = block(*before, _outside(over(chunk, body), in_vector=False))
    bounds = Const(0, INDEX), Const(count, INDEX)
    result: Stmt = block(For(chunk, *bounds, inside, "parallel"), For(later, *bounds, block(*after)))
    for partial in partials:
        for buffer in partial.own.buffers:
            result = Allocate(buffer, result)
    return result


def _partial(loop: For, accumulator: Accumulator, count: int) -> _Partial:
    """Elements for each chunk along the dimensions whose indices the loop, or one inside it, decides on."""
    inside = {s.var for s in statements(loop) if isinstance(s, (For, Let))}
    kept: set[int] = set()
    for stmt in statements(loop.body):
        if isinstance(stmt, Store) and stmt.buffer in accumulator.buffers:
            kept |= {dimension for dimension, index in enumerate(stmt.indices) if variables(index) & inside}
    dimensions = tuple(sorted(kept))
    own = tuple(
        Buffer(f"{b.name}_part", b.dtype, (Const(count, INDEX), *(b.shape[d] for d in dimensions)), "heap")
        for b in accumulator.buffers
    )
    return _Partial(accumulator, replace(accumulator, buffers=own), dimensions)


def _redirected(stmt: Stmt, partial: _Partial, chunk: Expr) -> Stmt:
    """The statement with the accumulator's elements replaced by the chunk's own."""
    own = dict(zip(partial.whole.buffers, partial.own.buffers, strict=True))

    def partial_of(store: Store, place: tuple[Expr, ...]) -> Callable[[Expr], Expr]:
        """Other elements of a recurrence may be read, which are complete."""

        def redirect(node: Expr) -> Expr:
            if isinstance(node, Load) and node.buffer in own and is_element(node, store):
                return replace(node, buffer=own[node.buffer], indices=place)
            return node

        return redirect

    def visit(inner: Stmt) -> Stmt:
        if isinstance(inner, Store) and inner.buffer in own:
            place = partial.place(chunk, inner.indices)
            value = transform(inner.value, partial_of(inner, place))
            inner = replace(inner, buffer=own[inner.buffer], indices=place, value=value)
        if isinstance(inner, For) and partial.whole in inner.shared:
            inner = replace(inner, shared=tuple(partial.own if a is partial.whole else a for a in inner.shared))
        return map_statements(inner, visit)

    return visit(stmt)


def _reached(stmt: Stmt, partial: _Partial, leaf: _Leaf) -> Stmt:
    """`leaf` at every element that the statement updates, at least once, and at no other of the accumulator's that
    other threads may be at."""
    return fresh(_only(stmt, partial.whole.buffers[0], leaf))


def _only(stmt: Stmt, buffer: Buffer, leaf: _Leaf) -> Stmt:
    match stmt:
        case Store():
            return leaf(stmt.indices) if stmt.buffer is buffer else EMPTY
        case Block(body):
            parts = [part for part in (_only(inner, buffer, leaf) for inner in body) if not is_empty(part)]
            return block(*parts) if parts else EMPTY
        case If(condition, then, otherwise):
            yes = _only(then, buffer, leaf)
            no = EMPTY if otherwise is None else _only(otherwise, buffer, leaf)
            return EMPTY if is_empty(yes) and is_empty(no) else If(condition, yes, None if is_empty(no) else no)
        case Allocate():
            return _only(stmt.body, buffer, leaf)
        case For() | Let():
            inside = _only(stmt.body, buffer, leaf)
            if is_empty(inside) or not _uses(inside, stmt.var):
                return inside
            if isinstance(stmt, Let):
                return replace(stmt, body=inside)
            return replace(stmt, body=inside, kind="serial" if stmt.kind == "parallel" else stmt.kind, shared=())
        case _:
            return EMPTY


def _uses(stmt: Stmt, var: Var) -> bool:
    return any(var in variables(value) for inner in statements(stmt) for value in values(inner))
