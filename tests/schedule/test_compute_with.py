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
    with pytest.raises(ps.ScheduleError, match=r"B, .*, is computed in those of C; B\.compute_root"):
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


def softmax(n: int | ps.Expr = 5, m: int | ps.Expr = 40) -> ps.Tensor:
    x = ps.placeholder((n, m), "float32", name="x")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    top = ps.compute((n,), lambda i: ps.max(x[i, r], axis=r), name="top")
    e = ps.compute((n, m), lambda i, j: ps.exp(x[i, j] - top[i]), name="e")
    total = ps.compute((n,), lambda i: ps.sum(e[i, q], axis=q, reassociate=True), name="total")
    return ps.compute((n, m), lambda i, j: e[i, j] / total[i], name="y")


def in_rows(y: ps.Tensor) -> ps.Schedule:
    s = ps.Schedule(y)
    for stage in ("total", "e", "top"):
        s[stage].compute_at("y", "i")
    return s


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_reduction_and_what_it_reads_in_one_loop_of_their_consumer(vectors: bool, threads: int) -> None:
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    y = softmax(n, m)
    target = ps.Target("native", threads=threads)
    default = ps.build(ps.Schedule(y), target)
    s = in_rows(y)
    s["e"].split("j", 8)
    s["total"].split("q", 8)
    s["e"].compute_with("total", "q_i")
    assert "e: float32[1, m] stored here, in the loops of total" in str(s)
    if vectors:
        s["total"].vectorize("q_i")
    if threads > 1:
        s["y"].parallel("i")
    assert ps.Schedule.from_text(y, s.to_text()) == s
    kernel = ps.build(s, target, check=True)
    assert kernel.warnings == ()
    for shape in ((0, 1), (1, 1), (3, 7), (9, 67)):
        x = np.random.default_rng(4).standard_normal(shape, np.float32)
        got, wanted = kernel(x), default(x)
        assert np.array_equal(got, wanted) if not vectors else np.allclose(got, wanted, rtol=1e-6)


def test_sums_of_a_row_in_one_loop_begin_before_it() -> None:
    """The mean and the mean of squares of each row, and an argmax: three accumulators in one vector loop."""
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    x = ps.placeholder((n, m), "int32", name="x")
    r, q, p = (ps.reduce_axis((0, m), name=name) for name in "rqp")
    sums = ps.compute((n,), lambda i: ps.sum(x[i, r], axis=r), name="sums")
    squares = ps.compute((n,), lambda i: ps.sum(x[i, q] * x[i, q], axis=q), name="squares")
    most = ps.compute((n,), lambda i: ps.max(x[i, p], axis=p), name="most")
    y = ps.compute((n,), lambda i: squares[i] * m - sums[i] * sums[i] + most[i], name="y")
    default = ps.build(ps.Schedule(y))
    s = ps.Schedule(y)
    for stage, loop in ((sums, "r"), (squares, "q"), (most, "p")):
        s[stage].compute_at(y, "i")
        s[stage].split(loop, 4)
    s[sums].compute_with(most, "p_i")
    s[squares].compute_with(most, "p_i")
    s[most].vectorize("p_i")
    assert str(s).count("for p_o") == 1
    kernel = ps.build(s, check=True)
    assert kernel.warnings == ()
    for shape in ((1, 1), (4, 3), (5, 23)):
        a = np.random.default_rng(5).integers(-50, 50, shape, np.int32)
        assert np.array_equal(kernel(a), default(a))


def test_reductions_at_the_root_in_one_loop() -> None:
    n = ps.size_var("n")
    x = ps.placeholder((n,), "float32", name="x")
    r, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, n), name="q")
    low = ps.compute((), lambda: ps.min(x[r], axis=r), name="low")
    total = ps.compute((), lambda: ps.sum(x[q], axis=q), name="total")
    s = ps.Schedule([low, total])
    s[total].compute_with(low, "r")
    kernel = ps.build(s, check=True)
    default = ps.build(ps.Schedule([low, total]))
    for count in (0, 1, 9):
        a = np.random.default_rng(6).random(count, np.float32)
        for got, wanted in zip(kernel(a), default(a), strict=True):
            assert np.array_equal(got, wanted)


def test_a_sum_is_not_read_in_the_loop_that_makes_it() -> None:
    s = in_rows(softmax())
    with pytest.raises(ps.LegalityError, match=r"runs e\[.*reads top"):
        s["top"].compute_with("e", "j")
    s["e"].compute_with("total", "q")
    with pytest.raises(ps.ScheduleError, match="e is computed at i of y, and total, whose loops it shares, at"):
        s["total"].compute_root()
    with pytest.raises(ps.ScheduleError, match="e is computed at i of y, and total, whose loops it shares, at j of y"):
        s["total"].compute_at("y", "j")
    with pytest.raises(ps.ScheduleError, match=r"the earlier stage shares the loops of the later one: e.compute_with"):
        in_rows(softmax())["total"].compute_with("e", "j")
    with pytest.raises(ps.ScheduleError, match="would share loops of e, which are those of total: share these"):
        s["top"].compute_with("e", "j")


def test_a_stage_goes_where_the_stage_is_whose_loops_it_shares() -> None:
    y = softmax()
    s = ps.Schedule(y)
    s["total"].compute_at("y", "i")
    s["e"].compute_with("total", "q")
    other = ps.Schedule(y)
    other["total"].compute_at("y", "i")
    other["e"].compute_at("y", "i")
    other["e"].compute_with("total", "q")
    assert str(s) == str(other)
    s["e"].store_at()
    assert "e: float32[5, 40] stored at the root, in the loops of total" in str(s)
    x = np.random.default_rng(7).random((5, 40), np.float32)
    assert np.array_equal(ps.build(s, check=True)(x), ps.build(ps.Schedule(y))(x))


def test_a_stage_in_a_loop_that_two_share() -> None:
    """The loops around are those of the stage whose they are; the other one has the same counters."""
    y = softmax()
    s = in_rows(y)
    s["e"].split("j", 8)
    s["total"].split("q", 8)
    s["e"].compute_with("total", "q_i")
    s["e"].cache_read("x", at="j_o")
    kernel = ps.build(s, check=True)
    x = np.random.default_rng(8).random((5, 40), np.float32)
    assert np.array_equal(kernel(x), ps.build(ps.Schedule(y))(x))


def test_an_output_stays_at_the_root() -> None:
    """It went where the other stage is, and nothing there said which elements are needed."""
    n = ps.size_var("n")
    x = ps.placeholder((n,), "float32", name="x")
    a, b = (ps.compute((n,), lambda i, k=k: x[i] * k, name=name) for k, name in ((2, "a"), (3, "b")))
    y = ps.compute((n,), lambda i: b[i] + 1, name="y")
    s = ps.Schedule([a, y])
    s[b].compute_at(y, "i")
    with pytest.raises(ps.ScheduleError, match="a is an output, which is computed as a whole, at the root; b, whose"):
        s[a].compute_with(b, "i")
