"""Every reduction on every type against NumPy, with ties, NaNs and empty ranges; compiled under two schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES
from polysched.compute.tensor import Tensor

ALL = pytest.mark.parametrize("name", DTYPES)
n, m = ps.size_var("n"), ps.size_var("m")
ORDERED = {"sum": np.sum, "prod": np.prod}
EXACT = {"min": np.min, "max": np.max, "any": np.any, "all": np.all, "argmin": np.argmin, "argmax": np.argmax}


def reduced(A: Tensor, names: Any) -> dict[str, Tensor]:
    """Each reduction over the second axis of A."""
    r = ps.reduce_axis((0, m), name="r")
    return {f: ps.compute((n,), lambda i, f=f: getattr(ps, f)(A[i, r], axis=r), name=f"{f}_of") for f in names}


def rows(lab: Any, name: str) -> Any:
    """Rows of few values, so that there are ties, and of edges: with NaN and infinity first, last and not at all."""
    t = DTYPES[name]
    random = np.random.default_rng(3)
    few = random.integers(0, 2 if name == "bool" else 4, (20, 13)).astype(t.numpy)
    every = random.choice(lab.edges(t)[1:] if t.is_float else lab.edges(t), (20, 13))
    if t.is_float:
        every[3:9] = few[3:9]
        for row, column in ((3, 0), (4, 12), (5, 4), (5, 9), (6, 7)):
            every[row, column] = np.nan
    return np.concatenate([few, every, np.full((2, 13), t.highest, t.numpy), np.full((2, 13), t.lowest, t.numpy)])


def numpy_value(name: str, array: Any) -> Any:
    with np.errstate(all="ignore"):
        if name in ORDERED:
            dtype = np.int64 if array.dtype == bool else array.dtype
            return ORDERED[name](array, axis=1, dtype=dtype)
        return EXACT[name](array, axis=1)


@ALL
def test_evaluate_gives_numpys_values(lab: Any, name: str) -> None:
    A = ps.placeholder((n, m), name, name="A")
    array = rows(lab, name)
    for operation, stage in reduced(A, (*ORDERED, *EXACT)).items():
        lab.assert_close(ps.evaluate(stage, {A: array}), numpy_value(operation, array), 0, operation)


def across(schedule: ps.Schedule) -> None:
    """Vectors of 16 rows, the reduction in order inside."""
    for stage in schedule.stages:
        outer, inner = schedule[stage].split("i", 16)
        schedule[stage].reorder(outer, "r", inner)
        schedule[stage].vectorize(inner)


def along(schedule: ps.Schedule) -> None:
    """Vectors of 4 accumulators, legal where the order does not matter."""
    for stage in schedule.stages:
        _, inner = schedule[stage].split("r", 4)
        schedule[stage].vectorize(inner)


@ALL
def test_compiled_reductions(lab: Any, name: str) -> None:
    A = ps.placeholder((n, m), name, name="A")
    array = rows(lab, name)
    outputs = list(reduced(A, (*ORDERED, *EXACT)).values())
    plain, vectors = lab.built(outputs, lab.default), lab.built(outputs, across)
    for shape in ((44, 13), (37, 7), (1, 1), (16, 0), (0, 5)):
        part = np.ascontiguousarray(array[: shape[0], : shape[1]])
        expected = ps.evaluate(outputs, {A: part})
        for stage, reference, a, b in zip(outputs, expected, plain(part), vectors(part), strict=True):
            lab.assert_same_bits(b, a, f"{stage.name} of {shape}, scheduled")
            if stage.dtype.is_float and stage.name in ("sum_of", "prod_of"):
                check_order(stage.name, part, a)
            else:
                lab.assert_close(a, reference, 0, f"{stage.name} of {shape}")


def check_order(name: str, part: Any, found: Any) -> None:
    """Sums and products of floats are accumulated in order, each step rounded to the type."""
    with np.errstate(all="ignore"):
        expected = np.full(len(part), name == "prod_of", part.dtype)
        for column in part.T:
            expected = expected + column if name == "sum_of" else expected * column
    assert np.array_equal(found, expected, equal_nan=True), name


@ALL
def test_reductions_of_any_order_in_vectors(lab: Any, name: str) -> None:
    A = ps.placeholder((n, m), name, name="A")
    array = rows(lab, name)
    free = ("min", "max", "any", "all", *(() if DTYPES[name].is_float else ORDERED))
    outputs = list(reduced(A, free).values())
    kernel = lab.built(outputs, along)
    for columns in (13, 4, 1, 0):
        part = np.ascontiguousarray(array[:, :columns])
        for stage, reference, found in zip(outputs, ps.evaluate(outputs, {A: part}), kernel(part), strict=True):
            lab.assert_close(found, reference, 0, f"{stage.name} of {columns} columns")


@pytest.mark.parametrize("name", ["float32", "int8", "bool"])
def test_empty_ranges(lab: Any, name: str) -> None:
    A = ps.placeholder((n, m), name, name="A")
    t = DTYPES[name]
    expected = {
        "sum": 0,
        "prod": 1,
        "min": t.highest,
        "max": t.lowest,
        "any": False,
        "all": True,
        "argmin": -1,
        "argmax": -1,
    }
    outputs = reduced(A, expected)
    kernel = lab.built(list(outputs.values()), lab.default)
    empty = np.zeros((3, 0), t.numpy)
    for operation, stage, found in zip(outputs, outputs.values(), kernel(empty), strict=True):
        wanted = np.full(3, expected[operation], stage.dtype.numpy)
        lab.assert_same_bits(ps.evaluate(stage, {A: empty}), wanted, operation)
        lab.assert_same_bits(found, wanted, operation)


@pytest.mark.parametrize("operation", ["argmin", "argmax"])
def test_positions_in_a_box(lab: Any, operation: str) -> None:
    """Over several axes it is the row-major position, as NumPy's of the flattened array."""
    A = ps.placeholder((n, m, 3), "float32", name="A")
    r, s, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, m), name="s"), ps.reduce_axis((0, 3), name="q")
    stage = ps.compute((), lambda: getattr(ps, operation)(A[r, s, q], axis=(r, s, q)), name="at")
    kernel = lab.built([stage], lab.default)
    random = np.random.default_rng(0)
    for shape in ((4, 5, 3), (1, 1, 3), (7, 2, 3)):
        array = random.integers(0, 9, shape).astype(np.float32)
        for _ in range(2):
            expected = getattr(np, operation)(array)
            assert ps.evaluate(stage, {A: array}) == expected == kernel(array)[()]
            array.flat[random.integers(array.size, size=2)] = np.nan
    empty = np.zeros((0, 5, 3), np.float32)
    assert ps.evaluate(stage, {A: empty}) == -1 == kernel(empty)[()]


