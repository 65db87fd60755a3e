"""Run long vector loops as rows: full vectors, side by side and aligned, between two masked ends.

A vector loop of many vectors, as the innermost one of a time tile, would be written out vector by vector, and once more
for each way in which a tile may be partial. It becomes a loop of vectors instead, whatever its bounds are:

    vectorized for j in b..e:                if b < begin: C[ramp(begin - 8, 8)] = ... where b <= ramp < e
        C[j] = ...                    ->     for v in 0..(e - begin) // 8:
                                                 C[ramp(begin + 8 * v, 8)] = ...
                                             if last < e: C[ramp(last, 8)] = ... where ramp < e

`begin` is the first place from b on where the row of C has a whole vector: its stores then cross no cache line. It is
b where elements are not side by side, as every other one of a row, or those of a column. A row at the boundary of
planes, where one of the indices is the same in all of its loops but not in those of other rows of C, has one loop of
masked vectors where these are as fast, which is a third of the code.

Statements of a vector loop run one after the other, each in all lanes, so each gets a row of its own. Conditions on the
lanes become bounds of rows where they are an interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import reduce

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op
from ...compute.operations import joined_by
from ...compute.simplify import constant_value, key, linear, simplify
from ..ir import Block, Buffer, Comment, For, If, Let, Ramp, Stmt, Store, Var, map_statements, statements
from ..rewrite import block, variables
from ..tiles import maxima, minima, most_iterations
from .narrow_loops import Span, compared, isolated
from .vectorize import Vectorizer

_LONG = 4  # more vectors than these are a row
_PLANES = 8  # that are kept, at most, where an index tells them apart: the first one is no boundary

_NEGATED = {"lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "eq": "ne", "ne": "eq"}


def rows(stmt: Stmt, vector_bits: int, *, masks: bool) -> Stmt:
    """The statement with long vector loops as loops of vectors; `masks` says that masked ones are as fast as others."""
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: rows(inner, vector_bits, masks=masks))
    varying: dict[Buffer, set[int]] = {}
    for store in (inner for inner in statements(stmt) if isinstance(inner, Store) and masks):
        places = (place for place, index in enumerate(store.indices) if variables(index))
        varying.setdefault(store.buffer, set()).update(places)
    return _rows(stmt, vector_bits, varying)


def _rows(stmt: Stmt, vector_bits: int, varying: Mapping[Buffer, Set[int]]) -> Stmt:
    """The same in a nest, in which `varying` are the indices of a buffer that vary, if its boundary is looked for."""
    stmt = map_statements(stmt, lambda inner: _rows(inner, vector_bits, varying))
    if not isinstance(stmt, For) or stmt.kind != "vectorize":
        return stmt
    most, leaves = most_iterations(stmt), list(_leaves(stmt.body, ()))
    if most is None or not all(isinstance(leaf, _Leaf) and leaf.is_row(stmt.var) for leaf in leaves):
        return stmt
    found = [leaf for leaf in leaves if isinstance(leaf, _Leaf)]
    widths = [max(1, vector_bits // leaf.store.value.dtype.bits) for leaf in found]
    if any(most <= _LONG * width for width in widths):
        return stmt
    made: list[Stmt] = []
    for leaf, width in zip(found, widths, strict=True):
        row = _where(_Row(stmt.var, stmt.begin, stmt.end, (), leaf.store), leaf.conditions)
        at_boundary = leaf.is_at_boundary(varying.get(leaf.store.buffer, frozenset()))
        made.append(_row(row, width, at_boundary=at_boundary, side_by_side=leaf.is_side_by_side(stmt.var)))
    return block(*made)


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    """A store, and the conditions under which it runs."""

    store: Store
    conditions: tuple[Expr, ...]

    def is_row(self, var: Var) -> bool:
        """Whether iterations over `var` store elements of their own in memory."""
        store = self.store
        own = any(var in variables(index) for index in store.indices)
        return own and store.buffer.scope != "register" and store.mask is None

    def is_side_by_side(self, var: Var) -> bool:
        """Whether iterations over `var` store elements one after the other, as vectors do."""
        if self.store.buffer.strides is not None:
            return False
        *outer, last = self.store.indices
        terms, _ = linear(last)
        rest = {k: atom for k, (atom, _) in terms.items() if k != key(var)}
        beside = all(var not in variables(index) for index in (*outer, *rest.values()))
        return beside and terms.get(key(var), (var, 0))[1] == 1

    def is_at_boundary(self, varying: Set[int]) -> bool:
        """Whether an index stays what it is in the loops around, though it is one of those that vary elsewhere."""
        sizes = zip(self.store.indices[:-1], self.store.buffer.shape, strict=False)
        return any(
            place in varying and not variables(index) and not (isinstance(size, Const) and size.value <= _PLANES)
            for place, (index, size) in enumerate(sizes)
        )


def _leaves(stmt: Stmt, conditions: tuple[Expr, ...]) -> Iterator[_Leaf | None]:
    """The stores of a body without loops; None for anything else."""
    match stmt:
        case Store():
            yield _Leaf(stmt, conditions)
        case Block(body):
            for inner in body:
                yield from _leaves(inner, conditions)
        case If(condition, then, otherwise):
            yield from _leaves(then, (*conditions, *joined_by("and", condition)))
            if otherwise is not None:
                yield from _leaves(otherwise, (*conditions, *joined_by("and", negated(condition))))
        case Comment():
            return
        case _:
            yield None


def negated(condition: Expr) -> Expr:
    """The opposite of a condition, with the negation inside."""
    match condition:
        case Op("and" | "or" as name, (a, b)):
            return Op("or" if name == "and" else "and", (negated(a), negated(b)), BOOL)
        case Op("not", (a,)):
            return a
        case Op(name, sides) if name in _NEGATED and sides[0].dtype == INDEX:
            return Op(_NEGATED[name], sides, BOOL)
        case _:
            return Op("not", (condition,), BOOL)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A store for the values of `var` from begin to end, where `guards`, in which it is not, and `rest` hold."""

    var: Var
    begin: Expr
    end: Expr
    guards: tuple[Expr, ...]
    store: Store
    rest: tuple[Expr, ...] = ()

    def where(self, condition: Expr) -> _Row:
        """The part of the row where a condition holds as well."""
        condition = simplify(condition)
        if isinstance(condition, Const) and condition.value:
            return self
        if self.var not in variables(condition):
            return replace(self, guards=(*self.guards, condition))
        span = compared(condition, self.var, Span(self.begin, self.end)) or self._without(condition)
        if span is None:
            return replace(self, rest=(*self.rest, condition))
        return replace(self, begin=simplify(span.begin), end=simplify(span.end))

    def _without(self, condition: Expr) -> Span | None:
        """The row without its first or last element, if `condition` is that it is not this one."""
        found = isolated(condition, self.var)
        if found is None or found[0] != "ne":
            return None
        limit = found[1]
        if any((gap := constant_value(bound - limit)) is not None and gap >= 0 for bound in maxima(self.begin)):
            return Span(Op("max", (self.begin, limit + 1), INDEX), self.end)
        if any((gap := constant_value(limit + 1 - bound)) is not None and gap >= 0 for bound in minima(self.end)):
            return Span(self.begin, Op("min", (self.end, limit), INDEX))
        return None


