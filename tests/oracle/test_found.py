"""Verdicts that the oracle found wrong, each smaller than it was found."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.primitives import ComputeWith, FoldStorage, Parallel, Primitive, Reorder, Vectorize

from .oracle import Oracle

n, m = ps.size_var("n"), ps.size_var("m")


def reduction(operator: str, *bounds: Any, rows: Any = None) -> ps.Tensor:
    """A reduction over axes r, q from 0 to, or between, these bounds, for every i in `rows`."""

    def body(i: Any = None) -> Any:
        axes = () if i is None else (i,)
        made: list[Any] = []
        for name, given in zip("rq", bounds, strict=False):
            extent = given(*axes, *made) if callable(given) else given
            made.append(ps.reduce_axis(extent if isinstance(extent, tuple) else (0, extent), name=name))
        return getattr(ps, operator)(ps.cast("float32", sum(made[1:], made[0])), axis=tuple(made))

    return ps.compute((), partial(body, None), name="S") if rows is None else ps.compute((rows,), body, name="S")


def refusal(s: ps.Schedule, command: Primitive) -> ps.LegalityError:
    """The refusal of a command on S, whose witness the oracle confirms."""
    with pytest.raises(ps.LegalityError) as caught:
        s.apply(s["S"].tensor, command)
    error = caught.value
    assert Oracle(command.apply(s.state, s["S"].tensor), error.sizes).violated(error.source, error.sink)
    return error


def computed(s: ps.Schedule, command: Primitive, **sizes: int) -> None:
    """A command that is legal, and whose kernel gives what the reference says."""
    s.apply(s["S"].tensor, command)
    assert next(Oracle(s.state, sizes).violations(), None) is None
    (S,) = s.outputs
    reference = ps.evaluate(S, {size: sizes[size.name] for size in s.program.sizes})
    assert np.array_equal(ps.build(s)(**sizes), reference)


@pytest.mark.parametrize("operator", ["max", "argmax"])
def test_lanes_that_combine_inside_threads(operator: str) -> None:
    """Lanes are not one by one, so the parallel loop inside runs in order."""
    s = ps.Schedule(reduction(operator, n))
    _, inner = s["S"].split("r", 4)
    s["S"].vectorize(inner)
    computed(s, Parallel(("r_o",), ""), n=11)
    s = ps.Schedule(reduction(operator, n, lambda r: (0, r + 1)) if operator == "max" else reduction(operator, n, 5))
    _, inner = s["S"].split("r", 4)
    s["S"].vectorize(inner)
    computed(s, Parallel(("q",), ""), n=11)


def test_lanes_of_a_reversed_fused_loop() -> None:
    """Pairs that may be equal were taken for pairs that certainly are: lanes raced, which must take turns."""
    S = reduction("max", 2 * m, rows=2 * m)
    s = ps.Schedule(S)
    s["S"].fuse("i", "r", name="f")
    s["S"].reverse("f")
    _, inner = s["S"].split("f", 2)
    computed(s, Vectorize(inner), m=3)


def test_witnesses_of_split_fused_loops_are_real() -> None:
    """The position is not affine in symbolic extents; the witness was one that the approximation left."""
    s = ps.Schedule(reduction("sum", n, rows=n + 1))
    s["S"].split(s["S"].fuse("i", "r", name="f"), 4)
    assert refusal(s, Vectorize("f_i")).sizes == {"n": 2}
    s = ps.Schedule(reduction("max", n, rows=n + 1))
    s["S"].split(s["S"].fuse("i", "r", name="f"), 4)
    computed(s, Vectorize("f_i"), n=9)
    computed(s, Parallel(("f_o",), ""), n=9)


def test_a_reordered_piece_of_a_fused_loop_has_a_real_witness() -> None:
    s = ps.Schedule(reduction("sum", m, rows=m))
    s["S"].split(s["S"].fuse("i", "r", name="f"), 5)
    s["S"].split("f_o", 2, outer="a", inner="b")
    error = refusal(s, Reorder(("b", "a")))
    assert error.source[1]["i"] == error.sink[1]["i"] and error.source[1]["r"] < error.sink[1]["r"]


def test_counts_of_fused_loops_have_no_smallest_value() -> None:
    """A reversed fused loop has a count in its counter, of which nothing is known: isl found no least one."""
    S = reduction("max", lambda i: (i, m), lambda i, r: (i, m), rows=5)
    s = ps.Schedule(S)
    s["S"].reverse(s["S"].fuse("r", "q", name="f"))
    s["S"].fuse("i", "f", name="g")
    s["S"].split("g", 2)
    computed(s, Vectorize("g_i"), m=4)


def test_a_reversed_fused_loop_with_an_affine_count_is_exact() -> None:
    """n * 4 is affine: where pieces of the reversed loop begin is known, and lanes over data do no harm."""
    A = ps.placeholder((n, 4), "float32", name="A")
    r = ps.reduce_axis((0, n), name="r")
    S = ps.compute((4,), lambda j: ps.sum(A[r, j], axis=r), name="S")
    s = ps.Schedule(S)
    s["S"].reorder("r", "j")
    s["S"].split(s["S"].fuse("r", "j", name="f"), 4)
    s["S"].vectorize("f_i")
    assert next(Oracle(s.state, {"n": 5}).violations(), None) is None
    t = ps.Schedule(ps.compute((4,), lambda j: ps.max(A[r, j], axis=r), name="S"))
    t["S"].reorder("r", "j")
    t["S"].reverse(t["S"].fuse("r", "j", name="f"))
    t["S"].split("f", 4)
    t["S"].vectorize("f_i")
    assert next(Oracle(t.state, {"n": 5}).violations(), None) is None


def test_a_copy_of_what_an_inlined_stage_reads_is_read() -> None:
    """The kernel read the copy; what was printed, and what the oracle goes by, read the original."""
    A = ps.placeholder((n,), "float32", name="A")
    first = ps.compute((n,), lambda i: A[i] + 1, name="first")
    second = ps.compute((n,), lambda i: first[i] * 2, name="second")
    s = ps.Schedule(ps.compute((n,), lambda i: second[n - 1 - i] - A[i], name="third"))
    s["first"].inline()
    s["second"].inline()
    s["third"].cache_read("A", name="copy")
    assert "third[i] = (copy[n - 1 - i] + 1.0) * 2.0 - copy[i]" in str(s)
    assert next(Oracle(s.state, {"n": 4}).violations(), None) is None


@pytest.mark.parametrize(("ours", "theirs", "legal"), [(2, 4, False), (4, 2, True), (2, 3, False), (3, 3, True)])
def test_shared_loops_of_different_factors(ours: int, theirs: int, legal: bool) -> None:
    """Quotient and remainder are one counter again only if both statements are split by the same number."""
    A = ps.placeholder((n,), "float32", name="A")
    first = ps.compute((n,), lambda i: A[i] + 1, name="first")
    second = ps.compute((n,), lambda i: first[i] * 2, name="second")
    s = ps.Schedule(second)
    s["first"].split("i", ours, outer="a", inner="b")
    s["second"].split("i", theirs, outer="a", inner="b")
    state = ComputeWith("second", "b").apply(s.state, s["first"].tensor)
    assert any(Oracle(state, {"n": 9}).violations()) is not legal
    if legal:
        s["first"].compute_with("second", "b")
    else:
        with pytest.raises(ps.LegalityError) as caught:
            s["first"].compute_with("second", "b")
        assert caught.value.sizes == {"n": ours + 1}


def test_the_witness_of_a_second_fold_is_a_violation() -> None:
    """A fold of two rows to three lets nothing meet; what the second was refused for was looked up by the first."""
    r = ps.reduce_axis((0, n), name="r")
    first = ps.compute((2, n), lambda i, j: ps.sum(ps.cast("int32", 1), axis=r), name="first")

    def products(i: Any) -> Any:
        p, q = ps.reduce_axis((0, n), name="p"), ps.reduce_axis((0, i), name="q")
        inside = (p // 2 < 2) & (i + q < n)
        return ps.prod(ps.select(inside, first[p // 2, i + q], 0), axis=(p, q))

    second = ps.compute((n,), products, name="second")
    s = ps.Schedule(second)
    s["first"].fold_storage("i", 3)
    command = FoldStorage("j", 2)
    with pytest.raises(ps.LegalityError) as caught:
        s["first"].fold_storage("j", 2)
    oracle = Oracle(command.apply(s.state, s["first"].tensor), caught.value.sizes)
    assert oracle.violated(caught.value.source, caught.value.sink)


def test_fusing_a_folded_dimension_with_a_reduction_moves_its_init() -> None:
    """Nothing reads the sums, so that two cells do; but all are begun before the fused loop, one over the other."""
    sums = reduction("sum", 5, rows=2 * m)

    def last(i: Any) -> Any:
        r = ps.reduce_axis((0, 3), name="r")
        return ps.max(ps.select((r >= 3) & (i < 2 * m), sums[i], 0.0), axis=r)

    s = ps.Schedule(ps.compute((m,), last, name="C"))
    s["S"].fold_storage("i", 2)
    before = s.commands
    with pytest.raises(ps.LegalityError, match=r"fuse.*into the cell of an element that S.* still reads"):
        s["S"].fuse("i", "r")
    assert s.commands == before
