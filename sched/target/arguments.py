"""The slow way in: takes every argument that means something, and says exactly what is wrong with the others."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compute.dtypes import INDEX, DType
from ..compute.expr import Expr
from ..compute.sizes import SizePlan, evaluate_extent, solve_plan
from ..errors import ArgumentError, one
from ..lower.abi import ArrayParameter, ScalarParameter, Signature
from .arrays import Array, Memory, empty, memory_of

Number = int | float | bool
_OVERLAP_WORK = 100_000  # steps that NumPy may take to prove that two arrays of interleaved elements share none


@dataclass(frozen=True, slots=True)
class Bound:
    """Arguments that fit: arrays and scalars in the order of the ABI, and the objects to return."""

    arrays: tuple[Array, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    scalars: tuple[Number, ...]
    results: tuple[Any, ...]


class Arguments:
    """The parameters of the kernel `name`, ready to be bound."""

    __slots__ = ("all_arrays", "extra", "inputs", "name", "names", "signature")

    def __init__(self, name: str, signature: Signature) -> None:
        self.name, self.signature = name, signature
        self.names = tuple(parameter.name for parameter in signature.positional)
        listed = sum(isinstance(p, ArrayParameter) for p in signature.positional)
        self.extra = signature.arrays[listed:]
        shapes = [(array.name, array.shape) for array in signature.arrays]
        self.inputs: SizePlan = solve_plan(shapes[:listed], signature.sizes)
        self.all_arrays: SizePlan = solve_plan(shapes, signature.sizes)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> Bound:
        """The arguments of a call. Outputs that are neither positional nor given by `out` are made.

        Raises ArgumentError, whose message names the argument.
        """
        values, given_sizes = self._by_name(args, kwargs)
        positional = [p for p in self.signature.positional if isinstance(p, ArrayParameter)]
        memories = {p.name: _typed(p, memory_of(p.name, values[p.name])) for p in positional}
        memories |= {p.name: _typed(p, memory_of(p.name, value)) for p, value in self._outs(out)}
        shapes = [memories[p.name].array.shape for p in self.signature.arrays if p.name in memories]
        plan = self.inputs if out is None else self.all_arrays
        sizes = plan.solve(shapes, given_sizes)
        for name, shape in self.signature.intermediates:
            _evaluated(name, shape, sizes)
        if out is None:
            for parameter in self.extra:
                extents = _evaluated(parameter.name, parameter.shape, sizes)
                array = empty(parameter.name, parameter.dtype.numpy, extents)
                memories[parameter.name] = Memory(array, array, True)
        arrays = [(p, memories[p.name]) for p in self.signature.arrays]
        strides = tuple(stride for p, memory in arrays for stride in _checked_strides(p, memory))
        _check_overlap(arrays)
        return Bound(
            tuple(memory.array for _, memory in arrays),
            tuple(sizes[size.name] for size in self.signature.sizes),
            strides,
            tuple(scalar_value(s, values[s.name]) for s in self.signature.scalars),
            tuple(memories[output.name].given for output in self.signature.outputs),
        )

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
        """The values of the parameters by name, and the sizes that were given."""
        sizes = tuple(size.name for size in self.signature.sizes)
        takes = f"it takes {', '.join(self.names) or 'none'}"
        if len(args) > len(self.names):
            outputs = f"; the output {self.extra[0].name} is passed as out=" if self.extra else ""
            raise ArgumentError(f"{self.name} was called with {len(args)} positional arguments; {takes}{outputs}")
        values = dict(zip(self.names, args, strict=False))
        given: dict[str, int] = {}
        for name, value in kwargs.items():
            if name in values:
                raise ArgumentError(f"{self.name} was given {name} twice, by position and by name")
            if name in self.names:
                values[name] = value
            elif name in sizes:
                given[name] = _size_value(name, value)
            else:
                also = f", the sizes {', '.join(sizes)}" if sizes else ""
                raise ArgumentError(f"{self.name} has no argument {name}; {takes}{also} and out")
        missing = [name for name in self.names if name not in values]
        if missing:
            raise ArgumentError(f"{self.name} was called without {', '.join(missing)}; {takes}")
        return values, given

    def _outs(self, out: Any) -> list[tuple[ArrayParameter, Any]]:
        """The outputs that `out` gives, with their objects."""
        if out is None:
            return []
        names = ", ".join(parameter.name for parameter in self.extra)
        if not self.extra:
            raise ArgumentError(f"{self.name} takes no out: its outputs are among its positional arguments")
        outs = out if isinstance(out, tuple) else (out,)
        if len(outs) != len(self.extra):
            kind = "one array" if len(self.extra) == 1 else f"a tuple of {len(self.extra)} arrays"
            raise ArgumentError(f"out has {len(outs)} arrays; {kind} is expected, for {names}")
        return list(zip(self.extra, outs, strict=True))


def _size_value(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name} is a {type(value).__name__}; a size is an integer") from None


def _typed(parameter: ArrayParameter, memory: Memory) -> Memory:
    """The memory, if its element type and number of dimensions are the parameter's."""
    name, expected, array = parameter.name, parameter.dtype, memory.array
    if array.dtype != expected.numpy:
        raise ArgumentError(
            f'{name} has the dtype {array.dtype}, and {expected} is expected: convert it with .astype("{expected}")'
        )
    if array.ndim != len(parameter.shape):
        extents = ", ".join(map(str, parameter.shape))
        raise ArgumentError(
            f"{name} has the shape {array.shape}, and {len(parameter.shape)} dimensions are expected: [{extents}]"
        )
    return memory