def _where(row: _Row, conditions: Sequence[Expr]) -> _Row:
    """The part of a row where all conditions hold."""
    for condition in conditions:
        row = row.where(condition)
    return row


def _row(row: _Row, width: int, *, at_boundary: bool, side_by_side: bool) -> Stmt:
    """The vectors of a row, counted by their places in memory: what is read at a distance from what is written then
    differs by a literal, and addresses need no more than the row's and the place. One `at_boundary` has one loop.
    Elements that are not `side_by_side` have no whole vectors in memory: those of their row begin where it does."""
    begin, end = Var(f"{row.var.name}_begin"), Var(f"{row.var.name}_end")
    offset = simplify(row.store.indices[-1] - row.var)  # the place in memory of lane 0
    if not side_by_side or _is_multiple(offset, width):
        offset = Const(0, INDEX)  # the lanes' own numbers tell as well which vectors are whole
    first = Var(f"{row.var.name}_first")
    v, last = Var(f"{row.var.name}_v"), Var(f"{row.var.name}_last")
    store: Stmt = row.store
    for condition in row.rest:
        store = If(condition, store)

    def vector(place: Expr, mask: Expr | None) -> Stmt:
        lanes = simplify(Ramp(place, width) - offset)
        return Vectorizer({row.var: lanes}).run(store, None if mask is None else simplify(mask))

    def lanes_of(place: Expr, relation: str, bound: Expr) -> Expr:
        return Op(relation, (Ramp(place, width), bound), BOOL)

    def within(place: Expr) -> Expr:
        return Op("and", (lanes_of(place, "ge", begin), lanes_of(place, "lt", end)), BOOL)

    made: Stmt
    if at_boundary:
        place, past = simplify(v * width), simplify((end + (width - 1)) // width)
        made = For(v, simplify(begin // width), past, vector(place, within(place)))
    else:
        count = Op("max", ((end - first) // width, Const(0, INDEX)), INDEX)
        body = block(
            If(Op("lt", (begin, first), BOOL), vector(first - width, within(first - width))),
            For(v, Const(0, INDEX), simplify(count), vector(simplify(first + v * width), None)),
            Let(
                last,
                simplify(first + count * width),
                If(Op("lt", (last, end), BOOL), vector(last, lanes_of(last, "lt", end))),
            ),
        )
        whole = simplify((begin + (width - 1)) // width * width) if side_by_side else begin
        made = If(Op("lt", (begin, end), BOOL), Let(first, whole, body))
    made = Let(begin, _moved(row.begin, "max", offset), Let(end, _moved(row.end, "min", offset), made))
    for guard in row.guards:
        made = If(guard, made)
    return made


def _is_multiple(expr: Expr, width: int) -> bool:
    """Whether a sum is certainly a multiple of a number."""
    terms, constant = linear(expr)
    return constant % width == 0 and all(factor % width == 0 for _, factor in terms.values())


def _moved(bound: Expr, name: str, offset: Expr) -> Expr:
    """bound + offset, inside extrema so that they stay on top."""
    bounds = [simplify(one + offset) for one in (maxima if name == "max" else minima)(bound)]
    return simplify(reduce(lambda a, b: Op(name, (a, b), INDEX), bounds))
