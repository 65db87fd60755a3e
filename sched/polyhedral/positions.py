"""Positions in the boxes of fused loops, as far as they are known without products of sizes.

The position of (i, j) in a box of extents n and m is i * m + j, which is not affine. But positions are in the order of
(i, j) lexicographically; where m is a multiple of c, position // c is that of (i, j // c) in a box of n and m / c, and
position % c is j % c; and positions are at least m + j' - j apart where i' > i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op, Size
from ..compute.simplify import key, linear, simplify
from .tree import Fused


@dataclass(frozen=True, slots=True)
class Box:
    """A row-major position: `components`, each from 0 and below its extent."""

    components: tuple[Expr, ...]
    extents: tuple[Expr, ...]

    def is_like(self, other: Box) -> bool:
        """Whether positions in the two boxes compare as their components do."""
        inner = zip(self.extents[1:], other.extents[1:], strict=False)
        return len(self.extents) == len(other.extents) and all(key(a) == key(b) for a, b in inner)

    def inner(self) -> tuple[Expr, Expr]:
        """The position in one iteration of the first component, and how many there are."""
        position: Expr = Const(0, INDEX)
        count: Expr = Const(1, INDEX)
        for component, extent in zip(self.components[1:], self.extents[1:], strict=True):
            position, count = position * extent + component, count * extent
        return simplify(position), simplify(count)


def box_of(value: Expr, fused: Mapping[Axis, Fused]) -> Box | None:
    """A counter as a position, if it is one: of fused loops, or of pieces that they are cut into evenly."""
    match value:
        case Axis() if value in fused:
            return _whole(fused[value], fused)
        case Op("floordiv", (x, Const(c))) if c > 0:
            box = box_of(x, fused)
            return None if box is None else _divided(box, int(c))
        case Op("mod", (x, Const(c))) if c > 0:
            box = box_of(x, fused)
            return None if box is None else _remainder(box, int(c))
        case _:
            return None


def _whole(box: Fused, fused: Mapping[Axis, Fused]) -> Box:
    """The box of a virtual axis, with those of its components in their place."""
    components: list[Expr] = []
    extents: list[Expr] = []
    for component, begin, extent in zip(box.components, box.begins, box.extents, strict=True):
        inner = box_of(component, fused) if isinstance(begin, Const) and begin.value == 0 else None
        components += [simplify(component - begin)] if inner is None else inner.components
        extents += [extent] if inner is None else inner.extents
    return Box(tuple(components), tuple(extents))


def _divided(box: Box, c: int) -> Box | None:
    """position // c."""
    if c == 1 or not box.components:
        return box if box.components else None
    *components, last = box.components
    *extents, extent = box.extents
    if (quotient := _exact_quotient(extent, c)) is not None:
        return Box((*components, simplify(last // c)), (*extents, quotient))
    if isinstance(extent, Const) and extent.value and c % int(extent.value) == 0:
        return _divided(Box(tuple(components), tuple(extents)), c // int(extent.value))
    return None


def _remainder(box: Box, c: int) -> Box | None:
    """position % c."""
    if not box.components:
        return None
    *components, last = box.components
    *extents, extent = box.extents
    if _exact_quotient(extent, c) is not None:
        return Box((simplify(last % c),), (Const(c, INDEX),))
    if isinstance(extent, Const) and extent.value and c % int(extent.value) == 0:
        rest = _remainder(Box(tuple(components), tuple(extents)), c // int(extent.value))
        return None if rest is None else Box((*rest.components, last), (*rest.extents, extent))
    return None


def _exact_quotient(extent: Expr, c: int) -> Expr | None:
    """extent / c, where that is an integer for all sizes that keep what is promised of them."""
    match extent:
        case Op("floordiv", (whole, Const(d))) if d > 0:
            return _exact_quotient(whole, c * int(d))
    terms, constant = linear(extent)
    multiples = [factor * (atom.multiple_of if isinstance(atom, Size) else 1) for atom, factor in terms.values()]
    return None if constant % c or any(multiple % c for multiple in multiples) else simplify(extent // c)
