"""What the oracle and the fuzzer found wrong with stages in loops of others, each smaller than it was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m")


def same_as_default(s: ps.Schedule, *arrays: Any, **sizes: int) -> ps.Kernel:
    kernel = ps.build(s, check=True)
    assert np.array_equal(kernel(*arrays, **sizes), ps.build(ps.Schedule(s.outputs))(*arrays, **sizes))
    return kernel


@pytest.mark.parametrize("first", [True, False])
def test_what_one_iteration_of_a_parallel_loop_needs_is_computed_in_it(first: bool) -> None:
    """It was computed before the loop, in memory that the threads have not."""
    A = ps.placeholder((n,), "float64", name="A")
    B = ps.compute((n,), lambda i: A[i] * 2, name="B")
    C = ps.compute((n,), lambda i: ps.select(i < 4 if first else i >= n - 1, B[i], A[i]), name="C")
    s = ps.Schedule(C)
    s["C"].split("i", 4)
    s["C"].parallel("i_o")
    s["B"].compute_at("C", "i_o")
    same_as_default(s, np.arange(37.0))


def test_what_one_position_of_fused_threads_needs_is_computed_in_it() -> None:
    A = ps.placeholder((n, 21), "float64", name="A")
    B = ps.compute((n, 21), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, 21), lambda i, j: ps.select((i < 4) & (j < 4), B[i, j], A[i, j]), name="C")
    s = ps.Schedule(C)
    s["C"].tile("i", "j", 4, 4)
    s["C"].reorder("i_o", "j_o", "i_i", "j_i")
    s["C"].parallel("i_o", "j_o", name="tile")
    s["B"].compute_at("C", "tile")
    same_as_default(s, np.arange(37.0 * 21).reshape(37, 21))


def test_reduction_axes_whose_bounds_are_made_of_others_move_along() -> None:
    A = ps.placeholder((n, n), "float32", name="A")

    def above(i: Any) -> Any:
        r = ps.reduce_axis((i, n), name="r")
        q = ps.reduce_axis((r, n), name="q")
        return ps.sum(A[r, q], axis=(r, q))

    S = ps.compute((n,), above, name="S")
    C = ps.compute((n,), lambda i: S[n - 1 - i] * 2, name="C")
    s = ps.Schedule(C)
    s["C"].split("i", 4)
    s["S"].compute_at("C", "i_o")
    same_as_default(s, np.arange(81, dtype=np.float32).reshape(9, 9))


def test_loops_of_the_same_name_are_told_apart() -> None:
    """A witness had one value for two axes of a statement, and advised to run the loops of the host in parallel."""
    r = ps.reduce_axis((0, 3), name="r")
    S = ps.compute((3,), lambda i: ps.sum(ps.cast("float32", r), axis=r), name="S")
    C = ps.compute((3,), lambda i: S[i], name="C")
    s = ps.Schedule(C)
    s["S"].compute_at("C", "i")
    with pytest.raises(ps.LegalityError) as refusal:
        s["S"].parallel("r")
    assert refusal.value.source == ("S", {"C.i": 0, "i": 0, "r": 0})
    assert "moving the loops of i is legal" in str(refusal.value)
    assert "S[C.i + i] += float32(r)" in str(s)


@pytest.mark.parametrize("size", [0, 1, 9])
def test_bytes_of_no_literal_extent_are_not_on_the_stack(size: int) -> None:
    A = ps.placeholder((2 * m,), "uint8", name="A")
    B = ps.compute((2 * m,), lambda i: A[i], name="B")
    C = ps.compute((7, m), lambda i, j: ps.select(i > j, B[m], B[1]), name="C")
    s = ps.Schedule(C)
    s["B"].compute_at("C", "i")
    same_as_default(s, np.arange(2 * size, dtype=np.uint8))


def test_what_is_accumulated_in_a_thread_stays_there() -> None:
    """The register tile was put outside of the buffer that it stands for."""
    r = ps.reduce_axis((0, 8), name="r")
    S = ps.compute((8, 8), lambda i, j: ps.min(r, axis=r), name="S")
    C = ps.compute((8,), lambda i: S[i, 1], name="C")
    s = ps.Schedule(C)
    s["C"].parallel("i")
    s["S"].compute_at("C", "i")
    same_as_default(s)


def test_threads_take_memory_once_for_a_range_of_iterations() -> None:
    """Each iteration took a block, of which one was kept for all threads: large ones came anew with all their pages."""
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] * B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s["C"].split("i", 4)
    s["C"].parallel("i_o")
    s["B"].compute_at("C", "i_o")
    kernel = same_as_default(s, np.arange(70 * 33, dtype=np.float32).reshape(70, 33))
    text = kernel.source("llvm")
    body = text[text.index("define internal void @range") :]
    assert body.index("@take_block") < body.index(" phi ")


def test_footprints_of_symbolic_extents_are_no_larger_than_needed() -> None:
    A = ps.placeholder((n + m,), "float32", name="A")
    B = ps.compute((n + m,), lambda i: A[i] + 1, name="B")
    r = ps.reduce_axis((0, m), name="r")
    C = ps.compute((n,), lambda i: ps.sum(B[i + r], axis=r), name="C")
    s = ps.Schedule(C)
    s["B"].compute_at("C", "i")
    assert "B: float32[m] stored here" in str(s)
    same_as_default(s, np.arange(40, dtype=np.float32), n=33, m=7)
    s["B"].compute_root()
    s["C"].split("i", 8)
    s["B"].compute_at("C", "i_o")
    assert "B: float32[m + 7] stored here" in str(s)
    for size in (0, 1, 5, 8, 33):
        same_as_default(s, np.arange(40, dtype=np.float32), n=size, m=40 - size)


def test_what_is_computed_again_is_printed() -> None:
    A = ps.placeholder((n + 2, m + 1), "float32", name="A")
    B = ps.compute((n + 2, m + 1), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] * B[i + 2, j] - B[i, j + 1], name="C")
    s = ps.Schedule(C)
    s["C"].tile("i", "j", 8, 16)
    s["B"].compute_at("C", "j_o")
    assert "stored here  # again: 2 of 10 i in the next i_o, 1 of 17 j in the next j_o" in str(s)
    s["B"].store_at("C", "i_o")
    assert "stored at i_o  # again: 2 of 10 i in the next i_o, kept: 1 of 17 j for the next j_o\n" in str(s)
    s["B"].store_root()
    assert "again" not in str(s)


def test_a_footprint_that_does_not_move_is_said_to_be_computed_again() -> None:
    A = ps.placeholder((n,), "float32", name="A")
    B = ps.compute((n,), lambda i: A[i] + 1, name="B")
    C = ps.compute((n, m), lambda i, j: B[i] * 2, name="C")
    s = ps.Schedule(C)
    s["B"].compute_at("C", "j")
    assert "stored here  # again: all in the next j\n" in str(s)


def test_partial_sums_of_what_is_inlined() -> None:
    """The stage made last read one that had been inlined before it was there."""
    A = ps.placeholder((m,), "int32", name="A")
    B = ps.compute((m,), lambda i: A[i] * 3, name="B")
    r = ps.reduce_axis((0, m), name="r")
    S = ps.compute((), lambda: ps.min(B[r], axis=r), name="S")
    s = ps.Schedule(S)
    s["B"].inline()
    s["S"].rfactor("r", name="N")
    s["N"].inline()
    s["S"].rfactor("r", name="M")
    same_as_default(s, np.arange(-5, 4, dtype=np.int32))


def test_the_only_iteration_of_a_loop_has_one_buffer() -> None:
    """isl puts the mark of a loop that it leaves out before each statement: the buffer was allocated for each."""
    A = ps.placeholder((n, 1), "int32", name="A")
    r = ps.reduce_axis((0, 1), name="r")
    S = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="S")
    s = ps.Schedule(S)
    s["S"].cache_read("A", at="r", name="B")
    kernel = same_as_default(s, np.arange(5, dtype=np.int32).reshape(5, 1))
    assert kernel.source("loops").count("stack B") == 1


def test_what_is_known_where_a_streaming_store_is_aligned_is_forgotten_after_it() -> None:
    """A later store used the check of an address that had been made in a branch: LLVM refused the kernel."""
    A = ps.placeholder((8, 8), "float32", name="A")

    def rows(i: Any, k: Any) -> Any:
        r = ps.reduce_axis((0, i), name="r")
        return ps.sum(A[i, k], axis=r)

    S = ps.compute((8, 8), rows, name="S")
    s = ps.Schedule(S)
    s["S"].vectorize("k")
    s["S"].store_streaming()
    same_as_default(s, np.arange(64, dtype=np.float32).reshape(8, 8))


@pytest.mark.parametrize("loop", ["q", "q_o", "q_i"])
def test_partial_sums_of_an_axis_whose_bound_is_another_one(loop: str) -> None:
    """The axis that the bound is made of had been replaced by another one."""
    A = ps.placeholder((8, 8), "int32", name="A")
    r = ps.reduce_axis((0, 8), name="r")
    q = ps.reduce_axis((0, r + 1), name="q")
    S = ps.compute((2,), lambda i: ps.sum(A[r, q] * (i + 1), axis=(r, q)), name="S")
    s = ps.Schedule(S)
    if loop != "q":
        s["S"].split("q", 3)
    s["S"].rfactor(loop)
    same_as_default(s, np.arange(64, dtype=np.int32).reshape(8, 8))


def test_a_footprint_that_is_empty_at_small_sizes() -> None:
    """Its extent, n - 2, was refused as negative where nothing is needed."""
    A = ps.placeholder((n, n), "float32", name="A")
    B = ps.compute((n, n), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n, n), lambda i, j: ps.select(j >= 2, B[i, j - 2], 0.0), name="C")
    s = ps.Schedule(C)
    s["B"].compute_at("C", "i")
    for size in (0, 1, 2, 3, 9):
        same_as_default(s, np.arange(size * size, dtype=np.float32).reshape(size, size))


def test_no_stage_is_computed_in_loops_that_are_its_own() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n,), "int32", name="A")
    B = ps.compute((n,), lambda i: A[i] + 1, name="B")
    C = ps.compute((n,), lambda i: B[i] * 2, name="C")
    s = ps.Schedule(C)
    s[C].compute_with(B, "i")
    refusal = s[B].why_not("compute_at", C, "i")
    assert "as C shares those of B: C.compute_root() first" in str(refusal)
