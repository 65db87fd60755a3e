"""Columns beside each other are loaded as the rows of a tile, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Size, const
from polysched.compute.operations import apply
from polysched.lower.ir import If, Load, Stmt, Store

n = Size("n")
ROWS, COLUMNS = 70, 90


def columns(lab: Any, x: Any, out: Any, lanes: int, order: Any) -> list[Stmt]:
    """out[column, lane] = x[lane + 3, column + 5]."""
    return [Store(out, (const(u), lab.ramp(0, lanes)), Load(x, (lab.ramp(3, lanes), const(u + 5)))) for u in order]


def gathers(lab: Any, body: list[Stmt], arrays: Any) -> int:
    return len(
        [line for line in lab.emit(body, arrays, (n,)).text.splitlines() if "= call" in line and "gather" in line]
    )


@pytest.mark.parametrize("machine", ["NATIVE", "BASELINE"])
@pytest.mark.parametrize("name", ["int8", "bool", "float16", "float32", "float64"])
def test_every_element_is_in_its_place(lab: Any, name: str, machine: str) -> None:
    random = np.random.default_rng(3)
    values = random.integers(0, 2 if name == "bool" else 100, (ROWS, COLUMNS)).astype(DTYPES[name].numpy)
    sides = [lanes for lanes in (2, 4, 8, 16, 32, 64) if lanes * DTYPES[name].bits <= 512]
    x = lab.array("x", name, ROWS, n)
    outs = [lab.array(f"out{lanes}", name, lanes, lanes, output=True) for lanes in sides]
    body = [
        store
        for lanes, (_, out) in zip(sides, outs, strict=True)
        for store in columns(lab, x[1], out, lanes, reversed(range(lanes)))
    ]
    assert gathers(lab, body, (x, *outs)) == 0
    found = [np.ones((lanes, lanes), values.dtype) for lanes in sides]
    assert lab.build(body, (x, *outs), (n,), machine=getattr(lab, machine))(values, *found, sizes=(COLUMNS,)) == 0
    for lanes, result in zip(sides, found, strict=True):
        lab.assert_same_bits(result, values[3 : 3 + lanes, 5 : 5 + lanes].T.copy(), str(lanes))


@pytest.mark.parametrize(
    ("order", "left"),
    [(range(4), 0), (range(3), 0), (range(7), 0), ((0, 1, 2, 3, 8, 9, 10, 11), 0), ((0, 1, 2, 4), 1), ((0, 5), 2)],
)
def test_tiles_of_enough_columns(lab: Any, order: Any, left: int) -> None:
    x, out = lab.array("x", "float32", ROWS, n), lab.array("out", "float32", 20, 4, output=True)
    assert gathers(lab, columns(lab, x[1], out[1], 4, order), (x, out)) == left


@pytest.mark.parametrize("name", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("machine", ["NATIVE", "BASELINE"])
def test_partial_tiles_read_what_is_there(lab: Any, name: str, machine: str) -> None:
    """Eight columns of eight rows, of which the last ones are not there, under masks and conditions; what they would
    read is not, either: elsewhere in the array is nothing but the largest value."""
    x, out, ramp = lab.array("x", name, 8, n), lab.array("out", name, 8, 8, output=True), lab.ramp(0, 8)
    body = list[Stmt]()
    for u in range(8):
        mask = apply("lt", ramp, n - const(3))
        store = Store(out[1], (const(u), ramp), Load(x[1], (ramp, const(u)), mask), mask)
        body.append(If(apply("lt", const(u), n), store) if u else store)
    kernel = lab.build(body, (x, out), (n,), machine=getattr(lab, machine))
    for size in (3, 4, 7, 11):
        values = np.arange(8 * size, dtype=DTYPES[name].numpy).reshape(8, size)
        found, expected = np.full((8, 8), 99, values.dtype), np.full((8, 8), 99, values.dtype)
        expected[:size, : size - 3] = values[: size - 3, :8].T
        assert kernel(values, found, sizes=(size,)) == 0
        assert np.array_equal(found, expected)


def test_missing_columns_are_not_read(lab: Any) -> None:
    x, out = lab.array("x", "float32", ROWS, n), lab.array("out", "float32", 20, 4, output=True)
    text = lab.emit(columns(lab, x[1], out[1], 4, (0, 1, 3)), (x, out), (n,)).text
    assert text.count("<4 x i1> <i1 true, i1 true, i1 false, i1 true>") == 4


def test_masked_lanes_are_not_read(lab: Any) -> None:
    """Every load of a row has a mask."""
    x, out = lab.array("x", "float32", ROWS, n), lab.array("out", "float32", 4, 4, output=True)
    ramp, body = lab.ramp(0, 4), list[Stmt]()
    for u in range(4):
        mask = apply("lt", ramp, n)
        body.append(Store(out[1], (const(u), ramp), Load(x[1], (ramp, const(u)), mask), mask))
    text = lab.emit(body, (x, out), (n,)).text
    assert len([line for line in text.splitlines() if "= call" in line and "masked.load" in line]) == 4
    assert "= load" not in text and gathers(lab, body, (x, out)) == 0


def test_a_column_under_two_conditions_is_not_of_a_tile(lab: Any) -> None:
    x, out, ramp = lab.array("x", "float32", ROWS, n), lab.array("out", "float32", 9, 4, output=True), lab.ramp(0, 4)
    stores = [Store(out[1], (const(k), ramp), Load(x[1], (ramp, const(u)))) for k, u in enumerate((0, 1, 2, 0))]
    body = [*stores[1:3], If(apply("lt", n, const(9)), stores[0]), If(apply("lt", n, const(5)), stores[3])]
    assert gathers(lab, body, (x, out)) == 2
    body = [If(apply("lt", n, const(9)), stores[0]), *stores[1:]]
    assert gathers(lab, body, (x, out)) == 0, "it is read whatever n is"
    values, found = np.arange(ROWS * 9, dtype=np.float32).reshape(ROWS, 9), np.zeros((9, 4), np.float32)
    assert lab.build(body, (x, out), (n,))(values, found, sizes=(9,)) == 0
    assert np.array_equal(found[:4], [np.zeros(4), *values[:4, [1, 2, 0]].T])


def test_what_is_written_in_between_is_read_again(lab: Any) -> None:
    """a[:4, u] = a[:4, u + 1], one column after the other, in place."""
    a = lab.array("a", "float32", 4, n, output=True)
    ramp = lab.ramp(0, 4)
    body: list[Stmt] = [Store(a[1], (ramp, const(u)), Load(a[1], (ramp, const(u + 1)))) for u in range(4)]
    body[2] = Store(a[1], (ramp, const(3)), Load(a[1], (ramp, const(0))))
    values = np.arange(4 * 9, dtype=np.float32).reshape(4, 9)
    expected = values.copy()
    for to, source in ((0, 1), (1, 2), (3, 0), (3, 4)):
        expected[:, to] = expected[:, source]
    assert lab.build(body, (a,), (n,))(values, sizes=(9,)) == 0
    assert np.array_equal(values, expected)


def test_a_scalar_beside_vectors(lab: Any) -> None:
    """out[u, lane] = x[lane, u] * y[], where y has no dimensions."""
    x, y = lab.array("x", "float32", ROWS, n), lab.array("y", "float32")
    out, ramp = lab.array("out", "float32", 4, 4, output=True), lab.ramp(0, 4)
    body: list[Stmt] = [
        Store(out[1], (const(u), ramp), apply("mul", Load(x[1], (ramp, const(u))), Load(y[1], ()))) for u in range(4)
    ]
    values, found = np.arange(ROWS * 5, dtype=np.float32).reshape(ROWS, 5), np.zeros((4, 4), np.float32)
    assert lab.build(body, (x, y, out), (n,))(values, np.array(3, np.float32), found, sizes=(5,)) == 0
    assert np.array_equal(found, 3 * values[:4, :4].T)
