"""Are all pairs in order, by what quotients and remainders can be said without them?

Tiles make counters such as (i + t) // 16 and (i + t) % 16, and relations between their quotients are what isl takes
longest for. But where x never falls along the pairs, neither does x // c; and once x // c is equal, x % c goes as x
does. So in a permutable band (Irigoin and Triolet 1988), tiled in any way, x is all that must be looked at. A sum of
counters that never fall, as a wavefront of tiles is, is equal only where each of them is. And once x // c is equal, a
sum with x % c in it, as of a loop that is skewed by the inner one of a split, differs as with x.

What is not seen to be in order here is left to `order`, which is exact.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op, Size
from ..compute.simplify import Terms, from_linear, key, linear, scaled, simplify, summed
from .affine import affine
from .isl import Map
from .lanes import puts_lanes_in_order
from .requirements import Requirement
from .tree import LoopNode, Sequence, Tree


def certainly_ordered(tree: Tree, requirement: Requirement) -> bool:
    """Whether a tree runs all pairs of a requirement in order. False says nothing."""
    source, sink = requirement.source, requirement.sink
    if tree.fused or requirement.free:
        return False
    pairs, in_lanes = _Pairs(requirement, requirement.relation), False
    for (node, at), (_, to) in zip(tree.path_to(source), tree.path_to(sink), strict=False):
        if isinstance(node, Sequence):
            if at != to:
                return at < to
            continue
        assert isinstance(node, LoopNode), "leaves are at the ends of paths"
        if node.kind == "vectorize":
            in_lanes = True
            continue
        if in_lanes and not puts_lanes_in_order(tree, node, source, sink, requirement.relation):
            return False
        parts = _parts(node, requirement)
        if parts is None or not all(pairs.goes_forward(part, parallel=node.kind == "parallel") for part in parts):
            return False
        fewer = [pairs.equate(part) for part in parts]
        if any(fewer) and pairs.left.is_empty():
            return True
    return pairs.left.is_empty()


def never_falls(tree: Tree, node: LoopNode, requirement: Requirement) -> bool:
    """Whether the counter of a loop is known not to be less at the sink than at the source, in all pairs. False says
    nothing."""
    if tree.fused or requirement.free:
        return False
    pairs = _Pairs(requirement, requirement.relation)
    parts = _parts(node, requirement)
    return parts is not None and all(pairs.goes_forward(part, parallel=False) for part in parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """A summand of a counter at the source and at the sink: x // divisor, or x % modulus of that. In x there may be
    remainders of axes, in a sum."""

    source: Expr
    sink: Expr
    divisor: int = 1
    modulus: int | None = None

    def quotient(self, divisor: int) -> Hashable:
        return key(self.source), key(self.sink), divisor


@dataclass(slots=True)
class _Pairs:
    """The pairs of which no loop is known to put them in order, or more than those; and quotients that are equal in
    all of them."""

    requirement: Requirement
    left: Map
    equal: set[Hashable] = field(default_factory=set)

    def goes_forward(self, part: _Part, *, parallel: bool) -> bool:
        """Whether the summand never falls from source to sink, or is always equal."""
        if part.modulus is not None and not self._is_equal(part, part.divisor * part.modulus):
            return False
        return part.quotient(part.divisor) in self.equal or self._holds(part, "eq" if parallel else "le")

    def _is_equal(self, part: _Part, divisor: int) -> bool:
        return part.quotient(divisor) in self.equal or self._holds(part, "eq")

    def _holds(self, part: _Part, relation: str) -> bool:
        found = self._relation(part, relation)
        return found is not None and self.left.is_subset(found)

    def _relation(self, part: _Part, relation: str) -> Map | None:
        world = self.requirement.source.frame.world
        (source, before), (sink, after) = (
            world.once("without remainders", (x,), partial(_without_remainders, x)) for x in (part.source, part.sink)
        )
        if [form for form, _ in before] != [form for form, _ in after]:
            return None
        for ((_, divisor), x), (_, y) in zip(before, after, strict=True):
            if not self._is_equal(_Part(x, y), divisor):
                return None
        left = affine(source, self.requirement.source.frame)
        right = affine(sink, self.requirement.sink.frame)
        if left is None or right is None:
            return None
        return left.le_map(right) if relation == "le" else left.eq_map(right)

    def equate(self, part: _Part) -> bool:
        """Leave only pairs at which the summand is equal, as far as that can be said; whether that is fewer."""
        self.equal.add(part.quotient(part.divisor))
        found = self._relation(part, "eq") if part.divisor == 1 else None
        self.left = self.left if found is None else self.left.intersect(found)
        return found is not None


def _parts(node: LoopNode, requirement: Requirement) -> tuple[_Part, ...] | None:
    """The summands of a loop's counter at both ends of a requirement."""
    values = node.values[requirement.source.number], node.values[requirement.sink.number]
    return requirement.source.frame.world.once("summands", values, partial(_paired, *values))


