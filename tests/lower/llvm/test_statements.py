"""Loops, conditions, bindings, register tiles, heap buffers and run-time checks."""

from __future__ import annotations

import cProfile
import pstats
from functools import partial
from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Const, Expr, Op, Size, const
from polysched.compute.operations import apply
from polysched.lower.abi import CHECK_FAILED, OK, OUT_OF_MEMORY
from polysched.lower.ir import Allocate, Block, Buffer, Check, Comment, For, If, Let, Load, Ramp, Stmt, Store, Var

FLOAT, INT = DTYPES["float32"], DTYPES["int64"]
n, m, k = Size("n"), Size("m"), Size("k")


@pytest.mark.parametrize("level", [0, 3])
def test_loops_run_from_begin_to_end(lab: Any, level: int) -> None:
    """Every iteration appends its variables; begins and ends are constants, sizes and each other."""
    log, length = lab.array("log", "int64", 1000, output=True), lab.array("length", "int64", 1, output=True)
    i, j = Var("i"), Var("j")
    at = Load(length[1], (const(0),))
    bounds = [(0, 3), (2, 2), (3, 2), (-1, 0), (4, 5), (n, m), (m, n), (0, n), (-3, 0), (n, n)]
    body: list[Stmt] = [Store(length[1], (const(0),), const(0))]
    for begin, end in bounds:
        first, last = (const(x) if isinstance(x, int) else x for x in (begin, end))
        append = Block(
            (
                Store(log[1], (at,), apply("add", apply("mul", i, 100), j)),
                Store(length[1], (const(0),), apply("add", at, 1)),
            )
        )
        body.append(For(i, first, last, For(j, i, apply("add", i, 2), append)))
    kernel = lab.build([*body, Comment("\n} define void @x() {")], (log, length), (n, m), level=level)
    sizes = {n: 2, m: 7}
    found, count = np.zeros(1000, np.int64), np.zeros(1, np.int64)
    assert kernel(found, count, sizes=(2, 7)) == OK
    expected = [
        a * 100 + b
        for begin, end in bounds
        for a in range(sizes.get(begin, begin), sizes.get(end, end))
        for b in (a, a + 1)
    ]
    assert found[: count[0]].tolist() == expected


def test_conditions_and_bindings(lab: Any) -> None:
    x, out = lab.array("x", "float32", 8), lab.array("out", "float32", 4, 8, output=True)
    i, value, flag, place, wide = (
        Var("i"),
        Var("value", FLOAT),
        Var("flag", DTYPES["bool"]),
        Var("place"),
        Var("wide", FLOAT),
    )
    lanes = lab.ramp(0, 8)
    body = [
        For(
            i,
            const(0),
            const(8),
            Let(
                value,
                Load(x[1], (i,)),
                Let(
                    flag,
                    apply("lt", value, Const(4.0, FLOAT)),
                    If(
                        flag,
                        Store(out[1], (const(0), i), value),
                        If(apply("eq", i, 5), Store(out[1], (const(1), i), value)),
                    ),
                ),
            ),
        ),
        If(Const(True, DTYPES["bool"]), Comment("taken"), Store(out[1], (const(99), const(0)), Const(1.0, FLOAT))),
        If(apply("gt", n, 3), Store(out[1], (const(1), const(0)), Const(9.0, FLOAT))),
        Let(place, apply("add", lanes, 0), Store(out[1], (const(2), apply("sub", 7, place)), Load(x[1], (place,)))),
        Let(wide, apply("mul", Load(x[1], (lanes,)), Const(2.0, FLOAT)), Store(out[1], (const(3), lanes), wide)),
    ]
    values = np.array([1, 5, 2, 6, 3, 7, 4, 8], np.float32)
    for size in (3, 4):
        found = np.zeros((4, 8), np.float32)
        assert lab.build(body, (x, out), (n,))(values, found, sizes=(size,)) == OK
        expected = np.zeros((4, 8), np.float32)
        expected[0] = np.where(values < 4, values, 0)
        expected[1, 5], expected[1, 0] = 7, 9 if size > 3 else 0
        expected[2], expected[3] = values[::-1], values * 2
        assert (found == expected).all()


