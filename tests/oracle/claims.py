"""What a schedule says that a stage in loops of others computes, as plain numbers for the oracle to check."""

from __future__ import annotations

from typing import Any

import numpy as np

from polysched.compute.tensor import Tensor

from ..polyhedral.enumerated import points
from .values import Columns


def claimed(program: Any, stage: Tensor, sizes: dict[str, int]) -> tuple[Columns, int]:
    """The counters of the loops around, as prefix axes, and the elements computed there, as the definition's axes."""
    placement, equation = program.placements[stage.uid], program.definitions.equations[stage.uid]
    found = sorted(points(placement.domain.intersect_params(program.context), program.world, sizes))
    axes = (*placement.prefix, *equation.axes)
    table = np.array(found, int).reshape(len(found), len(axes))
    return dict(zip(axes, table.T, strict=True)), len(found)
