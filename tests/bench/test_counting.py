"""The work that isl counts is what enumerating the instances gives."""

from __future__ import annotations

import itertools

import pytest

import polysched as ps
from polysched.polyhedral.cardinality import cardinality
from polysched.polyhedral.isl import World
from polysched.target.bench.counting import Work, count_work


def work(outputs: object, **sizes: int) -> Work:
    return count_work(ps.Schedule(outputs).program, sizes)


def symbols(*names: str) -> list[ps.Size]:
    return [ps.size_var(name) for name in names]


def test_matmul_is_2nmk_and_each_matrix_once() -> None:
    n, m, k = symbols("n", "m", "k")
    A, B = ps.placeholder((n, k), name="A"), ps.placeholder((k, m), name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    assert work(C, n=1000, m=2000, k=3000) == Work(12 * 10**9, 12 * 10**9, 4 * 9 * 10**6, 4 * 2 * 10**6)
    assert work(C, n=0, m=2, k=3) == Work(0, 0, 0, 0)


@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_triangle(n: int) -> None:
    (size,) = symbols("n")
    A = ps.placeholder((size, size), "float64", name="A")

    def row(i: object) -> object:
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(A[i, r] * A[r, i], axis=r)

    B = ps.compute((size,), row, name="B")
    instances = sum(i + 1 for i in range(n))
    elements = {(i, r) for i in range(n) for r in range(i + 1)}
    elements |= {(r, i) for i, r in elements}
    assert work(B, n=n) == Work(2 * instances, 2 * instances, 8 * len(elements), 8 * n)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 6), (9, 3)])
def test_guards_leave_out_operations_and_elements(n: int, m: int) -> None:
    N, M = symbols("n", "m")
    I, K = ps.placeholder((N, M), name="I"), ps.placeholder((3, 3), name="K")
    h, w = ps.reduce_axis((0, 3), name="h"), ps.reduce_axis((0, 3), name="w")

    def padded(i: object, j: object) -> object:
        inside = (i + h >= 1) & (i + h <= N) & (j + w >= 1) & (j + w <= M)
        return ps.sum(ps.select(inside, ps.sqrt(I[i + h - 1, j + w - 1]), 0.0) * K[h, w], axis=(h, w))

    C = ps.compute((N, M), padded, name="C")
    inside = sum(
        1 <= i + h <= n and 1 <= j + w <= m
        for i, j, h, w in itertools.product(range(n), range(m), range(3), range(3))
    )  # fmt: skip
    assert work(C, n=n, m=m) == Work(18 * n * m + inside, 18 * n * m + inside, 4 * (n * m + 9), 4 * n * m)


def test_strides_count_what_is_read() -> None:
    (n,) = symbols("n")
    A = ps.placeholder((5 * n,), "int32", name="A")
    B = ps.compute((n,), lambda i: A[5 * i] + A[5 * i + 1], name="B")
    assert work(B, n=100) == Work(0, 100, 800, 400)


def test_intermediates_cost_operations_and_no_bytes() -> None:
    (n,) = symbols("n")
    A = ps.placeholder((n + 2,), name="A")
    B = ps.compute((n + 1,), lambda i: A[i] + A[i + 1], name="B")
    C = ps.compute((n,), lambda i: ps.exp(B[i]) - B[i + 1], name="C")
    assert work(C, n=10) == Work(11 + 20, 31, 4 * 12, 4 * 10)
    assert work([C, B], n=10).bytes_written == 4 * 21


def test_candidates_of_argmax_are_comparisons() -> None:
    n, m = symbols("n", "m")
    A = ps.placeholder((n, m), name="A")
    r = ps.reduce_axis((0, m), name="r")
    B = ps.compute((n,), lambda i: ps.argmax(A[i, r], axis=r), name="B")
    assert work(B, n=3, m=5) == Work(15, 15, 60, 24)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("{ S[i, j, r] : 0 <= i < 4096 and 0 <= j < 4096 and 0 <= r < 4096 }", 4096**3),
        ("{ S[i, j, r] : 0 <= r <= i < 300 and 0 <= j < 400 }", 300 * 301 // 2 * 400),
        ("{ [i, j] : 0 <= i < 100 and 0 <= j < 50 or 90 <= i < 200 and 20 <= j < 70 }", 5000 + 5500 - 300),
        ("{ [a, b] : exists h, r : 0 <= h < 9 and 0 <= r < 3 and a = 5h + r and 0 <= b < 11 }", 27 * 11),
        ("{ [a] : exists h : a = 3h and 0 <= a <= 9 }", 4),
        ("{ [] : }", 1),
    ],
)  # fmt: skip
def test_points_of_a_set(text: str, count: int) -> None:
    world = World(())
    assert cardinality(_set(world, text), world, {}) == count


def _set(world: World, text: str) -> object:
    """The set as the range of a relation, which is what the gate reads."""
    return world.from_text(text.replace("{ ", "{ [] -> ", 1)).range()
