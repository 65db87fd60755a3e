"""What recipes ask about a stage: its axes, what it reads, and the stages that it is made of."""

from __future__ import annotations

from collections.abc import Iterable

from ...compute.dtypes import DType
from ...compute.expr import Axis, Const, Read, walk
from ...compute.simplify import constant_value, simplify
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..given import given_factor
from ..primitives.base import checked_factor
from ..schedule import Schedule
from ..stage import Stage

_LINE = 64  # bytes that go past the caches at once


def check_given(stage: Stage, recipe: str, option: str, *numbers: object) -> None:
    """Refuse what an option gives for the size of a tile and is none; None leaves that to the recipe."""
    for number in numbers:
        if number is not None:
            checked_factor(given_factor(number), f"{recipe} of {stage.tensor.name}", f"{option}=")


def axes_of(schedule: Schedule, tensor: Tensor) -> tuple[Axis, ...]:
    """The axes of a stage that are not its reduction's."""
    return schedule.program.definitions.equations[tensor.uid].axes


def reads_of(schedule: Schedule, tensor: Tensor) -> tuple[Read, ...]:
    """All that a stage reads, but for what it accumulates itself."""
    nodes = walk(schedule.program.definitions.values[tensor.uid])
    return tuple(node for node in nodes if isinstance(node, Read) and node.tensor.uid != tensor.uid)


def is_reduction(schedule: Schedule, tensor: Tensor) -> bool:
    return schedule.program.definitions.equations[tensor.uid].reduce is not None


def upstream(stage: Stage, recipe: str) -> tuple[Tensor, ...]:
    """The stages that a stage is made of, directly or not, last ones first. Other stages may read none of them."""
    schedule = stage.schedule
    live = {tensor.uid: tensor for tensor in schedule.program.live_stages()}
    found, pending = {stage.tensor.uid}, [stage.tensor]
    while pending:
        for read in reads_of(schedule, pending.pop()):
            if read.tensor.uid in live and read.tensor.uid not in found:
                found.add(read.tensor.uid)
                pending.append(read.tensor)
    for tensor in live.values():
        shared = [read.tensor for read in reads_of(schedule, tensor) if read.tensor.uid in found - {stage.tensor.uid}]
        if tensor.uid not in found and shared:
            raise ScheduleError(
                f"{recipe} schedules {stage.tensor.name} and all stages that it is made of, but {shared[0].name} is "
                f"read by {tensor.name}, too; define it twice, once for each of them, or give {recipe} a stage that "
                "both are made into"
            )
    made = [tensor for tensor in live.values() if tensor.uid in found and tensor is not stage.tensor]
    return tuple(reversed(made))


def extent(axis: Axis) -> int | None:
    """How many iterations an axis has, where that is known."""
    difference = simplify(axis.upper - axis.lower)
    return int(difference.value) if isinstance(difference, Const) else None


def stream(stage: Stage, target: Target, size: int | None = None, long: int | None = None) -> None:
    """Store a stage past the caches where it has more bytes than the second-level cache, or `size`, and its rows are
    whole cache lines, or `long`. What is not known of sizes is looked at in each call."""
    shape, size = stage.tensor.shape, size or target.l2_bytes
    row = bytes_of(stage.tensor, len(shape) - 1) if len(shape) > 1 else None
    whole = row is None or row % _LINE == 0 or (long is not None and row >= long)
    if whole and exceeds(stage.tensor, size):
        stage.store_streaming(at_least=size if bytes_of(stage.tensor) is None else 0)


def exceeds(tensor: Tensor, size: int) -> bool:
    """Whether a tensor has more than so many bytes, or may have."""
    total = bytes_of(tensor)
    return total is None or total > size


def bytes_of(tensor: Tensor, first: int = 0) -> int | None:
    """The bytes of what has the same first indices, if that is known: by default, of all elements."""
    size = tensor.dtype.bytes
    for length in map(constant_value, tensor.shape[first:]):
        if length is None:
            return None
        size *= length
    return size


def group_of(into: DType, types: Iterable[DType], target: Target) -> int:
    """How many products of narrow integers of these types the target sums up into 32 bits at once."""
    types = tuple(types)
    if not target.dot_bits or into.name not in ("int32", "uint32"):
        return 1
    if any(dtype.kind not in ("int", "uint") or dtype.name == "uint16" or dtype.bits > 16 for dtype in types):
        return 1
    return 4 if all(dtype.bits == 8 for dtype in types) else 2


def lanes_of(size: int, target: Target) -> int:
    """How many elements of so many bytes a vector has."""
    return max(1, target.vector_bits // (8 * size))
