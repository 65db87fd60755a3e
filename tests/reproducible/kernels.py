"""Builds a few kernels and prints a digest of the LLVM IR of each: run by the test in several processes."""

from __future__ import annotations

import hashlib

import polysched as ps


def schedules() -> list[ps.Schedule]:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k", min=1, multiple_of=4)
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B", strides="any")
    alpha = ps.scalar("alpha", "float32")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    D = ps.compute((n, m), lambda i, j: ps.tanh(alpha * C[i, j]) + ps.cast("float32", i), name="D")
    best = ps.compute((n,), lambda i: ps.argmax(A[i, r], axis=r), name="best")

    tiled = ps.Schedule([D, best])
    c = tiled[C]
    i_o, j_o, i_i, j_i = c.tile("i", "j", 6, 32)
    c.reorder(i_o, j_o, "r", i_i, j_i)
    c.unroll(i_i)
    c.vectorize(j_i)
    c.parallel(i_o, j_o)
    flat = tiled[D].fuse("i", "j")
    _, lanes = tiled[D].split(flat, 16)
    tiled[D].vectorize(lanes)
    return [ps.Schedule(C), ps.Schedule([D, best]), tiled, recurrences()]


def recurrences() -> ps.Schedule:
    """Two fields that need each other, in pieces, tiled over time."""
    T, n = ps.size_var("T"), ps.size_var("n", min=2)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u, v = (ps.recurrence((T + 1, n), "float64", name=name) for name in "uv")
    u[0, i] = A[i]
    v[0, i] = A[i] * 2.0
    u[t + 1, i] = ps.select((i > 0) & (i < n - 1), u[t, i - 1] + v[t, i + 1], v[t, i])
    v[t + 1, i] = u[t + 1, i] + ps.select(i > 0, v[t, i - 1], 0.0)
    s = ps.Schedule([u[T], v[T]])
    s.auto_polyhedral()
    s["u"].fold_storage("t", 2)
    return s


def main() -> None:
    target = ps.Target("x86-64-v4", threads=2)
    for schedule in schedules():
        text = schedule.build(target).source("llvm-raw")
        print(hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(str(schedule).encode()).hexdigest())


if __name__ == "__main__":
    main()
