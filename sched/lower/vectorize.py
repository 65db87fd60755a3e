"""Replace vectorized loops by vectors: the loop's variable becomes a ramp of indices in every statement below.

    vectorized for j in 0..min(16, m - b):   ->   C[ramp(b, 16)] = A[ramp(b, 16)] * 2 where ramp(0, 16) < m - b
        C[b + j] = A[b + j] * 2

A tail masks loads and stores. Conditions and bounds that differ between lanes become masks; a loop whose bounds differ
runs over their hull. A store of a vector to one element is an update of a re-associable reduction (nothing else is
legal): its lanes are combined first. What has no vector form runs lane by lane, statement by statement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Const, Expr, Op, rebuild
from ..compute.reductions import REDUCTIONS
from ..compute.simplify import constant_value, key, simplify
from .ir import (
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
from .rewrite import block, replaced, variables, with_variables
from .tiles import certainly_positive, minima, most_iterations

Ranges = dict[Var, tuple[Expr, tuple[Expr, ...]]]
_COMBINED = {"add": "sum", "mul": "prod", "min": "min", "max": "max", "or": "any", "and": "all"}


def vectorize(stmt: Stmt) -> Stmt:
    """The statement without vectorized loops."""
    return _outside(stmt, {})


def _outside(stmt: Stmt, ranges: Ranges) -> Stmt:
    if isinstance(stmt, For):
        inner = ranges | {stmt.var: (stmt.begin, minima(stmt.end))}
        body = _outside(stmt.body, inner)
        if stmt.kind == "vectorize":
            return _vectors(replace(stmt, body=body), ranges)
        return stmt if body is stmt.body else replace(stmt, body=body)
    return map_statements(stmt, lambda child: _outside(child, ranges))


def _vectors(loop: For, ranges: Ranges) -> Stmt:
    count = most_iterations(loop)
    assert count is not None, f"{loop.var.name} has a literal bound"
    if count == 0:
        return Block(())
    trips = simplify(loop.end - loop.begin)
    full = constant_value(trips) == count
    if any(lanes(value) > 1 for inner in statements(loop.body) for value in values(inner)):
        return _Lanes(loop, count, None if full else loop.end).run(loop.body)
    ramp = Ramp(loop.begin, count) if count > 1 else loop.begin
    mask = None if full else Op("lt", (ramp, loop.end), BOOL)
    body = _Vectorizer(loop.var, simplify(ramp)).run(loop.body, mask)
    if full or all(certainly_positive(bound - loop.begin, ranges) for bound in minima(loop.end)):
        return body
    # Scalar loads are not masked, so at least one lane must run.
    return If(Op("lt", (loop.begin, loop.end), BOOL), body)


@dataclass(frozen=True, slots=True)
class _Vectorizer:
    """Puts `ramp` for `var` below a vectorized loop."""

    var: Var
    ramp: Expr

    def run(self, stmt: Stmt, mask: Expr | None) -> Stmt:
        match stmt:
            case Block(body):
                return Block(tuple(self.run(inner, mask) for inner in body))
            case Store():
                return self._store(stmt, mask)
            case Check(_, value, low, high, own):
                masked = _both(mask, self.value(own, mask)) if own is not None else mask
                return replace(
                    stmt,
                    value=self.value(value, mask),
                    low=self.value(low, mask),
                    high=self.value(high, mask),
                    mask=masked,
                )
            case If(condition, then, otherwise):
                return self._branch(self.value(condition, mask), then, otherwise, mask)
            case Let(var, value, body):
                bound = self.value(value, mask)
                if lanes(bound) == 1:
                    return replace(stmt, value=bound, body=self.run(body, mask))
                return self.run(with_variables(body, {var: value}), mask)
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
        """The expression with the ramp in, its vector loads masked."""
        if expr is self.var:
            return self.ramp
        changed = rebuild(expr, tuple(self.value(child, mask) for child in expr.children))
        if isinstance(changed, Load) and mask is not None and changed.buffer.scope != "register":
            if any(lanes(index) > 1 for index in changed.indices):
                return replace(changed, mask=_both(mask, changed.mask))
            if changed.mask is not None and lanes(changed.mask) > 1:
                return replace(changed, mask=Op("lanes_or", (_both(mask, changed.mask),), BOOL))
        elif (
            isinstance(changed, Load)
            and changed.mask is not None
            and lanes(changed.mask) > 1
            and all(lanes(index) == 1 for index in changed.indices)
        ):
            return replace(changed, mask=Op("lanes_or", (changed.mask,), BOOL))
        return simplify(changed)

    def _store(self, store: Store, mask: Expr | None) -> Stmt:
        indices = tuple(self.value(index, mask) for index in store.indices)
        value = self.value(store.value, mask)
        masked = _both(mask, self.value(store.mask, mask)) if store.mask is not None else mask
        if any(lanes(index) > 1 for index in indices):
            return Store(store.buffer, indices, value, None if store.buffer.scope == "register" else masked)
        width = max(lanes(value), lanes(masked) if masked is not None else 1)
        if width == 1:
            return Store(store.buffer, indices, value, masked)
        return self._combined(store, indices, value, masked, width)

    def _combined(self, store: Store, indices: tuple[Expr, ...], value: Expr, mask: Expr | None, width: int) -> Stmt:
        """All lanes go to one element: combine their operands and update it once."""
        update = _update(Store(store.buffer, indices, value))
        if update is None:
            return _Lanes.of(self, store, mask, width)
        combine, accumulator, operand = update
        if mask is not None:
            identity = Const(REDUCTIONS[_COMBINED[combine]].identity(operand.dtype), operand.dtype)
            operand = Op("select", (mask, operand, identity), operand.dtype)
        if lanes(operand) == 1:
            return _Lanes.of(self, store, mask, width)
        total = Op(f"lanes_{combine}", (operand,), operand.dtype)
        return Store(store.buffer, indices, Op(combine, (accumulator, total), operand.dtype))

    def _branch(self, condition: Expr, then: Stmt, otherwise: Stmt | None, mask: Expr | None) -> Stmt:
        if lanes(condition) == 1:
            return If(condition, self.run(then, mask), None if otherwise is None else self.run(otherwise, mask))
        taken = self.run(then, _both(mask, condition))
        parts = [If(Op("lanes_or", (_both(mask, condition),), BOOL), taken)]
        if otherwise is not None:
            left = _both(mask, Op("not", (condition,), BOOL))
            parts.append(If(Op("lanes_or", (left,), BOOL), self.run(otherwise, left)))
        return block(*parts)

    def _loop(self, loop: For, mask: Expr | None) -> Stmt:
        begin, end = self.value(loop.begin, mask), self.value(loop.end, mask)
        if lanes(begin) == 1 and lanes(end) == 1:
            return replace(loop, begin=begin, end=end, body=self.run(loop.body, mask))
        inside: Expr | None = mask
        if lanes(begin) > 1:
            inside = _both(inside, Op("ge", (loop.var, begin), BOOL))
            begin = Op("lanes_min", (begin,), INDEX)
        if lanes(end) > 1:
            inside = _both(inside, Op("lt", (loop.var, end), BOOL))
            end = Op("lanes_max", (end,), INDEX)
        assert inside is not None
        body = If(Op("lanes_or", (inside,), BOOL), self.run(loop.body, inside))
        return replace(loop, begin=begin, end=end, body=body)


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Runs every statement below a vectorized loop lane by lane: right for everything, and slow."""

    loop: For
    count: int
    end: Expr | None

    @staticmethod
    def of(vectorizer: _Vectorizer, store: Store, mask: Expr | None, width: int) -> Stmt:
        """One store, lane by lane, under a mask of the vectorizer's lanes."""
        parts: list[Stmt] = []
        for lane in range(width):
            at = {vectorizer.var: lane_of(vectorizer.ramp, lane)}
            value, indices = replaced(store.value, at), tuple(replaced(index, at) for index in store.indices)
            own = None if store.mask is None else replaced(store.mask, at)
            copy = Store(store.buffer, tuple(map(simplify, indices)), simplify(value), own)
            parts.append(copy if mask is None else If(simplify(lane_of(mask, lane)), copy))
        return block(*parts)

    def run(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store() | Check():
                return block(*(self._copy(stmt, lane) for lane in range(self.count)))
            case For() if self.loop.var in variables(stmt.begin) | variables(stmt.end):
                raise AssertionError("bounds that differ between lanes of nested vector loops")
            case If() if self.loop.var in variables(stmt.condition):
                return block(*(self._copy(stmt, lane) for lane in range(self.count)))
            case Let() if self.loop.var in variables(stmt.value):
                return block(*(self._copy(stmt, lane) for lane in range(self.count)))
            case _:
                return map_statements(stmt, self.run)

    def _copy(self, stmt: Stmt, lane: int) -> Stmt:
        here = simplify(self.loop.begin + lane)
        copy = with_variables(stmt, {self.loop.var: here})
        return copy if self.end is None else If(Op("lt", (here, self.end), BOOL), copy)


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


def _both(a: Expr | None, b: Expr | None) -> Expr:
    if a is None or b is None:
        result = a if b is None else b
        assert result is not None
        return result
    return Op("and", (a, b), BOOL)
