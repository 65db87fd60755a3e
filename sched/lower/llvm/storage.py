"""Where a buffer's elements are: a pointer, and a stride a dimension."""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.dtypes import DType
from . import lane_index
from .lane_index import LaneIndex, Operand
from .module import Function


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Where one buffer is.

    align   the bytes to which its elements are aligned: those of an argument to none but 1, as callers pass any array
    packed  it owns all elements between any two of its elements
    slots   the number of elements of a register buffer
    streaming  the bytes from which on whole vectors are stored past the caches
    size    the elements in all, where they are known
    """

    name: str
    pointer: str
    dtype: DType
    strides: tuple[Operand, ...]
    attributes: str
    align: int
    packed: bool
    slots: int | None = None
    streaming: int | None = None
    size: Operand | None = None

    def offset(self, fn: Function, indices: tuple[LaneIndex, ...]) -> LaneIndex:
        """The number of elements from the pointer on; a single index on several dimensions is that number."""
        if len(indices) == 1 and len(self.strides) > 1:
            return indices[0]
        return lane_index.linear(fn, indices, self.strides)


def row_major(fn: Function, shape: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """The strides of elements that lie side by side, the last dimension's first."""
    strides: list[Operand] = []
    step: Operand = 1
    for extent in reversed(shape):
        strides.append(step)
        step = lane_index.times(fn, step, extent)
    return tuple(reversed(strides))
