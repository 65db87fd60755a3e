"""Kernels and builds under several threads, and after a fork."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import polysched as ps

THREADS, CALLS = 8, 1000


def matmul() -> ps.Tensor:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def scheduled(C: ps.Tensor, rows: int, *, parallel: bool = False) -> ps.Schedule:
    s = ps.Schedule(C)
    i_o, j_o, i_i, j_i = s[C].tile("i", "j", rows, 16)
    s[C].reorder(i_o, j_o, "r", i_i, j_i)
    s[C].unroll(i_i)
    s[C].vectorize(j_i)
    if parallel:
        s[C].parallel(i_o, j_o)
    return s


def operands(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.random((n, n), dtype=np.float32), rng.random((n, n), dtype=np.float32)


def test_one_kernel_from_eight_threads() -> None:
    kernel = scheduled(matmul(), 4, parallel=True).build(ps.Target("native", threads=2))
    expected = {n: kernel(*operands(n)) for n in (1, 7, 16, 33)}

    def work(worker: int) -> int:
        n = (1, 7, 16, 33)[worker % 4]
        a, b = operands(n)
        out = np.empty((n, n), np.float32)
        wrong = 0
        for _ in range(CALLS):
            out.fill(np.nan)
            kernel(a, b, out=out)
            wrong += not np.array_equal(out, expected[n])
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, range(THREADS))) == [0] * THREADS


def test_eight_threads_schedule_and_build_one_definition() -> None:
    C = matmul()
    a, b = operands(21)
    expected = ps.Schedule(C).build()(a, b)
    shared = scheduled(C, 3)

    def work(worker: int) -> bool:
        own = scheduled(C, worker + 1).build()
        return np.array_equal(own(a, b), expected) and np.array_equal(shared.build()(a, b), expected)

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(work, range(THREADS)))


def test_a_kernel_called_after_a_fork_runs() -> None:
    kernel = scheduled(matmul(), 4, parallel=True).build(ps.Target("native", threads=2))
    a, b = operands(33)
    expected = kernel(a, b)  # the parent's threads are running now
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(kernel(a, b), expected) else 1)
    deadline = time.monotonic() + 60
    while (finished := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError("a kernel called in a forked child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(finished[1]) == 0
