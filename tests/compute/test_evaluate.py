"""The reference against NumPy written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m", min=1)
p = ps.size_var("p", min=1)
A = ps.placeholder((n, m), "float32", name="A")
V = ps.placeholder((p,), "float64", name="V")
at = ps.placeholder((n,), "int32", name="at")
wide = ps.placeholder((n,), "uint64", name="wide")
byte = ps.placeholder((n,), "uint8", name="byte")
table = ps.placeholder((256,), "int16", name="table")
x, flag = ps.scalar("x", "float32"), ps.scalar("flag", "bool")
Z = ps.placeholder((), "float64", name="Z")

DEFINITIONS: list[tuple[Any, Callable[[], Any], Callable[..., Any]]] = [
    ((n, m), lambda: lambda i, j: A[i, j] * x + 1, lambda d: d["A"] * d["x"] + np.float32(1)),
    ((m, n), lambda: lambda i, j: A[j, i], lambda d: d["A"].T),
    ((n, m), lambda: lambda i, j: A[n - 1 - i, m - 1 - j], lambda d: d["A"][::-1, ::-1]),
    (
        (n, m),
        lambda: lambda i, j: A[i, (j + 1) % m] if False else A[i, ps.select(j + 1 < m, j + 1, 0)],
        lambda d: np.roll(d["A"], -1, 1),
    ),
    (
        (n, m),
        lambda: lambda i, j: ps.select(j > 0, A[i, j - 1], 0.0),
        lambda d: np.pad(d["A"], ((0, 0), (1, 0)))[:, :-1],
    ),
    (
        (n, m),
        lambda: lambda i, j: ps.select((j > 0) & (j < m - 1), A[i, j - 1] + A[i, j + 1], A[i, j]),
        lambda d: _stencil(d["A"]),
    ),
    (
        (p,),
        lambda: lambda i: V[ps.clamp(i - 2, 0, p - 1)],
        lambda d: d["V"][np.clip(np.arange(len(d["V"])) - 2, 0, None)],
    ),
    ((n,), lambda: lambda i: V[ps.clamp(at[i], 0, p - 1)], lambda d: d["V"][np.clip(d["at"], 0, len(d["V"]) - 1)]),
    (
        (n,),
        lambda: lambda i: V[ps.clamp(wide[i], 0, p - 1)],
        lambda d: d["V"][np.minimum(d["wide"], len(d["V"]) - 1).astype(int)],
    ),
    ((n,), lambda: lambda i: V[ps.checked(at[i])] * 2, lambda d: d["V"][d["at"]] * 2),
    ((n,), lambda: lambda i: table[byte[i]], lambda d: d["table"][d["byte"]]),
    ((n,), lambda: lambda i: ps.select(flag, i, -i), lambda d: np.arange(len(d["A"])) * (1 if d["flag"] else -1)),
    (
        (n, m),
        lambda: lambda i, j: (i * 3 + j) // 2 - i % 3,
        lambda d: _grid(d["A"], lambda i, j: (i * 3 + j) // 2 - i % 3),
    ),
    (
        (n, m),
        lambda: lambda i, j: ps.cast("int8", A[i, j] * 100),
        lambda d: np.trunc(np.clip(d["A"] * 100, -128, 127)).astype(np.int8),
    ),
    ((), lambda: lambda: Z[()] * 2 + x, lambda d: d["Z"] * 2 + np.float64(d["x"])),
    ((3,), lambda: lambda i: Z[()] + i, lambda d: d["Z"] + np.arange(3)),
    ((n * 2, 1), lambda: lambda i, j: A[i // 2, 0 * j], lambda d: np.repeat(d["A"][:, :1], 2, 0)),
    ((n, m), lambda: lambda i, j: 7, lambda d: np.full(d["A"].shape, 7)),
    ((n, m), lambda: lambda i, j: ps.isnan(A[i, j]) | ~(A[i, j] < x), lambda d: np.isnan(d["A"]) | ~(d["A"] < d["x"])),
    ((), lambda: lambda: _reduce(ps.sum), lambda d: d["A"].sum(dtype=np.float64).astype(np.float32)),
    ((n,), lambda: lambda i: _rows(ps.max, i), lambda d: d["A"].max(axis=1)),
    ((n,), lambda: lambda i: _rows(ps.argmax, i), lambda d: d["A"].argmax(axis=1)),
]


def _reduce(how: Any) -> Any:
    r, s = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, m), name="s")
    return how(A[r, s], axis=(r, s))


def _rows(how: Any, i: Any) -> Any:
    s = ps.reduce_axis((0, m), name="s")
    return how(A[i, s], axis=s)


def _stencil(a: Any) -> Any:
    result = a.copy()
    result[:, 1:-1] = a[:, :-2] + a[:, 2:]
    return result


def _grid(a: Any, function: Any) -> Any:
    return function(*np.ogrid[: a.shape[0], : a.shape[1]])


def data(rows: int, columns: int, length: int) -> dict[str, Any]:
    random = np.random.default_rng(rows * 100 + columns)
    values: dict[str, Any] = {
        "A": random.standard_normal((rows, columns)).astype(np.float32),
        "V": random.standard_normal(length),
    }
    values |= {
        "at": random.integers(0, length, rows).astype(np.int32),
        "wide": random.choice(np.array([0, 1, length, 2**63, 2**64 - 1], np.uint64), rows),
    }
    values |= {
        "byte": random.integers(0, 256, rows).astype(np.uint8),
        "table": random.integers(-99, 99, 256).astype(np.int16),
    }
    return {**values, "x": np.float32(0.3), "flag": bool(rows % 2), "Z": np.array(2.5)}


@pytest.mark.parametrize("number", range(len(DEFINITIONS)))
def test_definitions(number: int) -> None:
    """And what is compiled gives the same."""
    shape, make, by_hand = DEFINITIONS[number]
    stage = ps.compute(shape, make(), name="C")
    keys = {"A": A, "V": V, "at": at, "wide": wide, "byte": byte, "table": table, "x": x, "flag": flag, "Z": Z}
    schedule = ps.Schedule(stage, args=list(keys.values()))
    kernel = ps.build(schedule)
    for sizes in ((5, 7, 3), (1, 1, 1), (0, 4, 2), (16, 33, 20)):
        values = data(*sizes)
        expected = np.asarray(by_hand(values))
        found = ps.evaluate(stage, {keys[name]: value for name, value in values.items()} | {n: sizes[0], m: sizes[1]})
        assert found.dtype == stage.dtype.numpy and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        compiled = kernel(**values)
        np.testing.assert_allclose(compiled, found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 1000, 5003])
def test_large_grids_are_cut_into_slabs(rows: int) -> None:
    """A product with more values than fit a slab, and a plain stage of several slabs."""
    r = ps.reduce_axis((0, m), name="r")
    B = ps.placeholder((m, 31), "int64", name="B")
    C = ps.placeholder((n, m), "int64", name="C")
    product = ps.compute((n, 31), lambda i, j: ps.sum(C[i, r] * B[r, j], axis=r), name="product")
    moved = ps.compute((n, m), lambda i, j: C[i, j] + i, name="moved")
    random = np.random.default_rng(0)
    c, b = random.integers(-9, 9, (rows, 41)), random.integers(-9, 9, (41, 31))
    found = ps.evaluate([product, moved], {C: c, B: b})
    assert np.array_equal(found[0], c @ b) and np.array_equal(found[1], c + np.arange(rows)[:, None])


def test_chains_and_several_outputs() -> None:
    one = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="one")
    two = ps.compute((n, m), lambda i, j: one[i, j] * one[i, j], name="two")
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(ps.evaluate(two, {A: a}), (a + 1) ** 2)
    second, first = ps.evaluate([two, one], {A: a})
    assert np.array_equal(first, a + 1) and np.array_equal(second, first**2)


def test_shared_nodes_are_evaluated_once() -> None:
    def iterated(i: Any) -> Any:
        value = V[i]
        for _ in range(40):
            value = value * value + V[i]
        return value

    assert list(ps.evaluate(ps.compute((p,), iterated, name="C"), {V: np.array([0.0, -1.0])})) == [0, -1]


def test_only_what_a_guard_lets_through_is_checked() -> None:
    stage = ps.compute((n,), lambda i: ps.select(at[i] >= 0, V[ps.checked(at[i])], -1.0), name="C")
    given = {V: np.array([5.0, 6.0]), at: np.array([-7, 1, -1, 0], np.int32)}
    assert list(ps.evaluate(stage, given)) == [-1, 6, -1, 5] == list(ps.build(ps.Schedule(stage))(given[V], given[at]))
    given[at][2] = 2
    with pytest.raises(ps.BoundsError, match=r"checked\(at\[i\]\) is 2 at run time, outside 0..p - 1"):
        ps.evaluate(stage, given)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "evaluate has no value for A"),
        ({A: np.zeros((2, 3))}, "A is float32, and its array is float64"),
        ({A: np.zeros(3, np.float32)}, "A has 2 dimensions, and its array has 1"),
        ({A: np.zeros((2, 0), np.float32)}, "m is 0 from dimension 1 of A; it must be at least 1"),
        (
            {A: np.zeros((2, 2), np.float32), n: 3},
            "A has the shape (2, 2); its dimension 0 must be n = 3 (n is 3 as given)",
        ),
        ({A: np.zeros((2, 2), np.float32)}, "evaluate has no value for the scalar x"),
        ({A: np.zeros((2, 2), np.float32), x: "one"}, "x is float32, and cannot be 'one'"),
        ({"A": np.zeros((2, 2), np.float32)}, "evaluate takes {tensor, scalar or size: value}, not a key 'A'"),
    ],
)
def test_wrong_inputs(inputs: Any, text: str) -> None:
    stage = ps.compute((n, m), lambda i, j: A[i, j] * x, name="C")
    with pytest.raises(ps.ArgumentError) as error:
        ps.evaluate(stage, inputs)
    assert error.value.reason == text and error.value.location is not None and error.value.location.file == __file__


def test_scalars_are_checked() -> None:
    small = ps.scalar("small", "int8")
    stage = ps.compute((), lambda: small + 1, name="C")
    assert ps.evaluate(stage, {small: 127}) == -128
    with pytest.raises(ps.ArgumentError, match="small is int8, and cannot be 128"):
        ps.evaluate(stage, {small: 128})


def test_sizes_that_no_array_gives() -> None:
    stage = ps.compute((n, 2), lambda i, j: i + j, name="C")
    assert ps.evaluate(stage, {n: 2}).tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ps.ArgumentError, match="no array has a shape that determines n; give a value, as in n=8"):
        ps.evaluate(stage, {})