def tile(
    a: Buffer, b: Buffer, c: Buffer, i: Expr, j: Expr, rows: int, columns: int, lanes: int, edge: Expr | None
) -> Stmt:
    """A register tile of c at i, j: rows x columns sums over k, the columns before `edge`."""
    accumulators = Buffer("acc", a.dtype, (const(rows), const(columns)), "register")
    r = Var("r")

    def all_vectors(store: Any) -> tuple[Stmt, ...]:
        return tuple(
            store(row, (const(row), Ramp(const(v), lanes)), Ramp(apply("add", j, v), lanes))
            for row in range(rows)
            for v in range(0, columns, lanes)
        )

    def inside(column: Expr) -> Expr | None:
        return None if edge is None else apply("lt", column, edge)

    def update(row: int, at: Any, column: Expr) -> Stmt:
        factors = Load(a, (apply("add", i, row), r)), Load(b, (r, column), inside(column))
        return Store(accumulators, at, Op("fma", (*factors, Load(accumulators, at)), a.dtype))

    start = all_vectors(lambda row, at, column: Store(accumulators, at, Const(0.0, a.dtype)))
    end = all_vectors(
        lambda row, at, column: Store(c, (apply("add", i, row), column), Load(accumulators, at), inside(column))
    )
    return Allocate(accumulators, Block((*start, For(r, const(0), k, Block(all_vectors(update))), *end)))


def product(lab: Any, versions: int = 1) -> tuple[list[Stmt], Any, Any]:
    """c = a @ b in tiles of 6 x 64, the last columns masked, the last rows one by one."""
    a, b = lab.array("a", "float32", n, k), lab.array("b", "float32", k, m)
    c = lab.array("c", "float32", n, m, output=True)
    body: list[Stmt] = []
    for version in range(versions):
        i, j, row, column = (Var(name) for name in ("i", "j", "row", "column"))
        buffers, top = (a[1], b[1], c[1]), apply("mul", i, 6)
        full = tile(*buffers, top, apply("mul", j, 64), 6, 64, 16, m if version % 2 else None)
        last = tile(*buffers, row, apply("mul", column, 64), 1, 64, 16, m)
        if version:
            body.append(For(i, const(0), apply("floordiv", n, 6), For(j, const(0), apply("floordiv", m, 64), full)))
            continue
        edge = tile(*buffers, top, apply("mul", column, 64), 6, 64, 16, m)
        columns = (apply("floordiv", m, 64), apply("floordiv", apply("add", m, 63), 64))
        across = Block((For(j, const(0), columns[0], full), For(column, *columns, edge)))
        body.append(For(i, const(0), apply("floordiv", n, 6), across))
        rows = apply("mul", apply("floordiv", n, 6), 6)
        body.append(For(row, rows, n, For(column, const(0), columns[1], last)))
    return body, (a, b, c), (n, m, k)


def test_register_tiles_give_the_sums_in_order(lab: Any) -> None:
    body, arrays, sizes = product(lab)
    kernel = lab.build(body, arrays, sizes)
    random = np.random.default_rng(5)
    a, b = random.integers(-9, 9, (15, 33)).astype(np.float32), random.integers(-9, 9, (33, 100)).astype(np.float32)
    c = np.zeros((15, 100), np.float32)
    assert kernel(a, b, c, sizes=(15, 100, 33)) == OK
    assert (c == a @ b).all()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_accumulators_are_values_not_memory(lab: Any, level: int) -> None:
    """No stack memory is left in the optimised IR, and none is touched in the full tile's loop."""
    body, arrays, sizes = product(lab)
    module, tm = lab.optimised(lab.emit(body, arrays, sizes, machine=lab.AVX512).text, lab.AVX512, level)
    assert "alloca" not in str(module)
    loops = str(tm.emit_assembly(module)).split(".LBB")
    hot = [loop for loop in loops if loop.count("vfmadd") == 24 and "{%k" not in loop]
    assert hot
    for loop in hot:
        assert "%rsp" not in loop
        assert loop.count("zmm") >= 24
        assert loop.count("vmovups") == 4


def test_emission_is_linear(lab: Any) -> None:
    """Twice the statements take twice the calls of Python, as there are shared values and names to be found again."""
    few, many = (_calls(partial(lab.emit, *product(lab, versions=versions))) for versions in (4, 8))
    assert few < many < 2.2 * few


def _calls(function: Any) -> int:
    profile = cProfile.Profile()
    profile.runcall(function)
    return pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # not in the stubs


def heap(name: str, dtype: str, *shape: Any) -> Buffer:
    return Buffer(name, DTYPES[dtype], tuple(const(s) if isinstance(s, int) else s for s in shape), "heap")


