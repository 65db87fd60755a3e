"""gemm: products of any size and type, transposed or not, alone or with what is done to each element after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .agreement import agrees, some

SIZES = [(1, 1, 1), (5, 0, 3), (6, 33, 65), (13, 31, 17), (29, 70, 9)]
# Blocks so small that every loop runs more than once and has a tail.
SMALL: dict[str, int] = {"mr": 3, "nr": 16, "kc": 8, "mc": 6, "nc": 32}


def product(n: Any, m: Any, k: Any, dtype: str = "float32", into: str | None = None, order: str = "nn") -> ps.Tensor:
    """C[i, j] of operands stored as they are (n) or transposed (t)."""
    A = ps.placeholder((n, k) if order[0] == "n" else (k, n), dtype, name="A")
    B = ps.placeholder((k, m) if order[1] == "n" else (m, k), dtype, name="B")
    r = ps.reduce_axis((0, k), name="r")

    def term(i: Any, j: Any) -> Any:
        a, b = A[i, r] if order[0] == "n" else A[r, i], B[r, j] if order[1] == "n" else B[j, r]
        return a * b if into is None else ps.cast(into, a) * ps.cast(into, b)

    return ps.compute((n, m), lambda i, j: ps.sum(term(i, j), axis=r), name="C")


def small(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.gemm(s[s.stages[-1]], target, **SMALL)


def by_target(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.gemm(s[s.stages[-1]], target)


def operands(n: int, m: int, k: int, dtype: str = "float32", order: str = "nn") -> tuple[Any, Any]:
    shapes = (n, k) if order[0] == "n" else (k, n), (k, m) if order[1] == "n" else (m, k)
    return some(1, shapes[0], dtype), some(2, shapes[1], dtype)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("recipe", [small, by_target])
def test_symbolic_sizes(recipe: Any, threads: int) -> None:
    C = product(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    agrees(C, recipe, [operands(*shape) for shape in SIZES], threads=threads)


@pytest.mark.parametrize("order", ["nt", "tn", "tt"])
def test_transposed_operands(order: str) -> None:
    C = product(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"), order=order)
    agrees(C, small, [operands(*shape, order=order) for shape in SIZES[2:]])


@pytest.mark.parametrize(
    ("dtype", "into"), [("float64", None), ("int8", "int32"), ("float16", None), ("float16", "float32")]
)
def test_types(dtype: str, into: str | None) -> None:
    agrees(product(13, 37, 21, dtype, into), small, [operands(13, 37, 21, dtype)])


# Rows and columns of one, operands that are packed and that are not: rows of 4096 bytes meet in one set of a cache.
FIXED = [*SIZES[2:], (1, 70, 40), (70, 1, 40), (33, 2, 70), (50, 8, 21), (3, 300, 20), (20, 33, 1024), (17, 1024, 30)]


@pytest.mark.parametrize("order", ["nn", "nt", "tn"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dot_products(dtype: str, order: str) -> None:
    """Terms in groups, the last of which is not full; also for sizes that are not known."""
    C = product(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"), dtype, "int32", order)
    agrees(C, small, [operands(*shape, dtype, order) for shape in SIZES[2:]])


@pytest.mark.parametrize("k", [3, 64, 70])
def test_dot_products_of_fixed_sizes(k: int) -> None:
    agrees(product(14, 40, k, "int8", "int32"), by_target, [operands(14, 40, k, "int8")])


@pytest.mark.parametrize("order", ["nn", "tt"])
def test_few_columns_of_many_rows(order: str) -> None:
    """Rows are in lanes."""
    n, k = ps.size_var("n"), ps.size_var("k")
    cases = [operands(*shape, order=order) for shape in [(1, 3, 1), (70, 3, 33), (200, 3, 20)]]
    agrees(product(n, 3, k, order=order), by_target, cases)
    agrees(product(70, 1, 30, "int8", "int32", order), by_target, [operands(70, 1, 30, "int8", order)])


def test_one_column_of_sums_in_any_order() -> None:
    """The terms of a row are in lanes, which the order of a sum does not allow."""
    n, k = ps.size_var("n"), ps.size_var("k")
    A, B, r = ps.placeholder((n, k), name="A"), ps.placeholder((k, 1), name="B"), ps.reduce_axis((0, k), name="r")
    for free in (True, False):
        C = ps.compute((n, 1), lambda i, j, f=free: ps.sum(A[i, r] * B[r, j], axis=r, reassociate=f), name="C")
        s = ps.Schedule(C)
        ps.recipes.gemm(s[C], ps.Target("native", threads=1))
        assert (s[C].loops[-1].startswith("r")) == free
        kernel = s.build()
        for rows, terms in ((0, 3), (1, 1), (7, 100), (3, 0)):
            a, b = some(1, (rows, terms), "float32"), some(2, (terms, 1), "float32")
            np.testing.assert_allclose(kernel(a, b), a.astype("float64") @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_few_rows_of_symbolic_sizes(threads: int) -> None:
    """They have a schedule of their own, which packs nothing; where rows are promised to be many there is none."""
    m, k = ps.size_var("m"), ps.size_var("k")
    few = [
        operands(*shape)
        for shape in [(1, 70, 40), (6, 64, 9), (7, 33, 1), (18, 130, 20), (19, 65, 33), (40, 65, 9), (4, 0, 3)]
    ]
    s = agrees(product(ps.size_var("n"), m, k), by_target, few, threads=threads)
    (branch,) = s.branches
    assert branch.words.startswith("(n <= ") and "(k <= " in branch.words
    assert [stage.name for stage in branch.schedule.program.live_stages()] == ["C"]
    many = ps.Schedule(product(ps.size_var("n", min=64), m, k))
    by_target(many, ps.Target("native", threads=1))
    assert not many.branches
    for terms, most in ((40, 36), (10**6, 24)):  # six tiles of six rows, three of eight
        s = ps.Schedule(product(ps.size_var("n"), m, terms))
        by_target(s, ps.Target("x86-64-v4", threads=1))
        assert s.branches[0].words == f"n <= {most}"


def test_few_columns_with_an_epilogue() -> None:
    C = product(90, 4, 35)
    bias = ps.placeholder((4,), "float32", name="bias")
    D = ps.compute((90, 4), lambda i, j: ps.maximum(C[i, j] + bias[j], 0.0), name="D")
    agrees(D, by_target, [(*operands(90, 4, 35), some(5, (4,), "float32"))])


@pytest.mark.parametrize("shape", FIXED)
def test_fixed_sizes(shape: tuple[int, int, int]) -> None:
    agrees(product(*shape), by_target, [operands(*shape)])


def test_the_product_is_the_product() -> None:
    s = ps.Schedule(product(29, 70, 33))
    ps.recipes.gemm(s["C"], **SMALL)
    a, b = operands(29, 70, 33)
    np.testing.assert_allclose(ps.build(s)(a, b), a.astype("float64") @ b, rtol=1e-4, atol=1e-5)


def test_axes_in_front() -> None:
    n, k = ps.size_var("n"), ps.size_var("k")
    A, B = ps.placeholder((3, n, k), "float32", name="A"), ps.placeholder((3, k, 20), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((3, n, 20), lambda b, i, j: ps.sum(A[b, i, r] * B[b, r, j], axis=r), name="C")
    agrees(C, small, [(some(3, (3, x, y), "float32"), some(4, (3, y, 20), "float32")) for x, y in [(1, 1), (11, 19)]])


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_times_itself(transposed: bool) -> None:
    n, k = ps.size_var("n"), ps.size_var("k")
    A, r = ps.placeholder((k, n) if transposed else (n, k), "float32", name="A"), ps.reduce_axis((0, k), name="r")

    def term(i: Any, j: Any) -> Any:
        return A[r, i] * A[r, j] if transposed else A[i, r] * A[j, r]

    C = ps.compute((n, n), lambda i, j: ps.sum(term(i, j), axis=r), name="C")
    agrees(C, small, [(some(1, shape[::-1] if transposed else shape, "float32"),) for shape in [(1, 1), (35, 20)]])


def biased(n: Any, m: Any, k: Any) -> ps.Tensor:
    bias = ps.placeholder((m,), "float32", name="bias")
    C = product(n, m, k)
    added = ps.compute((n, m), lambda i, j: C[i, j] + bias[j], name="added")
    return ps.compute((n, m), lambda i, j: ps.gelu(added[i, j], "tanh"), name="D")


@pytest.mark.parametrize("threads", [1, 2])
def test_bias_and_gelu(threads: int) -> None:
    D = biased(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    calls = [(some(5, m, "float32"), *operands(n, m, k)) for n, m, k in SIZES]
    s = agrees(D, small, calls, threads=threads)
    assert [stage.name for stage in s.program.live_stages() if stage.name == "added"] == []


def test_what_is_no_product_is_refused() -> None:
    A, r = ps.placeholder((8, 9), "float32", name="A"), ps.reduce_axis((0, 9), name="r")
    sums = ps.Schedule(ps.compute((8,), lambda i: ps.sum(A[i, r], axis=r), name="S"))
    with pytest.raises(ps.ScheduleError, match=r"sums of products A\[i, r\] \* B\[r, j\] over one axis r"):
        ps.recipes.gemm(sums["S"])
    copy = ps.Schedule(ps.compute((8, 9), lambda i, j: A[i, j] + 1, name="T"))
    with pytest.raises(ps.ScheduleError, match="T is none"):
        ps.recipes.gemm(copy["T"])
    assert sums.commands == copy.commands == ()


@pytest.mark.parametrize("threads", [1, 2])
def test_one_operand_for_both(threads: int) -> None:
    n, k = ps.size_var("n"), ps.size_var("k")
    A, r = ps.placeholder((n, k), "float32", name="A"), ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, n), lambda i, j: ps.sum(A[i, r] * A[j, r], axis=r), name="C")
    agrees(C, by_target, [(some(1, shape, "float32"),) for shape in [(1, 1), (37, 29), (130, 9)]], threads=threads)
