"""A recipe against the default schedule: the same bits, and a schedule that survives as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import polysched as ps

Recipe = Callable[[ps.Schedule, ps.Target], None]


def agrees(
    output: ps.Tensor, recipe: Recipe, calls: Iterable[tuple[Any, ...]], *, threads: int = 1, tolerance: float = 0.0
) -> ps.Schedule:
    """The schedule that the recipe makes; calls are the arguments of the kernels. With a tolerance, sums may have been
    re-associated."""
    s, target = ps.Schedule(output), ps.Target("native", threads=threads)
    recipe(s, target)
    again = ps.Schedule.from_text(output, s.to_text())
    assert again == s
    assert str(again) == str(s)
    default, kernel = ps.build(ps.Schedule(output), target), ps.build(s, target, check=True)
    for arguments in calls:
        wanted, found = default(*arguments), kernel(*arguments)
        shapes = [np.shape(argument) for argument in arguments]
        assert found.dtype == wanted.dtype
        if tolerance:
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=str(shapes))
        else:
            assert found.tobytes() == wanted.tobytes(), shapes
    return s


def some(seed: int, shape: Any, dtype: str) -> Any:
    """Seeded elements of any type."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        least = 0 if np.dtype(dtype).kind == "u" else -100
        return random.integers(least, 100, shape).astype(dtype)
    return random.standard_normal(shape).astype(dtype)
