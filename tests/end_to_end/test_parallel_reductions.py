"""Threads over a re-associable reduction: partial results of their own, combined in an order that no run changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .reductions import KINDS, elements, n, reduced

THREADS = ps.Target("native", threads=4)


def inside(c: ps.Stage) -> None:
    c.parallel("r")


def outside(c: ps.Stage) -> None:
    c.reorder("r", "i")
    c.parallel("r")


def mixed(c: ps.Stage) -> None:
    c.parallel("i", "r")


def pieces_of_the_mix(c: ps.Stage) -> None:
    c.split(c.fuse("i", "r", name="f"), 6)
    c.parallel("f_o")


def tiles(c: ps.Stage) -> None:
    c.tile("i", "r", 4, 8)
    c.unroll("i_i")
    c.vectorize("r_i")
    c.parallel("r_o")


def under_threads(c: ps.Stage) -> None:
    c.tile("i", "r", 4, 8)
    c.parallel("i_o")
    c.parallel("r_o")


def twice(c: ps.Stage) -> None:
    c.split("r", 5)
    c.reorder("r_o", "i", "r_i")
    c.parallel("r_o")
    c.parallel("r_i")


def lanes_of_rows(c: ps.Stage) -> None:
    c.split("i", 8)
    c.reorder("i_o", "r", "i_i")
    c.parallel("r")
    c.vectorize("i_i")


def in_lanes(c: ps.Stage) -> None:
    c.split("i", 8)
    c.vectorize("i_i")
    c.parallel("r")


SCHEDULES = (inside, outside, mixed, pieces_of_the_mix, tiles, under_threads, twice, lanes_of_rows, in_lanes)


def agree(S: ps.Tensor, schedule: Callable[[ps.Stage], None], *arrays: Any) -> None:
    s = ps.Schedule(S)
    schedule(s[S])
    found, default = s.build(THREADS, check=True), ps.build(ps.Schedule(S))
    for array in arrays:
        result, plain = found(array), default(array)
        assert np.array_equal(result, plain, equal_nan=result.dtype.kind == "f"), array.shape
        if result.dtype.kind == "f":
            assert np.array_equal(np.signbit(result), np.signbit(plain))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_reduction_under_every_schedule(kind: str, schedule: Callable[[ps.Stage], None]) -> None:
    S = reduced(kind, "float32")
    agree(S, schedule, *(elements(kind, "float32", *shape) for shape in ((5, 37), (1, 3), (3, 0), (0, 4), (9, 100))))


@pytest.mark.parametrize("schedule", [mixed, pieces_of_the_mix])
def test_threads_over_data_and_reduction_have_partial_results(schedule: Callable[[ps.Stage], None]) -> None:
    """Without them, threads race for an element: seldom where there is little to do, so the loops are looked at."""
    S = reduced("max", "float32")
    s = ps.Schedule(S)
    schedule(s[S])
    assert "heap S_part: float32[16, " in s.build(THREADS).source("loops")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint64", "bool"])
@pytest.mark.parametrize("kind", ["sum", "max", "argmin"])
def test_types(kind: str, dtype: str) -> None:
    S = reduced(kind, dtype)
    agree(S, outside, elements(kind, dtype, 5, 37))


@pytest.mark.parametrize("schedule", [inside, outside, mixed, under_threads])
@pytest.mark.parametrize("kind", ["sum", "argmax"])
def test_triangles(kind: str, schedule: Callable[[ps.Stage], None]) -> None:
    S = reduced(kind, "float32", triangle=True)
    agree(S, schedule, *(elements(kind, "float32", size, size) for size in (1, 2, 19, 40)))


def test_a_float_sum_has_the_same_bits_in_every_run_and_on_any_number_of_threads() -> None:
    S = reduced("sum", "float32")
    array = np.random.default_rng(1).standard_normal((3, 10_007)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 8):
        s = ps.Schedule(S)
        s[S].parallel("r")
        kernel = s.build(ps.Target("native", threads=threads))
        assert "re-associable: S" in kernel.rounding
        results += [kernel(array).tobytes() for _ in range(20)]
    assert len(set(results)) == 1
    np.testing.assert_allclose(np.frombuffer(results[0], np.float32), array.sum(1, dtype=np.float64), atol=1e-3)


def test_elements_outside_of_the_loop_are_not_touched() -> None:
    """Threads of the loop around would race for them."""
    S = reduced("sum", "float32")
    s = ps.Schedule(S)
    under_threads(s[S])
    text = s.build().source("loops-parallel_reductions")
    assert "heap S_part: float32[16, n]" in text
    assert text.count("S_part[r_o_chunk, 4 * i_o + i_i] = 0.0") == 2
    assert "S[4 * i_o + i_i] = S[4 * i_o + i_i] + S_part[r_o_chunk, 4 * i_o + i_i]" in text


def test_a_result_that_is_read_afterwards() -> None:
    S = reduced("sum", "int32")
    T = ps.compute((n,), lambda i: S[n - 1 - i] * 2, name="T")
    s = ps.Schedule(T)
    outside(s[S])
    s[T].parallel("i")
    array = elements("sum", "int32", 33, 70)
    assert np.array_equal(s.build(THREADS)(array), array.sum(1, dtype=np.int32)[::-1] * 2)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("order", ["threads", "lanes", "both"])
def test_recurrences_read_other_elements_of_what_they_accumulate_into(order: str, finished: bool) -> None:
    T = 3
    A, first = ps.placeholder((n, n), "int32", name="A"), ps.placeholder((n,), "int32", name="first")
    t, i = ps.axes("t i")
    r = ps.reduce_axis((0, n), name="r")
    u = ps.recurrence((T + 1, n), "int32", name="u")
    u[0, i] = first[i]
    product = ps.sum(A[i, r] * u[t, r], axis=r)
    u[t + 1, i] = product * 3 + 1 if finished else product
    s = ps.Schedule(u)
    loop = next(name for name in s[u].loops if name.startswith("r"))
    if order != "threads":
        loop, inner = s[u].split(loop, 4)
        s[u].vectorize(inner)
    if order != "lanes":
        s[u].parallel(loop)
    found, default = s.build(THREADS, check=True), ps.build(ps.Schedule(u))
    for size in (1, 7, 40):
        arrays = elements("sum", "int32", size, size), elements("sum", "int32", size)
        assert np.array_equal(found(*arrays), default(*arrays))
