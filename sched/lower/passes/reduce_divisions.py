"""Divisions by literals whose outcome the loops around decide are replaced by it.

Where 0 <= x < c for all iterations, x // c is 0 and x % c is x. Layouts and folds of tiles leave many of these: in

    for j_o:
        for j_i in 0..64:
            B[(64 * j_o + j_i) // 64, (64 * j_o + j_i) % 64]

the element is B[j_o, j_i]. Runs before loops become vectors, while their variables have ranges.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, Op, transform, walk
from ...compute.simplify import key, simplify, simplify_node
from ..ir import For, Stmt, Var, map_statements, map_values
from ..tiles import Ranges, certainly_positive, minima


def reduce_divisions(stmt: Stmt) -> Stmt:
    """The statement without divisions that its loops decide."""
    return _reduced(stmt, _Scope({}))


@dataclass(frozen=True, slots=True)
class _Scope:
    """The ranges of the loops around, of which `var` is the innermost one's variable, and of which quotients by a
    literal it is known whether they are 0."""

    ranges: Ranges
    var: Var | None = None
    around: _Scope | None = None
    known: dict[Hashable, bool] = field(default_factory=dict)

    def is_zero(self, x: Expr, divisor: int) -> bool:
        """Whether 0 <= x < divisor for all iterations; found once for all loops inside of those that x is made of."""
        if self.around is not None and all(node is not self.var for node in walk(x)):
            return self.around.is_zero(x, divisor)
        where = key(x), divisor
        if where not in self.known:
            self.known[where] = all(certainly_positive(part, self.ranges) for part in (x + 1, divisor - x))
        return self.known[where]


def _reduced(stmt: Stmt, scope: _Scope) -> Stmt:
    stmt = map_values(stmt, lambda expr: _simplified(expr, scope))
    if isinstance(stmt, For):
        scope = _Scope({**scope.ranges, stmt.var: (stmt.begin, minima(stmt.end))}, stmt.var, scope)
    return map_statements(stmt, lambda inner: _reduced(inner, scope))


def _simplified(expr: Expr, scope: _Scope) -> Expr:
    changed = False

    def decided(node: Expr) -> Expr:
        nonlocal changed
        match node:
            case Op("floordiv" | "mod" as name, (x, Const(divisor))) if node.dtype == INDEX and divisor > 0:
                if scope.is_zero(x, int(divisor)):
                    changed = True
                    return Const(0, INDEX) if name == "floordiv" else x
        return simplify_node(node) if changed else node

    result = transform(expr, decided)
    return simplify(result) if changed else expr
