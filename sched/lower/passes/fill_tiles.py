"""Let partial register tiles run as full ones, where what they compute beyond their bounds is never seen.

A register tile whose partial loops all have one bound is written back within it; what its other elements hold does not
matter (`Buffer.padded`). So they may be computed like the others, from whatever packed panels have behind their last
element, and the loops that do the work have literal bounds, with one version of their code for full and for partial
tiles. That is how BLIS treats edges (Van Zee and van de Geijn, BLIS, TOMS 2015).

    for r:                                                for r:
        unrolled for i_i in 0..min(14, n - 14 * i_o):         unrolled for i_i in 0..14:
            tile[i_i] += A_panels[i_o, r, i_i] * B[r]    ->       tile[i_i] += A_panels[i_o, r, i_i] * B[r]
    unrolled for i_i in 0..min(14, n - 14 * i_o):         unrolled for i_i in 0..min(14, n - 14 * i_o):
        C[14 * i_o + i_i] = tile[i_i]                         C[14 * i_o + i_i] = tile[i_i]

Nothing is read outside of its buffer: an index that goes beyond is one dimension's alone, whose extent is the tile's.
Rows of an operand that is not packed are read where they are, and beyond the last one that one again, if its address is
the same in all iterations of the loop that does the work:

    unrolled for i_i in 0..min(6, n - 6 * i_o):           unrolled for i_i in 0..6:
        tile[i_i] += A[6 * i_o + i_i, r] * B[r]      ->       tile[i_i] += A[min(6 * i_o + i_i, n - 1), r] * B[r]

Of vectors that are few, fewer are computed: the loop that does the work is there once more for half of them, and for
half of these, down to one.

    for r:                                                if m - 64 * j_o <= 32:
        vectorized for j_i in 0..min(64, m - 64 * j_o):       for r:
            tile[j_i] += A[r] * B_panels[j_o, r, j_i] ->          vectorized for j_i in 0..32: ...
                                                          else:
                                                              for r:
                                                                  vectorized for j_i in 0..64: ...

Runs on loops that still have their kinds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Expr, Op, Size, const, transform, walk
from ...compute.simplify import key, simplify
from ..ir import For, If, Load, Stmt, Store, Var, map_statements, map_values, statements, values
from ..rewrite import fresh, replaced, variables
from ..tiles import (
    PartialBound,
    Ranges,
    certainly_positive,
    is_tile,
    literal_range,
    minima,
    only_pads,
    partial_bounds,
    tile_stays_inside,
)


@dataclass(slots=True)
class _Around:
    """The loops around that are no tiles, and which numbers of iterations are positive: the loops of a register tile
    share their bounds."""

    ranges: Ranges = field(default_factory=dict)
    positive: dict[Hashable, bool] = field(default_factory=dict)

    def inside(self, loop: For) -> _Around:
        return _Around({**self.ranges, loop.var: (loop.begin, minima(loop.end))}, self.positive)

    def is_positive(self, trips: Expr) -> bool:
        if key(trips) not in self.positive:
            self.positive[key(trips)] = certainly_positive(trips, self.ranges)
        return self.positive[key(trips)]

    def after(self, bounds: tuple[PartialBound, ...]) -> set[Var] | None:
        """The variables of the loops in which the bounds do not change any more; None if there are no such loops."""
        decided = {var for bound in bounds for var in variables(bound.bound)}
        serial = list(self.ranges)
        last = max((k for k, var in enumerate(serial) if var in decided), default=-1)
        return set(serial[last + 1 :]) or None


def fill_tiles(stmt: Stmt, vector_bits: int) -> Stmt:
    """The statement with partial tiles filled, as far as whole vectors of so many bits."""
    return _filled(stmt, _Around(), vector_bits)


def _filled(stmt: Stmt, around: _Around, vector_bits: int) -> Stmt:
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: _filled(inner, around, vector_bits))
    if is_tile(stmt):
        if only_pads(stmt):
            stmt = _full(stmt, around)
        return map_statements(stmt, lambda body: _filled(body, around, vector_bits))
    inner = around.inside(stmt)
    full = replace(stmt, body=_filled(stmt.body, inner, vector_bits))
    if stmt.kind != "serial" or not only_pads(stmt.body):
        return full
    found: Stmt = full
    for loop, count in _narrower(stmt, around, vector_bits):
        narrow = _filled(_with_at_most(stmt, loop, count), around, 0)
        if not any(isinstance(s, For) and is_tile(s) and partial_bounds(s) for s in statements(narrow)):
            (bound,) = partial_bounds(loop)
            is_narrow = Op("le", (simplify(bound.bound - loop.begin), const(count)), BOOL)
            found = If(simplify(is_narrow), fresh(narrow), found)
    return found


def _narrower(work: For, around: _Around, vector_bits: int) -> Iterator[tuple[For, int]]:
    """The vector loop whose bound is decided outside of the loop that does the work, with numbers of lanes that are
    enough for it at times, the largest first."""
    for loop in statements(work.body):
        if not isinstance(loop, For) or loop.kind != "vectorize":
            continue
        bounds, found = partial_bounds(loop), literal_range(loop)
        if (
            len(bounds) != 1
            or found is None
            or bounds[0].is_begin
            or not variables(bounds[0].bound) <= set(around.ranges)
        ):
            return
        lanes = max(1, vector_bits // (8 * max(s.buffer.dtype.bytes for s in statements(loop) if isinstance(s, Store))))
        vectors = -(-found[1] // lanes)
        any_number = any(isinstance(node, Size) for node in walk(bounds[0].bound))
        while vector_bits and vectors > 1:
            vectors = (vectors + 1) // 2
            if any_number or not certainly_positive(bounds[0].bound - loop.begin - vectors * lanes, around.ranges):
                yield loop, vectors * lanes
        return


def _with_at_most(stmt: Stmt, loop: For, count: int) -> Stmt:
    """The statement with so many iterations at most in all vector loops with the bounds of this one."""
    end = key(loop.end)

    def narrow(inner: Stmt) -> Stmt:
        if isinstance(inner, For) and inner.kind == "vectorize" and key(inner.end) == end:
            ends = (bound.bound for bound in partial_bounds(inner))
            return replace(inner, end=Op("min", (simplify(inner.begin + count), *ends), INDEX))
        return map_statements(inner, narrow)

    return narrow(stmt)


def _full(loop: For, around: _Around) -> For:
    """The loop with its literal number of iterations, if it makes at least one and all of them are harmless."""
    found, bounds = literal_range(loop), partial_bounds(loop)
    if found is None or not bounds or any(bound.is_begin for bound in bounds):
        return loop
    begin, count = found
    work, outside = around.after(bounds), dict[Load, Load]()
    for inner in statements(loop.body):
        if isinstance(inner, Store) and not any(loop.var in variables(index) for index in inner.indices):
            return loop  # it adds up what is in its bounds
        if isinstance(inner, For) and loop.var in variables(inner.begin) | variables(inner.end):
            return loop
        for load in (node for value in values(inner) for node in walk(value) if isinstance(node, Load)):
            if load.mask is not None:
                return loop
            if tile_stays_inside(load.buffer, load.indices, loop.var, found, around.ranges, ()):
                continue
            moved = [index for index in load.indices if loop.var in variables(index)]
            if loop.kind != "unroll" or work is None or any(variables(index) & work for index in moved):
                return loop
            outside[load] = _last_again(load, loop.var, bounds)
    if not all(around.is_positive(simplify(bound.bound - begin)) for bound in bounds):
        return loop
    body = _with_loads(loop.body, outside) if outside else loop.body
    return replace(loop, end=simplify(begin + count), body=body)


def _last_again(load: Load, var: Var, bounds: tuple[PartialBound, ...]) -> Load:
    """The load, beyond the bounds of the variable that of the last iteration within them."""
    inside: Expr = var
    for bound in bounds:
        inside = Op("min", (inside, bound.bound - 1), INDEX)
    return replace(load, indices=tuple(replaced(index, {var: inside}) for index in load.indices))


def _with_loads(stmt: Stmt, changed: dict[Load, Load]) -> Stmt:
    def with_them(expr: Expr) -> Expr:
        return transform(expr, lambda node: changed.get(node, node) if isinstance(node, Load) else node)

    return map_statements(map_values(stmt, with_them), lambda inner: _with_loads(inner, changed))
