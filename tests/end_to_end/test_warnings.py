"""A vector loop that cannot run as one says so."""

from __future__ import annotations

import polysched as ps


def test_vector_loops_without_a_vector_form_are_named() -> None:
    r = ps.reduce_axis((0, 8), name="r")
    A = ps.placeholder((4, 8), "float32", name="A")
    best = ps.compute((4,), lambda i: ps.argmax(A[i, r], axis=r), name="best")
    twice = ps.compute((4, 8), lambda i, j: A[i, j] * 2, name="twice")
    s = ps.Schedule([best, twice])
    s[best].vectorize("r")
    s[twice].vectorize("i")
    s[twice].vectorize("j")
    named = [warning for warning in s.build().warnings if warning.startswith("P005")]
    assert named == [
        "P005: loop r of best has no vector form and runs lane by lane",
        "P005: loop i of twice has no vector form and runs lane by lane",
    ]


def test_other_vector_loops_are_not() -> None:
    r = ps.reduce_axis((0, 8), name="r")
    A = ps.placeholder((4, 8), "float32", name="A")
    best = ps.compute((4,), lambda i: ps.argmax(A[i, r], axis=r), name="best")
    s = ps.Schedule(best)
    s[best].vectorize("i")
    assert not any(warning.startswith("P005") for warning in s.build().warnings)
