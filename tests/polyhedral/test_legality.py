"""Which of several violations is shown, and what becomes of a step that is neither proven nor refuted."""

from __future__ import annotations

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
