"""Runs loop IR as its definitions in `lower/ir.py` say, on NumPy values: the meaning that every pass must keep.

Slow and strict: an element outside its buffer, or one that nothing has written, is an error. Iterations of loops that
have no order run backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from polysched.compute.dtypes import BOOL
from polysched.compute.expr import Cast, Const, Expr, Op, Scalar, Size
from polysched.compute.grid import cast_array, element_function
from polysched.compute.operations import OPERATIONS
from polysched.lower.ir import (
    HORIZONTAL,
    Allocate,
    Block,
    Buffer,
    Check,
    Comment,
    For,
    If,
    Let,
    Load,
    Prefetch,
    PrefetchBox,
    Ramp,
    Stmt,
    Store,
    Var,
)
from polysched.lower.passes.dot_products import DOTS

Array = np.ndarray[Any, Any]


@dataclass
class Machine:
    """The memory of one run. `failed` collects (check, value) of failed run-time checks; `events`, where there is such
    a list, what is fetched ahead and what is loaded: (word, name of the buffer, position in it)."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    scalars: Mapping[int, Any] = field(default_factory=dict)
    arrays: dict[Buffer, Array] = field(default_factory=dict)
    written: dict[Buffer, Array] = field(default_factory=dict)
    failed: list[tuple[int, int]] = field(default_factory=list)
    events: list[tuple[str, str, int]] | None = None
    strides: dict[Var, Any] = field(default_factory=dict)

    def allocate(self, buffer: Buffer) -> None:
        shape = tuple(int(self.value(extent, {})) for extent in buffer.shape)
        self.arrays[buffer] = np.zeros(shape, buffer.dtype.numpy)
        self.written[buffer] = np.zeros(shape, bool)

    def give(self, buffer: Buffer, array: Array) -> None:
        self.arrays[buffer] = array
        self.written[buffer] = np.ones(array.shape, bool)
        for stride, step in zip(buffer.strides or (), array.strides, strict=False):
            assert isinstance(stride, Var)
            self.strides[stride] = np.int64(step // array.itemsize)

    def run(self, stmt: Stmt, at: Mapping[Var, Any]) -> None:
        match stmt:
            case Block(body):
                for inner in body:
                    self.run(inner, at)
            case For(var, begin, end, body, kind):
                span = range(int(self.value(begin, at)), int(self.value(end, at)))
                for k in reversed(span) if kind in ("parallel", "vectorize") else span:
                    self.run(body, {**at, var: np.int64(k)})
            case If(condition, then, otherwise):
                if self.value(condition, at):
                    self.run(then, at)
                elif otherwise is not None:
                    self.run(otherwise, at)
            case Let(var, value, body):
                self.run(body, {**at, var: self.value(value, at)})
            case Allocate(buffer, body):
                self.allocate(buffer)
                self.run(body, at)
                del self.arrays[buffer], self.written[buffer]
            case Store(buffer, indices, value, mask):
                self._store(buffer, indices, self.value(value, at), mask, at)
            case Check(check, value, low, high, mask):
                place = self.value(value, at)
                good = (self.value(low, at) <= place) & (place < self.value(high, at))
                bad = ~good if mask is None else ~good & self.value(mask, at)
                for index in np.atleast_1d(place)[np.atleast_1d(bad)]:
                    self.failed.append((check, int(index)))
            case Prefetch(buffer, indices):
                self._note("prefetch", buffer, self._places(buffer, indices, None, at)[0])
            case Comment() | PrefetchBox():
                pass
            case _:
                raise AssertionError(f"unknown statement {stmt!r}")

    def _note(self, word: str, buffer: Buffer, places: Any) -> None:
        if self.events is not None:
            self.events += [(word, buffer.name, int(place)) for place in places]

    def _places(self, buffer: Buffer, indices: tuple[Expr, ...], mask: Expr | None, at: Mapping[Var, Any]) -> Any:
        """The position in the flat buffer of each lane, which lanes are meant, and whether there are lanes at all."""
        array = self.arrays[buffer]
        values = [self.value(index, at) for index in indices]
        active = np.True_ if mask is None else self.value(mask, at)
        shape = (array.size,) if len(indices) == 1 and array.ndim != 1 else array.shape
        assert len(values) == len(shape), f"{buffer.name} has {len(shape)} dimensions"
        position: Any = np.int64(0)
        for value, extent in zip(values, shape, strict=True):
            assert np.all(~active | ((value >= 0) & (value < extent))), f"outside {buffer.name}: {value} of {extent}"
            position = position * extent + value
        position, active = np.broadcast_arrays(position, active)
        return np.atleast_1d(position), np.atleast_1d(active), position.ndim

    def _store(
        self, buffer: Buffer, indices: tuple[Expr, ...], value: Any, mask: Expr | None, at: Mapping[Var, Any]
    ) -> None:
        position, active, _ = self._places(buffer, indices, mask, at)
        assert np.ndim(value) == 0 or np.size(value) == position.size, "a vector is stored to one element"
        places = position[active]
        self.arrays[buffer].reshape(-1)[places] = np.broadcast_to(value, position.shape)[active]
        self.written[buffer].reshape(-1)[places] = True

    def _load(self, load: Load, at: Mapping[Var, Any]) -> Any:
        position, active, rank = self._places(load.buffer, load.indices, load.mask, at)
        result = np.zeros(position.shape, load.buffer.dtype.numpy)
        places = position[active]
        self._note("load", load.buffer, places)
        # What nothing has written may be loaded into a register tile, and is garbage there.
        known = self.written[load.buffer].reshape(-1)[places]
        garbage = np.nan if load.dtype.is_float else np.array(0x5B, np.uint8).astype(load.dtype.numpy)
        result[active] = np.where(known, self.arrays[load.buffer].reshape(-1)[places], garbage)
        return result if rank else result[0]

    def value(self, expr: Expr, at: Mapping[Var, Any]) -> Any:
        with np.errstate(all="ignore"):
            return self._value(expr, at)

    def _value(self, expr: Expr, at: Mapping[Var, Any]) -> Any:
        match expr:
            case Const(value, to):
                return to.numpy.type(value)
            case Var():
                return at[expr] if expr in at else self.strides[expr]
            case Size(name):
                return np.int64(self.sizes[name])
            case Scalar(_, _, uid):
                return self.scalars[uid]
            case Ramp(base, count):
                return self._value(base, at) + np.arange(count)
            case Load():
                return self._load(expr, at)
            case Cast(operand, to):
                return cast_array(self._value(operand, at), operand.dtype, to)
            case Op(name, operands):
                return self._operation(name, [self._value(operand, at) for operand in operands], expr)
        raise AssertionError(f"unknown value {expr!r}")

    def _operation(self, name: str, operands: list[Any], expr: Op) -> Any:
        if name == "select":
            return np.where(*operands).astype(expr.dtype.numpy)[()]
        if name == "fma":
            # Rounded once for float32; for float64 twice, every time in the same way.
            a, b, c = (np.asarray(operand, np.float64) for operand in operands)
            return np.asarray(a * b + c).astype(expr.dtype.numpy)[()]
        if name == "lanes_behind":
            return np.concatenate([operands[0][-1:], operands[1][:-1]])
        if name in ("min_number", "max_number"):
            return (np.fmin if name == "min_number" else np.fmax)(*operands)
        if name == "pack":
            return _packed(operands)
        if name in DOTS:
            return _dot(name, *operands)
        if name in HORIZONTAL:
            ufunc = getattr(np, OPERATIONS[name.removeprefix("lanes_")].ufunc)
            return _by_halves(ufunc, np.atleast_1d(operands[0]))
        result = element_function(name)(*operands)
        return result if expr.dtype == BOOL else np.asarray(result).astype(expr.dtype.numpy)[()]


def _packed(elements: list[Any]) -> Any:
    """The elements side by side in one integer."""
    arrays = np.broadcast_arrays(*elements)
    whole = np.stack(arrays, axis=-1).view(np.uint32)[..., 0]
    return whole if whole.ndim else whole[()]


def _dot(name: str, total: Any, x: Any, y: Any) -> Any:
    """`total` and the products of what x and y are packed of, modulo 2 ** 32."""
    kinds = {"s8": np.int8, "u8": np.uint8, "s16": np.int16}
    first, second = name.removeprefix("dot_").replace("m", "s").replace("s", " s").replace("u", " u").split()
    a, b = (
        np.ascontiguousarray(np.atleast_1d(v)).view(kinds[k]).reshape(-1, DOTS[name]).astype(np.int64)
        for v, k in ((x, first), (y, second))
    )
    a = a + 128 if name == "dot_m8s8" else a
    sums = (total.astype(np.int64) + (a * b).sum(axis=-1)) & 0xFFFFFFFF
    result = sums.astype(np.uint32).view(np.asarray(total).dtype)
    return result if np.ndim(total) else result[0]


def _by_halves(ufunc: Any, lanes: Array) -> Any:
    """The lower half with the upper half, and so on; an odd last lane after the others."""
    if len(lanes) == 1:
        return lanes[0]
    half = len(lanes) // 2
    result = _by_halves(ufunc, ufunc(lanes[:half], lanes[half : 2 * half]))
    return ufunc(result, lanes[-1]) if len(lanes) % 2 else result
