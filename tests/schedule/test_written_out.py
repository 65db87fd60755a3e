"""Vectors and loops written out have a literal number of iterations wherever they are."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

import polysched as ps


@pytest.mark.parametrize("word", ["vectorize", "unroll"])
def test_a_skewed_loop_is_longer_outside_of_the_one_that_it_is_skewed_by(word: Literal["vectorize", "unroll"]) -> None:
    """It has four iterations in each of the other one, and n + 3 outside of it; four of them were run."""
    n = ps.size_var("n")
    A = ps.placeholder((n, 4), "float32", name="A")
    C = ps.compute((n, 4), lambda i, j: A[i, j] * 2, name="C")
    marked = ps.Schedule(C)
    marked[C].skew("j", 1, by="i")
    getattr(marked[C], word)("j")
    refusal = marked[C].why_not("reorder", "j", "i")
    assert "runs over i..i + 4: over all of i, which is further in, that is no literal number" in str(refusal)

    moved = ps.Schedule(C)
    moved[C].skew("j", 1, by="i")
    moved[C].reorder("j", "i")
    assert "no literal number of iterations" in str(moved[C].why_not(word, "j"))
    a = np.arange(20, dtype=np.float32).reshape(5, 4)
    for s in (marked, moved):
        np.testing.assert_array_equal(s.build()(a), 2 * a)


def test_an_equation_with_loops_of_its_own() -> None:
    n = ps.size_var("n")
    A, (i, j) = ps.placeholder((4, n), "int32", name="A"), ps.axes("i j")
    u = ps.recurrence((4, n), "int32", name="u")
    u[i, j] = A[i, j] + 1
    s = ps.Schedule(u)
    s[u].reorder("j", "i")
    s[u].equation(0).skew("i", 2, by="j")
    s[u].vectorize("i")
    assert "no literal number of iterations" in str(s[u].why_not("reorder", "i", "j"))
    a = np.arange(20, dtype=np.int32).reshape(4, 5)
    np.testing.assert_array_equal(s.build()(a), a + 1)
