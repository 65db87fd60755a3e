"""specialize: another schedule where a condition on sizes and data holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.tensor import Tensor
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class Specialize(Primitive):
    """Give calls for which a condition holds a schedule of their own; which one runs is decided in each call.

    The condition compares sums of sizes, as `n <= 16` or `(m % 8 == 0) & (n < 2 * m)`; it may be given as text. As
    text, it may also compare the least and the greatest element of an input of integers with numbers, as
    "(min(a) >= 0) & (max(a) < 256)": all elements are looked at before anything is computed, if what it says of sizes
    holds. Of an empty input, both hold.

    The schedule of its own begins with the commands so far, and commands on what `specialize` returns change it
    alone, commands on the stage the other one alone. Of several conditions the first one that holds counts. All are
    one kernel; what each computes is the same, bit for bit, as that of every schedule.

    Before::

        C: float32[n, m]
            for i in 0..n:
                for j in 0..m:

    After ``specialize("n <= 4")`` and ``specialize("n <= 4").reorder("j", "i")``::

        if n <= 4:
            C: float32[n, m]
                for j in 0..m:
                    for i in 0..n:
        else:
            C: float32[n, m]
                for i in 0..n:
                    for j in 0..m:

    Legal when: the condition holds for some sizes and fails for others, and is no part of another one. Commands on the
    schedule of its own are proven for all sizes, and inputs (`narrow`), for which the condition holds.
    Also called: specialize (Halide), multi-versioning (compilers).
    """

    condition: str
    word: ClassVar[str] = "specialize"

    def apply(self, state: State, stage: Tensor) -> State:
        raise AssertionError("a Schedule keeps the schedules of conditions itself")


@dataclass(frozen=True, slots=True)
class Specialized(Primitive):
    """A command on the schedule that a condition has: `C.specialize("n <= 16").split("i", 8, ...)`."""

    condition: str
    command: Primitive
    word: ClassVar[str] = "specialize"

    def apply(self, state: State, stage: Tensor) -> State:
        raise AssertionError("a Schedule keeps the schedules of conditions itself")

    def __str__(self) -> str:
        return f'{self.word}("{self.condition}").{self.command}'
