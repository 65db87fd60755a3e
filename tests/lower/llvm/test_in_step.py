"""Copies of a statement with long chains stand side by side where they are independent, and compute the same."""

from __future__ import annotations

import re

import numpy as np

import polysched as ps


def test_vectors_are_computed_in_step() -> None:
    n = ps.size_var("n", multiple_of=64)
    A = ps.placeholder((n,), "float32", name="A")
    B = ps.compute((n,), lambda i: ps.sigmoid(A[i]) + ps.sigmoid(A[0]), name="B")
    whole, single = ps.Schedule(B), ps.Schedule(B)
    for schedule, lanes in ((whole, 64), (single, 1)):
        schedule[B].split("i", lanes, inner="lane")
    whole[B].vectorize("lane")
    target = ps.Target("x86-64-v4")
    text = whole.build(target).source("llvm-raw")
    lines = [line for line in text.splitlines() if "fdiv <16 x float>" in line or "store <16 x float>" in line]
    assert [re.findall("fdiv|store", line)[0] for line in lines] == ["fdiv"] * 4 + ["store"] * 4
    if target.can_run():
        x = np.random.default_rng(1).normal(0, 5, 640).astype(np.float32)
        assert np.array_equal(whole.build(target)(x), single.build(target)(x))


def test_copies_that_read_each_other_stay_in_order() -> None:
    (t,) = ps.axes("t")
    u = ps.recurrence((65,), "float32", name="u")
    u[0] = 0.5
    u[t + 1] = ps.exp(-u[t])
    plain, unrolled = ps.Schedule(u), ps.Schedule(u)
    unrolled[u].split("t", 4, inner="step")
    unrolled[u].unroll("step")
    assert np.array_equal(unrolled.build()(), plain.build()())
