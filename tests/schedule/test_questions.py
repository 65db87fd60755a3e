"""why_not and parallel_loops: what a refusal says, as data for programs, without changing the schedule."""

from __future__ import annotations

from typing import Any

import pytest

import polysched as ps
from polysched.schedule.proof import first_violation_after


def row_sums(*, reassociate: bool = False) -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    return ps.Schedule(ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r, reassociate=reassociate), name="S"))


def test_why_not_gives_the_witness_and_changes_nothing() -> None:
    s = row_sums()
    before = s.copy()
    refusal = s.why_not("parallel", "r")
    assert isinstance(refusal, ps.LegalityError)
    assert (refusal.source, refusal.sink) == (("S", {"i": 0, "r": 0}), ("S", {"i": 0, "r": 1}))
    assert (refusal.sizes, refusal.cell) == ({"n": 1, "m": 2}, ("S", (0,)))
    assert s == before
    assert s.commands == ()


def test_why_not_is_none_for_what_is_accepted() -> None:
    s = row_sums()
    assert s.why_not("parallel", "i") is None
    assert s["S"].why_not("split", "r", 4) is None
    assert s.commands == ()


def test_why_not_also_tells_what_cannot_be_carried_out() -> None:
    refusal = row_sums().why_not("vectorize", "i")
    assert type(refusal) is ps.ScheduleError
    assert "literal number of iterations" in str(refusal)


def test_questions_about_nothing_are_refused() -> None:
    s = row_sums()
    with pytest.raises(ps.ScheduleError, match="'paralel' is no command"):
        s["S"].why_not("paralel", "i")
    with pytest.raises(ps.ScheduleError, match="no stage has a loop 'x'"):
        s.why_not("parallel", "x")


def test_parallel_loops_are_those_that_parallel_accepts() -> None:
    s = row_sums()
    assert s.parallel_loops() == {"S": ("i",)}
    s["S"].split("i", 4)
    s["S"].split("r", 4)
    s["S"].parallel("i_o")
    assert s["S"].parallel_loops() == ("i_o", "i_i")


def test_free_order_makes_lanes_and_threads_over_a_reduction_legal_and_those_of_a_mix() -> None:
    s = row_sums(reassociate=True)
    s["S"].split("r", 16)
    assert s.why_not("vectorize", "r_i") is None
    assert s.why_not("parallel", "r_i") is None
    s = row_sums(reassociate=True)
    s["S"].split(s["S"].fuse("i", "r"), 4, inner="mix")
    assert s.why_not("parallel", "mix") is None
    assert s.why_not("vectorize", "mix") is None
    s = row_sums()
    s["S"].split(s["S"].fuse("i", "r"), 4, inner="mix")
    for word in ("parallel", "vectorize"):
        assert "both accumulate into S[0]" in str(s.why_not(word, "mix"))


def test_what_was_asked_about_is_not_proven_again(monkeypatch: pytest.MonkeyPatch) -> None:
    proven: list[str] = []

    def counted(*about: Any, **options: Any) -> Any:
        proven.append(str(about[-1]))
        return first_violation_after(*about, **options)

    monkeypatch.setattr("polysched.schedule.schedule.first_violation_after", counted)
    s = row_sums()
    other = s.copy()
    assert s.why_not("parallel", "i") is None
    s["S"].parallel("i")
    s.undo()
    other["S"].parallel("i")
    assert (proven, other.commands) == (['parallel("i")'], ('S.parallel("i")',))
    assert s.why_not("parallel", "r") is not None
    assert s.why_not("parallel", "r") is not None
    assert len(proven) == 3


def test_other_arguments_are_another_question() -> None:
    """True is 1 to Python, and no factor."""
    s = row_sums()
    assert s["S"].why_not("split", "i", 1) is None
    assert s["S"].why_not("split", "i", True) is not None
    assert s["S"].why_not("split", "r", 1) is None
    s["S"].split("i", 1)
    assert s.commands == ('S.split("i", 1, outer="i_o", inner="i_i")',)


def test_a_rewrite_that_means_nothing_is_a_refusal_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def meaningless(*_: object) -> Any:
        raise ps.DefinitionError("no order of loops computes them")

    s = row_sums()
    monkeypatch.setattr("polysched.schedule.primitives.split.Split.apply", meaningless)
    refusal = s["S"].why_not("split", "i", 4)
    assert type(refusal) is ps.ScheduleError
    assert 'S.split("i", 4, outer="i_o", inner="i_i"): no order of loops computes them' in str(refusal)
