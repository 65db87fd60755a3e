"""compute_with: stages that share loops, in an order that is proven."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps


def stages(distance: int = 0) -> tuple[ps.Tensor, ps.Tensor]:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i + distance, j] + A[i, j], name="C")
    return B, C


def run(kernel: ps.Kernel, n: int, m: int) -> tuple[np.ndarray, ...]:
    return kernel(np.random.default_rng(n).random((n + 2, m), np.float32))


def test_a_producer_and_its_reader() -> None:
    B, C = stages()
    default = ps.build(ps.Schedule([B, C]))
    s = ps.Schedule([B, C])
    s[C].split("i", 4)
    s[B].split("i", 4)
    s[B].compute_with(C, "i_i")
    s[C].parallel("i_o")
    s[C].vectorize(s[C].split("j", 8)[1])
    assert "B: float32[n + 2, m], in the loops of C" in str(s)
    assert ps.Schedule.from_text([B, C], s.to_text()) == s
    kernel = ps.build(s, check=True)
    for n, m in ((0, 3), (1, 1), (6, 20)):
        for got, wanted in zip(run(kernel, n, m), run(default, n, m), strict=True):
            assert np.array_equal(got, wanted)


def test_what_is_needed_later_is_refused() -> None:
    B, C = stages(2)
    s = ps.Schedule([B, C])
    with pytest.raises(ps.LegalityError, match=r"runs C\[i=0, j=0\] before B\[i=2, j=0\]") as refusal:
        s[B].compute_with(C, "i")
    assert refusal.value.cell == ("B", (2, 0))
    assert s.commands == ()


def test_a_reduction_and_what_reads_the_same() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float64", name="A")
    T = ps.compute((n, m), lambda i, j: ps.sqrt(A[i, j]), name="T")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    S = ps.compute((n,), lambda i: ps.sum(T[i, r], axis=r), name="S")
    M = ps.compute((n,), lambda i: ps.max(T[i, q], axis=q), name="M")
    default = ps.build(ps.Schedule([S, M]))
    s = ps.Schedule([S, M])
    s[M].compute_with(S, "i")
    s[T].compute_at(S, "i")
    kernel = ps.build(s, check=True)
    for shape in ((0, 2), (5, 7)):
        a = np.random.default_rng(8).random(shape)
        for got, wanted in zip(kernel(a), default(a), strict=True):
            assert np.array_equal(got, wanted)
    with pytest.raises(ps.ScheduleError, match="because M reads it outside of that loop"):
        s[M].compute_root()


def test_refusals() -> None:
    B, C = stages()
    s = ps.Schedule([B, C])
    with pytest.raises(ps.ScheduleError, match="Q is none; the others are C"):
        s[B].compute_with("Q", "i")
    with pytest.raises(ps.ScheduleError, match="C has no loop 'z'"):
        s[B].compute_with(C, "z")
    s[B].parallel("i")
    with pytest.raises(ps.ScheduleError, match="i of B is marked, and the loops that it shares are those of C"):
        s[B].compute_with(C, "i")


def test_loops_of_a_stage_inside_its_reader_are_not_shared_with_it() -> None:
    """It was looked for where the reader's loops are, which were those of the stage: a KeyError."""
    _, C = stages()
    s = ps.Schedule(C)
    s["B"].compute_at("C", "i")
    with pytest.raises(ps.ScheduleError, match="B is computed in those of C"):
        s["C"].compute_with("B", "i")


@pytest.mark.parametrize(("before", "after"), [("j", None), ("i", None), ("j", "i")])
def test_a_stage_in_loops_that_its_reader_shares_with_an_earlier_one(before: str, after: str | None) -> None:
    """The loop was the reader's own no more, and was not found."""
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    E = ps.compute((n,), lambda i: A[i] - 1, name="E")
    B = ps.compute((n,), lambda i: A[i] * 2, name="B")
    C = ps.compute((n, 3), lambda i, j: B[i] + E[i], name="C")
    s = ps.Schedule([E, C])
    s[B].compute_at(C, before)
    s[C].compute_with(E, "i")
    if after is not None:
        s[B].compute_at(C, after)
    a = np.arange(5, dtype=np.float32)
    for got, wanted in zip(ps.build(s, check=True)(a), ps.build(ps.Schedule([E, C]))(a), strict=True):
        assert np.array_equal(got, wanted)
    assert ps.Schedule.from_text([E, C], s.to_text()) == s


def test_splitting_a_shared_loop_is_proven() -> None:
    """Loops are matched from the outermost on: after a split, tiles of one stage ran beside rows of the other."""
    B, C = stages()
    s = ps.Schedule([B, C])
    s[C].compute_with(B, "i")
    with pytest.raises(ps.LegalityError, match=r"C\.split"):
        s[C].split("i", 3)
    assert s.commands == ('C.compute_with("B", "i")',)


def test_lanes_of_a_shared_loop_are_as_many_as_those_of_both_stages() -> None:
    """The loop was cut where the stage ends whose mark it has."""
    n = ps.size_var("n")
    A = ps.placeholder((8,), "float32", name="A")
    B = ps.compute((8,), lambda i: A[i] * 2, name="B")
    C = ps.compute((n,), lambda i: ps.cast("float32", i), name="C")
    for marked_first in (True, False):
        s = ps.Schedule([B, C])
        if marked_first:
            s[B].vectorize("i")
        else:
            s[C].compute_with(B, "i")
        with pytest.raises(ps.ScheduleError, match="which may run further: split both by the same factor"):
            s[C].compute_with(B, "i") if marked_first else s[B].vectorize("i")
