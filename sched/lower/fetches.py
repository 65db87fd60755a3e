"""What loops fetch ahead, as boxes in the buffers, in terms of the counters that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..compute.expr import Axis, Expr, substitute
from ..compute.simplify import simplify
from ..polyhedral.prefetching import paths_of, region
from ..polyhedral.program import Program
from ..polyhedral.tree import LoopNode, Tree
from .ir import PrefetchBox
from .statements import StatementLowering


class Fetches:
    """The prefetches of a tree, by the loops that make them."""

    def __init__(self, program: Program, tree: Tree, statements: StatementLowering) -> None:
        self.program, self.tree, self.statements = program, tree, statements
        self._found = [(ahead, path) for ahead in tree.ahead for path in paths_of(tree, ahead)]

    def at(self, loop: LoopNode, counters: Mapping[LoopNode, Expr]) -> Iterator[PrefetchBox]:
        """The boxes to be fetched in an iteration of a loop.

        Loops that isl has left out have one iteration, and their counters follow from the others; what they would
        fetch ahead themselves is not there.
        """
        for ahead, path in self._found:
            if path[-1] is not loop:
                continue
            known = [node for node in path if node in counters]
            with self.program.world.budgeted(f"prefetch of {ahead.tensor.name} at {ahead.at}"):
                found = region(self.program, self.tree, ahead, path, known)
            if found is not None:
                at: dict[Axis, Expr] = {
                    axis: counters[node] for axis, node in zip(found.counters, found.known, strict=True)
                }
                origins = tuple(simplify(substitute(origin, at)) for origin in found.box.origin)
                yield PrefetchBox(self.statements.buffer(ahead.tensor), origins, found.box.shape)
