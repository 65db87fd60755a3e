"""What is taken for ordered without quotients is so by the exact test, too, and tiles of a band are."""

from __future__ import annotations

import polysched as ps
from polysched.polyhedral.band_order import certainly_ordered
from polysched.polyhedral.order import violations
from polysched.schedule import text
from polysched.schedule.primitives import State


def stencil() -> ps.Schedule:
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    return ps.Schedule(u)


def state_after(*commands: str) -> State:
    """The state after commands, legal or not."""
    s = stencil()
    state = s.state
    for _, stage, command in text.parse_schedule("\n".join([text.HEADER, *commands])):
        state = state.after(command, s[stage].tensor)
    return state


TILES = ('u.split("t", 4, outer="to", inner="ti")', 'u.split("i", 8, outer="io", inner="ii")')
SKEW, ORDER = 'u.skew("i", 1, by="t")', 'u.reorder("to", "io", "ti", "ii")'
WAVE = ('u.skew("io", 1, by="to")', 'u.reorder("io", "to")', 'u.parallel("to")')


def verdicts(*commands: str) -> list[bool]:
    state = state_after(*commands)
    tree = state.tree()
    found = []
    for pair in state.pairs:
        bad = violations(tree, pair)
        legal = bad.reversed.is_empty() and bad.together.is_empty()
        certain = certainly_ordered(tree, pair)
        assert legal or not certain, f"{commands}: {pair}"
        found.append(certain)
    return found


def test_tiles_of_a_band_need_no_quotients() -> None:
    assert all(verdicts(SKEW, *TILES, ORDER))
    assert all(verdicts(SKEW, *TILES, ORDER, *WAVE))
    assert all(verdicts(SKEW, *TILES, ORDER, 'u.split("ii", 2, outer="a", inner="b")'))
    assert all(verdicts(SKEW, *TILES, ORDER, 'u.vectorize("ii")'))


STEPS = ('u.split("t", 4, outer="to", inner="ti")', 'u.skew("i", 1, by="ti")', 'u.reorder("to", "i", "ti")')


def test_a_loop_that_is_skewed_by_the_inner_one_of_a_split() -> None:
    assert all(verdicts(*STEPS))
    assert all(verdicts(*STEPS, 'u.split("i", 8, outer="io", inner="ii")'))
    assert all(verdicts(*STEPS, 'u.partition("i", 8, name="d")', 'u.split("i", 2, outer="io", inner="ii")'))
    assert not all(verdicts(STEPS[0], STEPS[2], 'u.split("i", 8, outer="io", inner="ii")'))
    assert not all(verdicts(*STEPS, 'u.parallel("ti")'))
    assert not all(verdicts(*STEPS, 'u.partition("i", 8, name="d")', 'u.parallel("d")'))
    assert not all(verdicts(*STEPS, 'u.reorder("i", "to", "ti")'))  # quotients of steps are not equal outside of theirs


def test_what_is_not_in_order_is_never_taken_for_it() -> None:
    assert not all(verdicts(*TILES, ORDER))
    assert not all(verdicts(SKEW, *TILES, ORDER, 'u.parallel("to")'))
    assert not all(verdicts(SKEW, *TILES, ORDER, 'u.parallel("io")'))
    assert not all(verdicts(SKEW, *TILES, ORDER, 'u.parallel("ti")'))
    assert not all(verdicts(SKEW, *TILES, ORDER, *WAVE[:2], 'u.parallel("io")'))
    assert not all(verdicts(SKEW, *TILES, ORDER, 'u.reverse("ii")', 'u.reverse("ti")'))
    assert not all(verdicts(SKEW, *TILES, 'u.reorder("to", "io", "ii", "ti")', 'u.reverse("io")'))
    assert not all(verdicts('u.reorder("i", "t")'))
    assert not all(verdicts(TILES[0], 'u.reorder("ti", "to")'))
