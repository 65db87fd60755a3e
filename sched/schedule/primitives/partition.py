"""partition: slabs between parallel hyperplanes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr
from ...compute.simplify import lower_bound, simplify, upper_bound
from ...errors import ScheduleError
from ...polyhedral.layout import names_of, parsed_form, total
from ..nest import Loop, StageNest
from ..suggestion import listed, shown
from .base import Primitive, checked_factor, primitive


@primitive
@dataclass(frozen=True, slots=True)
class Partition(Primitive):
    """Cut all that is computed into slabs of `factor` values of a sum of loops, and run slab after slab: one more loop,
    outside of all loops of the sum, which stay and have in each slab the iterations that are in it.

    Slabs of two sums are tiles of a shape that no skews give: those of t + i and of t - i are diamonds in a plane of
    steps and places, and diamonds side by side need nothing of each other.

    Before::

        for t in 0..m:
            for i in 0..n:

    After ``partition("t+i", 8, name="d")``::

        for d in 0..(m + n + 6) // 8:
            for t in 0..m:
                for i in 0..n:        # (t + i) // 8 == d

    Legal when: no dependence runs from a slab to an earlier one. The loops are named by what they are called now, and
    their counters are as they are now: a skew or shift that comes later moves no slab.
    Also called: supernode partitioning (Irigoin and Triolet 1988); diamond tiling (Bandishti, Pananilath and Bondhugula
    2012) is two of them and a wavefront.
    """

    form: str
    factor: int
    name: str
    word: ClassVar[str] = "partition"

    def rewrite(self, nest: StageNest) -> StageNest:
        checked_factor(self.factor, f"partition of {nest.label}")
        form = parsed_form(self.form, nest.names)
        if form is None:
            raise ScheduleError(
                f'partition takes a sum of loops, each once, as in "t+i" or "t-2*i", not {shown(self.form)}; loops of '
                f"{nest.label} are {listed(nest.names)}"
            )
        loops = [nest.loops[position] for position, _ in form]
        fused = next((loop.name for loop in loops if nest.virtual(loop.value)), None)
        if fused is not None:
            raise ScheduleError(
                f"partition takes loops whose counters are sums of axes, and {fused} is made of fused loops; partition "
                "first, and then fuse"
            )
        factors = [factor for _, factor in form]
        least, last = (_bound(loops, factors, upper=upper) for upper in (False, True))
        value = total(form, [loop.value for loop in nest.loops])
        begin = simplify(least // self.factor)
        extent = simplify(last // self.factor + 1 - begin)
        made = Loop(self.name, simplify(value // self.factor), begin, extent)
        return nest.replaced(min(position for position, _ in form), made, count=0)

    def restricted(self, names: tuple[str, ...]) -> Primitive | None:
        return self if self.named_loops <= set(names) else None

    @property
    def named_loops(self) -> set[str]:
        return set(names_of(self.form))


def _bound(loops: list[Loop], factors: list[int], *, upper: bool) -> Expr:
    """The least or the greatest value of a sum of loops."""
    value: Expr = Const(0, INDEX)
    for loop, factor in zip(loops, factors, strict=True):
        last = upper == (factor > 0)
        value = value + (upper_bound(loop.begin + loop.extent - 1) if last else lower_bound(loop.begin)) * factor
    return simplify(value)
