"""Transactions: what several commands amount to is proven once, and counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.proof import first_violation_after

n = ps.size_var("n", min=1)


def doubled() -> ps.Tensor:
    """A chain, which runs in one order only."""
    (i,) = ps.axes("i")
    u = ps.recurrence((n,), "int32", name="u")
    u[0] = 1
    u[i + 1] = 2 * u[i]
    return u


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands whose states are proven."""
    found: list[str] = []

    def noted(*about: Any, **options: Any) -> Any:
        found.append(str(about[-1]))
        return first_violation_after(*about, **options)

    monkeypatch.setattr("polysched.schedule.schedule.first_violation_after", noted)
    return found


def together(s: ps.Schedule, *commands: tuple[str, str]) -> None:
    """Commands on u, each a word and a loop."""
    with s.transaction():
        for word, loop in commands:
            getattr(s["u"], word)(loop)


def turned_twice() -> ps.Schedule:
    s = ps.Schedule(doubled())
    with s.transaction():
        s["u"].reverse("i")
        s["u"].reverse("i")
    return s


def test_what_is_between_need_not_be_legal(proven: list[str]) -> None:
    s = turned_twice()
    assert proven == ['reverse("i")']
    np.testing.assert_array_equal(s.build(check=True)(n=5), 2 ** np.arange(5))
    s["u"].split("i", 2)
    assert len(proven) == 2
    with pytest.raises(ps.LegalityError):
        s["u"].reverse("i_o")


def test_as_text() -> None:
    s = turned_twice()
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    other = ps.Schedule(s.outputs)
    other.extend(s.commands)
    assert other == s
    other.extend(s.commands[:0])
    with pytest.raises(ps.LegalityError, match="line 4"):
        ps.Schedule.from_text(s.outputs, s.to_text() + s.to_text().splitlines()[-1])


def test_undo_stops_at_what_is_legal() -> None:
    s = turned_twice()
    s["u"].split("i", 2)
    assert s.undo().startswith("u.split")
    assert s.undo() == 'u.reverse("i")\nu.reverse("i")'
    assert s == ps.Schedule(s.outputs) and s.state.is_proven
    with s.transaction():
        s["u"].split("i", 2)
        s["u"].unroll("i_i")
    assert s.undo() == 'u.unroll("i_i")' and len(s.commands) == 1 and s.state.is_proven


def test_none_is_kept_if_one_is_refused_or_all_are() -> None:
    s = ps.Schedule(doubled())
    s["u"].split("i", 2)
    before = s.copy()
    with pytest.raises(ps.LegalityError, match=r'u\.reverse\("i_o"\): at n=3'):
        together(s, ("reverse", "i_o"), ("unroll", "i_i"))
    assert s == before and s.state.is_proven
    with pytest.raises(ps.ScheduleError, match="no loop"):
        together(s, ("reverse", "i_o"), ("reverse", "j"))
    assert s == before
    with pytest.raises(AttributeError):
        together(s, ("reverse", "i_o"), ("turn", "i_o"))
    assert s == before
    with pytest.raises(ps.LegalityError):  # one by one again
        s["u"].reverse("i_o")


def test_questions_inside_are_about_all_that_came_before() -> None:
    s = ps.Schedule(doubled())
    with s.transaction():
        s["u"].reverse("i")
        assert s["u"].why_not("unroll", "i") is not None
        assert s["u"].why_not("reverse", "i") is None
        for asked in (s.build, s.explain):
            with pytest.raises(ps.TargetError, match="in a transaction"):
                asked()
        with pytest.raises(ps.LegalityError):
            s.copy()["u"].split("i", 4)
        s["u"].reverse("i")
    assert len(s.commands) == 2


def test_one_in_another() -> None:
    s = ps.Schedule(doubled())
    with s.transaction():
        with s.transaction():
            s["u"].reverse("i")
        with pytest.raises(ps.ScheduleError):
            together(s, ("reverse", "i"), ("reverse", "k"))
        with pytest.raises(ps.LegalityError), s.transaction(apart=True):
            s["u"].split("i", 2)
        assert len(s.commands) == 1
        s["u"].reverse("i")
    assert len(s.commands) == 2 and s.state.is_proven


def test_schedules_of_conditions() -> None:
    s = ps.Schedule(doubled())
    few = s.specialize("n <= 7")
    with few.transaction():
        few["u"].reverse("i")
        with pytest.raises(ps.TargetError, match="in a transaction"):
            s.build()
        few["u"].reverse("i")
        s["u"].split("i", 4)
    for size in (1, 7, 8):
        np.testing.assert_array_equal(s.build(check=True)(n=size), 2 ** np.arange(size))
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    before = s.copy()
    with pytest.raises(ps.LegalityError, match=r"at n=3 .*"):
        s.extend(['u.unroll("i_i")', 'u.specialize("n <= 7").reverse("i")'])
    assert s == before
    assert s.undo().startswith("u.split") and len(s.undo().splitlines()) == 2


def test_what_is_too_hard_at_once_is_proven_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def too_hard_at_once(before: Any, *about: Any, **options: Any) -> Any:
        asked.append(str(about[-1]))
        if not before.is_proven:
            raise ps.BudgetError("too hard")
        return first_violation_after(before, *about, **options)

    monkeypatch.setattr("polysched.schedule.schedule.first_violation_after", too_hard_at_once)
    s = ps.Schedule(doubled())
    with s.transaction():
        s["u"].split("i", 2)
        s["u"].unroll("i_i")
    assert [words.partition("(")[0] for words in asked] == ["unroll", "split", "unroll"] and len(s.commands) == 2
    with pytest.raises(ps.LegalityError):
        together(s, ("parallel", "i_o"))
    assert len(s.commands) == 2


@pytest.mark.parametrize("error", [ps.BudgetError("too hard"), None])
def test_what_is_refused_takes_few_proofs(error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refused(*about: Any, **options: Any) -> Any:
        asked.append(str(about[-1]))
        if error is not None and len(asked) != 2:  # the first command alone is refused, and all else undecided
            raise error
        return first_violation_after(*about, **options)

    monkeypatch.setattr("polysched.schedule.schedule.first_violation_after", refused)
    s = ps.Schedule(doubled())
    with pytest.raises(ps.LegalityError):
        together(s, *[("reverse", "i")] * 15)
    assert len(asked) <= 3 * 15 and s.commands == ()


def test_recipes_prove_what_they_amount_to(proven: list[str]) -> None:
    T, m = ps.size_var("T"), ps.size_var("m", min=1)
    A = ps.placeholder((m,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, m), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < m - 1, u[t, i + 1], 0.0)
    s = ps.Schedule(u[T])
    ps.recipes.time_tile(s[u], ps.Target("x86-64-v3", threads=1))
    assert len(s.commands) >= 9 and len(proven) <= 5
