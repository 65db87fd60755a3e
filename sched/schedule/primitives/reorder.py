"""reorder: another order of loops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...errors import ScheduleError
from ..nest import StageNest
from ..suggestion import listed
from .base import Primitive, primitive


@primitive
@dataclass(frozen=True, slots=True)
class Reorder(Primitive):
    """Put loops into the given order, outermost first, in the places that they have now; others stay where they are.

    Before::

        for i in 0..n:
            for j in 0..m:

    After ``reorder("j", "i")``::

        for j in 0..m:
            for i in 0..n:

    Legal when: no dependence runs backwards in the new order.
    Also called: reorder (Halide, innermost first there; TVM, outermost first), interchange, permutation.
    """

    loops: tuple[str, ...]
    word: ClassVar[str] = "reorder"

    def restricted(self, names: tuple[str, ...]) -> Reorder | None:
        kept = tuple(loop for loop in self.loops if loop in names)
        return Reorder(kept) if len(kept) > 1 else None

    def rewrite(self, nest: StageNest) -> StageNest:
        return reordered(nest, self.loops)


def reordered(nest: StageNest, names: tuple[str, ...]) -> StageNest:
    """The nest with the named loops in that order in their places."""
    if len(set(names)) != len(names) or not names:
        raise ScheduleError(
            f"reorder takes loops in their new order, each once, outermost first, not ({', '.join(names)}); the loops "
            f"of {nest.label} are {listed(nest.names)}"
        )
    places = sorted(nest.position(name) for name in names)
    loops = list(nest.loops)
    for place, name in zip(places, names, strict=True):
        loops[place] = nest.loop(name)
    return replace(nest, loops=tuple(loops))
