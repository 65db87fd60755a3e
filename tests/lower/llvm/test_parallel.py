"""Parallel loops on Python threads and on OpenMP's, what they capture, and memory that runs out in them."""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Cast, Const, Scalar, Size, const
from polysched.compute.operations import apply
from polysched.lower.abi import CHECK_FAILED, OK, OUT_OF_MEMORY
from polysched.lower.ir import Allocate, Block, Buffer, Check, For, Let, Load, Stmt, Store, Var

FLOAT, INT, HALF, BOOL = DTYPES["float32"], DTYPES["int64"], DTYPES["float16"], DTYPES["bool"]
n, m = Size("n"), Size("m")

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32)
calls: list[int] = []


@_PARALLEL
def on_threads(body: int, data: int, threads: int, flags: int) -> None:
    """GOMP_parallel's contract, on new threads."""
    assert flags == 0
    calls.append(threads)
    team = [threading.Thread(target=_BODY(body), args=(data,)) for _ in range(threads)]
    for member in team:
        member.start()
    for member in team:
        member.join()


def address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


def spawners() -> dict[str, int]:
    found = {"threads": address(on_threads)}
    name = ctypes.util.find_library("gomp")
    if name is not None:
        found["gomp"] = address(ctypes.CDLL(name).GOMP_parallel)
    return found


SPAWNERS = spawners()


def sums(lab: Any) -> tuple[Stmt, Any]:
    """out[i, j] = y[i, j] * alpha + i + shift (+ 1 where flag), with every kind of thing captured."""
    y = lab.array("y", "float32", n, m, strides="any")
    out = lab.array("out", "float32", n, m, output=True)
    i, j, shift = Var("i"), Var("j"), Var("shift")
    alpha, flag, half = Scalar("alpha", FLOAT, 0), Scalar("flag", BOOL, 1), Scalar("half", HALF, 2)
    value = apply("add", apply("mul", Load(y[1], (i, j)), alpha), Cast(apply("add", i, shift), FLOAT))
    value = apply("add", apply("add", value, Cast(flag, FLOAT)), Cast(half, FLOAT))
    body = Let(
        shift, apply("add", n, 3), For(i, const(0), n, For(j, const(0), m, Store(out[1], (i, j), value)), "parallel")
    )
    return body, (y, out)


@pytest.mark.parametrize("spawner", SPAWNERS)
@pytest.mark.parametrize("level", [0, 3])
def test_parallel_loop(lab: Any, spawner: str, level: int) -> None:
    body, arrays = sums(lab)
    scalars = (("alpha", FLOAT), ("flag", BOOL), ("half", HALF))
    kernel = lab.build(body, arrays, (n, m), scalars, level=level)
    for rows in (0, 1, 2, 3, 7, 8, 9, 1000):
        for threads in (0, 1, 2, 3):
            y = np.random.default_rng(6).random((5, rows), np.float32).T
            out = np.full((rows, 5), np.nan, np.float32)
            calls.clear()
            values = (2.0, True, 0.5)
            result = kernel(y, out, sizes=(rows, 5), scalars=values, parallel=SPAWNERS[spawner], threads=threads)
            assert result == OK
            expected = (
                y * np.float32(2) + (np.arange(rows) + rows + 3).astype(np.float32)[:, None] + 1 + np.float32(0.5)
            )
            assert (out == expected).all()
            if spawner == "threads":
                assert calls == ([min(threads, rows)] if threads > 1 and rows > 1 else [])


def test_every_iteration_runs_once(lab: Any) -> None:
    """Also of loops that do not begin at 0, and with more ranges than divide the extent."""
    out = lab.array("out", "int64", 2000, output=True)
    i = Var("i")
    once = Store(out[1], (i,), apply("add", Load(out[1], (i,)), 1))
    kernel = lab.build(For(i, n, m, once, "parallel"), (out,), (n, m))
    for begin, end in ((0, 2000), (5, 6), (3, 20), (100, 1999), (7, 7), (9, 3)):
        found = np.zeros(2000, np.int64)
        assert kernel(found, sizes=(begin, end), parallel=SPAWNERS["threads"], threads=3) == OK
        expected = np.zeros(2000, np.int64)
        expected[begin:end] = 1
        assert (found == expected).all()


@pytest.mark.parametrize("spawner", SPAWNERS)
def test_nested_parallel_loops_with_buffers(lab: Any, spawner: str) -> None:
    """Two parallel levels, a register and a heap buffer in each, a heap buffer around both."""
    x, out = lab.array("x", "float32", n, m), lab.array("out", "float32", n, m, output=True)
    whole = Buffer("whole", FLOAT, (n, m), "heap")
    line, cell = Buffer("line", FLOAT, (m,), "heap"), Buffer("cell", FLOAT, (const(2),), "register")
    i, j, a, b = Var("i"), Var("j"), Var("a"), Var("b")
    copy = For(a, const(0), n, For(b, const(0), m, Store(whole, (a, b), Load(x[1], (a, b)))), "parallel")
    inner = Block(
        (
            Store(cell, (const(1),), apply("add", Load(line, (j,)), Cast(i, FLOAT))),
            Store(out[1], (i, j), apply("mul", Load(cell, (const(1),)), Const(3.0, FLOAT))),
        )
    )
    rows = Block(
        (
            For(b, const(0), m, Store(line, (b,), Load(whole, (i, b)))),
            For(j, const(0), m, Allocate(cell, inner), "parallel"),
        )
    )
    body = Allocate(whole, Block((copy, For(i, const(0), n, Allocate(line, rows), "parallel"))))
    for level in (0, 2):
        kernel = lab.build(body, (x, out), (n, m), level=level)
        values = np.random.default_rng(7).random((11, 6), np.float32)
        found = np.zeros((11, 6), np.float32)
        assert kernel(values, found, sizes=(11, 6), parallel=SPAWNERS[spawner], threads=2) == OK
        assert (found == (values + np.arange(11, dtype=np.float32)[:, None]) * np.float32(3)).all()


