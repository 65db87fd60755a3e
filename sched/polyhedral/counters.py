"""The counters of loops as functions of a statement's axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from ..compute.expr import Axis, Const, Expr, Size, transform
from ..compute.sizes import evaluate_extent
from .affine import affine
from .isl import Frame, PwAff
from .statement import Statement
from .tree import Fused, Tree

T = TypeVar("T")


def exact(value: Expr, frame: Frame, tree: Tree) -> PwAff | None:
    """The counter as a function of the statement's axes, where it is affine."""
    return affine(expand_fused(value, tree, linear=True), frame)


def all_exact(values: Iterable[Expr], frame: Frame, tree: Tree) -> list[PwAff] | None:
    found = [exact(value, frame, tree) for value in values]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def once(what: str, tree: Tree, statement: Statement, objects: tuple[object, ...], compute: Callable[[], T]) -> T:
    """What follows from these objects where no loops are fused; with fused ones it is computed again."""
    return compute() if tree.fused else statement.frame.world.once(what, objects, compute)


def expand_fused(value: Expr, tree: Tree, *, linear: bool) -> Expr:
    """`value` with virtual axes replaced by positions computed from their components.

    With `linear`, only where the position is affine: where all extents but the first are literals. Their counts are
    then products that are affine, too.
    """
    counts = {f.count.name: f for f in tree.fused.values() if isinstance(f.count, Size)}

    def replaced(node: Expr) -> Expr:
        if isinstance(node, Axis) and node in tree.fused:
            fused = tree.fused[node]
            if linear and not _has_affine_position(fused):
                return node
            position: Expr = Const(0, node.dtype)
            for component, begin, extent in zip(fused.components, fused.begins, fused.extents, strict=True):
                position = position * extent + (component - begin)
            return transform(position, replaced)
        if isinstance(node, Size) and node.name in counts:
            fused = counts[node.name]
            return transform(fused.product, replaced) if not linear or _has_affine_position(fused) else node
        return node

    return transform(value, replaced) if tree.fused else value


def _has_affine_position(fused: Fused) -> bool:
    return all(isinstance(extent, Const) for extent in fused.extents[1:])


def at_sizes(tree: Tree, sizes: Mapping[str, int]) -> Tree:
    """The tree for calls with these sizes, where every position is affine."""
    known = dict(sizes)
    boxes: dict[Axis, Fused] = {}
    for axis, fused in tree.fused.items():  # those that others are made of come first
        extents = tuple(Const(evaluate_extent(extent, known), axis.dtype) for extent in fused.extents)
        boxes[axis] = replace(fused, extents=extents)
        if isinstance(fused.count, Size):
            known[fused.count.name] = evaluate_extent(replace(fused, extents=extents).product, known)
    return Tree(tree.root, boxes)
