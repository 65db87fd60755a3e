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
Runs on loops that still have their kinds.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from ..compute.expr import walk
from ..compute.simplify import key, simplify
from .ir import Block, For, Load, Stmt, Store, map_statements, statements, values
from .rewrite import variables
from .tiles import Ranges, certainly_positive, is_tile, literal_range, minima, partial_bounds, tile_stays_inside


def fill_tiles(stmt: Stmt) -> Stmt:
    """The statement with partial tiles filled."""
    return _filled(stmt, {}, {})


def _filled(stmt: Stmt, ranges: Ranges, known: dict[Hashable, bool]) -> Stmt:
    """`known` says which numbers of iterations are positive: the loops of a register tile share their bounds."""
    if not isinstance(stmt, For):
        return map_statements(stmt, lambda inner: _filled(inner, ranges, known))
    if is_tile(stmt) and _only_pads(stmt):
        stmt = _full(stmt, ranges, known)
    inner = {**ranges, stmt.var: (stmt.begin, minima(stmt.end))}
    return map_statements(stmt, lambda body: _filled(body, inner, known))


def _only_pads(stmt: Stmt) -> bool:
    """Whether tile loops around stores to padded register tiles are all there is."""
    match stmt:
        case For(body=body):
            return is_tile(stmt) and _only_pads(body)
        case Block(body):
            return all(map(_only_pads, body))
        case Store(buffer, mask=mask):
            return buffer.scope == "register" and buffer.padded and mask is None
        case _:
            return False


def _full(loop: For, ranges: Ranges, known: dict[Hashable, bool]) -> For:
    """The loop with its literal number of iterations, if it makes at least one and all of them are harmless."""
    found, bounds = literal_range(loop), partial_bounds(loop)
    if found is None or not bounds or any(bound.is_begin for bound in bounds):
        return loop
    begin, count = found
    for inner in statements(loop.body):
        if isinstance(inner, Store) and not any(loop.var in variables(index) for index in inner.indices):
            return loop  # it adds up what is in its bounds
        if isinstance(inner, For) and loop.var in variables(inner.begin) | variables(inner.end):
            return loop
        loads = (node for value in values(inner) for node in walk(value) if isinstance(node, Load))
        for load in loads:
            if load.mask is not None or not tile_stays_inside(load.buffer, load.indices, loop.var, begin, count):
                return loop
    for bound in bounds:
        trips = simplify(bound.bound - begin)
        if key(trips) not in known:
            known[key(trips)] = certainly_positive(trips, ranges)
        if not known[key(trips)]:
            return loop
    return replace(loop, end=simplify(begin + count))
