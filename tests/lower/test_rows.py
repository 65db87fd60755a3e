"""Long vector loops run as rows of vectors: what becomes of them, and the same bits for every place and length."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

LANES = ps.Target("x86-64-v3").vector_bits // 32


def kernel(extent: int, offset: int) -> ps.Kernel:
    n = ps.size_var("n")
    A = ps.placeholder((n + 9,), "float32", name="A")
    t, i = ps.axes("t i")
    B = ps.recurrence((2, n), "float32", name="B")
    B[0, i] = A[i + offset]
    B.define((t + 1, i), 2 * B[t, i] + A[i], where=i % 2 == 0)
    B.define((t + 1, i), 3 * B[t, i] - A[i + 1], where=i % 2 == 1)
    s = ps.Schedule(B)
    if offset:
        s[B].skew("i", offset, by="t")
    s[B].split("i", extent, outer="io", inner="ii")
    s[B].vectorize("ii")
    return s.build(check=True)


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_every_length_and_place(offset: int) -> None:
    long, short = kernel(512, offset), kernel(4, offset)
    for n in (0, 1, 2, 15, 16, 17, 31, 33, 64, 511, 512, 513, 1030):
        a = np.random.default_rng(n).standard_normal(n + 9).astype(np.float32)
        np.testing.assert_array_equal(long(a, n=n), short(a, n=n))


def loops(extent: int, *marks: str) -> str:
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    B = ps.compute((n, n), lambda i, j: A[i, j] + 1, name="B")
    s = ps.Schedule(B)
    s[B].split("j", extent, outer="jo", inner="ji")
    for word in marks:
        getattr(s[B], word)("ji")
    return s.build(ps.Target("x86-64-v3")).source("loops")


def test_a_long_loop_is_a_row_and_a_short_one_is_written_out() -> None:
    long, short = loops(64 * LANES, "vectorize"), loops(4 * LANES, "vectorize")
    assert f"for ji_v in 0..max(ji_end // {LANES}, 0):" in long
    assert long.count("B[") == 2, "the whole vectors, and one after the last; the first one is known to be whole"
    assert "ji_v" not in short


def test_stores_are_aligned_to_the_row_in_memory() -> None:
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float32", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float32", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + 1.0
    s = ps.Schedule(u)
    s[u].skew("i", 3, by="t")
    s[u].split("i", 1024, outer="io", inner="ii")
    s[u].vectorize("ii")
    kernel = s.build(ps.Target("x86-64-v3"))
    text = kernel.source("loops")
    assert f"ii_first = {LANES} * ((ii_begin + {LANES - 1}) // {LANES})" in text  # counted by places in memory
    assert "ii_begin = max(1024 * io - 3 * t, 0)" in text
    a = np.random.default_rng(1).random(1500, np.float32)
    np.testing.assert_array_equal(kernel(a, T=7), ps.Schedule(u).build()(a, T=7))


@pytest.mark.parametrize("level", ["x86-64-v3", "x86-64-v4"])
def test_a_row_at_the_boundary_of_planes_has_one_loop_where_masked_vectors_are_as_fast(level: str) -> None:
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float32", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, n), "float32", name="u")
    u[0, i, j] = A[i, j]
    u[t + 1, i + 1, j] = u[t, i, j] * 0.5 + 1.0
    u[t + 1, 0, j] = u[t, 0, j] + 3.0
    final = u[T]
    s = ps.Schedule(final)
    s[u].split("j", 1024, outer="jo", inner="ji")
    s[u].vectorize("ji")
    s[u].fold_storage("t", 2)
    target = ps.Target(level)
    text = s.build(target).source("loops")
    stores = [line.split(" = ")[0].strip() for line in text.splitlines() if " = " in line]
    assert sum(store.startswith("u[t % 2, 0, ") for store in stores) == (1 if target.has_mask_registers else 2)
    assert sum(store.startswith("u[t % 2, i, ") for store in stores) == 2, "whole vectors, and one after the last"
    assert sum(store.startswith("u[0, i, ") for store in stores) == 2, "the first plane is no boundary"
    kernel = s.build(check=True)
    for size in (1, 7, 8, 9, 65):
        a = np.random.default_rng(size).random((size, size), np.float32)
        np.testing.assert_array_equal(kernel(a, T=5), ps.evaluate(final, {A: a, T: 5}))


def test_every_other_element_of_a_long_row() -> None:
    """Elements that are not side by side are in a loop of vectors, too, from where their row begins."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float32", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float32", name="u")
    u[0, i] = A[i]
    u.define((t + 1, i), u[t, i], where=(i == 0) | (i == n - 1))
    inside = (i > 0) & (i < n - 1)
    u.define((t + 1, i), 0.5 * (u[t, i - 1] + u[t, i + 1]), where=inside & (i % 2 == 0))
    u.define((t + 1, i), 0.5 * (u[t + 1, i - 1] + u[t + 1, i + 1]), where=inside & (i % 2 == 1))
    s = ps.Schedule(u[T])
    s[u].split("i", 1024, outer="io", inner="ii")
    s[u].vectorize("ii")
    kernel = s.build(check=True)
    stores = [line for line in kernel.source("loops").splitlines() if line.strip().startswith("u[t, ")]
    assert len(stores) < 20, "some vectors a statement, and not 128"
    for size in (*range(1, 70), 1023, 1024, 1025, 2050):
        a = np.random.default_rng(size).random(size, np.float32)
        wanted = a.copy()
        for _ in range(3):
            wanted[2:-1:2] = np.float32(0.5) * (wanted[1:-2:2] + wanted[3::2])
            wanted[1:-1:2] = np.float32(0.5) * (wanted[0:-2:2] + wanted[2::2])
        np.testing.assert_array_equal(kernel(a, T=3), wanted)
