"""Lanes over a re-associable reduction: partial results in registers, combined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .reductions import KINDS, elements, m, n, reduced


def long_vectors(c: ps.Stage) -> None:
    c.split("r", 40)
    c.vectorize("r_i")


def odd_vectors(c: ps.Stage) -> None:
    c.split("r", 7)
    c.vectorize("r_i")


def copies(c: ps.Stage) -> None:
    c.split("r", 16)
    c.split("r_i", 8, outer="u", inner="v")
    c.unroll("u")
    c.vectorize("v")


def rows(c: ps.Stage) -> None:
    c.tile("i", "r", 3, 8)
    c.unroll("i_i")
    c.vectorize("r_i")


def rows_outside(c: ps.Stage) -> None:
    c.tile("i", "r", 3, 8)
    c.reorder("i_o", "i_i", "r_o", "r_i")
    c.unroll("i_i")
    c.vectorize("r_i")


def columns_first(c: ps.Stage) -> None:
    c.split("r", 8)
    c.reorder("i", "r_i", "r_o")
    c.vectorize("r_i")


def lanes_of_both(c: ps.Stage) -> None:
    c.tile("i", "r", 4, 8)
    c.vectorize("i_i")
    c.vectorize("r_i")


def lanes_of_both_the_other_way(c: ps.Stage) -> None:
    c.tile("i", "r", 8, 4)
    c.reorder("i_o", "r_o", "r_i", "i_i")
    c.vectorize("i_i")
    c.vectorize("r_i")


def rows_inside(c: ps.Stage) -> None:
    """The element moves in a serial loop inside the vector loop: combined in every iteration."""
    c.split("r", 8)
    c.reorder("r_o", "r_i", "i")
    c.vectorize("r_i")


def lanes_of_the_mix(c: ps.Stage) -> None:
    c.split(c.fuse("i", "r", name="f"), 8)
    c.vectorize("f_i")


def lanes_of_the_mix_under_threads(c: ps.Stage) -> None:
    c.split(c.fuse("i", "r", name="f"), 8)
    c.vectorize("f_i")
    c.parallel("f_o")


def lanes_of_a_wavefront(c: ps.Stage) -> None:
    """At one counter of the skewed loop, other elements; inside it, several loops of lanes."""
    c.skew("r", 1, by="i")
    c.tile("r", "i", 8, 3)
    c.vectorize("r_i")
    c.vectorize("i_i")


SCHEDULES = (
    long_vectors, odd_vectors, copies, rows, rows_outside, columns_first, lanes_of_both, lanes_of_both_the_other_way,
    rows_inside, lanes_of_the_mix, lanes_of_the_mix_under_threads, lanes_of_a_wavefront,
)  # fmt: skip
SHAPES = ((5, 41), (1, 3), (3, 0), (0, 4), (8, 80), (9, 16))


def agree(S: ps.Tensor, schedule: Callable[[ps.Stage], None], *arrays: Any) -> ps.Kernel:
    s = ps.Schedule(S)
    schedule(s[S])
    found, default = s.build(check=True), ps.build(ps.Schedule(S))
    for array in arrays:
        result, plain = found(array), default(array)
        assert np.array_equal(result, plain, equal_nan=result.dtype.kind == "f"), array.shape
        if result.dtype.kind == "f":
            assert np.array_equal(np.signbit(result), np.signbit(plain))
    return found


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_reduction_under_every_schedule(kind: str, schedule: Callable[[ps.Stage], None]) -> None:
    agree(reduced(kind, "float32"), schedule, *(elements(kind, "float32", *shape) for shape in SHAPES))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint64", "bool"])
@pytest.mark.parametrize("kind", ["sum", "max", "argmin"])
def test_types(kind: str, dtype: str) -> None:
    agree(reduced(kind, dtype), copies, elements(kind, dtype, 5, 41))


@pytest.mark.parametrize("schedule", [long_vectors, copies, rows, rows_outside, columns_first, lanes_of_both])
@pytest.mark.parametrize("kind", ["sum", "argmax"])
def test_triangles(kind: str, schedule: Callable[[ps.Stage], None]) -> None:
    S = reduced(kind, "float32", triangle=True)
    agree(S, schedule, *(elements(kind, "float32", size, size) for size in (1, 2, 19, 41)))


@pytest.mark.parametrize("schedule", SCHEDULES[: SCHEDULES.index(rows_inside)])
def test_lanes_are_combined_outside_of_the_loop(schedule: Callable[[ps.Stage], None]) -> None:
    s = ps.Schedule(reduced("sum", "float32"))
    schedule(s["S"])
    text = s.build().source("loops")
    for line in text.splitlines():
        if "lanes_add" in line:
            assert "A[" not in line, text


@pytest.mark.parametrize(("schedule", "warned"), [(copies, 0), (rows, 0), (lanes_of_both, 1), (rows_inside, 1)])
def test_argmin_has_a_vector_form_where_its_element_stays(schedule: Callable[[ps.Stage], None], warned: int) -> None:
    kernel = agree(reduced("argmin", "float32"), schedule)
    assert sum(warning.startswith("P005") for warning in kernel.warnings) == warned


def test_copies_of_a_matrix_product_do_not_multiply_its_accumulators() -> None:
    """A tile of 4 x 16 elements, each with a vector of lanes, has no room for more copies."""
    A, B = ps.placeholder((n, m), "int32", name="A"), ps.placeholder((n, m), "int32", name="B")
    r = ps.reduce_axis((0, m), name="r")
    C = ps.compute((n, n), lambda i, j: ps.sum(A[i, r] * B[j, r], axis=r), name="C")
    s = ps.Schedule(C)
    c = s[C]
    c.tile("i", "j", 4, 4)
    c.split("r", 32)
    c.split("r_i", 16, outer="u", inner="v")
    c.reorder("i_o", "j_o", "r_o", "u", "i_i", "j_i", "v")
    for loop in ("u", "i_i", "j_i"):
        c.unroll(loop)
    c.vectorize("v")
    kernel = s.build(ps.Target("x86-64-v4"), check=True)
    assert "register C_lanes0: int32[4, 4, 16]" in kernel.source("loops-vector_reductions")


@pytest.mark.parametrize("kind", ["sum", "max", "argmin"])
@pytest.mark.parametrize("unrolled", [False, True])
def test_an_element_that_is_read_in_the_loop_around(kind: str, unrolled: bool) -> None:
    """Every row begins anew, in the same memory, and is read before the next one."""
    A = ps.placeholder((n, m), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    options = {"reassociate": True} if kind == "sum" else {}
    S = ps.compute((n,), lambda i: getattr(ps, kind)(A[i, r], axis=r, **options), name="S")
    T = ps.compute((n, m), lambda i, j: A[i, j] - ps.cast("float32", S[i]), name="T")
    s = ps.Schedule(T)
    loop = "i"
    if unrolled:
        loop, inner = s[T].split("i", 3)
        s[T].unroll(inner)
    s[S].compute_at(T, loop)
    s[S].split("r", 8)
    if unrolled:
        s[S].unroll("i")
    s[S].vectorize("r_i")
    found, default = s.build(check=True), ps.build(ps.Schedule(T))
    for shape in SHAPES:
        array = elements(kind, "float32", *shape)
        assert np.array_equal(found(array), default(array), equal_nan=True)


@pytest.mark.parametrize("kind", ["min", "max"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", [long_vectors, odd_vectors, copies])
def test_nan_is_kept_apart_from_numbers_wherever_it_is(
    kind: str, dtype: str, schedule: Callable[[ps.Stage], None]
) -> None:
    """One NaN anywhere in a row, and nowhere; rows of infinities; the sign of the zero that wins."""
    A = ps.placeholder((n, m), dtype, name="A")
    r = ps.reduce_axis((0, m), name="r")
    s = ps.Schedule(ps.compute((n,), lambda i: getattr(ps, kind)(A[i, r], axis=r), name="C"))
    schedule(s["C"])
    kernel = s.build(check=True)
    for length in (1, 5, 16, 41, 100):
        array = np.random.default_rng(length).standard_normal((length + 4, length)).astype(dtype)
        array[np.arange(length), np.arange(length)] = np.nan
        array[-1], array[-2], array[-3], array[-4] = np.inf, -np.inf, 0.0, -0.0
        array[-3, length // 2], array[-4, length // 2] = -0.0, 0.0
        found, expected = kernel(array), getattr(array, kind)(1)
        assert np.array_equal(found, expected, equal_nan=True)
        if length > 1:  # rows of both zeros: -0.0 is the smaller one
            assert np.signbit(found[-4:-2]).all() == (kind == "min")
            assert np.signbit(found[-4:-2]).any() == (kind == "min")


def test_where_zeros_have_an_instruction_nan_has_registers_of_its_own() -> None:
    A, r = ps.placeholder((n, 256), "float32", name="A"), ps.reduce_axis((0, 256), name="r")

    def loops(value: Any, target: str) -> str:
        s = ps.Schedule(ps.compute((n,), lambda i: ps.max(value(A[i, r]), axis=r), name="C"))
        long_vectors(s["C"])
        return s.build(ps.Target(target), check=True).source("loops-vector_reductions")

    apart = "C_lanes0_nan[r_i] = select(isnan(A[i, 40 * r_o + r_i]), A[i, 40 * r_o + r_i], C_lanes0_nan[r_i])"
    assert apart in loops(lambda x: x, "x86-64-v4")
    assert "_nan" not in loops(lambda x: x, "x86-64-v3")
    assert "_nan" not in loops(ps.exp, "x86-64-v4")  # which would be computed twice
