"""Replace vectorized loops by vectors: the loop's variable becomes a ramp of indices in every statement below.

    vectorized for j in 0..min(16, m - b):   ->   C[ramp(b, 16)] = A[ramp(b, 16)] * 2 where ramp(0, 16) < m - b
        C[b + j] = A[b + j] * 2

A tail masks loads and stores. Conditions and bounds that differ between lanes become masks; a loop whose bounds differ
runs over their hull. A store of a vector to one element is an update of a re-associable reduction (nothing else is
legal): its lanes are combined first. What has no vector form runs lane by lane, statement by statement.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op, rebuild, transform, walk
from ...compute.reductions import REDUCTIONS
from ...compute.simplify import difference, key, simplify
from ..ir import (
    Allocate,
    Block,
    Check,
    Comment,
    For,
    If,
    Let,
    Load,
    Ramp,
    Stmt,
    Store,
    Var,
    lanes,
    map_statements,
    statements,
    values,
)
from ..rewrite import block, both, divided_ramp, fresh, variables, with_variables
from ..tiles import (
    Ranges,
    certainly_positive,
    is_tile,
    literal_range,
    maxima,
    minima,
    most_iterations,
    partial_bounds,
    tile_stays_inside,
)

_COMBINED = {"add": "sum", "mul": "prod", "min": "min", "max": "max", "or": "any", "and": "all"}


def vectorize(stmt: Stmt) -> Stmt:
    """The statement without vectorized loops."""
    return _outside(stmt, _Around({}))


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """The ranges of the loops around, and what is known of numbers of iterations there."""

    ranges: Ranges
    _known: dict[Hashable, bool] = field(default_factory=dict)

    def is_positive(self, trips: Expr) -> bool:
        name = key(trips)
        if name not in self._known:
            self._known[name] = certainly_positive(trips, self.ranges)
        return self._known[name]


def _outside(stmt: Stmt, around: _Around) -> Stmt:
    if isinstance(stmt, For):
        body = _outside(stmt.body, _Around(around.ranges | {stmt.var: (stmt.begin, minima(stmt.end))}))
        if stmt.kind == "vectorize":
            return _vectors(replace(stmt, body=body), around)
        if stmt.kind == "serial" and difference(stmt.end, stmt.begin) == 1:  # what its one iteration decides is known
            return with_variables(body, {stmt.var: stmt.begin})
        return stmt if body is stmt.body else replace(stmt, body=body)
    if isinstance(stmt, Let) and isinstance(stmt.value, Const):
        return _outside(with_variables(stmt.body, {stmt.var: stmt.value}), around)
    return map_statements(stmt, lambda child: _outside(child, around))


def _vectors(loop: For, around: _Around) -> Stmt:
    found = literal_range(loop)
    assert found is not None, f"{loop.var.name} has a literal bound"
    begin, count = found
    if count == 0:
        return Block(())
    if count == 1 or any(_has_vectors(inner) for inner in statements(loop.body)):
        return _Lanes(loop, begin, count).run(loop.body)
    ramp = simplify(Ramp(begin, count))
    partial = partial_bounds(loop)
    mask: Expr | None = None
    for bound in partial:
        mask = both(mask, Op("ge" if bound.is_begin else "lt", (ramp, bound.bound), BOOL))
    tail = None if any(bound.is_begin for bound in partial) else mask
    ends = tuple(bound.bound for bound in partial)
    body = Vectorizer({loop.var: ramp}, tail, around.ranges, ends).run(loop.body, mask)
    trips = [end - first for end in minima(loop.end) for first in maxima(loop.begin)]
    if not partial or all(map(around.is_positive, trips)):
        return body
    # Scalar loads are not masked, so at least one lane must run.
    return If(Op("lt", (loop.begin, loop.end), BOOL), body)


def _has_vectors(stmt: Stmt) -> bool:
    return any(isinstance(node, Ramp) for value in values(stmt) for node in walk(value))


@dataclass(frozen=True, slots=True)
class Vectorizer:
    """Puts vectors for the variables that differ between lanes: the loop's, and those bound to what depends on it.
    `tail` is the mask of a loop that ends early, at the `ends`, and of nothing else; `ranges` are those of the loops
    around."""

    vectors: Mapping[Var, Expr]
    tail: Expr | None = None
    ranges: Ranges = field(default_factory=dict)
    ends: tuple[Expr, ...] = ()

    def run(self, stmt: Stmt, mask: Expr | None) -> Stmt:
        match stmt:
            case Block(body):
                return self._block(body, mask)
            case Store() | Check():
                return self._block((stmt,), mask)
            case If(condition, then, otherwise):
                return self._branch(self.value(condition, mask), then, otherwise, mask)
            case Let(var, value, body):
                bound = self.value(value, mask)
                if lanes(bound) == 1:
                    return replace(stmt, value=bound, body=self.run(body, mask))
                return replace(self, vectors={**self.vectors, var: bound}).run(body, mask)
            case For():
                return self._loop(stmt, mask)
            case Allocate(buffer, body):
                assert buffer.scope != "register", "register buffers are allocated outside tile loops"
                return Allocate(buffer, self.run(body, mask))
            case Comment():
                return stmt
            case _:
                raise AssertionError(f"unknown statement {stmt!r}")

    def value(self, expr: Expr, mask: Expr | None) -> Expr:
        """The expression with the vectors in, its vector loads masked."""
        return transform(expr, lambda node: self._node(node, mask))

    def _node(self, changed: Expr, mask: Expr | None) -> Expr:
        if isinstance(changed, Var):
            return self.vectors.get(changed, changed)
        if not isinstance(changed, Load):
            return divided_ramp(simplify(changed))
        if any(lanes(index) > 1 for index in changed.indices):
            return changed if mask is None or changed.buffer.scope == "register" else _masked(changed, mask)
        if changed.mask is not None and lanes(changed.mask) > 1:
            # One element for all lanes: it is read if a lane needs it.
            return replace(changed, mask=Op("lanes_or", (both(mask, changed.mask),), BOOL))
        return changed

    def _block(self, body: tuple[Stmt, ...], mask: Expr | None) -> Stmt:
        """Stores and checks in a row go lane by lane together if one of them has no vector form: what one of them
        stores may be what the next one of the same lane reads."""
        parts: list[Stmt] = []
        for simple, run in itertools.groupby(body, lambda inner: isinstance(inner, (Store, Check))):
            if not simple:
                parts += [self.run(inner, mask) for inner in run]
                continue
            row = tuple(run)
            vectors = [self._vector_form(inner, mask) for inner in row]
            complete = [vector for vector in vectors if vector is not None]
            parts += complete if len(complete) == len(row) else self._lane_by_lane(row, mask)
        return parts[0] if len(parts) == 1 else Block(tuple(parts))

    def _lane_by_lane(self, row: tuple[Stmt, ...], mask: Expr | None) -> Iterator[Stmt]:
        for lane in range(max(map(lanes, self.vectors.values()))):
            at = {var: lane_of(vector, lane) for var, vector in self.vectors.items()}
            copy = block(*(with_variables(inner, at) for inner in row))
            yield copy if mask is None else If(simplify(lane_of(mask, lane)), copy)

    def _vector_form(self, stmt: Stmt, mask: Expr | None) -> Stmt | None:
        if isinstance(stmt, Store):
            return self._store(stmt, mask)
        assert isinstance(stmt, Check)
        own = stmt.mask if stmt.mask is None else self.value(stmt.mask, mask)
        value, low, high = (self.value(operand, mask) for operand in (stmt.value, stmt.low, stmt.high))
        return Check(stmt.check, value, low, high, mask if own is None else both(mask, own))

    def _store(self, store: Store, mask: Expr | None) -> Stmt | None:
        indices = tuple(self.value(index, mask) for index in store.indices)
        value = self.value(store.value, mask)
        masked = mask if store.mask is None else both(mask, self.value(store.mask, mask))
        if any(lanes(index) > 1 for index in indices):
            if store.buffer.scope != "register" and not (masked is self.tail and self._stays_inside(store)):
                return Store(store.buffer, indices, value, masked)
            if masked is None or store.buffer.padded:
                return Store(store.buffer, indices, value)
            # Which lanes run may differ from one iteration of a loop around to the next: the others keep their values.
            return Store(store.buffer, indices, Op("select", (masked, value, Load(store.buffer, indices)), value.dtype))
        return self._combined(store, indices, value, masked)

    def _stays_inside(self, store: Store) -> bool:
        """Whether all lanes of a store may go to a padded buffer, those of a tail as well."""
        moved = {var for index in store.indices for var in variables(index)} & self.vectors.keys()
        ramps = [self.vectors[var] for var in moved]
        return len(moved) == 1 and all(
            isinstance(ramp, Ramp)
            and tile_stays_inside(store.buffer, store.indices, var, (ramp.base, ramp.lanes), self.ranges, self.ends)
            for var, ramp in zip(moved, ramps, strict=True)
        )

    def _combined(self, store: Store, indices: tuple[Expr, ...], value: Expr, mask: Expr | None) -> Stmt | None:
        """All lanes go to one element: their operands are combined, and update it once."""
        update = _update(Store(store.buffer, indices, value))
        if update is None:
            return None
        combine, accumulator, operand = update
        exact = not operand.dtype.is_float or combine in ("min", "max")
        if not exact and not store.any_order:  # lanes are in the order of a loop inside, one in each of its iterations
            return None
        if lanes(accumulator) > 1 or lanes(operand) == 1:
            return None
        if mask is not None:
            identity = Const(REDUCTIONS[_COMBINED[combine]].identity(operand.dtype), operand.dtype)
            operand = Op("select", (mask, operand, identity), operand.dtype)
        total = Op(f"lanes_{combine}", (operand,), operand.dtype)
        return Store(store.buffer, indices, Op(combine, (accumulator, total), operand.dtype))

    def _branch(self, condition: Expr, then: Stmt, otherwise: Stmt | None, mask: Expr | None) -> Stmt:
        if lanes(condition) == 1:
            return If(condition, self.run(then, mask), None if otherwise is None else self.run(otherwise, mask))
        taken = both(mask, condition)
        parts: list[Stmt] = [If(Op("lanes_or", (taken,), BOOL), self.run(then, taken))]
        if otherwise is not None:
            left = both(mask, Op("not", (condition,), BOOL))
            parts.append(If(Op("lanes_or", (left,), BOOL), self.run(otherwise, left)))
        return block(*parts)

    def _loop(self, loop: For, mask: Expr | None) -> Stmt:
        """A loop whose bounds differ between lanes runs over their hull; one that is to be written out counts from
        each lane's own begin, so that its number of iterations stays literal."""
        begin, end = self.value(loop.begin, mask), self.value(loop.end, mask)
        if lanes(begin) == 1 and lanes(end) == 1:
            return replace(loop, begin=begin, end=end, body=self.run(loop.body, mask))
        if is_tile(loop):
            return self._tile(loop, begin, end, mask)
        inside: Expr | None = mask
        if lanes(end) > 1:
            inside = both(inside, Op("lt", (loop.var, end), BOOL))
        if lanes(begin) > 1:
            inside = both(inside, Op("ge", (loop.var, begin), BOOL))
            begin = Op("lanes_min", (begin,), INDEX)
        if lanes(end) > 1:
            end = Op("lanes_max", (end,), INDEX)
        assert inside is not None
        body = If(Op("lanes_or", (inside,), BOOL), self.run(loop.body, inside))
        return replace(loop, begin=begin, end=end, body=body)

    def _tile(self, loop: For, begin: Expr, end: Expr, mask: Expr | None) -> Stmt:
        most = most_iterations(loop)
        assert most is not None, f"{loop.var.name} has a literal bound"
        first, vectors = begin, self.vectors
        here: Expr = loop.var
        if lanes(begin) > 1:
            first, here = Const(0, INDEX), simplify(begin + loop.var)
            vectors = {**self.vectors, loop.var: here}
        inside = both(mask, Op("lt", (here, end), BOOL))
        body = If(Op("lanes_or", (inside,), BOOL), Vectorizer(vectors).run(loop.body, inside))
        return replace(loop, begin=first, end=simplify(first + most), body=body)


