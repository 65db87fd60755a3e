"""The reference: every definition evaluated by NumPy alone, one element-wise array operation a node.

It knows nothing of schedules, isl or LLVM, and is what all kernels are compared with. An equation is evaluated on the
grid of its axes; the first axis is cut into slabs so that a slab's grid stays small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, BoundsError, DefinitionError
from .define import sizes_of, stages_of, tensors_read
from .dtypes import BFLOAT16, BOOL, DTYPES, INDEX, DType, to_bfloat16
from .expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Scalar, Size, walk
from .integers import INTEGER_OPERATIONS
from .operations import OPERATIONS
from .reductions import REDUCTIONS
from .sizes import evaluate_extent, solve_plan
from .tensor import Equation, Tensor, counted

Array = np.ndarray[Any, Any]
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
    known = _Known(inputs, stages, wanted)
    for stage in stages:
        known.arrays[stage.uid] = _evaluate_stage(stage, known)
    results = tuple(known.arrays[tensor.uid] for tensor in wanted)
    return results[0] if isinstance(outputs, Tensor) else results


class _Known:
    """Values by tensor, scalar and size, checked against the declarations."""

    def __init__(self, inputs: Mapping[Any, Any], stages: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        self.arrays: dict[int, Array] = {}
        self.scalars: dict[int, Any] = {}
        placeholders = {t.uid: t for s in (*stages, *outputs) for t in (s, *tensors_read(s)) if not t.equations}
        given: dict[str, int] = {}
        for key, value in inputs.items():
            if isinstance(key, Tensor):
                self.arrays[key.uid] = _array(key, value)
            elif isinstance(key, Scalar):
                self.scalars[key.uid] = _scalar(key, value)
            elif isinstance(key, Size):
                given[key.name] = int(value)
            else:
                raise ArgumentError(f"evaluate takes {{tensor, scalar or size: value}}, not a key {key!r}")
        missing = [t.name for t in placeholders.values() if t.uid not in self.arrays]
        if missing:
            raise ArgumentError(f"evaluate has no value for {', '.join(missing)}")
        tensors = tuple(placeholders.values())
        sizes = sizes_of((*tensors, *stages))
        plan = solve_plan([(t.name, t.shape) for t in tensors], sizes)
        self.sizes = plan.solve([self.arrays[t.uid].shape for t in tensors], given)

    def extents(self, shape: tuple[Expr, ...]) -> tuple[int, ...]:
        return tuple(evaluate_extent(extent, self.sizes) for extent in shape)


def _scalar(scalar: Scalar, value: Any) -> Any:
    try:
        return scalar.dtype.numpy.type(value)
    except (OverflowError, TypeError, ValueError):
        raise ArgumentError(f"{scalar.name} is {scalar.dtype}, and cannot be {value!r:.60}") from None


def _array(tensor: Tensor, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype != tensor.dtype.numpy:
        raise ArgumentError(f"{tensor.name} is {tensor.dtype}, and its array is {array.dtype}")
    if array.ndim != tensor.ndim:
        raise ArgumentError(f"{tensor.name} has {counted(tensor.ndim)}, and its array has {array.ndim}")
    return array


def _evaluate_stage(stage: Tensor, known: _Known) -> Array:
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
                grid = _Grid(equation, known, shape, slab)
                result[slab if shape else ...] = grid.result()
    return result


def _reduction_volume(equation: Equation, known: _Known, shape: tuple[int, ...]) -> int:
    """At most how many values one element accumulates."""
    boxes = {axis: (0, extent - 1) for axis, extent in zip(equation.axes, shape, strict=True)}
    volume = 1
    for axis in equation.reduce.axes if equation.reduce is not None else ():
        low, high = _interval(axis.lower, boxes, known), _interval(axis.upper, boxes, known)
        boxes[axis] = (low[0], max(low[0], high[1] - 1))
        volume *= max(0, high[1] - low[0])
    return volume


def _interval(expr: Expr, boxes: dict[Axis, tuple[int, int]], known: _Known) -> tuple[int, int]:
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


@dataclass(frozen=True)
class _Active:
    """Where on the grid a value is needed at all: guards narrow it, and only there must an index be in bounds."""

    mask: Any


def _shared(expr: Expr) -> frozenset[int]:
    """The nodes with operands that are operands more than once."""
    uses = Counter(id(child) for node in walk(expr) for child in node.children if child.children)
    return frozenset(node for node, count in uses.items() if count > 1)


class _Grid:
    """One slab of an equation: axes as index arrays that broadcast against each other."""

    def __init__(self, equation: Equation, known: _Known, shape: tuple[int, ...], slab: slice) -> None:
        self.equation, self.known = equation, known
        self.shared = _shared(equation.value)
        self.kept: dict[tuple[int, int], tuple[_Active, Any]] = {}
        self.axes: dict[Axis, Array] = {}
        self.rank = len(equation.loops)
        for position, axis in enumerate(equation.axes):
            indices = np.arange(slab.start, slab.stop) if position == 0 else np.arange(shape[position])
            self._place(axis, position, indices)
        self.shape = tuple(len(self.axes[axis].ravel()) for axis in equation.axes)
        self.mask: Any = np.True_
        for position, axis in enumerate(equation.loops[len(equation.axes) :], len(equation.axes)):
            lower, upper = (np.asarray(self.value(bound, _Active(np.True_))) for bound in (axis.lower, axis.upper))
            # An axis inside an empty one has no bounds, and no values.
            first, stop = (int(lower.min()), int(upper.max())) if lower.size and upper.size else (0, 0)
            self._place(axis, position, np.arange(first, max(first, stop)))
            self.mask = self.mask & (self.axes[axis] >= lower) & (self.axes[axis] < upper)

    def _place(self, axis: Axis, position: int, indices: Array) -> None:
        self.axes[axis] = indices.astype(np.int64).reshape((1,) * position + (-1,) + (1,) * (self.rank - position - 1))

    def result(self) -> Array:
        with np.errstate(all="ignore"):
            value = self.value(self.equation.value, _Active(self.mask))
            reduce = self.equation.reduce
            if reduce is None:
                return np.broadcast_to(value, self.shape)
            return self._reduced(reduce, value)

    def _reduced(self, reduce: Reduce, value: Any) -> Array:
        full = (*self.shape, *(self.axes[axis].size for axis in reduce.axes))
        over = tuple(range(len(self.shape), len(full)))
        operand = reduce.operand.dtype
        identity = operand.numpy.type(REDUCTIONS[reduce.name].identity(operand))
        filled = np.where(self.mask, np.broadcast_to(value, full), identity)
        combine = REDUCTIONS[reduce.name].combine
        if combine is not None:
            ufunc = getattr(np, OPERATIONS[combine].ufunc)
            return np.asarray(ufunc.reduce(filled, axis=over, dtype=operand.numpy, initial=identity))
        least = np.minimum if reduce.name == "argmin" else np.maximum
        best = least.reduce(filled, axis=over, keepdims=True, initial=identity)
        found = np.broadcast_to(self.mask, full) & ((filled == best) | (np.isnan(filled) & np.isnan(best)))
        flat = found.reshape((*self.shape, -1))
        if flat.shape[-1] == 0:
            return np.full(self.shape, -1, np.int64)
        position = flat.argmax(axis=-1)
        if len(reduce.axes) == 1:
            position = position + self.axes[reduce.axes[0]].min()
        return np.where(flat.any(axis=-1), position, -1)

    def value(self, expr: Expr, active: _Active) -> Any:
        """The value of `expr`; that of a node which is used twice is kept for the slab."""
        if id(expr) not in self.shared:
            return self._computed(expr, active)
        where = id(expr), id(active)
        if where not in self.kept:
            self.kept[where] = active, self._computed(expr, active)
        return self.kept[where][1]

    def _computed(self, expr: Expr, active: _Active) -> Any:
        match expr:
            case Const(value, to):
                return to.numpy.type(value)
            case Axis():
                return self.axes[expr]
            case Size(name):
                return np.int64(self.known.sizes[name])
            case Scalar(name, _, uid):
                if uid not in self.known.scalars:
                    raise ArgumentError(f"evaluate has no value for the scalar {name}")
                return self.known.scalars[uid]
            case Cast(operand, to):
                return cast_array(self.value(operand, active), operand.dtype, to)
            case Op("select", (condition, yes, no)):
                guard = self.value(condition, active)
                taken = self.value(yes, _Active(active.mask & guard))
                other = self.value(no, _Active(active.mask & ~np.asarray(guard)))
                return np.where(guard, taken, other)
            case Op("checked", (index, low, high)):
                return self._checked(expr, index, low, high, active)
            case Op(name, operands):
                arguments = [self.value(operand, active) for operand in operands]
                if any(operand.dtype == BFLOAT16 for operand in operands):
                    result = element_function(name)(*(np.asarray(argument, np.float32) for argument in arguments))
                    return to_bfloat16(np.asarray(result)) if expr.dtype == BFLOAT16 else result
                return element_function(name)(*arguments)
            case Read(tensor, indices):
                return self._read(tensor, indices, active)
            case _:
                raise DefinitionError(f"{expr} is not an element-wise expression")

    def _checked(self, expr: Expr, index: Expr, low: Expr, high: Expr, active: _Active) -> Any:
        value = cast_array(self.value(index, active), index.dtype, INDEX)
        outside = active.mask & ((value < self.value(low, active)) | (value >= self.value(high, active)))
        if np.any(outside):
            bad = np.broadcast_to(value, np.shape(outside))[outside].flat[0]
            raise BoundsError(f"{expr} is {bad} at run time, outside 0..{high} - 1")
        return value

    def _read(self, tensor: Tensor, indices: tuple[Expr, ...], active: _Active) -> Any:
        array = self.known.arrays[tensor.uid]
        if not indices:
            return array[()]
        places = []
        for dimension, index in enumerate(indices):
            place = cast_array(self.value(index, active), index.dtype, INDEX)
            extent = array.shape[dimension]
            if np.any(active.mask & ((place < 0) | (place >= extent))):
                raise BoundsError(
                    f"{tensor.name} is read outside its dimension {dimension} of {extent} at index {index}"
                )
            places.append(np.clip(place, 0, max(0, extent - 1)))
        if array.size == 0:
            return array.dtype.type(0)
        return array[tuple(places)]


def element_function(name: str) -> Callable[..., Any]:
    """What an operation means on NumPy's arrays."""
    if name in INTEGER_OPERATIONS:
        return INTEGER_OPERATIONS[name].reference
    function: Callable[..., Any] = getattr(np, OPERATIONS[name].ufunc)
    return function


def cast_array(value: Any, source: DType, to: DType) -> Any:
    """`value` at another type: integers wrap, floats saturate to integers and NaN gives 0, bool is != 0."""
    if source == to:
        return value
    array = np.asarray(value)
    if to == BOOL:
        return array != 0
    if to == BFLOAT16:
        return to_bfloat16(array)
    if source == BFLOAT16:
        return cast_array(array.astype(np.float32), DTYPES["float32"], to)
    if source.is_float and to.is_int:
        whole = np.nan_to_num(np.trunc(array.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
        low, high = float(to.lowest), float(to.highest)
        inside = np.where((whole >= low) & (whole < high), whole, 0.0).astype(to.numpy)
        top, bottom = to.numpy.type(to.highest), to.numpy.type(to.lowest)
        return np.where(whole >= high, top, np.where(whole < low, bottom, inside))
    return array.astype(to.numpy)
