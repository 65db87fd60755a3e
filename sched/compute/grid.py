"""Expressions on grids of instances, evaluated by NumPy: one element-wise array operation a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, BoundsError, DefinitionError
from .define import sizes_of, tensors_read
from .dtypes import BFLOAT16, BOOL, DTYPES, INDEX, DType, to_bfloat16
from .expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Scalar, Size, walk
from .integers import INTEGER_OPERATIONS
from .operations import OPERATIONS
from .reductions import REDUCTIONS
from .sizes import evaluate_extent, solve_plan
from .tensor import Equation, Tensor, counted

Array = np.ndarray[Any, Any]


class Known:
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


@dataclass(frozen=True)
class Active:
    """Where on the grid a value is needed at all: guards narrow it, and only there must an index be in bounds."""

    mask: Any


def _shared(expr: Expr) -> frozenset[int]:
    """The nodes with operands that are operands more than once."""
    uses = Counter(id(child) for node in walk(expr) for child in node.children if child.children)
    return frozenset(node for node, count in uses.items() if count > 1)


class Grid:
    """Instances of an equation: axes as index arrays that broadcast against each other in `rank` dimensions, of which
    the first ones, of `shape`, are elements, and the others the reduction's."""

    def __init__(self, equation: Equation, known: Known, rank: int) -> None:
        self.equation, self.known, self.rank = equation, known, rank
        self.shared = _shared(equation.body)
        self.kept: dict[tuple[int, int], tuple[Active, Any]] = {}
        self.axes: dict[Axis, Array] = {}
        self.shape: tuple[int, ...] = ()
        self.mask: Any = np.True_

    def place_reduction(self, first: int) -> None:
        """Place the reduction's axes from dimension `first` on, and mask what is outside their bounds."""
        for position, axis in enumerate(self.equation.loops[len(self.equation.axes) :], first):
            lower, upper = (np.asarray(self.value(bound, Active(np.True_))) for bound in (axis.lower, axis.upper))
            # An axis inside an empty one has no bounds, and no values.
            start, stop = (int(lower.min()), int(upper.max())) if lower.size and upper.size else (0, 0)
            self.place(axis, position, np.arange(start, max(start, stop)))
            self.mask = self.mask & (self.axes[axis] >= lower) & (self.axes[axis] < upper)

    def place(self, axis: Axis, position: int, indices: Array) -> None:
        """Give an axis its values along one dimension."""
        self.axes[axis] = indices.astype(np.int64).reshape((1,) * position + (-1,) + (1,) * (self.rank - position - 1))

    def reduced(self, reduce: Reduce) -> Array:
        """The result of the reduction for each element."""
        value = self.value(reduce.operand, Active(self.mask))
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

    def value(self, expr: Expr, active: Active) -> Any:
        """The value of `expr`; that of a node which is used twice is kept for the slab."""
        if id(expr) not in self.shared:
            return self._computed(expr, active)
        where = id(expr), id(active)
        if where not in self.kept:
            self.kept[where] = active, self._computed(expr, active)
        return self.kept[where][1]

    def _computed(self, expr: Expr, active: Active) -> Any:
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
                taken = self.value(yes, Active(active.mask & guard))
                other = self.value(no, Active(active.mask & ~np.asarray(guard)))
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
                return self.read(tensor, indices, active)
            case Reduce():
                result = self.reduced(expr)
                return result.reshape(result.shape + (1,) * len(expr.axes))
            case _:
                raise DefinitionError(f"{expr} is not an element-wise expression")

    def _checked(self, expr: Expr, index: Expr, low: Expr, high: Expr, active: Active) -> Any:
        value = cast_array(self.value(index, active), index.dtype, INDEX)
        outside = active.mask & ((value < self.value(low, active)) | (value >= self.value(high, active)))
        if np.any(outside):
            bad = np.broadcast_to(value, np.shape(outside))[outside].flat[0]
            raise BoundsError(f"{expr} is {bad} at run time, outside 0..{high} - 1")
        return value

    def read(self, tensor: Tensor, indices: tuple[Expr, ...], active: Active) -> Any:
        """The elements at these indices, which must be inside where the value is needed."""
        array = self.known.arrays[tensor.uid]
        places = self.places(tensor, indices, active)
        return array[places] if array.size else array.dtype.type(0)

    def places(self, tensor: Tensor, indices: tuple[Expr, ...], active: Active) -> tuple[Any, ...]:
        """Where in an array the elements are; somewhere in it where the value is not needed."""
        found = []
        shape = self.known.arrays[tensor.uid].shape
        for dimension, (index, extent) in enumerate(zip(indices, shape, strict=True)):
            place = cast_array(self.value(index, active), index.dtype, INDEX)
            if np.any(active.mask & ((place < 0) | (place >= extent))):
                raise BoundsError(
                    f"{tensor.name} is read outside its dimension {dimension} of {extent} at index {index}"
                )
            found.append(np.clip(place, 0, max(0, extent - 1)))
        return tuple(found)


def element_function(name: str) -> Callable[..., Any]:
    """What an operation means on NumPy's arrays."""
    if name in INTEGER_OPERATIONS:
        return INTEGER_OPERATIONS[name].reference
    return OPERATIONS[name].numpy


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