def test_positions_do_not_depend_on_the_order_of_the_loops() -> None:
    A = ps.placeholder((n, m), "int32", name="A")
    r, s = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, m), name="s")
    stage = ps.compute((), lambda: ps.argmax(A[r, s], axis=(r, s)), name="at")
    schedule = ps.Schedule(stage)
    schedule[stage].reorder("s", "r")
    schedule[stage].reverse("r")
    kernel = ps.build(schedule)
    array = np.random.default_rng(0).integers(0, 3, (9, 7)).astype(np.int32)
    assert kernel(array)[()] == np.argmax(array)


def test_positions_start_where_the_axis_does(lab: Any) -> None:
    A = ps.placeholder((n,), "int32", name="A")

    def least(i: Any) -> Any:
        r = ps.reduce_axis((i, n), name="r")
        return ps.argmin(A[r], axis=r)

    stage = ps.compute((n,), least, name="at")
    array = np.array([3, 1, 2, 1, 5, 0, 7], np.int32)
    expected = [k + np.argmin(array[k:]) for k in range(7)]
    late = ps.reduce_axis((5, n), name="late")
    last = ps.compute((1,), lambda i: ps.argmax(A[late], axis=late), name="last")
    assert list(ps.evaluate(last, {A: array})) == [6] == list(lab.built([last], lab.default)(array))
    assert list(ps.evaluate(stage, {A: array})) == expected == list(lab.built([stage], lab.default)(array))


