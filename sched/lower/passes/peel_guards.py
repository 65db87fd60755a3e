"""Cut innermost loops where guards of their bodies are decided, so that most iterations have none.

Statements of several equations that share a loop are guarded: a boundary runs in the first iterations, or the last, and
tiles of a wavefront are partial there. Where such a guard compares the counter with a bound that is a literal distance
from an end of the loop, a few iterations are run beside the others:

    for j in 0..n + 30:                          for j in 0..min(31, n + 30): ...
        if j <= 30: ...                  ->      for j in 31..n:
        if j < n: B[j] = ...                         B[j] = ...
                                                 for j in max(31, n)..n + 30: ...

Also called: loop peeling; index set splitting (Griebl, Feautrier and Lengauer, 2000).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op
from ...compute.operations import joined_by
from ...compute.simplify import constant_value, from_linear, linear, simplify
from ..ir import For, If, Stmt, Var, map_statements, statements
from ..rewrite import block, fresh, simplified, variables, with_lanes
from ..tiles import is_tile, maxima, minima
from .narrow_loops import isolated
from .peel_loops import WHOLE

_MOST = 64  # iterations that are peeled off one end


def peel_guards(stmt: Stmt, of_lanes: frozenset[Var] = frozenset()) -> Stmt:
    """The statement with innermost loops cut where their guards are decided; some variables around may differ between
    lanes."""
    inside = with_lanes(stmt, of_lanes)
    stmt = map_statements(stmt, lambda inner: peel_guards(inner, inside))
    if not isinstance(stmt, For) or stmt.kind != "serial" or stmt.peel == WHOLE:
        return stmt
    if any(_is_loop(inner) for inner in statements(stmt.body)):
        return stmt
    found = decided_range(stmt, of_lanes)
    if found is None:
        return stmt
    begin, end = found
    main = replace(stmt, begin=simplify(begin), end=simplify(end), body=simplified(_decided(stmt.body, stmt)))
    parts: list[Stmt] = [main]
    if begin is not stmt.begin:
        parts.insert(0, fresh(replace(stmt, end=simplify(Op("min", (begin, stmt.end), INDEX)))))
    if end is not stmt.end:
        parts.append(fresh(replace(stmt, begin=simplify(Op("max", (begin, end), INDEX)))))
    return block(*parts)


def decided_range(loop: For, of_lanes: frozenset[Var]) -> tuple[Expr, Expr] | None:
    """Where, in a loop without others in it, all guards are decided that are near one of its ends: the loop's own
    begin or end where nothing is to be cut off, as where that differs between lanes. None where there are none, or
    where that leaves little."""
    cuts = [cut for part in _guards(loop.body) if (cut := _cut(part, loop)) is not None]
    begin, end = loop.begin, loop.end
    if of_lanes:
        apart = [bool(variables(bound) & of_lanes) for bound in (begin, end)]
        cuts = [c for c in cuts if not variables(c.value) & of_lanes and not apart[0 if c.is_first else 1]]
    for cut in cuts:
        if cut.is_decided:
            continue
        if cut.is_first:
            begin = Op("max", (begin, cut.value), INDEX)
        else:
            end = Op("min", (end, cut.value), INDEX)
    return None if not cuts or _is_short(loop, begin, end) else (begin, end)


def _is_loop(stmt: Stmt) -> bool:
    return isinstance(stmt, For) and not is_tile(stmt)


def _is_short(loop: For, begin: Expr, end: Expr) -> bool:
    """Whether most iterations would be peeled off."""
    whole, left = constant_value(loop.end - loop.begin), constant_value(end - begin)
    return whole is not None and left is not None and 2 * left < whole


def _guards(body: Stmt) -> Iterator[Expr]:
    """The conditions that the guards of a body are conjunctions of."""
    for inner in statements(body):
        if isinstance(inner, If):
            yield from joined_by("and", inner.condition)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """The first counter from which on a condition is decided (`is_first`), or the first at which it no longer is;
    whether it holds between those; and whether that is all of the loop."""

    value: Expr
    is_first: bool
    holds: bool
    is_decided: bool


def _cut(condition: Expr, loop: For) -> _Cut | None:
    """Where a condition is decided, if that is near an end of the loop."""
    found = isolated(condition, loop.var) or _quotient(condition, loop.var)
    if found is None or found[0] == "ne":
        return None
    relation, limit = found
    after = simplify(limit + 1) if relation in ("gt", "le") else simplify(limit)
    low, high = (simplify(limit + 1), simplify(limit)) if relation == "eq" else (after, after)
    gap = _nearest(low - bound for bound in maxima(loop.begin))
    if gap is not None and gap <= _MOST:
        return _Cut(low, True, holds=relation in ("gt", "ge"), is_decided=gap <= 0)
    gap = _nearest(bound - high for bound in minima(loop.end))
    if gap is not None and gap <= _MOST:
        return _Cut(high, False, holds=relation in ("lt", "le"), is_decided=gap <= 0)
    return None


def _nearest(distances: Iterable[Expr]) -> int | None:
    """The least of those that are literal."""
    return min((gap for distance in distances if (gap := constant_value(distance)) is not None), default=None)


def _quotient(condition: Expr, var: Var) -> tuple[str, Expr] | None:
    """rest + x // c >= 0 or rest - x // c >= 0, of which only x depends on the counter, as a comparison of that."""
    if not isinstance(condition, Op) or condition.name != "ge" or condition.operands[0].dtype != INDEX:
        return None
    terms, constant = linear(Op("sub", condition.operands, INDEX))
    own = [k for k, (atom, _) in terms.items() if var in variables(atom)]
    if len(own) != 1:
        return None
    atom, factor = terms[own[0]]
    rest = from_linear({k: term for k, term in terms.items() if k != own[0]}, constant)
    match atom:
        case Op("floordiv", (x, Const(c))) if c > 0 and abs(factor) == 1:
            if factor == 1:  # x // c >= -rest
                return isolated(Op("ge", (x, rest * -int(c)), BOOL), var)
            return isolated(Op("le", (x, rest * int(c) + (int(c) - 1)), BOOL), var)
    return None


def _decided(body: Stmt, loop: For) -> Stmt:
    """The body between the cuts."""

    def known(condition: Expr) -> Expr:
        if isinstance(condition, Op) and condition.name == "and":
            a, b = map(known, condition.operands)
            return Op("and", (a, b), BOOL)
        cut = _cut(condition, loop)
        return condition if cut is None else Const(cut.holds, BOOL)

    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, If):
            stmt = replace(stmt, condition=simplify(known(stmt.condition)))
        return map_statements(stmt, visit)

    return visit(body)
