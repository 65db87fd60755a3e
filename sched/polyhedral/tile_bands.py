"""Bands of loops over tiles whose numbers are added up, as waves of tiles are: i // 16 + j // 256, and i // 16 in it;
and of tiles in which steps of a recurrence are computed, for which the numbers are dimensions.

isl's loops are over integer points. For the loop over a sum of quotients it looks for strides among those of all
statements, which may take longer than all else together. But in a band, the counters say what each quotient is:
d = i // 16 and w = i // 16 + j // 256 are two equations, and with 16 * d <= i < 16 * d + 16 and 256 * (w - d) <= j <
256 * (w - d) + 256 no quotient is left. So the loops of a band are made over the numbers of tiles alone, and those in a
tile with these numbers as parameters, as in parametric tiling (Renganarayanan, Kim, Rajopadhye and Strout,
Parameterized Tiled Loops for Free, PLDI 2007).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op, rebuild, transform, walk
from ..compute.simplify import Terms, from_linear, key, linear, scaled, simplify, summed
from .program import Statement
from .tree import LoopNode, statements_below

_Form = tuple[Terms, int]


@dataclass(frozen=True, slots=True, eq=False)
class TileNumbers:
    """What the counters of a band are in a statement: for each of its `loops` an axis, the number of the tile.

    `quotients` are the quotients that follow from these numbers, with what they are, inner ones first; `zeros` are
    expressions that are 0 at all instances in a tile.
    """

    loops: tuple[LoopNode, ...]
    axes: tuple[Axis, ...]
    quotients: tuple[tuple[Op, Expr], ...] = ()
    zeros: tuple[Expr, ...] = ()

    def inside(self, value: Expr) -> Expr:
        """The value at an instance in a tile: what is known of quotients is in its place."""
        known = {key(quotient): number for quotient, number in self.quotients}
        if not known:
            return value

        def inside(node: Expr) -> Expr:
            if isinstance(node, Op) and node.name == "floordiv" and key(node) in known:
                return known[key(node)]
            return rebuild(node, tuple(map(inside, node.children))) if node.children else node

        return simplify(inside(_without_remainders(value)))

    def ranges(self) -> Iterator[tuple[Expr, int]]:
        """x - c * q for each quotient q of x by c, with c: it is at least 0, and less than c."""
        for quotient, number in self.quotients:
            dividend, divisor = quotient.operands
            assert isinstance(divisor, Const), "tiles have literal extents"
            yield simplify(self.inside(dividend) - number * divisor), int(divisor.value)


def band_of_tiles(around: Sequence[LoopNode], node: LoopNode) -> tuple[LoopNode, ...]:
    """The loops over tiles from `node` inwards, each directly in the one before, where isl had better not see their
    quotients, and all of these follow from the counters and those of the loops `around`; else none."""
    chain: list[LoopNode] = []
    below: object = node
    while isinstance(below, LoopNode) and below.kind in ("serial", "parallel") and below.of is None:
        if not any(_quotients(value) for value in below.values.values()):
            break
        chain.append(below)
        below = below.body
    statements = statements_below(node)
    while chain:
        if not any(map(_is_hard, chain)):
            return ()
        if all(_solved((*around, *chain), statement) is not None for statement in statements):
            return tuple(chain)
        chain.pop()
    return ()


def tile_numbers(loops: tuple[LoopNode, ...], axes: tuple[Axis, ...], statement: Statement) -> TileNumbers:
    """The quotients of a statement in the loops of a band, and of all loops around it, in terms of their counters."""
    solved = _solved(loops, statement)
    assert solved is not None, "the quotients of a band follow from its counters"
    known, rest = solved
    counters: dict[Hashable, Axis] = {(_COUNTER, loop.uid): axis for loop, axis in zip(loops, axes, strict=True)}

    def expression(form: _Form) -> Expr:
        terms, constant = form
        named = [(counters.get(k, atom), c) for k, (atom, c) in terms.items()]
        return from_linear({key(atom): (atom, c) for atom, c in named}, constant)

    quotients = sorted(known.values(), key=lambda found: sum(1 for _ in walk(found[0])))
    return TileNumbers(
        loops,
        axes,
        tuple((quotient, expression(form)) for quotient, form in quotients),
        tuple(map(expression, rest)),
    )


_COUNTER = "counter of loop"


def _solved(
    loops: tuple[LoopNode, ...], statement: Statement
) -> tuple[dict[Hashable, tuple[Op, _Form]], list[_Form]] | None:
    """The quotients in the counters of the loops, as linear forms of these counters and of axes, and what else is 0;
    None if they do not follow, or are made of others that do not."""
    known: dict[Hashable, tuple[Op, _Form]] = {}
    rest: list[_Form] = []
    for loop in loops:
        if loop.of is not None:
            return None
        terms, constant = linear(_without_remainders(loop.values[statement.number]))
        rest.append(({**terms, (_COUNTER, loop.uid): (Const(0, INDEX), -1)}, constant))
    while True:
        found = next(((form, k) for form in rest for k in _units(form)), None)
        if found is None:
            break
        form, k = found
        rest = [other for other in rest if other is not form]
        quotient, coefficient = form[0][k]
        assert isinstance(quotient, Op)
        others = scaled(({other: term for other, term in form[0].items() if other != k}, form[1]), -coefficient)
        rest = [_replaced(other, k, others) for other in rest]
        known = {other: (q, _replaced(own, k, others)) for other, (q, own) in known.items()}
        known[k] = quotient, others
    if any(_is_division(atom) for form in rest for atom, _ in form[0].values()):
        return None
    inner = (q for quotient, _ in known.values() for q in _quotients(quotient.operands[0]))
    forms = (atom for _, form in known.values() for atom, _ in form[0].values())
    if any(key(quotient) not in known for quotient in inner) or any(map(_is_division, forms)):
        return None
    return known, [form for form in rest if form[0]]


def _units(form: _Form) -> Iterator[Hashable]:
    """The quotients that a form has once."""
    for k, (atom, coefficient) in form[0].items():
        if abs(coefficient) == 1 and isinstance(atom, Op) and atom.name == "floordiv":
            yield k


def _replaced(form: _Form, k: Hashable, value: _Form) -> _Form:
    """The form with another one for the atom `k`."""
    terms, constant = form
    if k not in terms:
        return form
    return summed(({o: t for o, t in terms.items() if o != k}, constant), scaled(value, terms[k][1]))


def _is_division(expr: Expr) -> bool:
    return any(isinstance(node, Op) and node.name in ("floordiv", "mod") for node in walk(expr))


def _quotients(value: Expr) -> list[Op]:
    """The quotients in a value, as they are where it has no remainders."""
    return [node for node in walk(value) if isinstance(node, Op) and node.name == "floordiv"]


def _is_hard(loop: LoopNode) -> bool:
    """Whether a counter is a sum of a quotient and something else, or a dimension of steps of a recurrence that are
    computed in tiles."""
    if any(map(_is_sum, loop.values.values())):
        return True
    placed = any(isinstance(loop.values[s.number], Axis) and s.rule is not None for s in statements_below(loop))
    return placed and any(_quotients(value) for value in loop.values.values())


def _is_sum(value: Expr) -> bool:
    """Whether a counter is a sum of a quotient and something else that varies."""
    terms, _ = linear(simplify(value))
    return len(terms) > 1 and any(isinstance(atom, Op) and atom.name == "floordiv" for atom, _ in terms.values())


def _without_remainders(value: Expr) -> Expr:
    """x - x // c * c for x % c."""

    def replaced(node: Expr) -> Expr:
        match node:
            case Op("mod", (x, Const(c) as divisor)) if c > 0:
                return x - Op("floordiv", (x, divisor), INDEX) * divisor
        return node

    return transform(value, replaced)
