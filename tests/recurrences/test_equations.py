"""`s[u].equation(k)`: the loops of one equation. Verdicts and bits: test_verdicts.py, test_schedules.py."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES


def recurrence() -> ps.Tensor:
    n = ps.size_var("n", min=1)
    a = ps.placeholder((n, n), "float64", name="a")
    i, j = ps.axes("i j")
    u = ps.recurrence((n, n), "float64", name="u")
    u[0, j] = a[0, j]
    u[i + 1, j] = 0.5 * u[i, j] + a[i + 1, j]
    return u


def test_loops_are_those_of_the_stage_until_they_are_changed() -> None:
    s = ps.Schedule(recurrence())
    s["u"].split("j", 4)
    assert s["u"].equation(1).loops == ("i", "j_o", "j_i")
    s["u"].equation(1).split("i", 2)
    assert s["u"].equation(1).loops == ("i_o", "i_i", "j_o", "j_i")
    assert s["u"].equation(0).loops == s["u"].loops == ("i", "j_o", "j_i")
    s["u"].vectorize("j_i")  # both have it
    assert str(s).count("vectorized for j_i") == 2
    assert s["u"].equation(0).parallel_loops() == ("i", "j_o")
    assert s["u"].equation(1).parallel_loops() == ("j_o",)


def test_text() -> None:
    s = ps.Schedule(recurrence())
    step = s["u"].equation(1)
    step.split("j", 8, inner="lanes")
    step.vectorize("lanes")
    text = 'u.equation(1).split("j", 8, outer="j_o", inner="lanes")\nu.equation(1).vectorize("lanes")\n'
    assert s.to_text().endswith(text)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert (again, hash(again), str(again)) == (s, hash(s), str(s))
    assert s.undo() == 'u.equation(1).vectorize("lanes")'
    a = np.random.default_rng(0).standard_normal((19, 19))
    np.testing.assert_array_equal(again.build()(a), ps.Schedule(s.outputs).build()(a))


def test_an_equation_is_kept_with_those_that_need_it() -> None:
    """A step cannot leave the loops that carry it; what is not in a circle has its own."""
    s = ps.Schedule(EXAMPLES["seidel_2d"].define())
    refusal = s["u"].equation(2).why_not("parallel", "i")
    assert isinstance(refusal, ps.LegalityError)
    assert "u.equation(2)[t=1, i=2, j=1]" in str(refusal)
    assert refusal.source == ("u", {"t": 1, "i": 1, "j": 1})
    s["u"].equation(0).parallel("i", "j", name="all")
    assert s["u"].equation(0).loops == ("t", "all")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda s: s["u"].equation(2), "from 0 to 1, in the order in which they were written, and there is none 2"),
        (lambda s: s["u"].equation(-1), "there is none -1"),
        (lambda s: s["u"].equation("t"), "there is none 't'"),
        (lambda s: s["u"].equation(0).equation(0), "this is equation 0 of u"),
        (lambda s: s["v"].equation(0), r"v is no recurrence, and its one equation is scheduled by s\[v\]"),
        (lambda s: s["u"].equation(1).fold_storage("i", 2), "fold_storage is for a stage as a whole, u.fold_storage"),
        (lambda s: s["u"].equation(1).split("k", 2), r"u.equation\(1\) has no loop 'k'; its loops are i, j"),
        (lambda s: s.extend('u.equation(5).reverse("i")'), r"line 1: u.equation\(5\).reverse|there is none 5"),
        (lambda s: s.extend('u.equation(1).equation(1).reverse("i")'), "not of the form|is no command"),
    ],
)  # fmt: skip
def test_errors(wrong: object, said: str) -> None:
    u = recurrence()
    v = ps.compute((u.shape[0],), lambda i: u[i, i], name="v")
    with pytest.raises(ps.ScheduleError, match=said):
        wrong(ps.Schedule([u, v]))  # type: ignore[operator]


def sweeps_in_turn() -> tuple[ps.Tensor, ps.Tensor]:
    """Of odd steps forwards, of even ones backwards: a symmetric Gauss-Seidel iteration."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    a = ps.placeholder((n,), "float64", name="a")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = a[i]
    inside = (i > 0) & (i < n - 1)
    u[2 * t + 1, i] = ps.select(inside, 0.5 * (u[2 * t + 1, i - 1] + u[2 * t, i + 1]), u[2 * t, i])
    u[2 * t + 2, i] = ps.select(inside, 0.5 * (u[2 * t + 2, i + 1] + u[2 * t + 1, i - 1]), u[2 * t + 1, i])
    return u, u[T]


def test_equations_have_loops_of_their_own_where_no_order_of_common_ones_is_left() -> None:
    u, last = sweeps_in_turn()
    s = ps.Schedule(last)
    assert "i = n - i' - 1  # of u.equation(2)" in str(s)
    assert isinstance(s[u].equation(2).why_not("reverse", "i"), ps.LegalityError)
    folded = ps.Schedule(last)
    folded[u].fold_storage("t", 1)
    folded[u].split("i", 4)
    assert folded[u].equation(2).loops == ("t", "i_o", "i_i")
    assert ps.Schedule.from_text(last, folded.to_text()) == folded
    for steps, cells in ((0, 1), (1, 2), (2, 5), (5, 9)):
        given = np.random.default_rng(cells).integers(0, 99, cells).astype(float)
        line = given.copy()
        for step in range(steps):
            places = range(1, cells - 1)
            for place in places if step % 2 == 0 else reversed(places):
                line[place] = 0.5 * (line[place - 1] + line[place + 1])
        np.testing.assert_array_equal(s.build()(given, T=steps), line)
        np.testing.assert_array_equal(folded.build()(given, T=steps), line)
