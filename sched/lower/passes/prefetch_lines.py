"""Fetch boxes line by line.

Of a box, the elements that the buffer has are fetched. What lies side by side in memory is a run: the last dimension,
and those before it as far as the box has all of the ones after. A run is fetched with a step of one cache line, and its
last element, so that each line of it is met, wherever in a line it begins.

    prefetch A[i + 1 : 1, 0 : m]   ->   if (i + 1 >= 0) & (i + 1 < n) & (m > 0) & (lines <= 1024):
                                            for line in 0..lines:                        # (m + 14) // 16 + 1
                                                prefetch A[i + 1, min(16 * line, m - 1)]

A box of more lines than `MOST_LINES`, which symbolic extents may have, is not fetched.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Expr, Op, const
from ...compute.simplify import constant_value, difference, simplify
from ..ir import For, If, Prefetch, PrefetchBox, Stmt, Var, map_statements
from ..rewrite import EMPTY, block, both
from ..tiles import Ranges, certainly_positive, minima

LINE = 64  # bytes: those of x86-64, and of most aarch64
MOST_LINES = 1024
_WRITTEN_OUT = 8


def prefetch_lines(stmt: Stmt) -> Stmt:
    """The statement with the lines of boxes instead of the boxes."""
    return _expanded(stmt, {})


def _expanded(stmt: Stmt, ranges: Ranges) -> Stmt:
    if isinstance(stmt, For):
        ranges = ranges | {stmt.var: (stmt.begin, minima(stmt.end))}
    if not isinstance(stmt, PrefetchBox):
        return map_statements(stmt, lambda inner: _expanded(inner, ranges))
    buffer, step = stmt.buffer, LINE // stmt.buffer.dtype.bytes
    if not stmt.origins:
        return Prefetch(buffer, ())
    if buffer.strides is None:
        return _lines(stmt, step, ranges)
    beside = Op("eq", (buffer.strides[-1], const(1)), BOOL)
    return If(beside, _lines(stmt, step, ranges), _lines(stmt, 1, ranges))


@dataclass(frozen=True, slots=True)
class _Span:
    """Of a dimension, `extent` elements from `begin` on, of which the buffer has those before `end`."""

    begin: Expr
    end: Expr
    extent: Expr
    whole: bool

    @property
    def is_one(self) -> bool:
        return constant_value(self.extent) == 1

    @property
    def condition(self) -> Expr:
        """Whether there are any."""
        return Op("lt", (self.begin, self.end), BOOL)


def _span(origin: Expr, extent: Expr, whole: Expr, ranges: Ranges) -> _Span:
    if constant_value(origin) == 0 and difference(extent, whole) == 0:
        return _Span(origin, whole, whole, whole=True)
    inside = certainly_positive(origin + 1, ranges)
    begin, end = origin if inside else Op("max", (origin, const(0)), INDEX), Op("min", (origin + extent, whole), INDEX)
    return _Span(simplify(begin), whole if constant_value(extent) == 1 else simplify(end), extent, whole=False)


def _lines(box: PrefetchBox, step: int, ranges: Ranges) -> Stmt:
    """The lines of the box, `step` elements apart."""
    buffer = box.buffer
    spans = [_span(*parts, ranges) for parts in zip(box.origins, box.extents, buffer.shape, strict=True)]
    last = len(spans) - 1
    first = next((k for k in range(last, 0, -1) if buffer.strides is not None or not spans[k].whole), 0)
    while first < last and spans[first].is_one:
        first += 1
    inner, run = _product(buffer.shape[first + 1 :]), spans[first]
    length = simplify((const(1) if run.is_one else run.end - run.begin) * inner)
    lines = _count(simplify(run.extent * inner), step)
    total = simplify(_product([span.extent for span in spans[:first]]) * lines)
    known = constant_value(total)
    if known is not None and known > MOST_LINES:
        return EMPTY
    outer = [span.begin if span.is_one else Var(f"{buffer.name}_{k}") for k, span in enumerate(spans[:first])]

    def fetched(number: Expr) -> Stmt:
        if first == last:
            place = Op("min", (run.begin + number * step, run.end - 1), INDEX)
            return Prefetch(buffer, (*outer, run.begin if constant_value(number) == 0 else simplify(place)))
        position: Expr = const(0)
        for index, extent in zip((*outer, run.begin), buffer.shape, strict=False):
            position = position * extent + index
        further = Op("min", (number * step, length - 1), INDEX)
        return Prefetch(buffer, (simplify(position * inner + further),))

    most = constant_value(lines)
    if most is not None and most <= _WRITTEN_OUT:
        body: Stmt = block(*(fetched(const(number)) for number in range(most)))
    else:
        line = Var(f"{buffer.name}_line")
        body = For(line, const(0), simplify(_count(length, step)), fetched(line))
    for counter, span in zip(reversed(outer), reversed(spans[:first]), strict=True):
        if isinstance(counter, Var) and not span.is_one:
            body = For(counter, span.begin, span.end, body)
    condition: Expr | None = None if known is not None else Op("le", (total, const(MOST_LINES)), BOOL)
    for span in (*(span for span in spans[:first] if span.is_one), run):
        condition = both(condition, span.condition)
    if first < last:
        condition = both(condition, Op("gt", (inner, const(0)), BOOL))
    assert condition is not None
    return If(simplify(condition), body)


def _count(length: Expr, step: int) -> Expr:
    """How many lines a run of so many elements, at least one, is in at most."""
    return length if step == 1 else (length + (step - 2)) // step + 1


def _product(extents: list[Expr] | tuple[Expr, ...]) -> Expr:
    total: Expr = const(1)
    for extent in extents:
        total = total * extent
    return simplify(total)
