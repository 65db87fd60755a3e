"""Copies of a statement with a long chain of operations, one operation of each after another.

    y[ramp(0, 16)] = exp(x[ramp(0, 16)]); y[ramp(16, 16)] = exp(x[ramp(16, 16)])

An elementary function is some hundred cycles of operations that wait for each other. A processor has to look that far
ahead to find the next vector's if they stand behind them, and it does not; side by side they fill its units.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...compute.expr import Op, walk
from ..ir import Stmt, Store
from ..math.expansion import EXPANDED
from ..rewrite import loads
from . import memory
from .emitter import Emitter
from .expressions import mask_of, offset, value_of

# So many copies keep their values in registers, beside constants.
_COPIES, _FEW = 4, 2
_MANY = 32  # registers
_NAMES = re.compile(r"%v\d+")


def group(e: Emitter, body: Sequence[Stmt]) -> list[Store]:
    """The first statements, as far as they are such copies; none if that is one."""
    most = _COPIES if e.machine.vector_registers >= _MANY else _FEW
    found = list(_long(body[:most]))
    written = {store.buffer for store in found}
    independent = not any(load.buffer in written for store in found for load in loads(store))
    return found if len(found) > 1 and independent else []


def _long(body: Sequence[Stmt]) -> Iterator[Store]:
    """The first statements that store an elementary function of something."""
    for stmt in body:
        if not isinstance(stmt, Store) or not any(isinstance(x, Op) and x.name in EXPANDED for x in walk(stmt.value)):
            return
        yield stmt


def emit(e: Emitter, stores: list[Store]) -> None:
    """All values in step, and then the stores."""
    fn, block = e.fn, e.fn.block
    computed, ends = [], [fn.length]
    for store in stores:
        e.memo, e.indices = {}, {}
        place, value = offset(e, store.buffer, store.indices), value_of(e, store.value)
        computed.append((e.storage(store.buffer), place, value, mask_of(e, store.mask)))
        ends.append(fn.length)
    if fn.block == block:  # no branches
        fn.rearrange(ends[0], lambda lines: _in_step([lines[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]))
    for storage, place, value, mask in computed:
        memory.store(e, storage, place, value, mask)


def _in_step(copies: list[list[str]]) -> list[str]:
    """A line of each copy by turns; one that uses what an earlier copy computes comes after it."""
    pending = {name for copy in copies for line in copy for name in _NAMES.findall(line)[:1]}
    rest, ordered = [deque(copy) for copy in copies], list[str]()
    while any(rest):
        for lines in rest:
            if lines:
                result, *operands = _NAMES.findall(lines[0])
                if pending.isdisjoint(operands):
                    pending.discard(result)
                    ordered.append(lines.popleft())
    return ordered
