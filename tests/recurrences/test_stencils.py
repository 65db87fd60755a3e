"""recipes.time_tile of other stencils than the known ones: the bits of the default schedule, on one thread and two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

N = ps.size_var("n", min=3)
T = ps.size_var("T", min=1)
t, i, j, k = ps.axes("t i j k")


def field(name: str, rank: int = 2, dtype: str = "float64") -> tuple[Any, Any]:
    A = ps.placeholder((N,) * rank, dtype, name=name.upper() + "0")
    u = ps.recurrence((T + 1, *(N,) * rank), dtype, name=name)
    space = (i, j, k)[:rank]
    u[(0, *space)] = A[space]
    return A, u


def inside(*space: Any, by: int = 1) -> Any:
    condition = space[0] >= by
    for x in space:
        condition = condition & (x >= by) & (x < N - by)
    return condition


def box_of_27() -> list[ps.Tensor]:
    _, u = field("u", 3, "float32")
    near = (-1, 0, 1)
    total = sum(u[t, i + a, j + b, k + c] * (1.0 + a + 2 * b + 4 * c) for a in near for b in near for c in near)
    u[t + 1, i, j, k] = ps.select(inside(i, j, k), total * 0.01, u[t, i, j, k])
    return [u[T]]


def nine_points() -> list[ps.Tensor]:
    """The boundary has an equation of its own."""
    _, u = field("u")
    u.define((t + 1, i, j), u[t, i, j], where=~inside(i, j))
    total = sum(u[t, i + a, j + b] for a in (-1, 0, 1) for b in (-1, 0, 1))
    u.define((t + 1, i, j), total * 0.1, where=inside(i, j))
    return [u[T]]


def two_away() -> list[ps.Tensor]:
    _, u = field("u", dtype="float32")
    total = u[t, i - 2, j] + u[t, i + 2, j] + u[t, i, j - 2] + u[t, i, j + 2] + u[t, i, j]
    u[t + 1, i, j] = ps.select(inside(i, j, by=2), 0.2 * total, u[t, i, j])
    return [u[T]]


def of_a_medium() -> list[ps.Tensor]:
    """Waves: two steps back, and a coefficient a cell."""
    A, u = field("u")
    c = ps.placeholder((N, N), "float64", name="c")
    u[1, i, j] = A[i, j]
    total = u[t + 1, i - 1, j] + u[t + 1, i + 1, j] + u[t + 1, i, j - 1] + u[t + 1, i, j + 1] - 4.0 * u[t + 1, i, j]
    wave = 2.0 * u[t + 1, i, j] - u[t, i, j] + c[i, j] * total
    u[t + 2, i, j] = ps.select(inside(i, j), wave, u[t + 1, i, j])
    return [u[T]]


def two_species() -> list[ps.Tensor]:
    _, u = field("u")
    _, v = field("v")

    def spread(w: Any) -> Any:
        around = w[t, i - 1, j] + w[t, i + 1, j] + w[t, i, j - 1] + w[t, i, j + 1]
        return ps.select(inside(i, j), 0.2 * (around + w[t, i, j]), w[t, i, j])

    u[t + 1, i, j] = spread(u) - u[t, i, j] * v[t, i, j]
    v[t + 1, i, j] = spread(v) + u[t, i, j] * v[t, i, j]
    return [u[T], v[T]]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("define", [nine_points, two_away, of_a_medium, two_species, box_of_27])
def test_the_same_bits(define: Callable[[], list[ps.Tensor]], threads: int) -> None:
    outputs = define()
    s, default = ps.Schedule(outputs), ps.Schedule(outputs)
    target = ps.Target("native", threads=threads)
    space = (4, 4, None) if define is box_of_27 else (4, 40)
    ps.recipes.time_tile(s[s.stages[0]], target, time=4, space=space)
    assert any(".partition(" in command for command in s.commands) == (threads == 2)
    assert any("fold_storage" in command for command in s.commands)
    kernels = s.build(target), default.build()
    for n, steps in ((3, 1), (14, 5), (47, 11)):
        rng = np.random.default_rng(n)
        given = [rng.random([n] * len(a.shape)).astype(a.dtype.name) for a in s.program.arguments
                 if isinstance(a, ps.Tensor) and not a.equations]  # fmt: skip
        for a, b in zip(*(np.atleast_1d(kernel(*given, T=steps, n=n)) for kernel in kernels), strict=True):
            np.testing.assert_array_equal(a, b)
