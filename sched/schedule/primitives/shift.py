"""shift: a loop of one stage moved against those of the stages that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..nest import StageNest
from .base import Primitive, primitive
from .mark import unmarked
from .skew import checked_multiple, moved


@primitive
@dataclass(frozen=True, slots=True)
class Shift(Primitive):
    """Add a number to a loop's counter: in a loop that stages share, this one runs `amount` iterations later.

    Stages that need each other share their outer loops, and all other commands are carried out for all of them; this
    one moves a single stage.

    Before::

        for t in 0..m:
            for i in 0..n:
                A[t, i] = ...
                B[t, i] = ...         # needs A[t, i + 1]

    After ``s[B].shift("i", 1)``::

        for t in 0..m:
            for i' in 0..n + 1:
                A[t, i] = ...         # i = i'
                B[t, i] = ...         # i = i' - 1

    Legal when: nothing then runs before what it needs; with a loop that no other stage shares, always.
    Also called: shift (Tiramisu), retiming, loop alignment.
    """

    loop: str
    amount: int
    word: ClassVar[str] = "shift"
    alone: ClassVar[bool] = True

    def rewrite(self, nest: StageNest) -> StageNest:
        position = nest.position(self.loop)
        loop = nest.loops[position]
        checked_multiple(self.amount, f"shift of {self.loop}")
        unmarked(nest, loop, "shift", "mark it")
        return nest.replaced(position, moved(loop, self.amount))