@pytest.mark.parametrize("level", [0, 3])
def test_heap_buffers(lab: Any, level: int) -> None:
    """Of run-time size, nested, in a loop, empty; aligned to 64 bytes as far as can be seen from the sums."""
    x, out = lab.array("x", "int64", n), lab.array("out", "int64", n, output=True)
    a, b, empty = heap("a", "int64", n), heap("b", "int64", n, 3), heap("empty", "int64", 0, n)
    i, j, t = Var("i"), Var("j"), Var("t")
    fill = For(i, const(0), n, Store(a, (i,), apply("add", Load(x[1], (i,)), t)))
    spread = For(i, const(0), n, For(j, const(0), const(3), Store(b, (i, j), apply("mul", Load(a, (i,)), j))))
    use = For(i, const(0), n, Store(out[1], (i,), apply("add", Load(out[1], (i,)), Load(b, (i, const(2))))))
    body = For(t, const(0), const(4), Allocate(a, Block((fill, Allocate(empty, Allocate(b, Block((spread, use))))))))
    kernel = lab.build(body, (x, out), (n,), level=level)
    for size in (0, 1, 100):
        values, found = np.arange(size), np.zeros(size, np.int64)
        assert kernel(values, found, sizes=(size,)) == OK
        assert (found == sum(2 * (values + step) for step in range(4))).all()


@pytest.mark.parametrize(
    "shape", [(n, n), (n, n, 16), (1 << 40, n), (n, 1 << 40, 1 << 40), (1 << 62, 8), (n, n, n, n)], ids=str
)
def test_no_memory_is_reported(lab: Any, shape: Any) -> None:
    """Sizes that overflow or that no machine has: what is held is released, and nothing is written."""
    held, huge = heap("held", "float64", 1000), heap("huge", "float64", *shape)
    out = lab.array("out", "float64", 2, output=True)
    value = Const(1.0, DTYPES["float64"])
    write = Block(
        (
            Store(huge, tuple(const(0) for _ in shape), value),
            Store(out[1], (const(1),), Load(huge, (const(0),) * len(shape))),
        )
    )
    body = [
        Store(out[1], (const(0),), value),
        Allocate(held, Block((Store(held, (const(5),), value), Allocate(huge, write)))),
    ]
    kernel = lab.build(body, (out,), (n,), level=0)
    found = np.zeros(2)
    for _ in range(3):
        assert kernel(found, sizes=(1 << 33,)) == OUT_OF_MEMORY
        assert found.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("level", [0, 3])
def test_checks_report_the_lane_that_fails(lab: Any, level: int) -> None:
    x, flags, out = lab.array("x", "int32", n), lab.array("flags", "bool", 8), lab.array("out", "int32", 1, output=True)
    i = Var("i")
    lanes = lab.ramp(0, 8)
    narrow = DTYPES["int32"]
    body = [
        For(i, const(0), n, Check(3, Load(x[1], (i,)), Const(0, narrow), m)),
        If(apply("ge", n, 8), Check(4, Load(x[1], (lanes,)), const(-5), const(50), Load(flags[1], (lanes,)))),
        Check(5, apply("mul", n, -1), const(-100), const(1)),
        Store(out[1], (const(0),), Const(1, narrow)),
    ]
    kernel = lab.build(body, (x, flags, out), (n, m), level=level)
    found, mask = np.zeros(1, np.int32), np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)

    def run(values: list[int], limit: int) -> tuple[int, list[int]]:
        kernel.status[0] = kernel.status[1] = -1
        result = kernel(np.array(values, np.int32), mask, found, sizes=(len(values), limit))
        return result, list(kernel.status)

    assert run([0, 1, 2], 3) == (OK, [-1, -1])
    assert run([0, 1, 3], 3) == (CHECK_FAILED, [3, 3])
    assert run([0, -7, 3], 3) == (CHECK_FAILED, [3, -7])
    assert run([0, 1, 50, 3, 4, 5, 60, 7], 100) == (OK, [-1, -1])
    assert run([0, 1, 50, 3, 4, 55, 60, 77], 100) == (CHECK_FAILED, [4, 55])
    assert run([1] * 101, 100) == (CHECK_FAILED, [5, -101])
    assert found[0] == 1


def test_checks_of_unsigned_values_are_mathematical(lab: Any) -> None:
    x = lab.array("x", "uint64", 1)
    kernel = lab.build(Check(0, Load(x[1], (const(0),)), const(-1), n), (x,), (n,))
    assert kernel(np.array([1 << 63], np.uint64), sizes=(5,)) == CHECK_FAILED
    assert kernel(np.array([4], np.uint64), sizes=(5,)) == OK
