"""tile: two loops become four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import ScheduleError
from ..nest import StageNest
from .base import Primitive, checked_factor, primitive
from .reorder import reordered
from .split import split_loop


@primitive
@dataclass(frozen=True, slots=True)
class Tile(Primitive):
    """Cut two loops into tiles: split both, and move the loops over tiles outside the loops within one.

    Before::

        for i in 0..n:
            for j in 0..m:

    After ``tile("i", "j", 6, 64)``::

        for i_o in 0..(n + 5) // 6:
            for j_o in 0..(m + 63) // 64:
                for i_i in 0..6:
                    for j_i in 0..64:

    Legal when: no dependence runs backwards through the tiles; the same as for the reorder in it.
    Also called: tile (Halide, TVM).
    """

    loop: str
    other: str
    factor: int
    other_factor: int
    outers: tuple[str, ...]
    inners: tuple[str, ...]
    word: ClassVar[str] = "tile"

    def rewrite(self, nest: StageNest) -> StageNest:
        if self.loop == self.other:
            raise ScheduleError(f"tile takes two loops, not {self.loop} twice")
        if len(self.outers) != 2 or len(self.inners) != 2:
            raise ScheduleError(
                "tile makes two outer and two inner loops: outers= and inners= take two names each, not "
                f"{len(self.outers)} and {len(self.inners)}"
            )
        made = (*self.outers, *self.inners)
        if len(set(made)) != 4:
            raise ScheduleError(f"tile makes four loops, which need four names, not {', '.join(made)}")
        factors = (self.factor, self.other_factor)
        for name, factor, outer, inner in zip((self.loop, self.other), factors, self.outers, self.inners, strict=True):
            checked_factor(factor, f"tile of {name}")
            position = nest.position(name)
            nest = nest.replaced(position, *split_loop(nest, nest.loops[position], factor, outer, inner))
        return reordered(nest, made)
