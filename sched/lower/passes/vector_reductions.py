"""Give the lanes of a vector loop over a reduction partial results of their own, in registers.

Around as many loops as go on accumulating into the same elements, each lane has an accumulator; the lanes are combined
once, after these loops. An unrolled loop of the reduction has one vector a copy, so that additions do not wait for each
other, as long as there are few.

    C[i] = 0                                         vectorized for l in 0..8: lanes[l] = 0
    for r_o:                                         C[i] = 0
        vectorized for r_i in 0..8:            ->    for r_o:
            C[i] = C[i] + A[i, 8 * r_o + r_i]            vectorized for r_i in 0..8:
                                                             lanes[r_i] = lanes[r_i] + A[i, 8 * r_o + r_i]
                                                     vectorized for l in 0..8: C[i] = C[i] + lanes[l]

Lanes that a tail leaves out keep what they have. An argmin or argmax has a pair of vectors, and its lanes are combined
by halves. Where an instruction orders numbers and zeros but not NaN, a min or max keeps NaN apart (`combining`).

Also called: accumulator or reduction variable expansion (Allen and Kennedy, Optimizing Compilers, 2001).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from math import prod

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, transform
from ...compute.reductions import REDUCTIONS
from ...compute.simplify import key, simplify
from ..combining import begin, can_be_apart, is_apart, merge, update_apart
from ..ir import (
    Accumulator,
    Allocate,
    Buffer,
    For,
    If,
    Let,
    Load,
    LoopKind,
    Stmt,
    Store,
    Var,
    map_statements,
    statements,
    sub_statements,
    values,
)
from ..rewrite import block, fresh, is_element, loads, replaced, variables
from ..tiles import is_tile, most_iterations, tile_begin
from .promote_accumulators import MAX_BYTES

MAX_VECTORS = 8  # of an unrolled reduction; more would leave no registers for anything else


def vector_reductions(stmt: Stmt, vector_bits: int, apart: bool = False) -> Stmt:
    """The statement in which lanes accumulate into registers where they can. What cannot stays as it is: `vectorize`
    combines the lanes in every iteration. With `apart`, NaN is kept apart from the numbers of a min or max."""
    return _visit(stmt, _Registers(vector_bits, apart), itertools.count())


@dataclass(frozen=True, slots=True)
class _Registers:
    """The bits of vectors, and whether NaN is kept apart in them."""

    bits: int
    apart: bool


def _visit(stmt: Stmt, registers: _Registers, numbers: Iterator[int]) -> Stmt:
    if isinstance(stmt, Store):
        return stmt
    for accumulator in _in_lanes(stmt):
        stmt = _expanded(stmt, accumulator, registers, numbers)
    if isinstance(stmt, For) and is_tile(stmt):
        return stmt
    return map_statements(stmt, lambda inner: _visit(inner, registers, numbers))


def _in_lanes(stmt: Stmt) -> list[Accumulator]:
    """The accumulators that lanes share, each once, in order."""
    found: dict[Accumulator, None] = {}
    for loop in statements(stmt):
        if isinstance(loop, For) and loop.kind == "vectorize":
            found |= dict.fromkeys(loop.shared)
    return list(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Update:
    """A store to the accumulator that reads it, and what encloses it inside the scope."""

    accumulator: Accumulator
    store: Store
    around: tuple[Stmt, ...]

    @property
    def indices(self) -> tuple[Expr, ...]:
        return self.store.indices

    @property
    def used(self) -> set[Var]:
        return set().union(*map(variables, self.indices))

    def combines(self, stmt: Stmt) -> bool:
        """Whether a loop's iterations accumulate into one element."""
        return isinstance(stmt, For) and self.accumulator in stmt.shared and stmt.var not in self.used

    def dimensions(self, *, unrolled: bool) -> tuple[For, ...]:
        """The loops that decide which partial result it is: vectors and, where asked for, copies that share the
        element, and the tile loops that the element follows."""
        return tuple(
            s
            for s in self.around
            if isinstance(s, For)
            and is_tile(s)
            and (s.var in self.used or (self.combines(s) and (unrolled or s.kind == "vectorize")))
        )


