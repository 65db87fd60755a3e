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

from dataclasses import dataclass, replace

from ..compute.dtypes import INDEX
from ..compute.expr import Expr, Op
from ..compute.simplify import from_linear, key, linear, simplify
from .ir import For, If, Stmt, Var, map_statements
from .rewrite import variables
from .tiles import is_tile


@dataclass(frozen=True, slots=True)
class _Span:
    """begin, ..., end - 1 are the counters for which a condition may hold; if `exact`, for all of them it does."""

    begin: Expr
    end: Expr
    exact: bool = True


def narrow_loops(stmt: Stmt) -> Stmt:
    """The statement with conditions on counters in the bounds of their loops."""
    stmt = map_statements(stmt, narrow_loops)
    if not isinstance(stmt, For) or is_tile(stmt) or not isinstance(stmt.body, If) or stmt.body.otherwise is not None:
        return stmt
    condition = stmt.body.condition
    if stmt.var not in variables(condition):
        return If(condition, replace(stmt, body=stmt.body.then))
    span = _span(condition, stmt.var, _Span(stmt.begin, stmt.end))
    if span is None:
        return stmt
    narrow = replace(stmt, begin=simplify(span.begin), end=simplify(span.end))
    return narrow_loops(replace(narrow, body=stmt.body.then)) if span.exact else narrow


def _span(condition: Expr, var: Var, within: _Span) -> _Span | None:
    """Where `condition` holds within a span; None if that is not known."""
    if var not in variables(condition):
        begin = _choice(condition, within.begin, within.end)
        return _Span(begin, within.end, within.exact)
    match condition:
        case Op("and", (a, b)):
            first = _span(a, var, within)
            second = _span(b, var, within if first is None else first)
            if first is None or second is None:
                known = first if second is None else second
                return None if known is None else replace(known, exact=False)
            return second
        case Op("or", (a, b)):
            return _either(a, b, var, within)
        case Op("eq" | "le" | "lt" | "ge" | "gt" as relation, (a, b)):
            return _compared(relation, a, b, var, within)
    return None


def _either(a: Expr, b: Expr, var: Var, within: _Span) -> _Span | None:
    """One or the other: all of the span where one holds that does not depend on the counter, and no more than what the
    other leaves where it does not."""
    if var in variables(a):
        a, b = b, a
    if var in variables(a):
        return None
    rest = _span(b, var, within)
    if rest is None:
        return None
    begin, end = _choice(a, within.begin, rest.begin), _choice(a, within.end, rest.end)
    return _Span(begin, end, within.exact and rest.exact)


def _compared(relation: str, a: Expr, b: Expr, var: Var, within: _Span) -> _Span | None:
    """Where a comparison holds, of a sum that has the counter once."""
    if relation in ("ge", "gt"):
        relation, a, b = {"ge": "le", "gt": "lt"}[relation], b, a
    terms, constant = linear(Op("sub", (b, a), INDEX))
    own = terms.get(key(var))
    others = {name: term for name, term in terms.items() if name != key(var)}
    if own is None or abs(own[1]) != 1 or any(var in variables(atom) for atom, _ in others.values()):
        return None
    if own[1] == 1:  # b - a = var - limit
        others, constant = {name: (atom, -factor) for name, (atom, factor) in others.items()}, -constant
    limit = from_linear(others, constant)
    if relation == "eq":
        return _Span(_most("max", within.begin, limit), _most("min", within.end, limit + 1), within.exact)
    if own[1] == 1:
        low = limit + 1 if relation == "lt" else limit
        return replace(within, begin=_most("max", within.begin, low))
    high = limit if relation == "lt" else limit + 1
    return replace(within, end=_most("min", within.end, high))


def _most(name: str, a: Expr, b: Expr) -> Expr:
    return simplify(Op(name, (a, b), INDEX))


def _choice(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return simplify(Op("select", (condition, yes, no), INDEX)) if key(yes) != key(no) else yes
