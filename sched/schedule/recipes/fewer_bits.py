"""Integers in fewer bits, where all values are proven to fit: for all sizes, or for those that a schedule of their own
is made for."""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.dtypes import DType
from ...errors import ScheduleError
from ..primitives.narrow import checked_narrow, fitting, proof_of
from ..stage import Stage

_LEAST = 1024  # sizes up to which values have to fit, for another version of the code


@dataclass(frozen=True, slots=True)
class Fewer:
    """The type that the values of a stage fit into, for sizes for which a condition holds; for all without one."""

    dtype: str
    condition: str = ""


def fewer_bits(cells: Stage) -> Fewer | None:
    """The smallest type of the same kind that all values of a stage fit into, for all sizes, or at least for those up
    to 1024; None where no such type is known."""
    schedule, own = cells.schedule, cells.tensor.dtype
    state = schedule.state
    if not own.is_int:
        return None
    sizes = state.program.sizes
    for bits in (8, 16, 32) if not sizes else (16, 32):
        if bits >= own.bits:
            break
        name = f"{own.kind}{bits}"
        try:
            to, narrow = checked_narrow(state, cells.tensor, name)
            proof = proof_of(state, cells.tensor, narrow, to)
        except ScheduleError:  # an output, or undecided
            return None
        if proof.misses.is_empty():
            return Fewer(name)
        found = fitting(state, proof) if schedule.condition is None else None
        if found is not None:
            frame, (condition, part) = state.program.world.parameter_frame(), found
            for size in sizes:
                part = part.intersect(frame.size(size).ge_set(frame.const(_LEAST)))
            if not part.is_empty():
                return Fewer(name, condition)
    return None


def narrow_reduction(reader: Stage, dtype: str) -> None:
    """A reduction over narrow cells in their type, where that is proven; an output through a buffer."""
    if not _is_wider(reader.tensor.dtype, dtype) or not any(axis.reduction for axis in reader.nest.axes):
        return
    schedule, before = reader.schedule, len(reader.schedule.log)
    given = any(reader.tensor is output for output in schedule.program.outputs)
    try:
        (reader.cache_write() if given else reader).narrow(dtype)
    except ScheduleError:
        while len(schedule.log) > before:
            schedule.undo()


def _is_wider(own: DType, dtype: str) -> bool:
    return own.is_int and own.name != dtype
