"""What is not proven again: only commands after which everything runs in the order that it had."""

from __future__ import annotations

import pytest

import polysched as ps
from polysched.polyhedral.kept_order import marked_anew, without_skew
from polysched.schedule.text import HEADER, parse_schedule


def two_fields() -> ps.Schedule:
    T, n = ps.size_var("T"), ps.size_var("n", min=2)
    A, B = (ps.placeholder((n, 8), "float64", name=name) for name in "AB")
    t, i, j = ps.axes("t i j")
    e, h = (ps.recurrence((T + 1, n, 8), "float64", name=name) for name in "eh")
    e[0, i, j], h[0, i, j] = A[i, j], B[i, j]
    e[t + 1, i, j] = e[t, i, j] + ps.select(i > 0, h[t, i - 1, j], 0.0) - h[t, i, j]
    h[t + 1, i, j] = h[t, i, j] + ps.select(i < n - 1, e[t + 1, i + 1, j], 0.0) - e[t + 1, i, j]
    return ps.Schedule([e[T], h[T]])


def after(given: tuple[str, ...], text: str) -> frozenset[int] | None:
    """What a command makes of the order of instances, whether or not it is legal."""
    s = two_fields()
    s.extend(given)
    ((_, name, command),) = parse_schedule(f"{HEADER}\n{text}")
    of = frozenset(x.number for field in "eh" for x in s.program.of_stage(s[field].tensor))
    before = command.taken_back(command.apply(s.state, s[name].tensor).tree().root, of)
    return None if before is None else marked_anew(s.tree().root, before)


TOGETHER = (
    'h.shift("i", 1)',
    'e.skew("i", 1, by="t")',
    'e.tile("t", "i", 4, 4, outers=("t_o", "i_o"), inners=("t_i", "i_i"))',
)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ((), 'e.split("i", 4, outer="io", inner="ii")'),
        ((), 'e.split("t", 3, outer="to", inner="ti")'),
        ((), 'e.skew("j", -2, by="i")'),
        ((), 'h.shift("i", 1)'),
        (TOGETHER, 'e.skew("j", 1, by="i_i")'),
        (TOGETHER, 'e.split("i_i", 2, outer="io", inner="ii")'),
    ],
)
def test_the_order_stays(given: tuple[str, ...], command: str) -> None:
    assert after(given, command) == frozenset()


@pytest.mark.parametrize(
    "command",
    ['h.shift("i_o", 1)', 'e.reverse("i_o")', 'e.reorder("i_o", "t_o")', 'h.reverse("j")', 'e.reorder("j", "i_i")'],
)
def test_the_order_may_be_another(command: str) -> None:
    assert after(TOGETHER, command) is None


def test_marks_are_proven_for_what_is_in_their_loops() -> None:
    s = two_fields()
    numbers = after((), 'h.vectorize("j")')
    of_h = {statement.number for statement in s.program.of_stage(s["h"].tensor)}
    assert numbers and numbers <= of_h
    assert after((), 'e.parallel("t")')


def test_what_is_skewed_by_lanes_is_proven() -> None:
    s = two_fields()
    s["e"].reorder("j", "i")
    s["e"].vectorize("j")
    assert without_skew(s.tree().root, "i", 1, "j", frozenset(range(99))) is None
