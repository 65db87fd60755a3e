"""rowwise: softmax, normalisations and reductions of rows, of any size and type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .agreement import agrees, some

SIZES = [(0, 3), (1, 1), (3, 5), (2, 64), (5, 67), (2, 81), (3, 131), (2, 201)]


def softmax(n: Any, m: Any, dtype: str = "float32") -> ps.Tensor:
    x = ps.placeholder((n, m), dtype, name="x")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    top = ps.compute((n,), lambda i: ps.max(x[i, r], axis=r), name="top")
    e = ps.compute((n, m), lambda i, j: ps.exp(x[i, j] - top[i]), name="e")
    total = ps.compute((n,), lambda i: ps.sum(e[i, q], axis=q, reassociate=True), name="total")
    return ps.compute((n, m), lambda i, j: e[i, j] / total[i], name="y")


def layernorm(n: Any, m: Any) -> ps.Tensor:
    """With the mean as a column of one element, as NumPy's keepdims, and a weight made before."""
    x, w = ps.placeholder((n, m), "float32", name="x"), ps.placeholder((m,), "float32", name="w")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    count = ps.cast("float32", m)
    mean = ps.compute((n, 1), lambda i, k: ps.sum(x[i, r], axis=r, reassociate=True), name="sums")
    centred = ps.compute((n, m), lambda i, j: x[i, j] - mean[i, 0] / count, name="centred")
    squares = ps.compute(
        (n,), lambda i: ps.sum(centred[i, q] * centred[i, q], axis=q, reassociate=True), name="squares"
    )
    gain = ps.compute((m,), lambda j: w[j] + 1, name="gain")
    return ps.compute((n, m), lambda i, j: centred[i, j] * ps.rsqrt(squares[i] / count + 1e-5) * gain[j], name="y")