def _masked(load: Load, mask: Expr) -> Load:
    return replace(load, mask=both(load.mask, mask))


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Runs every statement below a vectorized loop lane by lane: right for everything, and slow.

    Right because lanes depend on each other only where they update one element, which may happen in any order.
    """

    loop: For
    begin: Expr
    count: int

    def run(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Block(body):
                # Stores in a row go together: what one of them stores may be what the next one of the same lane reads.
                parts: list[Stmt] = []
                for simple, run in itertools.groupby(body, lambda inner: isinstance(inner, (Store, Check))):
                    row = tuple(run)
                    parts += self._copies(block(*row)) if simple else map(self.run, row)
                return block(*parts)
            case For() | If() | Let() | Allocate() if self.loop.var not in self._own(stmt):
                return map_statements(stmt, self.run)
            case Comment():
                return stmt
            case _:
                return block(*self._copies(stmt))

    def _copies(self, stmt: Stmt) -> list[Stmt]:
        return [self._copy(stmt, lane) for lane in range(self.count)]

    def _own(self, stmt: Stmt) -> set[Var]:
        return set().union(*map(variables, values(stmt)))

    def _copy(self, stmt: Stmt, lane: int) -> Stmt:
        here = simplify(self.begin + lane)
        copy = with_variables(fresh(stmt), {self.loop.var: here})
        for bound in partial_bounds(self.loop):
            copy = If(simplify(Op("ge" if bound.is_begin else "lt", (here, bound.bound), BOOL)), copy)
        return copy


def lane_of(expr: Expr, lane: int) -> Expr:
    """One lane of a vector expression, as a scalar."""
    if isinstance(expr, Ramp):
        return simplify(expr.base + lane)
    return rebuild(expr, tuple(lane_of(child, lane) for child in expr.children))


def _update(store: Store) -> tuple[str, Expr, Expr] | None:
    """A store of the form element = combine(element, operand): the operation, the element and the operand."""

    def is_element(expr: Expr) -> bool:
        return (
            isinstance(expr, Load)
            and expr.buffer is store.buffer
            and [key(index) for index in expr.indices] == [key(index) for index in store.indices]
        )

    match store.value:
        case Op(name, (a, b)) if name in _COMBINED and is_element(a):
            return name, a, b
        case Op(name, (a, b)) if name in _COMBINED and is_element(b):
            return name, b, a
        case Op("fma", (a, b, c)) if is_element(c):
            return "add", c, Op("mul", (a, b), store.value.dtype)
    return None
