"""A float16 that all lanes want is broadcast as it is, and converted by the instruction for vectors."""

from __future__ import annotations

import re

import numpy as np
import pytest

import polysched as ps


def product(lanes: int) -> ps.Schedule:
    n, m, k = (ps.size_var(name) for name in "nmk")
    A, B = ps.placeholder((n, k), "float16", name="A"), ps.placeholder((k, m), "float16", name="B")
    r = ps.reduce_axis((0, k), name="r")
    terms = lambda i, j: ps.sum(ps.cast("float32", A[i, r]) * ps.cast("float32", B[r, j]), axis=r)  # noqa: E731
    C = ps.compute((n, m), terms, name="C")
    schedule = ps.Schedule(C)
    if lanes > 1:
        _, lane = schedule[C].split("j", lanes)
        schedule[C].reorder("i", "j_o", "r", lane)
        schedule[C].vectorize(lane)
        schedule[C].parallel("i")
    return schedule


@pytest.mark.parametrize(("target", "lanes"), [("x86-64-v3", 8), ("x86-64-v4", 16)])
def test_halves_are_converted_in_vectors(target: str, lanes: int) -> None:
    machine = ps.Target(target)
    kernel = product(lanes).build(machine)
    code = kernel.source("asm")
    assert "vpbroadcastw" in code
    assert re.findall(r"^\s+vcvtph2ps\s.*, %xmm\d+$", code, re.MULTILINE) == [], (
        "of a few lanes, all but one for nothing"
    )
    if machine.can_run():
        random = np.random.default_rng(1)
        a, b = random.normal(0, 1, (5, 30)).astype(np.float16), random.normal(0, 1, (30, 37)).astype(np.float16)
        a[0, :4], b[:, 3] = [np.inf, -0.0, 6e-8, 65504], np.float16(6e-8)
        found = kernel(a, b)
        assert np.array_equal(found.view(np.int32), product(1).build(machine)(a, b).view(np.int32))


def test_a_scalar_argument_is_broadcast_in_threads() -> None:
    """The half is a parameter of the function that threads run, its float32 none."""
    n = ps.size_var("n")
    A, scale = ps.placeholder((n,), "float32", name="A"), ps.scalar("scale", "float16")
    B = ps.compute((n,), lambda i: A[i] * ps.cast("float32", scale), name="B")
    schedule = ps.Schedule(B)
    schedule[B].split("i", 16)
    schedule[B].parallel("i_o")
    schedule[B].vectorize("i_i")
    x = np.arange(100, dtype=np.float32)
    kernel = schedule.build()
    assert np.array_equal(kernel(A=x, scale=np.float16(1.5)), x * np.float32(1.5))