def _expanded(scope: Stmt, accumulator: Accumulator, registers: _Registers, numbers: Iterator[int]) -> Stmt:
    """The scope with partial results of the accumulator, or as it is."""
    found = _updates(scope, accumulator, ())
    updates = [update for update in found if update is not None]
    if not updates or len(updates) < len(found) or not all(map(_one_tile, updates)) or not _gains(updates):
        return scope
    for unrolled in (True, False):
        dimensions = updates[0].dimensions(unrolled=unrolled)
        extents = [most_iterations(loop) or 0 for loop in dimensions]
        size = prod(extents) * sum(buffer.dtype.bytes for buffer in accumulator.buffers)
        if unrolled and 8 * size > MAX_VECTORS * registers.bits:
            continue
        if size > MAX_BYTES or len({_signature(update, unrolled) for update in updates}) > 1:
            continue
        name = f"lanes{next(numbers)}"
        shape = tuple(Const(extent, INDEX) for extent in extents)
        own = tuple(Buffer(f"{b.name}_{name}", b.dtype, shape, "register") for b in accumulator.buffers)
        if registers.apart and can_be_apart(accumulator, (update.store for update in updates)):
            own = (*own, replace(own[0], name=f"{own[0].name}_nan"))
        tile = _Tile(updates[0], dimensions, tuple(extents), replace(accumulator, buffers=own), registers.bits)
        body = _redirected(scope, accumulator, tile.own, (), unrolled)
        result = block(tile.begun(), body, *tile.combined())
        for buffer in own:
            result = Allocate(buffer, result)
        return result
    return scope


def _updates(stmt: Stmt, accumulator: Accumulator, around: tuple[Stmt, ...]) -> list[_Update | None]:
    """The updates in a statement; None among them for a read of what is not complete, and for an element that is begun
    again and again. Beginning once is no update: in loops of its own reduction, that is in their first iteration."""
    read = [load for load in loads(stmt) if load.buffer in accumulator.buffers]
    if isinstance(stmt, Store) and stmt.buffer in accumulator.buffers:
        if read:
            own = all(is_element(load, stmt) for load in read)
            return [_Update(accumulator, stmt, around) if own else None]
        again = any(isinstance(s, For) and not is_tile(s) and accumulator not in s.shared for s in around)
        return [None] if again else []
    found: list[_Update | None] = [None] if read else []
    for inner in sub_statements(stmt):
        found += _updates(inner, accumulator, (*around, stmt))
    return found


def _one_tile(update: _Update) -> bool:
    """Whether the update is in lanes that share its element, which is the same one in all of the scope's iterations,
    and which is there however the conditions in the scope turn out."""
    loops = [s for s in update.around if isinstance(s, For)]
    if not any(loop.kind == "vectorize" and update.combines(loop) for loop in loops):
        return False
    if any(loop.kind == "parallel" or (is_tile(loop) and most_iterations(loop) is None) for loop in loops):
        return False
    inside = {s.var for s in update.around if isinstance(s, (For, Let))}
    tile = {loop.var for loop in loops if is_tile(loop) and loop.var in update.used}
    if not update.used & inside <= tile:
        return False
    bounds = {var for loop in loops if loop.var in tile for value in values(loop) for var in variables(value)}
    if bounds & (inside - tile):
        return False
    conditions = [variables(s.condition) for s in update.around if isinstance(s, If)]
    return all(used & (inside - tile) and not used & tile for used in conditions)


def _gains(updates: list[_Update]) -> bool:
    """Whether lanes would be combined more than once, or have no vector form."""
    serial = any(isinstance(s, For) and not is_tile(s) for update in updates for s in update.around)
    return serial or REDUCTIONS[updates[0].accumulator.reduction].combine is None


_PLACEHOLDERS = tuple(Var(f"tile{k}") for k in range(8))


def _signature(update: _Update, unrolled: bool) -> Hashable:
    """Equal for updates of the same elements by partial results of the same places."""
    loops = update.dimensions(unrolled=unrolled)
    counters: dict[Var, Expr] = {loop.var: _PLACEHOLDERS[k] for k, loop in enumerate(loops[: len(_PLACEHOLDERS)])}
    indices = tuple(key(simplify(replaced(index, counters))) for index in update.indices)
    begins = (key(simplify(tile_begin(loop))) if loop.var in update.used else None for loop in loops)
    shapes = tuple((most_iterations(loop), loop.kind, update.combines(loop)) for loop in loops)
    return indices, tuple(begins), shapes


