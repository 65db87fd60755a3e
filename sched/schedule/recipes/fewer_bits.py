"""Integers in fewer bits, where all values are proven to fit: for all sizes and inputs, or for those that a schedule of
their own is made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...compute.dtypes import DTYPES, DType
from ...compute.expr import Const, Expr, Op, Read, walk
from ...compute.operations import COMPARISONS
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ..primitives.narrow import checked_narrow, fitting, limits_text, proof_of
from ..stage import Stage

_LEAST = 1024  # sizes up to which values have to fit, for another version of the code


@dataclass(frozen=True, slots=True)
class Fewer:
    """The type that the values of a stage fit into, where a condition holds; always without one. So do the elements of
    these inputs, which the stage compares."""

    dtype: str
    condition: str = ""
    inputs: tuple[str, ...] = ()


def fewer_bits(cells: Stage) -> Fewer | None:
    """The smallest type of the same kind that all values of a stage fit into, for all sizes, or at least for those up
    to 1024, and inputs that do, too; None where no such type is known."""
    found = _by_sizes(cells)
    if found is None or cells.schedule.condition is not None:
        return found
    to = DTYPES[found.dtype]
    inputs = list(_compared(cells, to))
    limits = [limits_text(tensor, int(to.lowest), int(to.highest)) for tensor in inputs]
    sizes = [] if not found.condition else [found.condition if "&" in found.condition else f"({found.condition})"]
    condition = " & ".join([*sizes, *limits])
    if not inputs or cells.why_not("specialize", condition) is not None:
        return found
    return replace(found, condition=condition, inputs=tuple(tensor.name for tensor in inputs))


def _by_sizes(cells: Stage) -> Fewer | None:
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


def _compared(cells: Stage, to: DType) -> Iterator[Tensor]:
    """The inputs with more bits than a type, of whose elements a stage only asks how they compare with each other, or
    with constants that the type has."""
    program = cells.schedule.program
    value = program.definitions.values[cells.tensor.uid]
    others: set[int] = set()
    compared: set[int] = set()
    for node in walk(value):
        sides = node.children
        if isinstance(node, Op) and node.name in COMPARISONS and all(_is_element(side, to) for side in sides):
            compared |= {side.tensor.uid for side in sides if isinstance(side, Read)}
        else:
            others |= {side.tensor.uid for side in sides if isinstance(side, Read)}
    for tensor in program.inputs:
        if tensor.uid in compared - others and tensor.dtype.is_int and tensor.dtype.bits > to.bits:
            yield tensor


def _is_element(expr: Expr, to: DType) -> bool:
    return isinstance(expr, Read) or (isinstance(expr, Const) and to.lowest <= expr.value <= to.highest)


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