def recipe(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.rowwise(s[s.stages[-1]], target)


@pytest.mark.parametrize("threads", [1, 2])
def test_softmax(threads: int) -> None:
    y = softmax(ps.size_var("n"), ps.size_var("m", min=1))
    s = agrees(y, recipe, [(some(1, shape, "float32"),) for shape in SIZES], threads=threads, tolerance=1e-6)
    assert ps.build(s, ps.Target("native", threads=1)).warnings == ()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float16", 2e-2)])
def test_softmax_of_fixed_sizes(dtype: str, tolerance: float) -> None:
    agrees(softmax(5, 75, dtype), recipe, [(some(2, (5, 75), dtype),)], tolerance=tolerance)


def test_exponentials_and_their_sum_are_made_in_one_loop() -> None:
    s = ps.Schedule(softmax(ps.size_var("n"), ps.size_var("m")))
    recipe(s, ps.Target("x86-64-v4", threads=1))
    assert 'e.compute_with("total", "q_i")' in s.commands


@pytest.mark.parametrize(("length", "rows"), [(1, 4), (16, 4), (17, 4), (64, 4), (100, 2), (200, 1)])
def test_so_many_rows_at_once(length: int, rows: int) -> None:
    s = ps.Schedule(softmax(7, length))
    recipe(s, ps.Target("x86-64-v4", threads=1))
    assert [c for c in s.commands if c.startswith("y.split") and '"i"' in c] == (
        [f'y.split("i", {rows}, outer="i_o", inner="i_i")'] if rows > 1 else []
    )


@pytest.mark.parametrize("length", [1, 5, 16, 17, 33, 64, 100, 300])
def test_short_rows_several_at_once(length: int) -> None:
    """Rows of a known length, of which the last tile of rows is partial."""
    calls = [(some(5, (7, length), "float32"),)]
    s = agrees(softmax(7, length), recipe, calls, tolerance=1e-6)
    assert ps.build(s, ps.Target("native", threads=1)).warnings == ()
    weights = (some(6, (7, length), "float32"), some(7, length, "float32"))
    agrees(layernorm(7, length), recipe, [weights], tolerance=1e-5)


def test_layernorm() -> None:
    y = layernorm(ps.size_var("n"), ps.size_var("m", min=1))
    calls = [(some(3, shape, "float32"), some(4, shape[1], "float32")) for shape in SIZES]
    s = agrees(y, recipe, calls, tolerance=1e-5)
    placed = [command for command in s.commands if "compute_at" in command]
    assert len(placed) == 3
    assert not any(command.startswith("gain") for command in placed)  # of no row: once, before all rows


@pytest.mark.parametrize(
    ("name", "dtype", "into"),
    [
        ("sum", "uint8", "int32"),
        ("sum", "int64", None),
        ("max", "float32", None),
        ("min", "float64", None),
        ("prod", "int16", None),
        ("sum", "float32", None),
    ],
)
def test_reductions_to_the_bit(name: str, dtype: str, into: str | None) -> None:
    """Integer sums and extrema in any order; a float sum that says nothing keeps its own."""
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    x, r = ps.placeholder((n, m, k), dtype, name="x"), ps.reduce_axis((0, k), name="r")
    options = {} if into is None else {"dtype": into}
    y = ps.compute((n, m), lambda i, j: getattr(ps, name)(x[i, j, r], axis=r, **options), name="y")
    calls = [(some(5, (2, *shape), dtype),) for shape in SIZES]
    s = agrees(y, recipe, calls, threads=2)
    assert any("vectorize" in command for command in s.commands) == (name != "sum" or dtype != "float32")


def test_the_best_of_each_row_and_two_axes_at_once() -> None:
    x = ps.placeholder((7, 9, 21), "int32", name="x")
    r, q = ps.reduce_axis((0, 9), name="r"), ps.reduce_axis((0, 21), name="q")
    sums = ps.compute((7,), lambda i: ps.sum(x[i, r, q], axis=(r, q)), name="sums")
    y = ps.compute((7, 9, 21), lambda i, j, k: x[i, j, k] * 9 - sums[i], name="y")
    agrees(y, recipe, [(some(6, (7, 9, 21), "int32"),)])
    p = ps.reduce_axis((0, 21), name="p")
    best = ps.compute((7, 9), lambda i, j: ps.argmax(x[i, j, p], axis=p), name="best")
    agrees(best, recipe, [(some(7, (7, 9, 21), "int32"),)])


def test_streaming_is_for_large_outputs() -> None:
    def streams(n: Any, m: Any, **options: Any) -> bool:
        s = ps.Schedule(softmax(n, m))
        ps.recipes.rowwise(s["y"], ps.Target("x86-64-v3", threads=1), **options)
        return any("y.store_streaming(" in command for command in s.commands)

    assert not streams(16, 16)
    assert streams(4096, 4096)
    assert streams(4096, 4095), "long rows are cut at cache lines"
    assert not streams(1 << 20, 255), "rows are short, and no whole cache lines"
    assert streams(ps.size_var("n"), 16)
    assert not streams(ps.size_var("n"), 16, streaming=False)


def test_short_rows_of_symbolic_length_are_several_at_once() -> None:
    def conditions(output: ps.Tensor) -> list[str]:
        s = ps.Schedule(output)
        ps.recipes.rowwise(s[output], ps.Target("x86-64-v4", threads=1))
        return [command for command in s.commands if "specialize" in command and command.count(".") == 1]

    n, m = ps.size_var("n"), ps.size_var("m")
    assert conditions(softmax(n, m)) == ['y.specialize("m <= 64")', 'y.specialize("m <= 192")']
    assert conditions(softmax(n, ps.size_var("m", min=100))) == ['y.specialize("m <= 192")']
    assert conditions(softmax(n, ps.size_var("m", min=500))) == []
    assert conditions(softmax(n, 1000)) == []


def test_sums_of_several_rows_begin_before_their_loops() -> None:
    """And not in the first of the pieces, for which all loops would be written once more."""
    n, m = ps.size_var("n"), ps.size_var("m")
    recipe(s := ps.Schedule(softmax(n, m)), ps.Target("x86-64-v4", threads=1))
    loops = s.build(ps.Target("x86-64-v4", threads=1)).source("loops")
    assert "top[3] = -inf" in loops
    assert "if r_o == 0" not in loops and "if q_o == 0" not in loops


def test_rows_of_one_sum_are_several_at_once_if_they_are_very_short() -> None:
    def at_once(length: int) -> int:
        x, r = ps.placeholder((99, length), "float32", name="x"), ps.reduce_axis((0, length), name="r")
        squares = ps.compute((99,), lambda i: ps.sum(x[i, r] * x[i, r], axis=r, reassociate=True), name="squares")
        recipe(
            s := ps.Schedule(ps.compute((99, length), lambda i, j: x[i, j] * squares[i], name="y")),
            ps.Target("x86-64-v4", threads=1),
        )
        found = [command for command in s.commands if command.startswith('y.split("i"')]
        return int(found[0].split(", ")[1]) if found else 1

    assert [at_once(length) for length in (32, 33, 64, 100)] == [4, 1, 1, 1]


def test_rows_are_fetched_ahead() -> None:
    def fetches(output: ps.Tensor) -> list[str]:
        s = ps.Schedule(output)
        ps.recipes.rowwise(s[output], ps.Target("x86-64-v3", threads=1))
        return [command for command in s.commands if "prefetch" in command]

    assert fetches(softmax(4096, 256)) == ['y.prefetch("x", distance=8, at="i", by="i")']
    assert fetches(softmax(4096, 3000)) == ['y.prefetch("x", distance=1, at="i", by="i")']
    assert fetches(softmax(64, 64)) == [], "it stays in the cache"
    x, r = ps.placeholder((4096, 4096), "float32", name="x"), ps.reduce_axis((0, 4096), name="r")
    assert fetches(ps.compute((4096,), lambda i: ps.max(x[i, r], axis=r), name="top")) == [], "one stream"


def test_columns_are_refused() -> None:
    x, r = ps.placeholder((8, 9), "float32", name="x"), ps.reduce_axis((0, 8), name="r")
    top = ps.compute((9,), lambda j: ps.max(x[r, j], axis=r), name="top")
    y = ps.compute((8, 9), lambda i, j: x[i, j] - top[j], name="y")
    s = ps.Schedule(y)
    with pytest.raises(ps.ScheduleError, match="reduce over the last axes of what is read"):
        ps.recipes.rowwise(s[y])
    assert s.commands == ()


def test_parts_that_others_read_are_refused() -> None:
    x, r = ps.placeholder((8, 9), "float32", name="x"), ps.reduce_axis((0, 9), name="r")
    top = ps.compute((8,), lambda i: ps.max(x[i, r], axis=r), name="top")
    y = ps.compute((8, 9), lambda i, j: x[i, j] - top[i], name="y")
    z = ps.compute((8,), lambda i: top[i] * 2, name="z")
    s = ps.Schedule([y, z])
    with pytest.raises(
        ps.ScheduleError, match="top is read by z, too; define it twice, once for each of them, or give"
    ):
        ps.recipes.rowwise(s[y])
    assert s.commands == ()


def test_a_single_number_is_refused() -> None:
    x, r = ps.placeholder((8,), "float32", name="x"), ps.reduce_axis((0, 8), name="r")
    s = ps.Schedule(ps.compute((), lambda: ps.max(x[r], axis=r), name="y"))
    with pytest.raises(ps.ScheduleError, match="rfactor and vectorize"):
        ps.recipes.rowwise(s["y"])


def test_softmax_is_softmax() -> None:
    x = some(8, (6, 50), "float32")
    s = ps.Schedule(softmax(6, 50))
    ps.recipes.rowwise(s["y"])
    e = np.exp(x.astype("float64") - x.max(1, keepdims=True))
    np.testing.assert_allclose(ps.build(s)(x), e / e.sum(1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_columns_are_reduced_in_order_a_row_at_a_time(threads: int) -> None:
    b, n, m = ps.size_var("b"), ps.size_var("n"), ps.size_var("m")
    x, r = ps.placeholder((b, n, m), "float32", name="x"), ps.reduce_axis((0, n), name="r")
    y = ps.compute((b, m), lambda k, j: ps.sum(x[k, r, j], axis=r), name="y")
    shapes = [(1, 0, 3), (2, 1, 1), (3, 7, 45), (1, 9, 1700)]
    s = agrees(y, recipe, [(some(3, shape, "float32"),) for shape in shapes], threads=threads)
    assert ps.build(s, ps.Target("native", threads=threads)).warnings == ()


def test_rows_and_columns_of_a_matrix_are_reduced_into_what_is_of_neither() -> None:
    n, m = ps.size_var("n", min=1), ps.size_var("m")
    x = ps.placeholder((n, 3, m), "int8", name="x")
    r, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, 3), name="q")
    y = ps.compute((m,), lambda j: ps.max(x[r, q, j], axis=(r, q)), name="y")
    agrees(y, recipe, [(some(4, shape, "int8"),) for shape in [(1, 3, 1), (5, 3, 0), (6, 3, 333)]], threads=2)
