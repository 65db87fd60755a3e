"""recipes.time_tile: skewed tiles over time of every stencil, with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES


@pytest.mark.parametrize("name", ["jacobi_1d", "jacobi_2d", "heat_3d", "seidel_2d", "fdtd_2d"])
def test_the_same_bits(name: str) -> None:
    example = EXAMPLES[name]
    outputs = example.define()
    default, tiled = ps.Schedule(outputs), ps.Schedule(outputs)
    ps.recipes.time_tile(tiled[tiled.stages[0]], time=4, space=(8,) * (len(tiled[tiled.stages[0]].loops) - 1))
    sizes = example.sizes
    given = example.inputs(np.random.default_rng(8), sizes)
    names = [a.name for a in tiled.program.arguments if isinstance(a, ps.Tensor)]
    results = [s.build()(*[given[tensor] for tensor in names], **sizes) for s in (default, tiled)]
    one, two = (r if isinstance(r, tuple) else (r,) for r in results)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tiled.commands[-1].startswith(f'{tiled.stages[0].name}.fold_storage("t", 2)')


def test_refusals() -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    with pytest.raises(ps.ScheduleError, match=r"extents of tiles for the loops i, j of u in space="):
        ps.recipes.time_tile(s["u"], space=(8,))
    assert s.commands == ()
