"""Where the statements of a schedule stand: the steps of their time, in loops of their own and of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from polysched.compute.expr import Axis, Expr, walk
from polysched.compute.tensor import Tensor

from .runs import COMBINED_LANES, LANES, PARALLEL, SERIAL


@dataclass(frozen=True, slots=True, eq=False)
class Loops:
    """The loops of the stages that have some (producers first), and which are in loops of others."""

    stages: list[Tensor]
    nests: Any
    places: Any

    def path(self, stage: Tensor, counters: list[Any], count: int) -> list[tuple[int, Any]]:
        """The steps of these counters of the loops around a stage and of its own: after each loop stands what comes in
        it, stages computed there first, then those whose loop it is; before the first reduction loop of a stage
        whose loop it is, that it is not the init."""
        depth, (host, shared) = self.depths(stage)[0], self.shared(stage)
        place = self.stages.index(host if shared else stage)
        own = self.place(stage)
        outer = self.path(own.host, counters[:depth], count)[:-1] if depth and own is not None else []
        path = [*outer, (SERIAL, np.full(count, place))]
        for k, (loop, counter) in enumerate(zip(self.nests[stage.uid].loops, counters[depth:], strict=False)):
            path += [(SERIAL, np.ones(count, int))] if self.begins(stage, k) else []
            combined = all(axis.reduction for axis in self.axes(stage, loop.value))
            kind = self.nests[host.uid].loops[k].kind if k < shared else loop.kind
            steps = {"parallel": PARALLEL, "vectorize": COMBINED_LANES if combined else LANES}.get(kind, SERIAL)
            here = self.stages.index(host if k + 1 < shared else stage)
            path += [(steps, counter), (SERIAL, np.full(count, len(self.stages) + here))]
        return path

    def depths(self, stage: Tensor) -> tuple[int, int]:
        """How many loops of other stages there are around where a stage is computed, and around where it is stored."""

        def inside(host: Tensor | None, loop: str) -> int:
            return 0 if host is None else self.depths(host)[0] + self.nests[host.uid].names.index(loop) + 1

        place = self.place(stage)
        if place is None:
            return 0, 0
        return inside(place.host, place.loop), inside(place.store_host, place.store_loop)

    def place(self, stage: Tensor) -> Any:
        """Where a stage is computed, apart from whose loops it shares there."""
        place = self.places.get(stage.uid)
        return place.inside if place is not None and place.shared else place

    def begins(self, stage: Tensor, number: int) -> bool:
        """Whether an init stands before a loop: the stage's own, or that of one that shares the loop."""
        host, shared = self.shared(stage)
        beside = [other for other in self.stages if self.shared(other)[0] is host and number < self.shared(other)[1]]
        group = {stage, host, *beside} if stage is host or number < shared else {stage}
        return any(self.first(other) == number for other in group)

    def shared(self, stage: Tensor) -> tuple[Tensor, int]:
        """Whose loops, and how many of them, a stage's own outer loops are."""
        place = self.places.get(stage.uid)
        if place is None or not place.shared:
            return stage, 0
        return place.host, self.nests[place.host.uid].names.index(place.loop) + 1

    def first(self, stage: Tensor) -> int:
        """The loop that the init stands before: the first of the innermost reduction loops that are not apart, if the
        others have a first iteration that is the same for all and run in order; or the first of all."""
        loops = self.nests[stage.uid].loops
        found = [k for k, loop in enumerate(loops) if self.reduces(stage, loop)] or [len(loops)]
        apart = [k for k in found[1:] if k - 1 not in found]
        outer = [loops[k] for k in found if apart and k < apart[-1]]
        host, shared = self.shared(stage)
        kinds = [own.kind if k >= shared else self.nests[host.uid].loops[k].kind for k, own in enumerate(loops)]
        plain = all(
            kinds[loops.index(loop)] == "serial"
            and all(axis.reduction for axis in self.axes(stage, loop.value))
            and not any(isinstance(node, Axis) for node in walk(loop.begin))
            and not any(axis in self.nests[stage.uid].fused for axis in walk(loop.value))
            for loop in outer
        )
        return apart[-1] if apart and plain else found[0]

    def reduces(self, stage: Tensor, loop: Any) -> bool:
        """Whether a loop is made of a reduction axis, alone or with others."""
        return any(axis.reduction for axis in self.axes(stage, loop.value))

    def axes(self, stage: Tensor, value: Expr) -> set[Axis]:
        """The stage's axes in a counter, also through fused loops."""
        fused, axes = self.nests[stage.uid].fused, {node for node in walk(value) if isinstance(node, Axis)}
        inner = [self.axes(stage, part) for axis in axes if axis in fused for part in fused[axis].components]
        return set().union(axes - set(fused), *inner)