def _paired(source: Expr, sink: Expr) -> tuple[_Part, ...] | None:
    """The summands of a counter, those of the source with those of the sink; None where they are of another form."""
    first, second = _summands(source), _summands(sink)
    if first is None or second is None or [form for form, _ in first] != [form for form, _ in second]:
        return None
    return tuple(_Part(x, y, divisor, modulus) for ((divisor, modulus), x), (_, y) in zip(first, second, strict=True))


def _summands(value: Expr) -> list[tuple[tuple[int, int | None], Expr]] | None:
    """x for each x // divisor % modulus that the value is the sum of, in an order that depends on the numbers alone."""
    terms, constant = linear(simplify(value))
    plain = {k: term for k, term in terms.items() if isinstance(term[0], (Axis, Size))}
    if plain:
        plain |= {k: term for k, term in terms.items() if _remainder(term[0]) is not None}
    found: list[tuple[tuple[int, int | None], Expr]] = []
    for atom, factor in (term for k, term in terms.items() if k not in plain):
        part = _digit(atom)
        if part is None or factor != 1 or (part[0][1] is not None and (len(terms) > 1 or constant)):
            return None
        found.append(part)
    if plain or constant or not found:
        found.append(((1, None), from_linear(plain, constant)))
    return sorted(found, key=lambda part: (part[0][0], part[0][1] or 0))


def _digit(value: Expr) -> tuple[tuple[int, int | None], Expr] | None:
    """x, with the divisor and the modulus, for x // divisor % modulus of an affine x."""
    match value:
        case Op("floordiv" | "mod" as name, (inner, Const(by))) if by > 0:
            found = _digit(inner)
            if found is None:
                return None
            (divisor, modulus), x = found
            if modulus is not None and modulus % by:
                return None
            if name == "mod":
                return (divisor, int(by)), x
            return (divisor * int(by), None if modulus is None else modulus // int(by)), x
    terms, _ = linear(value)
    plain = (isinstance(atom, (Axis, Size)) or _remainder(atom) is not None for atom, _ in terms.values())
    return ((1, None), value) if value.dtype == INDEX and all(plain) else None


def _remainder(atom: Expr) -> tuple[Expr, int] | None:
    """x and c of x % c, where x is a sum of axes and sizes."""
    match atom:
        case Op("mod", (x, Const(c))) if c > 0 and x.dtype == INDEX:
            terms, _ = linear(x)
            return (x, int(c)) if all(isinstance(own, (Axis, Size)) for own, _ in terms.values()) else None
    return None


_Remainders = list[tuple[tuple[int, int], Expr]]


def _without_remainders(value: Expr) -> tuple[Expr, _Remainders]:
    """A sum with x for each x % c in it, which differs as the sum itself where all these x // c are equal; and factor,
    c and x of each factor * (x % c), in an order that depends on the numbers alone."""
    terms, constant = linear(value)
    whole: tuple[Terms, int] = {k: term for k, term in terms.items() if _remainder(term[0]) is None}, constant
    found: _Remainders = []
    for atom, factor in terms.values():
        if (part := _remainder(atom)) is not None:
            found.append(((factor, part[1]), part[0]))
            whole = summed(whole, scaled(linear(part[0]), factor))
    return (from_linear(*whole) if found else value), sorted(found, key=lambda one: one[0])
