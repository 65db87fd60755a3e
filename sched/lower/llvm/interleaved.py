"""Vectors that are stored between each other's elements, as into packed panels: put together and stored at once.

C[ramp(0, 16), 0] = a; C[ramp(0, 16), 1] = b   ->   C[0..15, 0..1] = a[0], b[0], a[1], b[1], ...
"""

from __future__ import annotations

from ...compute.simplify import key
from ..ir import Stmt, Store, lanes
from ..rewrite import loads
from . import memory, transposed
from .emitter import Emitter
from .expressions import mask_of, offset, value_of

MOST = 4


def group(e: Emitter, stores: tuple[Stmt, ...]) -> list[Store]:
    """The first two or four statements, if they are such stores; none otherwise."""
    first = stores[0]
    if not isinstance(first, Store) or len(first.indices) < 2 or first.buffer.scope == "register":
        return []
    width = max(map(lanes, first.indices))
    if width == 1 or lanes(first.indices[-1]) > 1:
        return []
    place = offset(e, first.buffer, first.indices)
    if place.vector is not None or place.step not in (2, 4):
        return []
    members = [stmt for stmt in stores[: int(place.step)] if isinstance(stmt, Store) and stmt.buffer is first.buffer]
    if len(members) < int(place.step) or any(_differs(member, first) for member in members[1:]):
        return []
    places = (offset(e, member.buffer, member.indices) for member in members)
    beside = all(own == place._replace(constant=place.constant + k) for k, own in enumerate(places))
    return members if beside else []


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
    memory.store_interleaved(e, e.storage(first.buffer), place, values, mask_of(e, first.mask))
