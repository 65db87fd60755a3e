"""What the axes of a stage are in terms of its loops: the arithmetic that split, fuse and reverse leave to the reader.

Loops are added outermost first. As soon as the counters so far determine an axis, it is bound, with the part of its
bounds that the loops alone do not guarantee: a tail.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op, Size, transform, walk
from ..compute.simplify import constant_value, key, linear, lower_bound, simplify, upper_bound
from ..polyhedral.tree import Fused
from .nest import Loop, StageNest


@dataclass(frozen=True, slots=True)
class _Known:
    """A value as it is printed; `measure` has the same bounds, which the printed form may hide. `quotient` is the key
    of what makes a remainder whole."""

    shown: Expr
    measure: Expr
    quotient: Hashable = None


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """axis = value, and which of its bounds do not follow from the loops.

    The axis is the stage's own, a virtual one, or stands for a loop that was fused.
    """

    axis: Axis
    value: Expr
    low: bool
    high: bool

    @property
    def plain(self) -> bool:
        """Whether there is a loop of this name over just this axis."""
        return isinstance(self.value, Axis) and self.value.name == self.axis.name


class Bindings:
    """The axes, virtual ones among them, that the loops added so far determine."""

    def __init__(self, nest: StageNest) -> None:
        self.nest = nest
        self.bound: dict[Axis, Binding] = {}
        self._known: dict[Hashable, tuple[Expr, _Known]] = {}

    def add(self, loop: Loop) -> list[Binding]:
        """What is bound with this loop, in an order in which it can be computed."""
        begin, end = self.visible(loop.begin, upper=False), self.visible(loop.end, upper=True)
        counter = Axis(loop.name, begin, end)
        value = simplify(loop.begin + loop.extent - 1 + loop.begin - loop.value) if loop.reversed else loop.value
        self._learn(value, _Known(counter, counter))
        made: list[Binding] = []
        while (step := next(self._steps(), None)) is not None:
            expr, known = step
            part = self._part(expr, known)
            if part is not None:
                made.append(Binding(part, known.shown, low=False, high=False))
                known = _Known(part, known.measure)
            self._learn(expr, known)
            if isinstance(expr, Axis):
                made.append(self._bind(expr, known))
        return made

    def visible(self, expr: Expr, *, upper: bool) -> Expr:
        """A loop's bound, or where it depends on axes further in, a bound of it."""
        axes = [node for node in walk(expr) if isinstance(node, Axis)]
        if all(axis in self.bound for axis in axes):
            return expr
        return upper_bound(expr) if upper else lower_bound(expr)

    def _part(self, expr: Expr, known: _Known) -> Axis | None:
        """What stands for a loop that was fused and is no axis, under the name that it had."""
        for position, names in self.nest.parts.items():
            for component, name in zip(self.nest.fused[position].components, names, strict=True):
                if component is expr and not isinstance(expr, (Axis, Const)) and name not in self.nest.names:
                    assert isinstance(known.measure, Axis), "a component of a box has the box's bounds"
                    return Axis(name, known.measure.lower, known.measure.upper)
        return None

    def _learn(self, expr: Expr, known: _Known) -> None:
        if isinstance(expr, Op) and expr.name == "mod" and isinstance(expr.operands[1], Const):
            known = replace(known, quotient=key(simplify(expr.operands[0] // expr.operands[1])))
        if not isinstance(expr, Const):
            self._known.setdefault(key(expr), (expr, known))

    def _bind(self, axis: Axis, known: _Known) -> Binding:
        low, high = _least(known.measure, axis.lower), _least(axis.upper - 1, known.measure)
        if isinstance(known.measure, Axis):
            low = low or _least(known.measure.lower, axis.lower)
            high = high or _least(axis.upper, known.measure.upper)
        binding = Binding(axis, known.shown, not low, not high)
        self.bound[axis] = binding
        return binding

    def _steps(self) -> Iterator[tuple[Expr, _Known]]:
        """What follows from what is known and is not known yet."""
        for expr, known in list(self._known.values()):
            match expr:
                case Axis() if expr not in self.bound:
                    yield expr, known
                case Axis() if expr in self.nest.fused:
                    yield from self._new(_components(self.nest.fused[expr], expr))
                case Op("mod", (x, Const(divisor))):
                    quotient = self._known.get(known.quotient)
                    if quotient is not None and key(x) not in self._known:
                        yield from self._new([(x, _joined(quotient[1], known, int(divisor)))])
                case Op("add" | "sub" | "neg" | "mul"):
                    yield from self._new(self._solved(expr, known))

    def _new(self, found: list[tuple[Expr, _Known]]) -> Iterator[tuple[Expr, _Known]]:
        return (pair for pair in found if key(pair[0]) not in self._known and not isinstance(pair[0], Const))

    def _solved(self, expr: Expr, known: _Known) -> list[tuple[Expr, _Known]]:
        """The one atom of a linear form that is neither a size nor known, if its coefficient is 1 or -1."""
        terms, _ = linear(expr)
        atoms = [(a, c) for a, c in terms.values() if not isinstance(a, Size) and key(a) not in self._known]
        if len(atoms) != 1 or abs(atoms[0][1]) != 1:
            return []
        atom, sign = atoms[0]
        rest = simplify(expr - atom if sign == 1 else expr + atom)

        def solved(value: Expr) -> Expr:
            return simplify(value - rest if sign == 1 else rest - value)

        return [(atom, _Known(solved(known.shown), solved(known.measure)))]


def _components(fused: Fused, position: Axis) -> list[tuple[Expr, _Known]]:
    """The loops that were fused, from the position in their box."""
    found = []
    for number, component in enumerate(fused.components):
        begin, extent = fused.begins[number], fused.extents[number]
        inner: Expr = Const(1, INDEX)
        for other in fused.extents[number + 1 :]:
            inner = inner * other
        value: Expr = position // inner if fused.extents[number + 1 :] else position
        value = value % extent if number else value
        found.append((component, _Known(simplify(begin + value), Axis(position.name, begin, simplify(begin + extent)))))
    return found


def _joined(quotient: _Known, remainder: _Known, divisor: int) -> _Known:
    return _Known(
        simplify(quotient.shown * divisor + remainder.shown), simplify(quotient.measure * divisor + remainder.measure)
    )


def _least(a: Expr, b: Expr) -> bool:
    """Whether a >= b follows from the bounds of axes and the promises of sizes."""
    gap = constant_value(transform(lower_bound(simplify(a - b)), _promised))
    return gap is not None and gap >= 0


def _promised(expr: Expr) -> Expr:
    """A size that is a multiple of m as m times another."""
    if isinstance(expr, Size) and expr.multiple_of > 1:
        return simplify(Const(expr.multiple_of, INDEX) * Size(f"{expr.name}/{expr.multiple_of}"))
    return expr
