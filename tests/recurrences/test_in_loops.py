"""Recurrences that are computed in the loops of stages that are none, each iteration with cells of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES


def same_bits(s: ps.Schedule, *calls: tuple[Any, ...]) -> None:
    default, kernel = ps.Schedule(s.outputs).build(), s.build(check=True)
    for arguments in calls:
        wanted, found = default(*arguments), kernel(*arguments)
        assert np.asarray(found).tobytes() == np.asarray(wanted).tobytes(), [np.shape(a) for a in arguments]
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s


def random(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).random(shape)


def test_both_directions_of_a_filter_on_threads() -> None:
    s = ps.Schedule(EXAMPLES["deriche"].define())
    y = s[s.outputs[0]]
    y.split("i", 4)
    for name in ("f", "g"):
        s[name].compute_at(y, "i_o")
        s[name].reorder("j", "i")
        s[name].vectorize("i")
    y.parallel("i_o")
    assert {"f: float64[4, M] stored here", "j = j'  # of f", "j = M - j' - 1  # of g"} <= {
        line.strip() for line in str(s).splitlines()
    }
    same_bits(s, (random(1, 2),), (random(13, 9),), (random(21, 40),))


def test_steps_from_a_neighbourhood_that_grows() -> None:
    n = ps.size_var("n")
    A, (t, i) = ps.placeholder((n + 10,), "float64", name="A"), ps.axes("t i")
    u = ps.recurrence((4, n + 10), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = ps.select((i > 0) & (i < n + 9), u[t, i - 1] + u[t, i] * 0.5 + u[t, i + 1], u[t, i])
    C = ps.compute((n,), lambda i: u[3, i + 4] + u[3, i + 5], name="C")
    s = ps.Schedule(C)
    s[C].split("i", 8)
    s[u].compute_at(C, "i_o")
    s[C].vectorize("i_i")
    s[C].parallel("i_o")
    same_bits(s, (random(10),), (random(11),), (random(41),))


@pytest.mark.parametrize("loop", ["i", "j"])
def test_rows_of_a_sum(loop: str) -> None:
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    x, (i, j) = ps.placeholder((n, m), "float64", name="x"), ps.axes("i j")
    p = ps.recurrence((n, m), "float64", name="p")
    p[i, 0] = x[i, 0]
    p[i, j + 1] = 0.5 * p[i, j] + x[i, j + 1]
    r = ps.reduce_axis((0, m), name="r")
    total = ps.compute((n, 2), lambda i, j: ps.sum(p[i, r] * (j + 1), axis=r), name="total")
    s = ps.Schedule(ps.compute((n, 2), lambda i, j: total[i, j] + p[i, 0], name="y"))
    s["total"].compute_at("y", loop)
    s["p"].compute_at("y", loop)
    same_bits(s, (random(1, 1),), (random(5, 7),))


def test_a_recurrence_in_a_stage_that_is_in_another_ones_loops() -> None:
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    x, (i, j) = ps.placeholder((n, m), "float64", name="x"), ps.axes("i j")
    p = ps.recurrence((n, m), "float64", name="p")
    p[i, 0] = x[i, 0]
    p[i, j + 1] = 0.5 * p[i, j] + x[i, j + 1]
    y = ps.compute((n, m), lambda i, j: 2 * p[i, j], name="y")
    s = ps.Schedule(ps.compute((n, m), lambda i, j: y[i, j] + y[i, m - 1], name="z"))
    s["y"].compute_at("z", "i")
    s["p"].compute_at("y", "i")
    same_bits(s, (random(1, 1),), (random(5, 7),))
    s["z"].parallel("i")
    same_bits(s, (random(4, 3),))


def test_one_recurrence_in_the_loops_of_another() -> None:
    n, m = ps.size_var("n"), ps.size_var("m", min=1)
    x, (i, j) = ps.placeholder((n, m), "float64", name="x"), ps.axes("i j")
    p, q = ps.recurrence((n, m), "float64", name="p"), ps.recurrence((n, m), "float64", name="q")
    p[i, 0] = x[i, 0]
    p[i, j + 1] = 0.5 * p[i, j] + x[i, j + 1]
    q.define((i, j), p[i, j], where=j == m - 1)
    q.define((i, j), 0.25 * q[i, j + 1] + p[i, j], where=j < m - 1)
    s = ps.Schedule(q)
    s[p].compute_at("q", "i")
    assert "p: float64[1, m] stored here" in [line.strip() for line in str(s).splitlines()]
    s[q].parallel("i")
    same_bits(s, (random(1, 1),), (random(5, 7),))


def test_loops_with_a_recurrence_in_them_are_shared_with_nobody() -> None:
    n = ps.size_var("n", min=1)
    A, (i, j) = ps.placeholder((n,), "int32", name="A"), ps.axes("i j")
    B = ps.compute((n,), lambda i: A[i] * 2, name="B")
    u = ps.recurrence((n, n), "int32", name="u")
    u[i, 0] = B[i]
    u[i, j + 1] = u[i, j] + 1
    s = ps.Schedule(ps.compute((n, n), lambda i, j: u[i, j] + 1, name="D"))
    s["u"].compute_at("D", "i")
    refusal = s["B"].why_not("compute_with", "D", "i")
    assert "or has one in its loops: leave them apart" in str(refusal)


def test_an_output_is_moved_along_with_nobody() -> None:
    """Its elements would have been in memory of an iteration."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    i, _ = ps.axes("i j")
    u, v = (ps.recurrence((n,), "float64", name=name) for name in "uv")
    u[i] = ps.select(i > 0, v[i - 1], A[i])
    v[i] = u[i] * 2.0
    w = ps.compute((n,), lambda i: u[i] + 1.0, name="w")
    s = ps.Schedule([v, w])
    with pytest.raises(ps.ScheduleError, match=r"u is computed together with v, .* which is computed as a whole"):
        s[u].compute_at(w, "i")
    assert s.commands == ()
