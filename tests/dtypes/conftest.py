"""Kernels of many outputs under two schedules, compared with each other bit for bit and with the reference."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DType
from polysched.compute.tensor import Tensor

Array = np.ndarray[Any, Any]
SIZES = (0, 1, 7, 16, 37)


def edges(dtype: DType) -> Array:
    """Values at which operations are known to go wrong."""
    t = dtype.numpy
    if dtype.kind == "bool":
        return np.array([False, True])
    if dtype.is_int:
        low, high = int(dtype.lowest), int(dtype.highest)
        values = [0, 1, 2, 3, 7, low, low + 1, high, high - 1, high // 2, dtype.bits]
        return np.array(values + ([-1, -2, -3, -7] if dtype.kind == "int" else []), t)
    info = np.finfo(t)
    positive = [np.inf, info.max, info.tiny, info.smallest_subnormal, 0.0, 1, 0.5, 1.5, 2.5, 7, 10.1, 0.3]
    return np.array([np.nan, *positive, *(-x for x in positive), 1 + info.eps], t)


def pairs(dtype: DType, other: DType | None = None) -> tuple[Array, Array]:
    """All pairs of edges."""
    a, b = np.meshgrid(edges(dtype), edges(other or dtype))
    return a.ravel().copy(), b.ravel().copy()


def default(_: ps.Schedule) -> None:
    """As it is."""


def vectors(schedule: ps.Schedule) -> None:
    """Vectors of 16 lanes."""
    for stage in schedule.stages:
        schedule[stage].split("i", 16)
        schedule[stage].vectorize("i_i")


def unrolled(schedule: ps.Schedule) -> None:
    """Three vectors of 4 lanes, or four elements, written out."""
    for stage in schedule.stages:
        outer, inner = schedule[stage].split("i", 4)
        if stage.dtype.is_float:
            schedule[stage].vectorize(inner)
            _, inner = schedule[stage].split(outer, 3)
        schedule[stage].unroll(inner)


def built(outputs: list[Tensor], schedule: Callable[[ps.Schedule], None]) -> ps.Kernel:
    made = ps.Schedule(outputs)
    schedule(made)
    return ps.build(made)


def bits(array: Array) -> Array:
    """The bits, with one pattern for all NaNs: which NaN an operation gives is not specified."""
    if array.dtype.kind != "f":
        return array
    plain = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return plain.view(f"u{array.itemsize}")


def assert_same_bits(found: Array, expected: Array, what: str) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape, what
    wrong = np.flatnonzero(bits(found).ravel() != bits(expected).ravel())
    assert wrong.size == 0, f"{what}: {found.ravel()[wrong[0]]!r} for {expected.ravel()[wrong[0]]!r} at {wrong[0]}"


def assert_close(found: Array, expected: Array, ulps: int, what: str) -> None:
    """Equal within so many units in the last place; zeros of either sign are equal, and so are NaNs."""
    assert found.dtype == expected.dtype and found.shape == expected.shape, what
    if found.dtype.kind != "f" or not found.size:
        assert np.array_equal(found, expected), what
        return
    with np.errstate(all="ignore"):
        near = np.abs(found - expected) <= ulps * np.spacing(np.abs(expected))
    fine = near | (found == expected) | (np.isnan(found) & np.isnan(expected))
    wrong = np.flatnonzero(~fine)
    assert wrong.size == 0, f"{what}: {found.ravel()[wrong[0]]!r} for {expected.ravel()[wrong[0]]!r} at {wrong[0]}"


def check(
    outputs: Mapping[str, Tensor],
    inputs: Mapping[Any, Any],
    ulps: Callable[[str], int] = lambda _: 0,
    schedule: Callable[[ps.Schedule], None] = vectors,
    sizes: tuple[int, ...] = SIZES,
) -> None:
    """Build the outputs by default and under `schedule`; run both on the inputs, then on their first elements."""
    kernels = [built(list(outputs.values()), how) for how in (default, schedule)]
    arrays = {key: value for key, value in inputs.items() if isinstance(key, Tensor)}
    longest = max(len(array) for array in arrays.values())
    for length in (longest, *sizes):
        given = {key: value[:length] if isinstance(key, Tensor) else value for key, value in inputs.items()}
        named = {key.name: value for key, value in given.items()}
        expected = ps.evaluate(list(outputs.values()), given)
        plain, scheduled = (results(kernel(**named)) for kernel in kernels)
        for name, reference, a, b in zip(outputs, expected, plain, scheduled, strict=True):
            what = f"{name} of {length} elements"
            assert_same_bits(b, a, f"{what}, scheduled")
            assert_close(a, reference, ulps(name), what)


def results(returned: Any) -> tuple[Array, ...]:
    return returned if isinstance(returned, tuple) else (returned,)


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    """This file, as a module: tests are not a package, and import nothing of each other."""
    return sys.modules[__name__]
