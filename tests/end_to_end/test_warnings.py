"""A vector loop that cannot run as one says so."""

from __future__ import annotations

import polysched as ps

n = ps.size_var("n")
A = ps.placeholder((n, 64), "float32", name="A")
B = ps.placeholder((8, 64), "float32", name="B")


def warned(s: ps.Schedule, *numbers: str) -> list[str]:
    return [warning for warning in s.build().warnings if warning.startswith(numbers)]


def test_vector_loops_without_a_vector_form_are_named() -> None:
    r = ps.reduce_axis((0, 8), name="r")
    best = ps.compute((64,), lambda j: ps.argmax(B[r, j], axis=r), name="best")
    twice = ps.compute((n, 8), lambda i, j: A[i, j] * 2, name="twice")
    s = ps.Schedule([best, twice])
    s[best].reorder("r", "j")
    s[best].vectorize("r")
    s[twice].split("i", 4)
    s[twice].vectorize("i_i")
    s[twice].vectorize("j")
    assert warned(s, "P005") == [
        "P005: loop r of best has no vector form and runs lane by lane",
        "P005: loop i_i of twice has no vector form and runs lane by lane",
    ]


def test_lanes_that_are_combined_in_every_iteration_are_named() -> None:
    r = ps.reduce_axis((0, 64), name="r")
    total = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r, reassociate=True), name="total")
    s = ps.Schedule(total)
    s[total].split("r", 16)
    s[total].vectorize("r_i")
    assert not warned(s, "P005", "P006", "P007")
    s = ps.Schedule(total)
    s[total].split("r", 16)
    s[total].reorder("r_o", "r_i", "i")
    s[total].vectorize("r_i")
    (warning,) = warned(s, "P005", "P006", "P007")
    assert warning.startswith("P006: the lanes of loop r_i of total are combined in every iteration")


def test_threads_over_a_reduction_inside_vectors_are_named() -> None:
    r = ps.reduce_axis((0, n), name="r")
    total = ps.compute((64,), lambda j: ps.max(A[r, j], axis=r), name="total")
    s = ps.Schedule(total)
    s[total].vectorize("j")
    s[total].parallel("r")
    (warning,) = warned(s, "P005", "P006", "P007")
    assert warning == (
        "P007: loop r of total runs in order, on one thread: it is parallel over a reduction, inside the vector loop j"
    )


def test_lanes_over_data_and_a_reduction_are_named() -> None:
    r = ps.reduce_axis((0, 64), name="r")
    total = ps.compute((n,), lambda i: ps.max(A[i, r], axis=r), name="total")
    s = ps.Schedule(total)
    s[total].split(s[total].fuse("i", "r", name="f"), 5)
    s[total].vectorize("f_i")
    (warning,) = warned(s, "P005", "P006", "P007")
    assert warning.startswith("P007: loop f_i of total runs in order, lane by lane: it is a vector loop over data and")
    s = ps.Schedule(total)
    s[total].tile("i", "r", 5, 1)
    s[total].vectorize(s[total].fuse("i_i", "r_i", name="f"))  # one value of r at a time
    assert not warned(s, "P005", "P006", "P007")


def test_other_vector_loops_are_not() -> None:
    r = ps.reduce_axis((0, 8), name="r")
    best = ps.compute((64,), lambda j: ps.argmax(B[r, j], axis=r), name="best")
    first = ps.compute((n,), lambda i: ps.argmax(A[i, r], axis=r), name="first")
    s = ps.Schedule([best, first])
    s[best].vectorize("j")
    s[first].vectorize("r")
    assert not warned(s, "P005", "P006", "P007")
