"""Vectors that are read one lane behind are carried in registers: where, where not, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

TARGET = ps.Target("x86-64-v3")


def steps(count: int, fold: int | None) -> ps.Schedule:
    """A plane after the other, several written out inside of the loop over vectors."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n + 40, n), "int32", name="A")
    d, i = ps.axes("d i")
    u = ps.recurrence((n + 40, n), "int32", name="u")
    u[0, i] = A[0, i]
    u[d + 1, 0] = A[d + 1, 0]
    u[d + 1, i + 1] = 3 * u[d, i + 1] - u[d, i] + A[d + 1, i + 1]
    s = ps.Schedule(u[n + 39])
    step = s[u].equation(2)
    for edge in (0, 1):
        s[u].equation(edge).split("i", 8, outer="edge", inner="inside")
    s[u].split("d", count)
    step.split("i", 8)
    step.reorder("d_o", "i_o", "d_i", "i_i")
    step.vectorize("i_i")
    step.unroll("d_i")
    if fold:
        s[u].fold_storage("d", fold)
    return s


@pytest.mark.parametrize("fold", [None, 4, 8])
def test_what_is_computed_stays_the_same(
    fold: int | None, lowered: Callable[..., Any], run_ir: Callable[..., Any]
) -> None:
    s = steps(2, fold)
    default = ps.Schedule(s.outputs)
    made = lowered(s, "x86-64-v3")
    before, after = (made.stages[name] for name in ("unroll", "carry_vectors"))
    assert after is not before
    kernel, other = s.build(TARGET, check=True), default.build()
    for n in (1, 2, 7, 8, 9, 17, 40):
        a = np.random.default_rng(n).integers(-9, 9, (n + 40, n)).astype(np.int32)
        want = other(a)
        np.testing.assert_array_equal(kernel(a), want, err_msg=str(n))
        if n in (9, 17):
            for stmt in (before, after):
                (got,) = run_ir(made, stmt, s.program, [a], {"n": n})
                np.testing.assert_array_equal(got, want)


def test_loads_become_shifts() -> None:
    loops = steps(2, 8).build(TARGET).source("loops")
    assert "lanes_behind(u_before0[ramp(0, 8)], u_here0[ramp(0, 8)])" in loops
    lines = loops.splitlines()
    first = next(k for k, line in enumerate(lines) if "u_before0[ramp(0, 8)] = u[" in line)
    assert "if ramp(0, 8) >= 7" in lines[first], "only the lane that the first iteration reads is certainly there"


def test_rows_are_told_apart_with_and_without_folds() -> None:
    for fold in (None, 4):
        assert "lanes_behind" in steps(2, fold).build(TARGET).source("loops")
    assert "lanes_behind" not in steps(1, 2).build(TARGET).source("loops"), "nothing is read in the loop that stores it"


def test_diagonals_stay_inside(lowered: Callable[..., Any], run_ir: Callable[..., Any]) -> None:
    """Where a tile is taken for full, all lanes of all of its steps are: nothing is read outside of the sequences."""
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    i, j = ps.axes("i j")
    D = ps.recurrence((n + 1, m + 1), "int32", name="D")
    D[0, j] = ps.cast("int32", j)
    D[i + 1, 0] = ps.cast("int32", i + 1)
    changed = ps.cast("int32", a[i] != b[j])
    D[i + 1, j + 1] = ps.min(D[i, j] + changed, ps.min(D[i, j + 1], D[i + 1, j]) + 1)
    r, q = ps.reduce_axis((0, n + 1), name="i"), ps.reduce_axis((0, m + 1), name="j")
    s = ps.Schedule(ps.compute((), lambda: ps.max(D[r, q], axis=(r, q)), name="most"))
    ps.recipes.wavefront(s[D], ps.Target("x86-64-v3", threads=1))
    made, random = lowered(s, "x86-64-v3"), np.random.default_rng(4)
    for rows, columns in ((40, 45), (33, 20)):
        given = [random.integers(0, 3, size).astype(np.int32) for size in (rows, columns)]
        sizes = {"n": rows, "m": columns}
        want = int(ps.Schedule(s.outputs).build("x86-64-v3")(*given))
        (got,) = run_ir(made, made.stages["simplify"], s.program, given, sizes)
        assert int(got) == want
