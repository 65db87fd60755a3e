"""What the kernel fuzzer has found in the passes, smallest forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import polysched as ps
from polysched.lower.ir import Allocate, statements


def test_an_argmax_under_two_vectorized_loops_keeps_index_and_value_together() -> None:
    n = ps.size_var("n", min=1)
    r = ps.reduce_axis((0, 2), name="r")
    A = ps.placeholder((2, n, n), "float64", name="A")
    T = ps.compute((n, n, n), lambda i, j, k: ps.argmax(A[r, k, j], axis=r), name="T")
    s = ps.Schedule(T)
    s[T].split("i", 2)
    s[T].split("r", 2)
    s[T].vectorize("r_i")
    s[T].reorder("r_i", "i_o", "i_i")
    s[T].vectorize("i_i")
    a = np.random.default_rng(0).random((2, 5, 5))
    assert np.array_equal(s.build()(a), ps.evaluate(T, {A: a}))


def test_a_fused_piece_of_a_reversed_fused_loop_counts_by_sizes_that_the_kernel_has() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    r = ps.reduce_axis((0, n), name="r")
    T = ps.compute((n,), lambda i: ps.min(A[i, r], axis=r), name="T")
    s = ps.Schedule(T)
    s[T].fuse("i", "r")
    s[T].reverse("i_r")
    s[T].split("i_r", 2)
    s[T].split("i_r_i", 2)
    s[T].tile("i_r_o", "i_r_i_o", 2, 2)
    s[T].fuse("i_r_o_o", "i_r_i_o_o", "i_r_o_i")
    a = np.random.default_rng(0).random((7, 7), dtype=np.float32)
    assert np.array_equal(s.build()(a), ps.evaluate(T, {A: a}))


def test_a_triangle_under_vector_lanes_keeps_the_lanes_that_do_not_run() -> None:
    """The loop inside starts where the lane says, so a lane's register must not change before."""
    n = ps.size_var("n")
    s2 = ps.reduce_axis((0, n), name="s2")
    A = ps.placeholder((17, n), "uint16", name="A")

    def product(i: ps.Size) -> object:
        r2 = ps.reduce_axis((i, 17), name="r2")
        return ps.prod(A[i, s2], axis=(r2, s2))

    before = ps.compute((17,), lambda i: i, name="before")
    T = ps.compute((17,), product, name="T")
    s = ps.Schedule([before, T])
    s[T].vectorize("i")
    a = np.random.default_rng(0).integers(0, 1 << 16, (17, 3)).astype(np.uint16)
    assert np.array_equal(s.build()(A=a)[1], ps.evaluate(T, {A: a}))


def test_a_loop_of_one_iteration_that_isl_leaves_out_has_its_buffers_once(lowered: Callable[..., Any]) -> None:
    """The iteration fell into parts, and what is computed in one of them is read in the next."""
    n = ps.size_var("n")
    r = ps.reduce_axis((0, n), name="r")
    A = ps.placeholder((n, n, n), "int32", name="A")
    T = ps.compute((n, n, 3), lambda i, j, k: ps.sum(A[r, j, i] * k, axis=r), name="T")
    read = lambda i, j, k: T[ps.clamp(1 - i, 0, n - 1), ps.clamp(k + i, 0, n - 1), i]  # noqa: E731
    U = ps.compute((3, n, 3), read, name="U")
    s = ps.Schedule(U)
    s[U].split("k", 7)
    s[U].reorder("j", "k_i", "k_o")
    s[T].compute_at("U", "k_o")
    made = lowered(s).stages["loops"]
    assert sum(isinstance(inner, Allocate) for inner in statements(made)) == 1
