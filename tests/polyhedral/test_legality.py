"""Which of several violations is shown, and what becomes of a step that is neither proven nor refuted."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps
from polysched.polyhedral.legality import first_violation
from polysched.schedule.primitives import Reverse


@pytest.mark.parametrize("first", ["near", "far"])
def test_the_smallest_of_all_violations_is_shown(first: str) -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")

    def total(name: str, extent: object) -> ps.Tensor:
        r = ps.reduce_axis((0, extent), name="r")
        return ps.compute((), lambda: ps.sum(A[r], axis=r), name=name)

    made = {name: total(name, n if name == "near" else n - 3) for name in sorted(("near", "far"), key=first.__ne__)}
    s = ps.Schedule(list(made.values()))
    state = s.state
    for stage in made.values():
        state = Reverse("r").apply(state, stage)
    violation = first_violation(state.tree(), state.pairs, state.program.world, "both")
    assert violation is not None
    assert violation.cell == ("near", ()) and violation.point.sizes == {"n": 2}


def test_what_is_not_decided_is_refused() -> None:
    """Legal, because the updates of an element are n * k >= 9 positions apart; but that is not affine."""
    n, k, m = ps.size_var("n", min=3), ps.size_var("k", min=3), ps.size_var("m")
    A = ps.placeholder((m, n, k), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    S = ps.compute((n, k), lambda i, j: ps.sum(A[r, i, j], axis=r), name="S")
    s = ps.Schedule(S)
    s[S].reorder("r", "i", "j")
    _, inner = s[S].split(s[S].fuse("r", "i", "j"), 8)
    before = s.commands
    with pytest.raises(ps.BudgetError, match="undecided, so it is refused"):
        s[S].vectorize(inner)
    assert s.commands == before


def test_shifts_of_the_pieces_of_a_fused_loop_are_decided() -> None:
    """What is added to the counters of all instances changes no order, though the position is no affine function."""
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    r, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, n), name="q")
    C = ps.compute((5,), lambda i: ps.sum(A[r, q], axis=(r, q)), name="C")
    s = ps.Schedule(C)
    s[C].split(s[C].fuse("r", "q", name="x"), 3, outer="a", inner="b")
    s[C].shift("b", 2)
    s[C].shift("a", -1)
    s[C].split("b", 7, outer="c", inner="d")
    s[C].shift("d", 1)
    with pytest.raises(ps.LegalityError, match="it runs C"):
        s[C].reverse("a")
    a = np.random.default_rng(3).random((7, 7), dtype=np.float32)
    assert np.array_equal(s.build()(a), ps.build(ps.Schedule(C))(a))
