"""Copies of a statement with a long chain of operations, one operation of each after another.

    y[ramp(0, 16)] = exp(x[ramp(0, 16)]); y[ramp(16, 16)] = exp(x[ramp(16, 16)])

An elementary function is some hundred cycles of operations that wait for each other. A processor has to look that far
ahead to find the next vector's if they stand behind them, and it does not; side by side they fill its units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...compute.expr import Op
from ..ir import Stmt, Store
from ..rewrite import loads
from . import called, memory
from .emitter import Emitter
from .expressions import mask_of, offset, value_of, written_out
from .turns import by_turns

# So many copies keep their values in registers, beside constants.
_COPIES, _FEW = 4, 2
_MANY = 32  # registers


def group(e: Emitter, body: Sequence[Stmt], functions: Sequence[tuple[Op, ...]]) -> list[Store]:
    """The first statements, as far as they are such copies; none if that is one. With the functions in each."""
    most = _COPIES if e.machine.vector_registers >= _MANY else _FEW
    found = list(_long(body[:most], functions[:most]))
    written = {store.buffer for store in found}
    independent = not any(load.buffer in written for store in found for load in loads(store))
    return found if len(found) > 1 and independent else []


def _long(body: Sequence[Stmt], functions: Sequence[tuple[Op, ...]]) -> Iterator[Store]:
    """The first statements that store an elementary function of something."""
    for stmt, found in zip(body, functions, strict=True):
        if not isinstance(stmt, Store) or not found:
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
        fn.rearrange(ends[0], lambda lines: _in_step(e, lines, ends))
    for storage, place, value, mask in computed:
        memory.store(e, storage, place, value, mask)


def _in_step(e: Emitter, lines: list[str], ends: list[int]) -> list[str]:
    """The lines of copies that are between these places: one of each by turns, and two calls at once."""
    copies = [lines[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]
    return called.in_pairs(e, by_turns(copies), written_out)
