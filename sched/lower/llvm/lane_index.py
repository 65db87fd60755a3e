"""Index arithmetic that keeps apart what LLVM would have to find again: the scalar part, the constant, the step a lane.

A `LaneIndex` is symbol + constant + step * lane + vector, modulo 2 ** 64. Memory accesses are chosen by the step.
"""

from __future__ import annotations

from typing import NamedTuple

from .module import Function
from .values import iota, splat, vector, wrapped

Operand = int | str  # an i64: a literal, or the name of a value


class LaneIndex(NamedTuple):
    """An i64 a lane. `vector` is what is not a multiple of the lane's number; `step` is 0 for one lane.

    (A tuple because thousands are made for a kernel, and frozen dataclasses take three times as long.)
    """

    symbol: str | None
    constant: int
    step: Operand = 0
    lanes: int = 1
    vector: str | None = None

    @property
    def uniform(self) -> bool:
        """Whether all lanes are known to be the same."""
        return self.step == 0 and self.vector is None

    @property
    def literal(self) -> int | None:
        return self.constant if self.symbol is None and self.uniform else None


ZERO = LaneIndex(None, 0)


def of_operand(operand: Operand) -> LaneIndex:
    return LaneIndex(None, operand) if isinstance(operand, int) else LaneIndex(operand, 0)


def plus(fn: Function, a: Operand, b: Operand) -> Operand:
    if isinstance(a, int):
        if isinstance(b, int):
            return wrapped(a + b)
        a, b = b, a
    return a if b == 0 else fn.pure(f"add i64 {a}, {b}")


def times(fn: Function, a: Operand, b: Operand) -> Operand:
    if isinstance(a, int):
        if isinstance(b, int):
            return wrapped(a * b)
        a, b = b, a
    if b == 0:
        return 0
    return a if b == 1 else fn.pure(f"mul i64 {a}, {b}")


def broadcast(fn: Function, element: str, scalar: Operand, lanes: int) -> str:
    """The operand that has a scalar in all lanes."""
    if lanes == 1:
        return str(scalar)
    if isinstance(scalar, int) or scalar[0] != "%":
        return splat(element, str(scalar), lanes)
    type_ = vector(element, lanes)
    first = fn.pure(f"insertelement {type_} poison, {element} {scalar}, i64 0")
    return fn.pure(f"shufflevector {type_} {first}, {type_} poison, <{lanes} x i32> zeroinitializer")


def base(fn: Function, index: LaneIndex) -> Operand:
    """The scalar part: the first lane's value where there is no vector part."""
    return index.constant if index.symbol is None else plus(fn, index.symbol, index.constant)


def offsets(fn: Function, index: LaneIndex) -> str | None:
    """What the lanes add to the scalar part, as a vector, or None for nothing."""
    type_ = f"<{index.lanes} x i64>"
    stepped: str | None = None
    if isinstance(index.step, str):
        factor = broadcast(fn, "i64", index.step, index.lanes)
        stepped = fn.pure(f"mul {type_} {factor}, {iota('i64', index.lanes)}")
    elif index.step != 0:
        stepped = iota("i64", index.lanes, index.step)
    if stepped is None or index.vector is None:
        return stepped or index.vector
    return fn.pure(f"add {type_} {index.vector}, {stepped}")


def materialise(fn: Function, index: LaneIndex) -> str:
    """The operand that holds the index in all lanes."""
    scalar = base(fn, index)
    if index.lanes == 1:
        return str(scalar)
    spread = offsets(fn, index)
    if spread is None:
        return broadcast(fn, "i64", scalar, index.lanes)
    if scalar == 0:
        return spread
    return fn.pure(f"add <{index.lanes} x i64> {broadcast(fn, 'i64', scalar, index.lanes)}, {spread}")


def add(fn: Function, a: LaneIndex, b: LaneIndex) -> LaneIndex:
    if b.literal is not None and b.lanes == 1:
        return LaneIndex(a.symbol, wrapped(a.constant + b.constant), a.step, a.lanes, a.vector)
    return linear(fn, (a, b), (1, 1))


def scale(fn: Function, index: LaneIndex, factor: Operand) -> LaneIndex:
    """index * factor; a symbolic factor leaves no constant."""
    if factor == 1:
        return index
    if isinstance(factor, int) and index.literal is not None:
        return LaneIndex(None, wrapped(index.constant * factor), 0, index.lanes)
    return linear(fn, (index,), (factor,))


