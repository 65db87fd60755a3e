"""Let loops run only where the condition on their bodies holds.

What a sliding window still has to compute is everything in the first iteration and little in the others, which isl
says as a condition in the loop. Conditions on the counter become bounds.

    for i_i:                                 for i_i:
        for i in 0..3:                           for i in select(i_i == 0, 0, 2)..3:
            if (i_i == 0) | (i == 2):    ->          B[i] = ...
                B[i] = ...

Where a condition is more than an interval, the loop runs over the interval around it, and the condition stays. Loops
that are written out keep their literal bounds.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial, reduce

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Expr, Op
from ...compute.operations import MIRRORED, joined_by
from ...compute.simplify import from_linear, key, linear, simplify
from ..ir import For, If, Stmt, Var, map_statements
from ..rewrite import both, variables
from ..tiles import is_tile


@dataclass(frozen=True, slots=True)
class Span:
    """begin, ..., end - 1 are the counters for which a condition may hold; if `exact`, for all of them it does. Of the
    loops around, it holds only where `guard` does (None: always)."""

    begin: Expr
    end: Expr
    guard: Expr | None = None
    exact: bool = True

    @property
    def interval(self) -> Hashable:
        return key(self.begin), key(self.end)


def narrow_loops(stmt: Stmt) -> Stmt:
    """The statement with conditions on counters in the bounds of their loops."""
    stmt = map_statements(stmt, narrow_loops)
    if not isinstance(stmt, For) or is_tile(stmt) or not isinstance(stmt.body, If) or stmt.body.otherwise is not None:
        return stmt
    condition = stmt.body.condition
    if stmt.var not in variables(condition):
        return If(condition, replace(stmt, body=stmt.body.then))
    whole = Span(stmt.begin, stmt.end)
    spans = [_span(list(joined_by("and", part)), stmt.var, whole) for part in joined_by("or", condition)]
    span = _hull(whole, spans)
    if not span.exact and any(part.guard is None for part in spans):
        return stmt  # between intervals that are always there the loop has to go anyway
    narrow = replace(stmt, begin=simplify(span.begin), end=simplify(span.end))
    return narrow_loops(replace(narrow, body=stmt.body.then)) if span.exact else narrow


def _span(conditions: list[Expr], var: Var, span: Span) -> Span:
    """Where all the conditions hold."""
    for condition in conditions:
        if var not in variables(condition):
            span = replace(span, guard=both(span.guard, condition))
        else:
            span = compared(condition, var, span) or replace(span, exact=False)
    return span


def _hull(whole: Span, spans: list[Span]) -> Span:
    """Where one of some spans is: all of a loop where that is one of them, and else from the first to the last."""
    merged: dict[Hashable, Span] = {}
    for span in spans:
        known = merged.get(span.interval)
        merged[span.interval] = span if known is None else _merged(known, span)
    every = merged.pop(whole.interval, None)
    rest = list(merged.values())
    begin, end = whole.end, whole.begin
    if rest:
        lows = [_choice(span.guard, span.begin, whole.end) for span in rest]
        highs = [_choice(span.guard, span.end, whole.begin) for span in rest] if len(rest) > 1 else [rest[0].end]
        begin, end = (reduce(partial(_most, name), ends) for name, ends in (("min", lows), ("max", highs)))
    if every is not None:
        begin, end = _choice(every.guard, whole.begin, begin), _choice(every.guard, whole.end, end)
    return Span(begin, end, exact=len(rest) <= 1 and all(span.exact for span in spans))


def _merged(a: Span, b: Span) -> Span:
    """Two spans of one interval."""
    guard = None if a.guard is None or b.guard is None else Op("or", (a.guard, b.guard), BOOL)
    return replace(a, guard=guard, exact=a.exact and b.exact)


def compared(condition: Expr, var: Var, span: Span) -> Span | None:
    """Where a comparison holds as well, of a sum that has the counter once."""
    found = isolated(condition, var)
    if found is None or found[0] == "ne":
        return None
    relation, limit = found
    begin, end = span.begin, span.end
    if relation in ("eq", "ge", "gt"):
        begin = _most("max", begin, limit + 1 if relation == "gt" else limit)
    if relation in ("eq", "le", "lt"):
        end = _most("min", end, limit if relation == "lt" else limit + 1)
    return replace(span, begin=begin, end=end)


def isolated(condition: Expr, var: Var) -> tuple[str, Expr] | None:
    """A comparison as one of the counter with what does not depend on it: its name, and the right side."""
    if not isinstance(condition, Op) or condition.name not in MIRRORED or condition.operands[0].dtype != INDEX:
        return None
    a, b = condition.operands
    terms, constant = linear(Op("sub", (a, b), INDEX))
    own = terms.get(key(var))
    others = {name: term for name, term in terms.items() if name != key(var)}
    if own is None or abs(own[1]) != 1 or any(var in variables(atom) for atom, _ in others.values()):
        return None
    if own[1] == 1:  # a - b = var - limit
        others, constant = {name: (atom, -factor) for name, (atom, factor) in others.items()}, -constant
    return condition.name if own[1] == 1 else MIRRORED[condition.name], from_linear(others, constant)


def _most(name: str, a: Expr, b: Expr) -> Expr:
    return simplify(Op(name, (a, b), INDEX))


def _choice(condition: Expr | None, yes: Expr, no: Expr) -> Expr:
    if condition is None or key(yes) == key(no):
        return yes
    return simplify(Op("select", (condition, yes, no), INDEX))
