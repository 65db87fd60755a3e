"""separate: cells or updates of an equation that are in an earlier block, with loops of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.statement import Cut
from ..suggestion import listed, meant, shown
from .base import Primitive, State, checked_factor, primitive
from .skew import checked_multiple


@primitive
@dataclass(frozen=True, slots=True)
class Separate(Primitive):
    """Give those cells of an equation of a recurrence loops of their own at which `axis` is in an earlier block of
    `factor` positions than `other + ahead`; with `blocks="other"`, in any other one, earlier or later. Where `axis` is
    its reduction's, those updates.

    Before, a triangular solve in blocks of 32::

        for i_o in 0..(N + 31) // 32:
            for i_i in 0..32:
                for r in 0..i:
                    x[i] += L[i, r] * x[r]
                x[i] = b[i] - x[i]

    After ``s[x].equation(0).separate("r", "i", 32)``, which makes equation 1::

        for i_o in 0..(N + 31) // 32:
            for i_i in 0..32:
                for r in 0..32 * i_o:
                    x[i] += L[i, r] * x[r]
            for i_i in 0..32:
                for r in 32 * i_o..i:
                    x[i] += L[i, r] * x[r]
                x[i] = b[i] - x[i]

    What is cut off has the next number that is free, and the loops that the equation has at that time: commands on it
    make register tiles of it, as of a matrix product, while the rest runs in the order that its needs ask for. So a
    factorization becomes a blocked one.

    Legal when: always, as each update stays where it is; the loops are then proven as they fall apart.
    Also called: index set splitting (Griebl, Feautrier and Lengauer 2000).
    """

    axis: str
    other: str
    factor: int
    ahead: int = 0
    blocks: str = ""
    word: ClassVar[str] = "separate"
    named: ClassVar[frozenset[str]] = frozenset({"ahead", "blocks"})

    def apply(self, state: State, stage: Tensor) -> State:
        raise ScheduleError(f"separate is for one equation of a recurrence, as in s[{stage.name}].equation(0).{self}")

    def apply_to_equation(self, state: State, stage: Tensor, number: int) -> State:
        checked_factor(self.factor, f"separate of {self.axis}")
        what = f"separate of equation {number} of {stage.name}"
        cuts = state.program.cuts.get(stage.uid, ())
        root = number
        while root >= len(stage.equations):
            root = cuts[root - len(stage.equations)].equation
        equation = stage.equations[root]
        cells, names = [axis.name for axis in equation.axes], [axis.name for axis in equation.loops]
        for name, known in ((self.axis, names), (self.other, cells)):
            if name not in known:
                which = "axis of it" if known is names else "axis of its cells"
                raise ScheduleError(
                    f"{what}: {shown(name)} is no {which}; there is {listed(known)}{meant(name, known)}"
                )
        if self.axis == self.other:
            raise ScheduleError(f"{what}: no {self.axis} is in an earlier block than itself; name two axes")
        if self.blocks not in ("", "other"):
            raise ScheduleError(f'{what}: blocks= is "earlier" or "other", not {shown(self.blocks)}')
        if self.ahead != 0:
            checked_multiple(self.ahead, f"separate of {self.axis} ahead")
        made = len(stage.equations) + len(cuts)
        cut = Cut(number, self.axis, self.other, self.factor, self.ahead, bool(self.blocks))
        nest = state.nest(stage)
        own = replace(nest.with_equation(number), equation=made)
        program = replace(state.program, cuts={**state.program.cuts, stage.uid: (*cuts, cut)})
        nests = {**state.nests, stage.uid: replace(nest, apart={**nest.apart, made: own})}
        return replace(state, program=program, nests=nests).with_rewrites(program.rewrites)