def _redirected(
    stmt: Stmt, accumulator: Accumulator, own: Accumulator, around: tuple[Stmt, ...], unrolled: bool
) -> Stmt:
    """The statement with updates of the accumulator going to the partial results."""
    if isinstance(stmt, Store) and stmt.buffer in accumulator.buffers:
        if not any(load.buffer in accumulator.buffers for load in loads(stmt)):
            return stmt
        loops = _Update(accumulator, stmt, around).dimensions(unrolled=unrolled)
        place = tuple(simplify(loop.var - tile_begin(loop)) for loop in loops)
        if is_apart(own):
            return update_apart(accumulator, stmt, own, place)
        to = dict(zip(accumulator.buffers, own.buffers, strict=True))

        def redirect(node: Expr) -> Expr:
            return Load(to[node.buffer], place) if isinstance(node, Load) and node.buffer in to else node

        return Store(to[stmt.buffer], place, transform(stmt.value, redirect), stmt.mask, stmt.any_order)
    inside = map_statements(stmt, lambda child: _redirected(child, accumulator, own, (*around, stmt), unrolled))
    if isinstance(inside, For) and accumulator in inside.shared:
        return replace(inside, shared=tuple(a for a in inside.shared if a is not accumulator))
    return inside


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """The partial results of an accumulator, one dimension a loop."""

    update: _Update
    loops: tuple[For, ...]
    extents: tuple[int, ...]
    own: Accumulator
    vector_bits: int

    @property
    def innermost(self) -> int:
        """The dimension that vectors lie along."""
        return max(k for k, loop in enumerate(self.loops) if loop.kind == "vectorize")

    @property
    def combining(self) -> list[int]:
        """The dimensions along which there are several partial results of one element."""
        return [k for k, loop in enumerate(self.loops) if self.update.combines(loop)]

    def begun(self) -> Stmt:
        return self._everywhere({}, lambda place: begin(self.own, place))

    def combined(self) -> list[Stmt]:
        """Combine the partial results of each element, and accumulate what comes out into it."""
        first: dict[int, Expr] = {}
        parts: list[Stmt] = []
        for k in self.combining:
            if k != self.innermost:
                other = Var(self.loops[k].var.name)
                body = self._added(first | {k: _ZERO}, first | {k: other})
                parts.append(_loop(other, self.extents[k], body, "unroll", first=1))
                first[k] = _ZERO
        if self.innermost not in self.combining:
            return [*parts, self._accumulated()]
        width = self.extents[self.innermost]
        native = max(1, self.vector_bits // max(buffer.dtype.bits for buffer in self.own.buffers))
        for start in range(native, width, native):
            parts.append(self._lanes_added(first, start, min(native, width - start)))
        width = min(width, native)
        if REDUCTIONS[self.own.reduction].combine is not None:
            return [*parts, self._accumulated(width)]
        while width > 1:
            parts.append(self._lanes_added(first, width // 2, width // 2))
            if width % 2:
                parts.append(self._lanes_added(first, width - 1, 1))
            width //= 2
        return [*parts, self._accumulated()]

    def _lanes_added(self, first: dict[int, Expr], start: int, count: int) -> Stmt:
        """Combine `count` lanes from `start` on with the first ones."""
        lane = Var("lane")
        body = self._added(first | {self.innermost: lane}, first | {self.innermost: simplify(lane + start)})
        return _loop(lane, count, body, "vectorize")

    def _added(self, into: dict[int, Expr], other: dict[int, Expr]) -> Stmt:
        """Combine two partial results, at all places along the dimensions that are not given."""

        def merged(place: tuple[Expr, ...]) -> Stmt:
            from_place = tuple(other.get(k, index) for k, index in enumerate(place))
            return merge(self.own, place, self.own, from_place)

        return self._everywhere(into, merged)

    def _everywhere(self, given: dict[int, Expr], leaf: Callable[[tuple[Expr, ...]], Stmt]) -> Stmt:
        """`leaf` at all places along the dimensions that are not given."""
        names = {k: Var(loop.var.name) for k, loop in enumerate(self.loops) if k not in given}
        body = leaf(tuple(given[k] if k in given else names[k] for k in range(len(self.loops))))
        for k, var in reversed(names.items()):
            body = _loop(var, self.extents[k], body, "vectorize" if k == self.innermost else "unroll")
        return body

    def _accumulated(self, lanes: int = 1) -> Stmt:
        """Accumulate the first of the partial results of each element, in these many lanes, into it."""
        lane = Var("lane")
        place: list[Expr] = []
        for k, loop in enumerate(self.loops):
            if k in self.combining:
                place.append(lane if k == self.innermost and lanes > 1 else _ZERO)
            else:
                place.append(simplify(loop.var - tile_begin(loop)))
        body = merge(self.update.accumulator, self.update.indices, self.own, tuple(place))
        if lanes > 1:
            body = _loop(lane, lanes, body, "vectorize")
        for k, loop in reversed(list(enumerate(self.loops))):
            if k not in self.combining:
                body = replace(loop, body=body, shared=())
        return fresh(body)


_ZERO = Const(0, INDEX)


def _loop(var: Var, count: int, body: Stmt, kind: LoopKind, first: int = 0) -> Stmt:
    return For(var, Const(first, INDEX), Const(count, INDEX), body, kind)
