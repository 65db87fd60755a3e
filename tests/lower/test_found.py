"""What the kernel fuzzer has found in the passes, smallest forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.lower.ir import Allocate, Block, For, Var, statements
from polysched.lower.tiles import most_iterations


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


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("rows", [6, ps.size_var("n")])
def test_the_init_under_a_piece_of_a_fused_loop_whose_other_piece_is_fused_with_the_reduction(
    rows: int | ps.Size, outside: bool
) -> None:
    """The position was open there: the build failed."""
    A = ps.placeholder((rows, 4), "float32", name="A")
    r = ps.reduce_axis((0, 4), name="r")
    T = ps.compute((rows, 3), lambda i, j: ps.sum(A[i, r] * (j + 1), axis=r), name="T")
    s = ps.Schedule(T)
    c = s[T]
    c.split(c.fuse("i", "j", name="f"), 2)
    c.reorder(*(("f_i", "f_o", "r") if outside else ("f_o", "r", "f_i")))
    c.fuse("f_o", "r")
    a = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    assert np.array_equal(s.build(check=True)(a), ps.build(ps.Schedule(T))(a))


def test_a_condition_that_isl_writes_as_one() -> None:
    """It is no bool: a sum over two axes that is computed in the one iteration of a consumer's loop that needs it."""
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    r, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, m // 2 + 1), name="q")
    A, B = ps.placeholder((m // 2 + 1, n), "int32", name="A"), ps.placeholder((n,), "float64", name="B")
    T = ps.compute((), lambda: ps.all(A[q, r] // 3, axis=(r, q)), name="T")
    U = ps.compute(
        (n, n, m),
        lambda i, j, k: ps.select(n - 1 - j <= 1, B[i] - ps.cast("float64", T[()]), B[j] // B[i]),
        name="U",
    )
    s = ps.Schedule(U)
    s[T].compute_at(U, "i")
    s[U].reorder("j", "i", "k")
    s[T].reorder("q", "r")
    s[T].reverse("r")
    s[T].split("r", 7)
    s[T].parallel("r_o")
    s[T].store_root()
    a, b = np.full((7, 9), 3, np.int32), np.arange(1.0, 10.0)
    assert np.array_equal(s.build(check=True)(a, b, m=13), ps.build(ps.Schedule(U))(a, b, m=13))


def test_an_update_under_a_condition_of_its_own_has_that_of_its_init() -> None:
    """Beside another stage, in loops that go further: where nothing is summed, an element outside was loaded."""
    n = ps.size_var("n")
    A, B = ps.placeholder((2,), "float32", name="A"), ps.placeholder((17, n), "float64", name="B")
    q = ps.reduce_axis((0, n), name="q")

    def late(i: Any, j: Any) -> Any:
        r = ps.reduce_axis((j, 2), name="r")
        return ps.max(A[r] * (i + 1), axis=r)

    T = ps.compute((2, 2), late, name="T")
    U = ps.compute((17, n), lambda i, j: ps.min(B[i, q] + j, axis=q), name="U")
    s = ps.Schedule([T, U])
    s[U].compute_with(T, "j")
    s[U].reorder("i", "q")
    lines = s.build(check=True).source("loops").splitlines()
    at = next(k for k, line in enumerate(lines) if line.strip().startswith("T_tile") and "= T[" in line)
    around, depth = [], len(lines[at]) - len(lines[at].lstrip())
    for line in reversed(lines[:at]):
        if (indent := len(line) - len(line.lstrip())) < depth and line.endswith(":"):
            around.append(line)
            depth = indent
    assert any("j <= 1" in line for line in around), "\n".join(lines)


def test_a_tile_in_an_unrolled_loop_that_it_does_not_follow_is_promoted_once() -> None:
    """The transfer of its registers is in that loop as well, and was itself taken for something to promote."""
    A = ps.placeholder((17,), "float32", name="A")

    def least(i: Any) -> Any:
        r, q = ps.reduce_axis((0, 7), name="r"), ps.reduce_axis((0, i), name="q")
        return ps.min(A[r] + q, axis=(r, q))

    T = ps.compute((7,), least, name="T")
    s = ps.Schedule(T)
    s[T].unroll("r")
    s[T].vectorize("q")
    s[T].cache_read(A, at="r", name="near")
    a = np.arange(17, dtype=np.float32)[::-1].copy()
    assert np.array_equal(s.build(check=True)(a), ps.build(ps.Schedule(T))(a))


@pytest.mark.parametrize("level", ["x86-64-v3", "x86-64-v4", "native"])
def test_a_tail_of_one_narrow_element_is_no_wider(level: str) -> None:
    """LLVM wrote the element as wide as before its conversion, into the next row and behind the last one."""
    A = ps.placeholder((10, 67), "uint8", name="A")
    across = ps.compute((10, 65), lambda i, j: sum(ps.cast("uint16", A[i, j + k]) for k in range(3)), name="across")
    y = ps.compute((8, 65), lambda i, j: ps.cast("uint8", sum(across[i + k, j] for k in range(3)) >> 3), name="y")
    s, target = ps.Schedule(y), ps.Target(level, threads=1)
    ps.recipes.stencil2d(s[y], target)
    a, out = np.random.default_rng(1).integers(0, 250, (10, 67), np.uint8), np.full((9, 65), 77, np.uint8)
    ps.build(s, target)(a, out=out[:8])
    assert np.array_equal(out[:8], ps.evaluate(y, {A: a}))
    assert (out[8] == 77).all()


def test_a_partial_tile_of_a_piece_does_not_reach_into_the_next_piece() -> None:
    """Twelve terms in vectors of eight: the places behind the twelfth are the next piece's, which has run before."""
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((m, k), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[j, r], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].split("r", 60, outer="r_c", inner="r")
    s[C].split("j", 16, outer="j_c", inner="j")
    s[C].reorder("r_c", "j_c", "i", "j", "r")
    panels = s[C].pack(B, "r_c", layout=("j/16", "r", "j%16"))
    panels.align_storage("r", 64)
    panels.split("r", 12)
    panels.split("r_i", 8)
    panels.reorder("r_o", "r_i_o", "j", "r_i_i")
    panels.vectorize("r_i_i")
    panels.reverse("r_o")
    kernel, default = s.build(check=True), ps.Schedule(C).build()
    rng = np.random.default_rng(0)
    for rows, columns, terms in ((3, 5, 60), (3, 17, 61), (2, 40, 130)):
        a, b = rng.random((rows, terms), np.float32), rng.random((columns, terms), np.float32)
        np.testing.assert_array_equal(kernel(a, b), default(a, b))


def test_squares_at_the_edge_of_panels_are_transposed_as_a_whole() -> None:
    """Nothing is stored element by element, and there is one version for full and partial rows of squares."""
    m, k = ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((8, k), "float32", name="A"), ps.placeholder((m, k), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((8, m), lambda i, j: ps.sum(A[i, r] * B[j, r], axis=r), name="C")
    s = ps.Schedule(C)
    ps.recipes.gemm(s[C], ps.Target("x86-64-v4", threads=1))
    code = s.build(ps.Target("x86-64-v4", threads=1)).source("loops")
    stores = [line for line in code.splitlines() if line.lstrip().startswith("B_cache[")]
    assert len(stores) == 32 and not any(" where " in line for line in stores)


def test_a_tile_whose_ends_are_quotients_by_one_number_has_a_literal_bound() -> None:
    """(9 s + 11) // 15 is at most one more than (9 s + 8) // 15: there are at most two iterations."""
    s = Var("s")
    loop = For(Var("i"), s - (9 * s + 11) // 15, s - (9 * s + 8) // 15 + 1, Block(()), "vectorize")
    assert most_iterations(loop) == 2
    assert most_iterations(replace(loop, end=s - (9 * s + 8) // 14)) is None


def test_tails_of_many_vectors_are_no_deeper_than_python_goes() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "int64", name="A")
    B = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="B")
    s = ps.Schedule(B)
    outer, lane = s[B].split("j", 1024)
    s[B].reorder(lane, "i", outer)
    s[B].vectorize(lane)
    kernel = s.build("x86-64-v3")
    for size in (0, 1, 3, 31, 32, 33, 255, 256, 257, 1023, 1024, 1025):
        a = np.arange(2 * size).reshape(2, size)
        assert np.array_equal(kernel(a), a + 1)


def test_lanes_that_take_turns_at_one_sum_do_not_combine_what_is_rounded_alone() -> None:
    """The loop inside is skewed by the lanes, so that it has one lane in each iteration: the sum is in order, and each
    product is rounded with it, as without vectors."""
    n = ps.size_var("n")
    A, B = (ps.placeholder((n, n), "float64", name=name) for name in "AB")

    def product(i: ps.Size) -> object:
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(A[i, r] * B[i, r], axis=r)

    C = ps.compute((n,), product, name="C")
    s = ps.Schedule(C)
    s[C].split("r", 2)
    s[C].skew("r_i", 3, by="r_o")
    s[C].vectorize(s[C].split("r_o", 4)[1])
    a, b = np.random.default_rng(0).random((2, 23, 23))
    assert s.build()(a, b).tobytes() == ps.Schedule(C).build()(a, b).tobytes()
