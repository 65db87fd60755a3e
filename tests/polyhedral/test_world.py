"""World: the smallest witness, and budgets."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import INDEX
from polysched.compute.expr import Axis, Const, Size
from polysched.polyhedral.affine import condition_sets
from polysched.polyhedral.bounds import iteration_domain
from polysched.polyhedral.isl import World

from .enumerated import random_condition, value_of


@pytest.mark.parametrize("seed", range(80))
def test_smallest_is_the_smallest(seed: int) -> None:
    """Of the least total size, then the first sizes, then the first instance."""
    rng = random.Random(seed)
    n, m = Size("n"), Size("m")
    world = World((n, m))
    i, j = Axis("i", Const(0, INDEX), n), Axis("j", Const(0, INDEX), m)
    frame = world.frame((i, j), "S")
    context = world.parameter_frame().universe()
    for size in (n, m):
        value = world.parameter_frame().size(size)
        context = context.intersect(value.ge_set(world.parameter_frame().const(0)))
    condition = random_condition(rng, [i, j, n, m], 2)
    bad = iteration_domain(frame, (i, j), context).intersect(condition_sets(condition, frame)[0])
    found = world.smallest(bad)
    expected = None
    for a, b in sorted(itertools.product(range(13), repeat=2), key=lambda sizes: (sum(sizes), sizes)):
        places = itertools.product(range(a), range(b))
        first = next(
            (p for p in places if value_of(condition, dict(zip((i, j), p, strict=True)), {"n": a, "m": b})), None
        )
        if first is not None:
            expected = {"n": a, "m": b}, first
            break
    if found is None:
        assert expected is None
    elif sum(found.sizes.values()) < 13:
        assert (found.sizes, found.coordinates) == expected


def test_of_two_violations_the_one_with_the_least_total_size() -> None:
    n, m = Size("n"), Size("m")
    world = World((n, m))
    frame = world.frame((), "S")
    large = frame.size(n).ge_set(frame.const(1)).intersect(frame.size(m).ge_set(frame.const(33)))
    small = frame.size(n).ge_set(frame.const(2)).intersect(frame.size(m).ge_set(frame.const(3)))
    point = world.smallest(large.union(small))
    assert point is not None and point.sizes == {"n": 2, "m": 3}


def test_smallest_beyond_64_bits() -> None:
    n = Size("n")
    world = World((n,))
    frame = world.frame((), "S")
    beyond = frame.size(n).ge_set(frame.const(1 << 62).scale_val(world.val(1 << 10)))
    assert (point := world.smallest(beyond)) is not None and point.sizes == {"n": 1 << 72}


def product() -> ps.Tensor:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def tiled(budget: int) -> tuple[str, str]:
    """What the first command that is undecided says, and what is left of the schedule."""
    C = product()
    s = ps.Schedule(C, budget=budget)
    try:
        s[C].tile("i", "j", 6, 16)
        s[C].split("r", 8)
        s[C].reorder("r_o", "i_o", "j_o", "i_i", "r_i", "j_i")
    except ps.BudgetError as error:
        return error.reason, s.to_text()
    return "", s.to_text()


def test_a_small_budget_leaves_a_step_undecided_always_the_same() -> None:
    first, kept = tiled(40)
    assert "undecided within 40 isl operations" in first and "budget=" in first and "C.tile(" in first
    assert tiled(40) == (first, kept)
    messages = [tiled(budget)[0] != "" for budget in (40, 200, 1000, 5000, 20_000_000)]
    assert messages == sorted(messages, reverse=True) and not messages[-1], "more budget never decides less"


def test_after_a_budget_error_everything_works_on() -> None:
    C = product()
    s = ps.Schedule(C, budget=40)
    with pytest.raises(ps.BudgetError) as caught:
        s[C].reorder("r", "j", "i")
    assert isinstance(caught.value, ps.ScheduleError) and s.commands == ()
    s[C].split("i", 4)
    s.program.world.budget = 20_000_000
    s[C].reorder("r", "j")
    with pytest.raises(ps.LegalityError):
        s[C].parallel("r")


def test_legal_or_undecided_never_both() -> None:
    """With whatever budget, an illegal step is refused: as illegal, or as undecided."""
    C = product()
    for budget in (1, 10, 30, 60, 100, 150, 250, 500, 1000, 20_000_000):
        s = ps.Schedule(C, budget=budget)
        with pytest.raises((ps.BudgetError, ps.LegalityError)):
            s[C].reverse("r")
        assert s.commands == ()


def test_a_fused_loop_whose_alignment_decides() -> None:
    """Pieces of 8 are within a row where rows are multiples of 8. That they are within a plane of k * p elements where
    k is such a multiple is neither proven, nor refuted at any size that is tried: undecided, and refused."""
    n, m = ps.size_var("n"), ps.size_var("m", multiple_of=8)
    k, p = ps.size_var("k", multiple_of=8), ps.size_var("p")
    A, B = ps.placeholder((n, m), "float32", name="A"), ps.placeholder((n, k, p), "float32", name="B")
    r = ps.reduce_axis((0, n), name="r")
    C = ps.compute((m,), lambda j: ps.sum(A[r, j], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].reorder("r", "j")
    _, inner = s[C].split(s[C].fuse("r", "j", name="f"), 8)
    s[C].vectorize(inner)
    a = np.random.default_rng(0).random((5, 24), dtype=np.float32)
    assert np.array_equal(s.build()(a), ps.build(ps.Schedule(C))(a))
    D = ps.compute((k, p), lambda i, j: ps.sum(B[r, i, j], axis=r), name="D")
    s = ps.Schedule(D)
    s[D].reorder("r", "i", "j")
    _, inner = s[D].split(s[D].fuse("r", "i", "j", name="f"), 8)
    with pytest.raises(ps.BudgetError, match="fused loop"):
        s[D].vectorize(inner)