def _evaluated(name: str, shape: tuple[Expr, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a tensor that no argument is for."""
    extents = []
    at = ", ".join(f"{size} = {value}" for size, value in sizes.items())
    for dimension, expr in enumerate(shape):
        try:
            extent = evaluate_extent(expr, sizes)
        except ZeroDivisionError:
            raise ArgumentError(f"the extent {expr} of {name} divides by zero at {at}") from None
        if not 0 <= extent <= INDEX.highest:
            raise ArgumentError(
                f"dimension {dimension} of {name} would be {expr} = {extent} at {at}; an extent is at least 0 and fits "
                "into 64 bits"
            )
        extents.append(extent)
    return tuple(extents)


def _checked_strides(parameter: ArrayParameter, memory: Memory) -> tuple[int, ...]:
    """The strides that the kernel takes, in elements."""
    name, array = parameter.name, memory.array
    if parameter.output and not memory.writable:
        raise ArgumentError(f"{name} is written by the kernel, and the array is read-only")
    if parameter.strides != "any":
        if not array.flags.c_contiguous:
            remedy = "" if parameter.output else ': pass np.ascontiguousarray, or declare it with strides="any"'
            raise ArgumentError(
                f"{name} is not C-contiguous: its shape is {array.shape}, its strides are {array.strides} bytes{remedy}"
            )
        return ()
    # The stride of a dimension of one element means nothing, and NumPy lets it be anything.
    strides = [stride if extent > 1 else 0 for stride, extent in zip(array.strides, array.shape, strict=True)]
    if any(stride % array.itemsize for stride in strides):
        raise ArgumentError(
            f"{name} has strides of {array.strides} bytes, which are no multiples of its elements of {array.itemsize}: "
            "pass np.ascontiguousarray"
        )
    return tuple(stride // array.itemsize for stride in strides)


def _check_overlap(arrays: Sequence[tuple[ArrayParameter, Memory]]) -> None:
    """Refuse an output that shares an element with another array."""
    for k, (parameter, memory) in enumerate(arrays):
        for other, others in arrays[:k]:
            if not (parameter.output or other.output) or not np.may_share_memory(memory.array, others.array):
                continue
            try:
                # NumPy's stubs know only the two special values of max_work.
                shared = np.shares_memory(memory.array, others.array, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
            except np.exceptions.TooHardError:
                shared = True
            if shared:
                written, read = (parameter, other) if parameter.output else (other, parameter)
                raise ArgumentError(
                    f"the output {written.name} shares memory with {read.name}; pass an array that does not, or a copy"
                )


def scalar_value(parameter: ScalarParameter, value: Any) -> Number:
    """A scalar argument as a Python number that the parameter's type holds.

    Floats are rounded to the type and must not become infinite; integers must be in its range.
    """
    name, dtype = parameter.name, parameter.dtype
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if dtype.kind == "bool":
        accepted: tuple[type, ...] = (bool, np.bool_)
        what = "True or False"
    elif dtype.is_float:
        accepted, what = (int, float, np.integer, np.floating, dtype.numpy.type), "a number"
    else:
        accepted, what = (int, np.integer), "an integer"
    if not isinstance(value, accepted):
        raise ArgumentError(f"{name} is a {type(value).__name__}; {what} is expected, for the {dtype} scalar")
    number: Any = value.item() if isinstance(value, np.generic) else value
    if _out_of_range(number, dtype):
        raise ArgumentError(f"{name} is {str(number)[:40]}, which {one(str(dtype))} cannot hold")
    return float(number) if dtype.is_float else int(number)


def _out_of_range(number: Any, dtype: DType) -> bool:
    if not dtype.is_float:
        return not dtype.lowest <= number <= dtype.highest
    try:
        with np.errstate(over="ignore"):
            rounded = dtype.numpy.type(float(number))
    except OverflowError:
        return True
    return bool(np.isinf(rounded)) and not np.isinf(float(number))