def linear(fn: Function, indices: tuple[LaneIndex, ...], factors: tuple[Operand, ...]) -> LaneIndex:
    """The sum of index * factor, in this order."""
    symbol: Operand = 0
    constant, lanes = 0, 1
    step: Operand = 0
    spread: str | None = None
    for index, factor in zip(indices, factors, strict=True):
        lanes = max(lanes, index.lanes)
        if index.symbol is not None:
            symbol = plus(fn, symbol, times(fn, index.symbol, factor))
        if isinstance(factor, int):
            constant += index.constant * factor
        elif index.constant:
            symbol = plus(fn, symbol, times(fn, factor, index.constant))
        if index.step != 0:
            step = plus(fn, step, times(fn, index.step, factor))
        if index.vector is not None:
            spread = _plus_vector(fn, spread, index, factor)
    return LaneIndex(symbol if isinstance(symbol, str) else None, wrapped(constant), step, lanes, spread)


def _plus_vector(fn: Function, spread: str | None, index: LaneIndex, factor: Operand) -> str:
    type_, vector_ = f"<{index.lanes} x i64>", str(index.vector)
    if factor != 1:
        vector_ = fn.pure(f"mul {type_} {vector_}, {broadcast(fn, 'i64', factor, index.lanes)}")
    return vector_ if spread is None else fn.pure(f"add {type_} {spread}, {vector_}")


def multiply(fn: Function, a: LaneIndex, b: LaneIndex) -> LaneIndex | None:
    """a * b, where one of them is the same in all lanes."""
    if a.literal is not None or not b.uniform:
        a, b = b, a
    if not b.uniform:
        return None
    product = scale(fn, a, base(fn, b))
    return product if b.lanes <= a.lanes else product._replace(lanes=b.lanes)


def subtract(fn: Function, a: LaneIndex, b: LaneIndex) -> LaneIndex:
    return linear(fn, (a, b), (1, -1))


def compare_steps(fn: Function, predicate: str, a: LaneIndex, b: LaneIndex, vector_bits: int) -> str | None:
    """`a predicate b` in all lanes as one comparison of narrow integers, or None where that cannot be done.

    a0 + sa * lane < b0 + sb * lane is (sa - sb) * lane < b0 - a0, and beyond the reach of the lanes only the sign of
    b0 - a0 matters, so that it can be narrowed. Holds for indices, which do not overflow.
    """
    if a.vector or b.vector or isinstance(a.step, str) or isinstance(b.step, str):
        return None
    lanes, step = max(a.lanes, b.lanes), a.step - b.step
    reach = max(1, abs(step) * lanes)
    width = 8
    while width < 64 and (width * 2 * lanes <= vector_bits or reach >= 1 << (width - 1)):
        width *= 2
    distance = base(fn, subtract(fn, b._replace(step=0), a._replace(step=0)))
    if isinstance(distance, int):
        limit: Operand = max(-reach, min(reach, distance))
    else:
        low = fn.pure(f"call i64 @llvm.smax.i64(i64 {distance}, i64 {-reach})")
        limit = fn.pure(f"call i64 @llvm.smin.i64(i64 {low}, i64 {reach})")
        limit = limit if width == 64 else fn.pure(f"trunc i64 {limit} to i{width}")
    left, right = iota(f"i{width}", lanes, step), broadcast(fn, f"i{width}", limit, lanes)
    return fn.pure(f"icmp {predicate} <{lanes} x i{width}> {left}, {right}")


def ramp(first: LaneIndex, lanes: int) -> LaneIndex:
    """first, first + 1, ..."""
    assert first.lanes == 1, "a ramp begins with a scalar"
    return LaneIndex(first.symbol, first.constant, 1, lanes) if lanes > 1 else first


def combine(fn: Function, name: str, operands: tuple[LaneIndex, ...]) -> LaneIndex | None:
    """add, sub, neg; and mul where one factor is the same in all lanes."""
    match name, operands:
        case "add", (a, b):
            return add(fn, a, b)
        case "sub", (a, b):
            return subtract(fn, a, b)
        case "mul", (a, b):
            return multiply(fn, a, b)
        case "neg", (a,):
            return scale(fn, a, -1)
        case _:
            raise AssertionError(name)