def test_constant_extents_up_to_one_need_no_threads(lab: Any) -> None:
    out = lab.array("out", "int64", 4, output=True)
    i = Var("i")
    body = [For(i, const(b), const(e), Store(out[1], (i,), const(1)), "parallel") for b, e in ((2, 3), (1, 0))]
    assert "atomicrmw" not in lab.emit(body, (out,)).text


def test_checks_fail_in_parallel(lab: Any) -> None:
    x, out = lab.array("x", "int64", n), lab.array("out", "int64", n, output=True)
    i = Var("i")
    value = Load(x[1], (i,))
    body = For(i, const(0), n, Block((Check(7, value, const(0), const(10)), Store(out[1], (i,), value))), "parallel")
    kernel = lab.build(body, (x, out), (n,))
    values, found = np.arange(500) % 10, np.zeros(500, np.int64)
    assert kernel(values, found, sizes=(500,), parallel=SPAWNERS["threads"], threads=3) == OK
    values[123], values[400] = 77, 78
    assert kernel(values, found, sizes=(500,), parallel=SPAWNERS["threads"], threads=3) == CHECK_FAILED
    assert kernel.status[0] == 7
    assert kernel.status[1] in (77, 78)
    assert (found == values).all()


class Heap:
    """An allocator that keeps the books, and has nothing from the `limit`-th call on."""

    def __init__(self) -> None:
        self.lock, self.held = threading.Lock(), set[int]()
        self.calls, self.limit, self.mistakes = 0, 1 << 62, 0
        libc = ctypes.CDLL(None)
        libc.aligned_alloc.restype = ctypes.c_void_p
        libc.aligned_alloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]

        def allocate(alignment: int, size: int) -> int:
            with self.lock:
                self.calls += 1
                self.mistakes += alignment != 64 or size % 64 != 0 or size <= 0
                if self.calls >= self.limit:
                    return 0
                pointer = int(libc.aligned_alloc(alignment, size))
                self.held.add(pointer)
                return pointer

        def release(pointer: int) -> None:
            with self.lock:
                self.mistakes += pointer not in self.held
                self.held.discard(pointer)
            libc.free(pointer)

        self.allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)(allocate)
        self.release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(release)
        llvm.add_symbol("test_alloc", address(self.allocate))
        llvm.add_symbol("test_free", address(self.release))

    def instead(self, text: str) -> str:
        return text.replace("@aligned_alloc", "@test_alloc").replace("@free", "@test_free")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_memory_that_runs_out_is_all_released(lab: Any, threads: int) -> None:
    """Each allocation of a nest of parallel loops fails in its turn; everything held is released, once."""
    out, done = lab.array("out", "int64", n, output=True), lab.array("done", "int64", 1, output=True)
    outer, row, cell = (Buffer(name, INT, (n,), "heap") for name in ("outer", "row", "cell"))
    i, j, t = Var("i"), Var("j"), Var("t")
    inner = Block((Store(cell, (j,), j), Store(row, (j,), Load(cell, (j,)))))
    columns = For(j, const(0), n, Allocate(cell, inner), "parallel")
    rows = Block((columns, Store(out[1], (i,), Load(row, (const(2),)))))
    nest = Allocate(outer, For(i, const(0), n, Allocate(row, rows), "parallel"))
    after = Store(done[1], (const(0),), const(1))
    body = [For(t, const(0), const(2), nest), after]
    heap = Heap()
    kernel = lab.build(body, (out, done), (n,), level=0, edit=heap.instead)
    release = ctypes.CFUNCTYPE(None)(kernel.engine.get_function_address("release_blocks"))
    outcomes = []
    for limit in range(1, 30):
        heap.calls, heap.limit = 0, limit
        found, reached = np.full(4, -1), np.zeros(1, np.int64)
        result = kernel(found, reached, sizes=(4,), parallel=SPAWNERS["threads"], threads=threads)
        assert reached[0] == (result == OK)
        assert result == (OUT_OF_MEMORY if heap.calls >= limit else OK)
        assert result != OK or (found == 2).all()
        outcomes.append(result)
        release()
        assert not heap.held
        assert not heap.mistakes
    assert outcomes[:3] == [OUT_OF_MEMORY] * 3  # each buffer needs a block of its own
    assert outcomes[-1] == OK
