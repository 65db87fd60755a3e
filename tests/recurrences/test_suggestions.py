"""What is suggested for each example is legal, and changes no bit."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_suggestions_can_be_carried_out(name: str) -> None:
    example = EXAMPLES[name]
    outputs = example.define()
    default, s = ps.Schedule(outputs), ps.Schedule(outputs)
    suggested = s.auto_polyhedral()
    assert s.commands[: len(suggested)] == suggested
    given = example.inputs(np.random.default_rng(2), example.sizes)
    names = [a.name for a in s.program.arguments if isinstance(a, ps.Tensor)]
    one, two = (each.build()(*[given[n] for n in names], **example.sizes) for each in (default, s))
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_suggested_for_loops_that_are_peeled() -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    s["u"].peel("i", first=1, last=1)
    assert s.suggest() == ()
    s.undo()
    s["u"].peel("j", first=1, last=1)
    assert s.suggest() == ('u.skew("i", 1, by="t")', 'u.parallel("i")')


def test_loops_lean_as_little_as_they_can() -> None:
    """Along a loop that leans itself, a factor of 1 leans further than 2 along the steps alone."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, n), "float64", name="u")
    inside = (i > 1) & (i < n - 2) & (j > 1) & (j < n - 2)
    u[0, i, j] = A[i, j]
    around = u[t, i - 2, j] + u[t, i + 2, j] + u[t, i, j - 2] + u[t, i, j + 2]
    u[t + 1, i, j] = ps.select(inside, 0.25 * around, u[t, i, j])
    assert ps.Schedule(u[T]).suggest() == ('u.skew("i", 2, by="t")', 'u.skew("j", 2, by="t")', 'u.parallel("i")')
