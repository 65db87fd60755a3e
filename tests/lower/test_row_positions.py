"""Rows of symbolic length are addressed by where they begin, once for both ends and the vectors between."""

from __future__ import annotations

import numpy as np

import polysched as ps


def stencil(extent: int | ps.Size) -> ps.Schedule:
    A = ps.placeholder((extent, extent), "float32", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((4, extent, extent), "float32", name="u")
    u[0, i, j] = A[i, j]
    inside = (i > 0) & (i < extent - 1) & (j > 0) & (j < extent - 1)
    u[t + 1, i, j] = ps.select(inside, u[t, i - 1, j] + u[t, i, j - 1] + u[t, i, j + 1], u[t, i, j])
    s = ps.Schedule(u[3])
    s[u].skew("j", 1, by="t")
    s[u].split("j", 512, outer="jo", inner="ji")
    s[u].vectorize("ji")
    return s


def test_a_row_is_addressed_by_its_begin() -> None:
    n = ps.size_var("n", min=3)
    text = stencil(n).build(ps.Target("x86-64-v3"), check=True).source("loops")
    assert "u_row = " in text and "u[u_row + ramp(8 * ji_v, 8)]" in text
    assert "u_row.2 = u_row" in text, "one row is at a distance from the other"


def test_rows_of_literal_extents_are_left_to_llvm() -> None:
    assert "u_row" not in stencil(700).build(ps.Target("x86-64-v3"), check=True).source("loops")


def test_the_same_bits() -> None:
    n = ps.size_var("n", min=3)
    s = stencil(n)
    kernel, default = s.build(), ps.Schedule(s.outputs).build()
    for extent in (3, 17, 64, 700):
        a = np.random.default_rng(extent).random((extent, extent), np.float32)
        np.testing.assert_array_equal(kernel(a), default(a))
