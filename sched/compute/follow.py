"""The reference for recurrences: it follows the data, and knows no order of loops.

All cells that are still open are evaluated at once, as far as what they read is there; those whose reads all are get
their values, and the others wait for the next round. A system of affine recurrence equations so runs by wavefronts of
its data flow (Karp, Miller and Winograd 1967: the free schedule).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DefinitionError
from .expr import Expr
from .grid import Active, Array, Grid, Known
from .tensor import Equation, Tensor

CHUNK = 1 << 14  # open cells that are looked at together


def follow(stages: Sequence[Tensor], known: Known) -> None:
    """Evaluate stages that need each other, into known.arrays."""
    defined: dict[int, Array] = {}
    open_cells: list[_Open] = []
    for stage in stages:
        shape = known.extents(stage.shape)
        known.arrays[stage.uid] = np.zeros(shape, stage.dtype.numpy)
        defined[stage.uid] = np.zeros(shape, np.bool_)
        open_cells += [_Open(stage, equation, _region(equation, shape, known)) for equation in stage.equations]
    while any(len(part.cells) for part in open_cells):
        if not sum([part.advance(known, defined) for part in open_cells]):
            waiting = next(part for part in open_cells if len(part.cells))
            cell = ", ".join(map(str, waiting.cells[0]))
            raise DefinitionError(f"{waiting.stage.name}[{cell}] and cells that it reads wait for each other")


def _region(equation: Equation, shape: tuple[int, ...], known: Known) -> Array:
    """The cells that an equation defines, one a row."""
    cells = np.indices(shape, dtype=np.int64).reshape(len(shape), -1).T if shape else np.zeros((1, 0), np.int64)
    if equation.where is None or not len(cells):
        return cells
    return cells[_Cells(equation, known, cells, {}).holds(equation.where)]


@dataclass
class _Open:
    """The cells of an equation that have no values yet."""

    stage: Tensor
    equation: Equation
    cells: Array

    def advance(self, known: Known, defined: Mapping[int, Array]) -> int:
        """Give values to what has all that it reads; how many cells that are."""
        waiting: list[Array] = []
        count = 0
        for first in range(0, len(self.cells), CHUNK):
            cells = self.cells[first : first + CHUNK]
            grid = _Cells(self.equation, known, cells, defined)
            values, ready = grid.computed()
            place = tuple(cells[ready].T)
            known.arrays[self.stage.uid][place] = values[ready]
            defined[self.stage.uid][place] = True
            waiting.append(cells[~ready])
            count += int(ready.sum())
        self.cells = np.concatenate(waiting) if waiting else self.cells
        return count


class _Cells(Grid):
    """The instances of an equation at single cells: one dimension for all of them, then one a reduction axis."""

    def __init__(self, equation: Equation, known: Known, cells: Array, defined: Mapping[int, Array]) -> None:
        super().__init__(equation, known, 1 + len(equation.loops) - len(equation.axes))
        self.defined = defined
        self.missing = np.zeros((len(cells),), np.bool_)
        self.shape = (len(cells),)
        for dimension, axis in enumerate(equation.axes):
            self.place(axis, 0, cells[:, dimension])

    def holds(self, condition: Expr) -> Array:
        """The cells at which a condition on the axes holds."""
        return self._a_cell(self.value(condition, Active(np.True_)))

    def computed(self) -> tuple[Array, Array]:
        """The value of each cell, and whether all that it reads was there."""
        self.place_reduction(1)
        if self.equation.within is not None:
            self.mask = self.mask & self.value(self.equation.within, Active(np.True_))
        with np.errstate(all="ignore"):
            value = self.value(self.equation.body, Active(np.True_))
        return self._a_cell(value), ~self.missing

    def _a_cell(self, value: Any) -> Array:
        return np.broadcast_to(value, (*self.shape, *(1,) * (self.rank - 1))).reshape(-1)

    def read(self, tensor: Tensor, indices: tuple[Expr, ...], active: Active) -> Any:
        found = super().read(tensor, indices, self._sure(active))
        ready = self.defined.get(tensor.uid)
        if ready is not None and ready.size:
            there = ready[self.places(tensor, indices, self._sure(active))]
            absent = np.asarray(active.mask & ~there)  # beside an empty reduction as well, so it stays as it is
            absent = absent.reshape((1,) * (self.rank - absent.ndim) + absent.shape)
            self.missing |= absent.any(axis=tuple(range(1, self.rank)))
        return found

    def _sure(self, active: Active) -> Active:
        """Where an index is what it will be: not made of what is still missing."""
        return Active(active.mask & ~self.missing.reshape(-1, *(1,) * (self.rank - 1)))
