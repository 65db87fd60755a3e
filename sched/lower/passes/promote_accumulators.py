"""Keep what a loop accumulates in registers.

Where all accesses to a buffer inside a scope go to one tile of elements that the loops in the scope do not move, the
tile gets a register buffer of its own for that scope: it is initialised by the scope's own init, or loaded first, and
stored once at the end. After unrolling and vectorizing, its indices are literals and LLVM sees only values.

    for j_o:                                     for j_o:
        vectorized for j_i: C[.., j_i] = 0           vectorized for j_i: acc[j_i] = 0
        for r:                              ->       for r:
            vectorized for j_i:                          vectorized for j_i:
                C[.., j_i] += ...                            acc[j_i] += ...
                                                     vectorized for j_i: C[.., j_i] = acc[j_i]

Runs on loops that still have their kinds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, Op, transform
from ...compute.simplify import key, simplify
from ..ir import (
    Allocate,
    Block,
    Buffer,
    For,
    If,
    Let,
    Load,
    Stmt,
    Store,
    Var,
    map_statements,
    map_values,
    statements,
    sub_statements,
    values,
)
from ..rewrite import block, loads, replaced, stored_buffers, variables, with_variables
from ..tiles import is_tile, most_iterations, tile_begin

MAX_BYTES = 16384


@dataclass(frozen=True, slots=True, eq=False)
class _Access:
    """One load or store: its indices, what encloses it inside the scope, and whether it is the store of a pure init."""

    indices: tuple[Expr, ...]
    around: tuple[Stmt, ...]
    statement: Stmt
    is_store: bool
    finished: bool = False

    @property
    def tile_loops(self) -> tuple[For, ...]:
        """The enclosing tile loops that the indices follow."""
        used = set().union(*(variables(index) for index in self.indices)) if self.indices else set()
        return tuple(s for s in self.around if isinstance(s, For) and is_tile(s) and s.var in used)


def promote_accumulators(stmt: Stmt) -> Stmt:
    """The statement with accumulators of loops in register buffers, at the outermost scope where that is possible."""
    return _promote(stmt, itertools.count(), frozenset())


def _promote(stmt: Stmt, numbers: Iterator[int], done: frozenset[Buffer]) -> Stmt:
    """The statement with tiles of all buffers but those that have one further out: what is left of them is its
    transfer."""
    if isinstance(stmt, For) and is_tile(stmt):
        return stmt
    if not isinstance(stmt, (Let, Store)):
        inside = {inner.buffer for inner in statements(stmt) if isinstance(inner, Allocate)}
        for buffer in stored_buffers(stmt):
            if buffer.scope != "register" and buffer not in inside | done:
                promoted = _promoted(stmt, buffer, numbers)
                done = done if promoted is stmt else done | {buffer}
                stmt = promoted
    return map_statements(stmt, lambda inner: _promote(inner, numbers, done))


def _promoted(scope: Stmt, buffer: Buffer, numbers: Iterator[int]) -> Stmt:
    """The scope with the accesses to one buffer in registers, or the scope as it is."""
    stored = list(_stored(scope, buffer, ()))  # few of all accesses, and most scopes are left for what they are
    if not _gains(stored) or not _one_tile(stored):
        return scope
    accesses = list(_accesses(scope, buffer, ()))
    if _beside_finished(accesses, buffer):
        accesses = [access for access in accesses if not access.finished]
    chosen = _chosen_init(scope, buffer)
    first = next(a for a in accesses if chosen not in a.around)
    if not _one_tile(accesses):
        return scope
    initialised = chosen is None and first.is_store and not _reads(first.statement, buffer)
    if initialised and not _always(first, accesses):
        return scope
    template = first if initialised else _in_its_tile(first)
    if template is None or not _covers(template, accesses):
        return scope
    extents = [most_iterations(loop) for loop in template.tile_loops]
    if any(extent is None for extent in extents):
        return scope
    shape = [extent for extent in extents if extent is not None]
    if prod(shape) * buffer.dtype.bytes > MAX_BYTES:
        return scope
    name = f"{buffer.name}_tile{next(numbers)}"
    padded = _same_loops(template, accesses, chosen)
    tile = Buffer(name, buffer.dtype, tuple(Const(extent, INDEX) for extent in shape), "register", padded=padded)
    body = _redirected(scope, buffer, tile, ())
    parts = [body, _transfer(template, buffer, tile, into_tile=False)]
    if chosen is not None:
        parts[0] = _or_else(body, _chosen_at(scope, chosen), _transfer(template, buffer, tile, into_tile=True))
    elif not initialised:
        parts.insert(0, _transfer(template, buffer, tile, into_tile=True))
    return Allocate(tile, block(*parts))


def _chosen_init(scope: Stmt, buffer: Buffer) -> If | None:
    """The branch that the scope begins with, if it initialises the tile in some of its runs: in the first iteration of
    a loop further out. Otherwise the tile is what the last iteration left."""
    if not isinstance(scope, Block):
        return None
    start = next((part for part in scope.body if any(True for _ in _accesses(part, buffer, ()))), None)
    if not isinstance(start, If) or start.otherwise is not None:
        return None
    found, rest = list(_accesses(start.then, buffer, ())), scope.body[scope.body.index(start) + 1 :]
    more = any(True for part in rest for _ in _accesses(part, buffer, ()))
    return start if more and all(a.is_store and not _reads(a.statement, buffer) for a in found) else None


def _chosen_at(scope: Stmt, chosen: If) -> int:
    assert isinstance(scope, Block)
    return scope.body.index(chosen)


def _or_else(body: Stmt, place: int, otherwise: Stmt) -> Stmt:
    """The block with something done where the branch at this place is not taken."""
    assert isinstance(body, Block)
    branch = body.body[place]
    assert isinstance(branch, If)
    return Block((*body.body[:place], replace(branch, otherwise=otherwise), *body.body[place + 1 :]))


def _reads(stmt: Stmt, buffer: Buffer) -> bool:
    return any(load.buffer is buffer for load in loads(stmt))


def _always(first: _Access, accesses: list[_Access]) -> bool:
    """Whether nothing inside the scope decides on an access that does not decide on all of them."""
    branches = {stmt: _contains(stmt.then, first.statement) for stmt in first.around if isinstance(stmt, If)}
    return all(
        stmt in access.around and _contains(stmt.then, access.statement) == then
        for stmt, then in branches.items()
        for access in accesses
    )


def _accesses(stmt: Stmt, buffer: Buffer, around: tuple[Stmt, ...]) -> Iterator[_Access]:
    for load in loads(stmt):
        if load.buffer is buffer:
            yield _Access(load.indices, around, stmt, is_store=False, finished=load.finished)
    if isinstance(stmt, Store) and stmt.buffer is buffer:
        yield _Access(stmt.indices, around, stmt, is_store=True)
    for inner in sub_statements(stmt):
        yield from _accesses(inner, buffer, (*around, stmt))


def _stored(stmt: Stmt, buffer: Buffer, around: tuple[Stmt, ...]) -> Iterator[_Access]:
    """The accesses that are stores."""
    if isinstance(stmt, Store) and stmt.buffer is buffer:
        yield _Access(stmt.indices, around, stmt, is_store=True)
    for inner in sub_statements(stmt):
        yield from _stored(inner, buffer, (*around, stmt))


def _beside_finished(accesses: list[_Access], buffer: Buffer) -> bool:
    """Whether all that is stored are updates that read finished elements of the buffer: none of those is of a tile that
    is accumulated meanwhile, since the elements of that are finished afterwards."""
    stored = [access.statement for access in accesses if access.is_store]
    return all(any(load.buffer is buffer and load.finished for load in loads(stmt)) for stmt in stored)


def _gains(stored: list[_Access]) -> bool:
    """Whether a loop repeats a store to the tile: one that is no tile's, or that is written out and moves nothing."""
    return any(any(_repeats(s, a) for s in a.around) for a in stored)


