"""The reference: every definition evaluated by NumPy alone, one element-wise array operation a node.

It knows nothing of schedules, isl or LLVM, and is what all kernels are compared with. An equation is evaluated on the
grid of its axes; the first axis is cut into slabs so that a slab's grid stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DefinitionError
from .components import components
from .define import stages_of, tensors_read
from .expr import Axis, Expr, Op
from .follow import follow
from .grid import Active, Array, Grid, Known
from .recurrence import Recurrence
from .sizes import evaluate_extent
from .tensor import Equation, Tensor

_SLAB_ELEMENTS = 1 << 21


def evaluate(outputs: Tensor | Sequence[Tensor], inputs: Mapping[Any, Any]) -> Any:
    """The arrays that the definitions of `outputs` mean for `inputs`, computed by NumPy.

    inputs  {tensor, scalar or size: its value}. Sizes that the shapes of the arrays give may be left out

    Integers are exact; floats agree with every kernel up to the rounding of each operation, and of the order of
    accumulation in sums and products (NumPy adds pairwise, a kernel in order).

    >>> import numpy as np, polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "int32", name="A")
    >>> B = ps.compute((n,), lambda i: A[i] * 2, name="B")
    >>> ps.evaluate(B, {A: np.arange(3, dtype=np.int32)})
    array([0, 2, 4], dtype=int32)
    """
    wanted = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    stages = stages_of(wanted)
    known = Known(inputs, stages, wanted)
    for group in components(stages, tensors_read):
        if len(group) > 1 or isinstance(group[0], Recurrence):
            follow(group, known)
        else:
            known.arrays[group[0].uid] = _evaluate_stage(group[0], known)
    results = tuple(known.arrays[tensor.uid] for tensor in wanted)
    return results[0] if isinstance(outputs, Tensor) else results


def _evaluate_stage(stage: Tensor, known: Known) -> Array:
    shape = known.extents(stage.shape)
    if any(extent < 0 for extent in shape):
        raise ArgumentError(f"{stage.name} would have the shape {shape}")
    result = np.zeros(shape, stage.dtype.numpy)
    for equation in stage.equations:
        rows = shape[0] if shape else 1
        per_row = max(1, int(np.prod(shape[1:], dtype=np.int64))) * _reduction_volume(equation, known, shape)
        step = max(1, _SLAB_ELEMENTS // max(1, per_row))
        for first in range(0, rows, step):
            slab = slice(first, min(rows, first + step))
            if result.size:
                grid = _Slab(equation, known, shape, slab)
                result[slab if shape else ...] = grid.result()
    return result


def _reduction_volume(equation: Equation, known: Known, shape: tuple[int, ...]) -> int:
    """At most how many values one element accumulates."""
    boxes = {axis: (0, extent - 1) for axis, extent in zip(equation.axes, shape, strict=True)}
    volume = 1
    for axis in equation.reduce.axes if equation.reduce is not None else ():
        low, high = _interval(axis.lower, boxes, known), _interval(axis.upper, boxes, known)
        boxes[axis] = (low[0], max(low[0], high[1] - 1))
        volume *= max(0, high[1] - low[0])
    return volume


def _interval(expr: Expr, boxes: dict[Axis, tuple[int, int]], known: Known) -> tuple[int, int]:
    """Bounds of an affine expression over a box of axes."""
    match expr:
        case Axis():
            return boxes[expr]
        case Op("select", (_, *operands)):
            sides = [_interval(operand, boxes, known) for operand in operands]
            return min(low for low, _ in sides), max(high for _, high in sides)
        case Op(name, operands):
            sides = [_interval(operand, boxes, known) for operand in operands]
            corners = [int(_integer(name, a, b)) for a in sides[0] for b in (sides[1] if len(sides) > 1 else (0,))]
            if name == "mod":
                corners = [min(0, sides[1][0] + 1), max(0, sides[1][1] - 1)]
            return min(corners), max(corners)
        case _:
            value = evaluate_extent(expr, known.sizes)
            return value, value


def _integer(name: str, a: int, b: int) -> int:
    match name:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "floordiv":
            return a // b if b else 0
        case "mod":
            return a % b if b else 0
        case "min":
            return min(a, b)
        case "max":
            return max(a, b)
        case "neg":
            return -a
    raise DefinitionError(f"{name} is not affine and cannot bound an axis")


class _Slab(Grid):
    """Some of the first axis' values, and all of the others'."""

    def __init__(self, equation: Equation, known: Known, shape: tuple[int, ...], slab: slice) -> None:
        super().__init__(equation, known, len(equation.loops))
        for position, axis in enumerate(equation.axes):
            indices = np.arange(slab.start, slab.stop) if position == 0 else np.arange(shape[position])
            self.place(axis, position, indices)
        self.shape = tuple(len(self.axes[axis].ravel()) for axis in equation.axes)
        self.place_reduction(len(equation.axes))

    def result(self) -> Array:
        with np.errstate(all="ignore"):
            if self.equation.reduce is not None:
                return self.reduced(self.equation.reduce)
            return np.broadcast_to(self.value(self.equation.value, Active(self.mask)), self.shape)
