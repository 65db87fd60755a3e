"""Innermost loops are cut where guards are decided, and compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps


def padded(extent: int | ps.Size) -> ps.Tensor:
    """A row, with other values in its first two elements and in its last."""
    A = ps.placeholder((extent,), "int32", name="A")
    (i,) = ps.axes("i")
    B = ps.recurrence((extent,), "int32", name="B")
    B.define((i,), A[i], where=i < 2)
    B.define((i,), B[i - 1] + A[i], where=(i >= 2) & (i < extent - 1))
    B.define((i,), B[i - 1] - A[i] + B[i - 2], where=(i >= 2) & (i == extent - 1))
    return B


@pytest.mark.parametrize("extent", [2, 3, 4, 5, 9, 70])
def test_the_same_values(extent: int) -> None:
    n = ps.size_var("n", min=2)
    a = np.random.default_rng(extent).integers(-9, 9, extent, np.int32)
    b = a.copy()
    for i in range(2, extent):
        b[i] = b[i - 1] + a[i] if i < extent - 1 else b[i - 1] - a[i] + b[i - 2]
    for B, sizes in ((padded(n), {"n": extent}), (padded(extent), {})):
        got = ps.Schedule(B).build(check=True)(a, **sizes)
        np.testing.assert_array_equal(got, b)


def test_guards_are_gone_from_most_iterations() -> None:
    """Two equations in one loop: the guard of each is decided a literal distance from its ends."""
    n = ps.size_var("n", min=4)
    A = ps.placeholder((n,), "float32", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((3, n), "float32", name="u")
    u[0, i] = A[i]
    u.define((t + 1, i), u[t, i - 1] + u[t, i + 1], where=(i > 0) & (i < n - 1))
    u.define((t + 1, i), u[t, i], where=(i == 0) | (i == n - 1))
    s = ps.Schedule(u[2])
    s[u].skew("i", 1, by="t")
    s[u].reorder("i", "t")
    s[u].fold_storage("t", 2)
    s[u].unroll("t")
    loops = s.build(check=True).source("loops")
    bare = [body for body in loops.split("for i in") if body.count(" = ") == 3 and "if" not in body]
    assert len(bare) == 1, loops
    a = np.random.default_rng(1).random(33, np.float32)
    np.testing.assert_array_equal(s.build()(a, n=33), ps.Schedule(u[2]).build()(a, n=33))