def test_triangles(lab: Any) -> None:
    """Bounds that depend on axes, and on other reduction axes."""
    A = ps.placeholder((n, n), "int64", name="A")

    def lower(i: Any) -> Any:
        r = ps.reduce_axis((0, i + 1), name="r")
        s = ps.reduce_axis((r, ps.minimum(2 * r + 1, n)), name="s")
        return ps.sum(A[r, s], axis=(r, s))

    def band(i: Any, j: Any) -> Any:
        r = ps.reduce_axis((ps.maximum(i, j), ps.minimum(i + 3, n)), name="r")
        return ps.max(A[i, r], axis=r)

    def steps(i: Any) -> Any:
        r = ps.reduce_axis((0, ps.select(i % 2 == 0, i // 2, n - i)), name="r")
        return ps.prod(A[r, i], axis=r)

    L = ps.compute((n,), lower, name="L")
    D = ps.compute((n, n), band, name="D")
    P = ps.compute((n,), steps, name="P")
    kernel = lab.built([L, D, P], lab.default)
    for size in (0, 1, 2, 7):
        a = np.random.default_rng(size).integers(-9, 9, (size, size))
        found = [
            np.array([sum(a[r, s] for r in range(i + 1) for s in range(r, min(2 * r + 1, size))) for i in range(size)]),
            [
                [max([a[i, r] for r in range(max(i, j), min(i + 3, size))], default=-(2**63)) for j in range(size)]
                for i in range(size)
            ],
            [np.prod([a[r, i] for r in range(size - i if i % 2 else i // 2)], dtype=np.int64) for i in range(size)],
        ]
        for stage, plain, reference, got in zip(
            (L, D, P), found, ps.evaluate([L, D, P], {A: a}), kernel(a), strict=True
        ):
            wanted = np.array(plain, np.int64).reshape(reference.shape)
            assert np.array_equal(reference, wanted) and np.array_equal(got, wanted), (stage.name, size)


def test_an_axis_inside_an_empty_one() -> None:
    A = ps.placeholder((n, m), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    s = ps.reduce_axis((0, r), name="s")
    stage = ps.compute((n,), lambda i: ps.sum(A[i, s], axis=(r, s)), name="stage")
    assert list(ps.evaluate(stage, {A: np.ones((2, 0), np.float32)})) == [0, 0]
    assert list(ps.evaluate(stage, {A: np.ones((2, 4), np.float32)})) == [6, 6]


def test_accumulators() -> None:
    r = ps.reduce_axis((0, 4), name="r")
    b, u, f = (ps.scalar(t[0], t) for t in ("bool", "uint8", "float32"))
    assert ps.sum(b, axis=r).dtype.name == ps.prod(b, axis=r).dtype.name == "int64"
    assert ps.sum(u, axis=r).dtype.name == "uint8" and ps.sum(u, axis=r, dtype="int32").dtype.name == "int32"
    assert ps.any(f, axis=r).dtype.name == ps.all(u, axis=r).dtype.name == "bool"
    assert ps.argmin(f, axis=r).dtype.name == "int64" and ps.max(b, axis=r).dtype.name == "bool"
    assert ps.sum(r, axis=r).dtype.name == "int64" and ps.sum(1, axis=r).dtype.name == "int64"
    assert not ps.sum(f, axis=r).reassociate and ps.sum(f, axis=r, reassociate=True).reassociate  # type: ignore[attr-defined]
    assert ps.sum(u, axis=r).reassociate and ps.min(f, axis=r).reassociate  # type: ignore[attr-defined]
