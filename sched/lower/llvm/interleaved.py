"""Vectors that are stored between each other's elements, as into packed panels: put together and stored at once.

C[ramp(0, 16), 0] = a; C[ramp(0, 16), 1] = b   ->   C[0..15, 0..1] = a[0], b[0], a[1], b[1], ...

Two or four are interleaved. More are the rows of a matrix that is transposed in registers, and stored column by column.
"""

from __future__ import annotations

from ...compute.expr import Const
from ...compute.simplify import key
from ..ir import Stmt, Store, lanes
from ..rewrite import loads
from . import memory, transposed
from .emitter import Emitter
from .expressions import mask_of, offset, value_of
from .lane_index import Operand

MOST = 64
_INTERLEAVED = (2, 4)


def neighbours(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The statements with stores that go between each other's elements in a row, where several vectors of each are
    stored: those of the first vectors, then those of the second ones. Of two that change places, the last index
    differs, so that they store different elements."""
    done: list[Stmt] = []
    while len(done) < len(body):
        rest = body[len(done) :]
        run = rest[: next((k for k, stmt in enumerate(rest) if not _is_part(stmt, rest[0])), len(rest))]
        done += _together(run) if 2 < len(run) <= MOST else run or rest[:1]
    return tuple(done)


def _is_part(stmt: Stmt, first: Stmt) -> bool:
    return (
        isinstance(stmt, Store)
        and isinstance(first, Store)
        and stmt.buffer is first.buffer
        and stmt.buffer.scope != "register"
        and len(stmt.indices) > 1
        and isinstance(stmt.indices[-1], Const)
        and not any(load.buffer is stmt.buffer for load in loads(stmt))
    )


def _together(run: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    stores = [stmt for stmt in run if isinstance(stmt, Store)]
    places = [tuple(map(key, store.indices[:-1])) for store in stores]
    first = {place: number for number, place in reversed(list(enumerate(places)))}
    order = sorted(range(len(run)), key=lambda number: first[places[number]])
    swapped = ((a, b) for at, a in enumerate(order) for b in order[at + 1 :] if a > b)
    if any(key(stores[a].indices[-1]) == key(stores[b].indices[-1]) for a, b in swapped):
        return run
    return tuple(run[number] for number in order)


def group(e: Emitter, stores: tuple[Stmt, ...]) -> list[Store]:
    """The first statements that are such stores, as many as go to memory together; none if that are too few."""
    first = stores[0]
    if not isinstance(first, Store) or len(first.indices) < 2 or first.buffer.scope == "register":
        return []
    width = max(map(lanes, first.indices))
    if width == 1 or lanes(first.indices[-1]) > 1:
        return []
    place = offset(e, first.buffer, first.indices)
    if place.vector is not None or place.step in (1, -1):
        return []
    members = [first]
    for stmt in stores[1:]:
        if not isinstance(stmt, Store) or stmt.buffer is not first.buffer or _differs(stmt, first):
            break
        if offset(e, stmt.buffer, stmt.indices) != place._replace(constant=place.constant + len(members)):
            break
        members.append(stmt)
    if place.step in _INTERLEAVED:
        return members[: int(place.step)] if len(members) >= int(place.step) else []
    whole = width & (width - 1) == 0 and width > 2 and not (first.buffer.streaming is not None and len(members) % width)
    return members if whole and len(members) > 2 and _apart(place.step, len(members)) else []


def _apart(step: Operand, count: int) -> bool:
    """Whether rows of so many elements do not overlap."""
    return not isinstance(step, int) or step >= count


def _differs(member: Store, first: Store) -> bool:
    """Whether a store has other lanes, or reads what the others write."""
    masks = [None if store.mask is None else key(store.mask) for store in (member, first)]
    return masks[0] != masks[1] or any(load.buffer is first.buffer for load in loads(member))


def emit(e: Emitter, members: list[Store]) -> None:
    """Store the vectors of a group."""
    first = members[0]
    place = offset(e, first.buffer, first.indices)
    for member in members:
        transposed.load_tiles(e, member)
    values = [e.broadcast(value_of(e, member.value), place.lanes) for member in members]
    store = memory.store_interleaved if len(members) == place.step in _INTERLEAVED else memory.store_transposed
    store(e, e.storage(first.buffer), place, values, mask_of(e, first.mask))