def _repeats(stmt: Stmt, access: _Access) -> bool:
    if not isinstance(stmt, For):
        return False
    return not is_tile(stmt) or (stmt.kind == "unroll" and stmt not in access.tile_loops)


def _one_tile(accesses: list[_Access]) -> bool:
    """Whether all accesses go to the same elements, counted by their tile loops in the same way, in every iteration
    of the loops in the scope; loops over threads share no registers."""
    if any(isinstance(s, For) and s.kind == "parallel" for a in accesses for s in a.around):
        return False
    seen = set()
    for access in accesses:
        loops = access.tile_loops
        inside = {s.var for s in access.around if isinstance(s, (For, Let))} - {loop.var for loop in loops}
        if any(variables(index) & inside for index in access.indices):
            return False
        counters: dict[Var, Expr] = {loop.var: _PLACEHOLDERS[k] for k, loop in enumerate(loops[: len(_PLACEHOLDERS)])}
        renamed = [replaced(index, counters) for index in access.indices]
        extents = tuple((most_iterations(loop), key(simplify(tile_begin(loop)))) for loop in loops)
        seen.add((tuple(key(simplify(index)) for index in renamed), extents, len(loops)))
    return len(seen) == 1


_PLACEHOLDERS = tuple(Var(f"tile{k}") for k in range(8))


def _in_its_tile(access: _Access) -> _Access | None:
    """The access as it stands in the tile alone; None where a condition inside the scope decides on it."""
    if any(isinstance(s, (If, Let)) for s in access.around):
        return None
    return replace(access, around=access.tile_loops)


