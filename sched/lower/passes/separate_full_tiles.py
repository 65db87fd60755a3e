"""Run full tiles in code of their own, without bounds inside.

A tile loop that ends at min(64, m - 64 * j_o) is full where m - 64 * j_o >= 64. As soon as the loops around it decide
that, the code below is written twice: with the literal bound, and as it is. In a loop that runs in order, the full
iterations are a range, and the loop is cut in two; elsewhere a branch chooses.

    for j_o in 0..e:                             for j_o in 0..min(e, m // 64):
        vectorized for j_i in                ->      vectorized for j_i in 0..64: ...
                0..min(64, m - 64 * j_o): ...    for j_o in max(0, m // 64)..e:
                                                     vectorized for j_i in 0..min(64, m - 64 * j_o): ...

Skewed tiles may also begin late, at max(0, t - 64 * j_o); then a part of the loop before the full iterations is
partial, too.

What stands beside a loop that has no partial tiles costs little: it alone is written twice, where it stands, and the
loop, which is most of the code and of the work, is written once.

    for j_o:                                     for j_o:
        for r: ...                                   for r: ...
        vectorized for j_i in            ->          if m - 64 * j_o >= 64: vectorized for j_i in 0..64: ...
                0..min(64, m - 64 * j_o): ...        else: vectorized for j_i in 0..m - 64 * j_o: ...

What is below a partial tile is separated once more, along loops further in, and then no further: tiles that are partial
in one direction run as fast as they can, and many tiled loops do not give many more versions. Nothing is separated
along loops that are to stay in one piece.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op, transform
from ...compute.simplify import Terms, from_linear, key, linear, simplify, simplify_node
from ..ir import Allocate, Block, For, If, Let, Stmt, Var, map_statements, statements, sub_statements
from ..rewrite import block, fresh, variables, with_lanes
from ..tiles import PartialBound, bounded, is_tile, literal_range, minima, only_pads, partial_bounds
from .peel_guards import decided_range
from .peel_loops import WHOLE, holds_within


@dataclass(frozen=True, slots=True)
class _Known:
    """What is decided on the way in.

    variables  of the loops around, but for what differs between lanes
    of_lanes   those of vector loops around, and what is made of them
    partial    slacks (by key) of tiles that are not full here
    more       how many times what is below a partial tile may still be separated
    """

    variables: frozenset[Var] = frozenset()
    of_lanes: frozenset[Var] = frozenset()
    partial: frozenset[Hashable] = frozenset()
    more: int = 1

    def inside(self, stmt: For | Let) -> _Known:
        of_lanes = with_lanes(stmt, self.of_lanes)
        return replace(self, variables=(self.variables | {stmt.var}) - of_lanes, of_lanes=of_lanes)

    def not_full(self, slacks: list[Expr]) -> _Known:
        return replace(self.as_they_are(slacks), more=self.more - 1)

    def as_they_are(self, slacks: list[Expr]) -> _Known:
        return replace(self, partial=self.partial | {key(slack) for slack in slacks})


def separate_full_tiles(stmt: Stmt) -> Stmt:
    """The statement with full tiles separated from partial ones."""
    return _branched(stmt, _Known())


def _separated(stmt: Stmt, known: _Known) -> Stmt:
    if known.more < 0:
        return stmt
    if isinstance(stmt, For) and not is_tile(stmt):
        return _loop(stmt, known.inside(stmt))
    if isinstance(stmt, Let):
        return replace(stmt, body=_branched(stmt.body, known.inside(stmt)))
    if isinstance(stmt, Block) and any(beside := [_is_beside(inner, stmt) for inner in stmt.body]):
        parts = zip(stmt.body, beside, strict=True)
        return block(*(_chosen(inner, known) if few else _separated(inner, known) for inner, few in parts))
    known = replace(known, of_lanes=with_lanes(stmt, known.of_lanes))
    return map_statements(stmt, lambda inner: _separated(inner, known))


def _branched(body: Stmt, known: _Known) -> Stmt:
    """`body` in two versions, where what is known decides whether tiles in it are full."""
    slacks = _slacks(body, known)
    if not slacks:
        return _separated(body, known)
    partial = fresh(_separated(body, known.not_full(slacks)))
    return If(_all_full(slacks), _separated(_full(body, slacks), known), partial)


def _chosen(stmt: Stmt, known: _Known) -> Stmt:
    """What stands beside a loop, with its full tiles in a version of its own, all others in another.

    What is loaded into a register tile, of an earlier block of a sum, needs no branches, and has one version.
    """
    if only_pads(stmt):
        return stmt
    if isinstance(stmt, (Allocate, Block, If)):
        return map_statements(stmt, lambda inner: _chosen(inner, known))
    slacks = _slacks(stmt, known)
    return If(_all_full(slacks), _full(stmt, slacks), fresh(stmt)) if slacks else stmt


def _is_beside(stmt: Stmt, around: Block) -> bool:
    """Whether a statement without loops, but for tiles, stands beside a loop without partial tiles."""
    if any(
        isinstance(inner, (For, Let)) and not (isinstance(inner, For) and is_tile(inner)) for inner in statements(stmt)
    ):
        return False
    return any(_works(other) and not _has_partial_tiles(other) for other in around.body)


def _works(stmt: Stmt) -> bool:
    """Whether it is a loop, or a choice between loops."""
    match stmt:
        case If(_, then, otherwise):
            return _works(then) and (otherwise is None or _works(otherwise))
        case _:
            return isinstance(stmt, For) and not is_tile(stmt)


def _has_partial_tiles(stmt: Stmt) -> bool:
    """Whether there are tiles that are partial in all of a statement, and not in some iterations of a loop of it."""
    tiles = [inner for inner in statements(stmt) if isinstance(inner, For) and is_tile(inner)]
    bounds = [bound for tile in tiles for bound in partial_bounds(tile)]
    own = {inner.var for inner in statements(stmt) if isinstance(inner, (For, Let))} if bounds else set()
    return any(not variables(bound.slack) & own for bound in bounds)


def _all_full(slacks: list[Expr]) -> Expr:
    conditions = [Op("ge", (slack, Const(0, INDEX)), BOOL) for slack in slacks]
    return reduce(lambda some, one: Op("and", (some, one), BOOL), conditions)


def _loop(loop: For, known: _Known) -> Stmt:
    slacks = _slacks(loop.body, known)
    limits = [_limit(slack, loop.var) for slack in slacks]
    if not slacks:
        return replace(loop, body=_separated(loop.body, known))
    if loop.peel == WHOLE:
        return replace(loop, body=_separated(loop.body, known.as_they_are(slacks)))
    if loop.kind == "parallel" or any(limit is None for limit in limits):
        return replace(loop, body=_branched(loop.body, known))
    innermost = not _has_loops(loop.body)
    begin, end = (decided_range(loop, known.of_lanes) if innermost else None) or (loop.begin, loop.end)
    for limit in limits:
        assert limit is not None
        if limit.is_first:
            begin = Op("max", (begin, limit.value), INDEX)
        else:
            end = Op("min", (end, limit.value), INDEX)
    full = replace(loop, begin=simplify(begin), end=simplify(end), body=_separated(_full(loop.body, slacks), known))
    partial = replace(loop, body=_separated(loop.body, known.not_full(slacks)), peel=WHOLE if innermost else loop.peel)
    if begin is not loop.begin and end is not loop.end and not innermost:
        return replace(loop, body=If(_between(loop.var, full), _decided(full), fresh(partial.body)))
    parts: list[Stmt] = [full]
    if begin is not loop.begin:
        parts.insert(0, fresh(replace(partial, end=simplify(Op("min", (begin, loop.end), INDEX)))))
    if end is not loop.end:
        parts.append(fresh(replace(partial, begin=simplify(Op("max", (begin, end), INDEX)))))
    return block(*parts)


def _has_loops(stmt: Stmt) -> bool:
    return any(isinstance(inner, For) and not is_tile(inner) for inner in statements(stmt))


def _between(var: Var, loop: For) -> Expr:
    """Whether a variable is in the range of a loop."""
    return Op("and", (Op("ge", (var, loop.begin), BOOL), Op("lt", (var, loop.end), BOOL)), BOOL)


def _decided(loop: For) -> Stmt:
    """The body of a loop without what its range decides of the conditions in it: LLVM takes ranges from loops rather
    than from branches around."""
    ranges = {loop.var: (loop.begin, minima(loop.end))}

    def known(node: Expr) -> Expr:
        match node:
            case Op("lt" | "le" | "gt" | "ge" as name, (a, b)) if a.dtype == INDEX and loop.var in variables(node):
                holds = holds_within(name, a, b, ranges)
                return node if holds is None else Const(holds, BOOL)
            case _:
                return simplify_node(node)

    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, If):
            condition = transform(stmt.condition, known)
            if isinstance(condition, Const):
                taken = stmt.then if condition.value else stmt.otherwise
                return Block(()) if taken is None else visit(taken)
            stmt = replace(stmt, condition=condition)
        return map_statements(stmt, visit)

    return visit(loop.body)


def _slacks(body: Stmt, known: _Known) -> list[Expr]:
    """For each tile loop that is decided here: by how much what is left exceeds a full tile."""
    found: dict[Hashable, Expr] = {}
    tiles = _tiles(body)
    for inner in _separable(body):
        if not isinstance(inner, For) or not is_tile(inner):
            continue
        for bound in partial_bounds(inner):
            slack = _least(bound.slack, tiles)
            if variables(slack) <= known.variables:
                found[key(slack)] = slack
    return [slack for k, slack in found.items() if k not in known.partial]


def _tiles(body: Stmt) -> dict[Var, tuple[Expr, int]]:
    """The first counter and the most iterations of each tile loop."""
    found = ((s.var, literal_range(s)) for s in statements(body) if isinstance(s, For) and is_tile(s))
    return {var: bounds for var, bounds in found if bounds is not None}


def _least(slack: Expr, tiles: Mapping[Var, tuple[Expr, int]]) -> Expr:
    """The slack of a tile inside of others, whichever of their iterations it is in."""
    for atom, factor in linear(slack)[0].values():
        if isinstance(atom, Var) and atom in tiles:
            begin, count = tiles[atom]
            slack = simplify(slack - atom * factor + (begin if factor > 0 else begin + (count - 1)) * factor)
    return slack


def _separable(stmt: Stmt) -> Iterator[Stmt]:
    """The statement and those in it, but for what stands beside loops further in."""
    yield stmt
    for inner in sub_statements(stmt):
        if not (isinstance(stmt, Block) and _is_beside(inner, stmt)):
            yield from _separable(inner)


@dataclass(frozen=True, slots=True)
class _Limit:
    """The first value of a variable at which tiles are full, or are no longer."""

    value: Expr
    is_first: bool


def _limit(slack: Expr, var: Var) -> _Limit | None:
    """Where slack = rest + a * var changes its sign, or rest + x // c or rest - x // c with such an x; None for another
    form."""
    terms, constant = linear(slack)
    if key(var) not in terms:
        slack_of_dividend = _without_quotient(terms, constant, var)
        return None if slack_of_dividend is None else _limit(slack_of_dividend, var)
    rest = {k: term for k, term in terms.items() if k != key(var)}
    coefficient = terms[key(var)][1]
    if any(var in variables(atom) for atom, _ in rest.values()):
        return None
    total: Expr = Const(constant, INDEX)
    for atom, factor in rest.values():
        total = total + atom * Const(factor, INDEX)
    if coefficient > 0:
        return _Limit(simplify((coefficient - 1 - total) // Const(coefficient, INDEX)), is_first=True)
    return _Limit(simplify(total // Const(-coefficient, INDEX) + 1), is_first=False)


def _without_quotient(terms: Terms, constant: int, var: Var) -> Expr | None:
    """What is not negative where rest + x // c or rest - x // c is not, if only x depends on the variable."""
    own = [k for k, (atom, _) in terms.items() if var in variables(atom)]
    if len(own) != 1:
        return None
    rest = from_linear({k: term for k, term in terms.items() if k != own[0]}, constant)
    match terms[own[0]]:
        case Op("floordiv", (x, Const(c))), 1 if c > 0:
            return simplify(x + rest * int(c))
        case Op("floordiv", (x, Const(c))), -1 if c > 0:
            return simplify(rest * int(c) + (int(c) - 1) - x)
    return None


def _full(body: Stmt, slacks: list[Expr]) -> Stmt:
    """`body` with the tiles taken as full whose slacks these are. Others, as those beside loops, have branches of their
    own."""
    tiles, decided = _tiles(body), {key(slack) for slack in slacks}

    def is_open(bound: PartialBound) -> bool:
        return key(_least(bound.slack, tiles)) not in decided

    def fill(stmt: Stmt) -> Stmt:
        if isinstance(stmt, For) and is_tile(stmt):
            stmt = bounded(stmt, list(filter(is_open, partial_bounds(stmt))))
        return map_statements(stmt, fill)

    return fill(body)
