"""Keep stored vectors in registers for the loads that follow one lane behind, in the same iteration or the next one.

Diagonals of a recurrence that are computed together read each other one lane further down. The load would be of two
vectors that have just been stored, and wait until both are in the cache. Instead, the vector of the iteration before is
carried to the next one, and the two are shifted into one:

                                                 before[ramp(0, 16)] = H[r, ramp(16 * begin - 16, 16)], the last lane
    for v:                                       for v:
        H[r, ramp(16 * v, 16)] = x                   here[ramp(0, 16)] = x
                                       ->            H[r, ramp(16 * v, 16)] = here[ramp(0, 16)]
        ... H[r, ramp(16 * v - 1, 16)]               ... lanes_behind(before[ramp(0, 16)], here[ramp(0, 16)])
                                                     before[ramp(0, 16)] = here[ramp(0, 16)]

Also called: register rotation; scalar replacement across iterations (Callahan, Carr and Kennedy, PLDI 1990).

Runs on innermost loops whose bodies are stores in a row, after tile loops are written out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Const, Expr, Op, transform
from ...compute.simplify import difference, key, linear, simplify
from ..ir import Allocate, Block, Buffer, For, If, Load, Ramp, Stmt, Store, Var, lanes, map_statements
from ..rewrite import block, loads, replaced, variables

_MOST = 8  # vectors that are carried at a time


def carry_vectors(stmt: Stmt) -> Stmt:
    """The statement with vectors carried from one iteration of a loop to the next."""
    return _carried(stmt, itertools.count())


def _carried(stmt: Stmt, numbers: Iterator[int]) -> Stmt:
    stmt = map_statements(stmt, lambda inner: _carried(inner, numbers))
    if not isinstance(stmt, For) or stmt.kind != "serial" or not isinstance(stmt.body, Block):
        return stmt
    stores = [inner for inner in stmt.body.body if isinstance(inner, Store)]
    if len(stores) != len(stmt.body.body):
        return stmt
    kept = [store for store in stores if _is_carried(store, stmt.var, stores)]
    return _rewritten(stmt, stores, kept[:_MOST], numbers) if kept else stmt


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A store, and the registers with its vector in this iteration and the one before."""

    store: Store
    here: Buffer
    before: Buffer
    place: tuple[Expr, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", (Ramp(Const(0, INDEX), lanes(self.store.indices[-1])),))

    def replaces(self, load: Expr) -> Expr:
        """What a load is after the store, if it is of what that has stored."""
        behind = _behind(load, self.store)
        here, before = Load(self.here, self.place), Load(self.before, self.place)
        if behind == 0:
            return here
        return Op("lanes_behind", (before, here), here.dtype) if behind == 1 else load


def _is_carried(store: Store, var: Var, stores: list[Store]) -> bool:
    """Whether a store moves on by its vector in each iteration, is the only one to its row, and is read one lane behind
    afterwards."""
    width, buffer = lanes(store.indices[-1]) if store.indices else 1, store.buffer
    if store.mask is not None or buffer.scope == "register" or buffer.strides is not None or width == 1:
        return False
    terms, _ = linear(store.indices[-1])
    moves = terms.get(key(var), (var, 0))[1] == width
    rest = [atom for k, (atom, _) in terms.items() if k != key(var)]
    if not moves or any(var in variables(part) for part in (*store.indices[:-1], *rest)):
        return False
    if not all(other is store or other.buffer is not buffer or _other_row(store, other) for other in stores):
        return False
    after = stores[stores.index(store) + 1 :]
    return any(_behind(load, store) == 1 for later in after for load in loads(later))


def _other_row(store: Store, other: Store) -> bool:
    """Whether two stores to a buffer never meet: a dimension but the last tells them apart."""
    return any(map(_differ, store.indices[:-1], other.indices[:-1]))


def _differ(a: Expr, b: Expr) -> bool:
    match a, b:
        case Op("mod", (x, Const(c))), Op("mod", (y, Const(d))) if c == d:
            gap = difference(x, y)
            return gap is not None and gap % int(c) != 0
    gap = difference(a, b)
    return gap is not None and gap != 0


def _behind(load: Expr, store: Store) -> int | None:
    """How many lanes a load is behind what has been stored, in the same row; None for any other load."""
    if not isinstance(load, Load) or load.buffer is not store.buffer or load.mask is not None:
        return None
    if any(difference(a, b) != 0 for a, b in zip(load.indices[:-1], store.indices[:-1], strict=True)):
        return None
    if lanes(load.indices[-1]) != lanes(store.indices[-1]):
        return None
    return difference(store.indices[-1], load.indices[-1])


def _rewritten(loop: For, stores: list[Store], kept: list[Store], numbers: Iterator[int]) -> Stmt:
    known: list[_Kept] = []
    body: list[Stmt] = []
    for store in stores:
        value = _with(store.value, known)
        if not any(store is other for other in kept):
            mask = None if store.mask is None else _with(store.mask, known)
            body.append(Store(store.buffer, store.indices, value, mask))
            continue
        number, shape = next(numbers), (Const(lanes(store.indices[-1]), INDEX),)
        made = (Buffer(f"{store.buffer.name}_{word}{number}", store.buffer.dtype, shape, "register")
                for word in ("here", "before"))  # fmt: skip
        known.append(_Kept(store, *made))
        place = known[-1].place
        body += [
            Store(known[-1].here, place, value),
            Store(store.buffer, store.indices, Load(known[-1].here, place)),
        ]
    body += [Store(each.before, each.place, Load(each.here, each.place)) for each in known]
    begun = If(Op("lt", (loop.begin, loop.end), BOOL), block(*(_begun(each, loop) for each in known)))
    found: Stmt = block(begun, For(loop.var, loop.begin, loop.end, block(*body), loop.kind, loop.shared, loop.peel))
    for each in known:
        found = Allocate(each.here, Allocate(each.before, found))
    return found


def _with(value: Expr, known: list[_Kept]) -> Expr:
    def registers(node: Expr) -> Expr:
        for each in reversed(known):
            changed = each.replaces(node)
            if changed is not node:
                return changed
        return node

    return transform(value, registers)


def _begun(kept: _Kept, loop: For) -> Stmt:
    """The last lane of the vector before the first iteration's, which that reads; others may not be there."""
    *outer, last = kept.store.indices
    width = lanes(last)
    moved = simplify(replaced(last, {loop.var: loop.begin}) - width)
    mask = Op("ge", (kept.place[0], Const(width - 1, INDEX)), BOOL)
    return Store(kept.before, kept.place, Load(kept.store.buffer, (*outer, moved), mask))