def _covers(template: _Access, accesses: list[_Access]) -> bool:
    """Whether the loops around the template depend on nothing inside the scope but each other, so that they can be
    run before and after it. (All accesses go to one tile, and nothing is read there before it is initialised or loaded,
    so the template's loops cover what the others reach.)"""
    bound: set[Var] = set()
    for stmt in template.around:
        if isinstance(stmt, For) and not is_tile(stmt):
            return False
        outer = set().union(*(variables(value) for value in values(stmt))) if values(stmt) else set()
        inside = {s.var for a in accesses for s in a.around if isinstance(s, (For, Let))}
        if outer & (inside - bound):
            return False
        if isinstance(stmt, (For, Let)):
            bound.add(stmt.var)
    return True


def _same_loops(template: _Access, accesses: list[_Access], chosen: If | None) -> bool:
    """Whether the tile loops of all accesses have the template's bounds, and nothing else decides on an access but
    whether the tile is initialised or loaded: no loop that runs for some elements of the tile only."""
    inside = {s.var for a in accesses for s in a.around if isinstance(s, (For, Let))}
    bounds = {tuple((key(loop.begin), key(loop.end)) for loop in a.tile_loops) for a in (template, *accesses)}
    decisive = {s for a in accesses for s in a.around if not isinstance(s, (For, Block, Allocate))} - {chosen}
    others = {s for a in accesses for s in a.around if isinstance(s, For) and is_tile(s) and s not in a.tile_loops}
    tiles = {loop for loop in others if most_iterations(loop) is None}
    outer = all(not (variables(loop.begin) | variables(loop.end)) & inside for loop in template.tile_loops)
    alike = not any(map(_follows_its_tile, accesses))
    return len(bounds) == 1 and not decisive and not tiles and outer and alike


def _follows_its_tile(access: _Access) -> bool:
    """Whether the bounds of a loop around the access differ between elements of the tile."""
    counters = {loop.var for loop in access.tile_loops}
    loops = (s for s in access.around if isinstance(s, For))
    return any((variables(loop.begin) | variables(loop.end)) & counters for loop in loops)


def _redirected(stmt: Stmt, buffer: Buffer, tile: Buffer, loops: tuple[For, ...]) -> Stmt:
    """The statement with the buffer's accesses going to the tile."""
    inner = (*loops, stmt) if isinstance(stmt, For) and is_tile(stmt) else loops

    def place(indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        used = set().union(*(variables(index) for index in indices)) if indices else set()
        return tuple(simplify(loop.var - tile_begin(loop)) for loop in loops if loop.var in used)

    def redirect(node: Expr) -> Expr:
        own = isinstance(node, Load) and node.buffer is buffer and not node.finished
        return Load(tile, place(node.indices)) if isinstance(node, Load) and own else node

    if isinstance(stmt, Store) and stmt.buffer is buffer:
        return Store(tile, place(stmt.indices), transform(stmt.value, redirect), stmt.mask, stmt.any_order)
    own = map_values(stmt, lambda expr: transform(expr, redirect))
    return map_statements(own, lambda child: _redirected(child, buffer, tile, inner))


def _transfer(template: _Access, buffer: Buffer, tile: Buffer, *, into_tile: bool) -> Stmt:
    """Copy between the tile and its elements, in loops like those around the template."""
    place = tuple(simplify(loop.var - tile_begin(loop)) for loop in template.tile_loops)
    copy: Stmt
    if into_tile:
        copy = Store(tile, place, Load(buffer, template.indices))
    else:
        copy = Store(buffer, template.indices, Load(tile, place))
    fresh: dict[Var, Expr] = {}
    for around in reversed(template.around):
        match around:
            case For() | Let():
                fresh[around.var] = Var(around.var.name)
                copy = replace(around, body=copy)
            case If(condition, then, _):
                copy = If(condition, copy) if _contains(then, template.statement) else If(_negated(condition), copy)
    return _renamed(copy, fresh)


def _contains(stmt: Stmt, wanted: Stmt) -> bool:
    return stmt is wanted or any(_contains(inner, wanted) for inner in sub_statements(stmt))


def _negated(condition: Expr) -> Expr:
    return Op("not", (condition,), condition.dtype)


def _renamed(stmt: Stmt, fresh: dict[Var, Expr]) -> Stmt:
    """The statement with loop variables of its own: no variable is bound twice."""

    def rename(inner: Stmt) -> Stmt:
        if isinstance(inner, (For, Let)):
            new = fresh[inner.var]
            assert isinstance(new, Var)
            inner = replace(inner, var=new)
        return map_statements(inner, rename)

    return rename(with_variables(stmt, fresh))
