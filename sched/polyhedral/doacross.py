"""Waves that need not wait for each other: iterations of a serial loop that may begin before the one before has ended.

In a loop over waves of tiles, with the tiles of a wave on threads, a barrier after each wave lets threads wait for the
slowest. But where no dependence runs to a lower number of a tile, tile d of a wave needs none of those of the wave
before that have higher numbers: it can begin as soon as these are done up to d, and so are all waves before that. Then
threads take tiles in order, wave after wave, and wait for what a tile needs alone: the loop is a doacross (Cytron,
Doacross: Beyond Vectorization for Multiprocessors, ICPP 1986).

This is the order of the loops intersected with that of the same two loops exchanged, since pairs that are in order in
the loop over waves, and in which the number of the tile does not fall, are in order in both. So in a permutable band
(Irigoin and Triolet 1988), of which waves are the sum of the loops, it is always legal. Cells that are stored in one
place are in order, too: the writers of each other, and whoever reads before the next writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..errors import BudgetError
from .band_order import never_falls
from .clobber import overwrites, written_before
from .program import Program
from .requirements import Requirement
from .tree import Leaf, LoopNode, Node, Tree
from .tree import Sequence as InOrder


def doacross(program: Program, tree: Tree, pairs: Sequence[Requirement]) -> Tree:
    """A legal tree in which the loops are marked that are over waves which need not wait for each other."""

    def marked(node: Node) -> Node:
        match node:
            case Leaf():
                return node
            case InOrder(children):
                made = tuple(map(marked, children))
                return node if all(a is b for a, b in zip(made, children, strict=True)) else InOrder(made)
            case LoopNode(body=LoopNode(kind="parallel") as tiles) if _is_over(node, tiles):
                return replace(node, doacross=_is_known(program, tree, pairs, tiles))
            case LoopNode():
                body = marked(node.body)
                return node if body is node.body else replace(node, body=body)

    root = marked(tree.root)
    return tree if root is tree.root else Tree(root, tree.fused, tree.ahead)


def _is_over(waves: LoopNode, tiles: LoopNode) -> bool:
    """Whether all that iterations of a serial loop do is in one parallel loop, and no memory is an iteration's own."""
    return waves.kind == "serial" and waves.of is tiles.of is None and not waves.stores and not waves.peel


def _is_known(program: Program, tree: Tree, pairs: Sequence[Requirement], tiles: LoopNode) -> bool:
    """Whether the counter of a loop is known not to fall along any pair that must be in order in it."""
    try:
        with program.world.budgeted("doacross"):
            return all(never_falls(tree, tiles, pair) for pair in _inside(program, tree, pairs, tiles))
    except BudgetError:
        return False


def _inside(program: Program, tree: Tree, pairs: Sequence[Requirement], tiles: LoopNode) -> Iterator[Requirement]:
    """What must be in order in a loop, of elements and then of cells."""
    numbers = tiles.values.keys()
    stages = [stage for stage in program.live_stages() if any(s.number in numbers for s in program.of_stage(stage))]
    yield from (pair for pair in pairs if pair.source.number in numbers and pair.sink.number in numbers)
    for stage in stages:
        for pair in (*overwrites(program, tree, pairs, (stage,)), *written_before(program, tree, stage)):
            if pair.source.number in numbers and pair.sink.number in numbers:
                yield pair
