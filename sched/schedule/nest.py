"""The loops of one stage, as order commands rewrite them, and the loop tree they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Size, transform, walk
from ..compute.printing import text
from ..compute.simplify import constant_value, simplify, upper_bound
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.tree import Fused, LoopKind
from .suggestion import listed, meant, shown

MAX_LOOPS = 40  # keeps every proof and every print of a hostile log short


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A loop of a stage: its counter as an expression of the stage's axes and virtual axes.

    The counter runs over begin, begin + 1, ..., begin + extent - 1 where all of the loop is inside the domain; tails
    are what isl leaves out. `begin` and `extent` may depend on outer axes (triangles). `reversed` says, for the reader,
    that the counter runs against what the name stands for. `peel` are the numbers of first and last iterations that
    have code of their own; None leaves that to the code generator.
    """

    name: str
    value: Expr
    begin: Expr
    extent: Expr
    kind: LoopKind = "serial"
    reversed: bool = False
    peel: tuple[int, int] | None = None

    @property
    def end(self) -> Expr:
        return simplify(self.begin + self.extent)

    @property
    def most(self) -> int | None:
        """The largest number of iterations, where it is a literal."""
        return constant_value(upper_bound(self.extent))


class OrderCommand(Protocol):
    """A command that rewrites the loops of one stage, and is remembered in their history."""

    word: ClassVar[str]

    def carried_out(self, nest: StageNest) -> StageNest: ...

    def restricted(self, names: tuple[str, ...]) -> OrderCommand | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class StageNest:
    """The loops of a stage, outermost first.

    axes     the stage's axes, which the loops are made of
    parts    the names of the loops that a virtual axis was made of
    history  the commands that made these loops of the default ones, so that they can be made of other axes
    apart    the loops of those equations of a recurrence that have loops of their own, by their numbers
    equation which one these are the loops of, where they are of one alone
    """

    stage: Tensor
    loops: tuple[Loop, ...]
    axes: tuple[Axis, ...]
    fused: Mapping[Axis, Fused] = field(default_factory=dict)
    parts: Mapping[Axis, tuple[str, ...]] = field(default_factory=dict)
    history: tuple[OrderCommand, ...] = ()
    apart: Mapping[int, StageNest] = field(default_factory=dict)
    equation: int | None = None

    @property
    def label(self) -> str:
        """Whose loops these are, as it is written."""
        return self.stage.name if self.equation is None else f"{self.stage.name}.equation({self.equation})"

    def of_equation(self, number: int) -> StageNest:
        """The loops of one equation: its own, or those that it shares with the others."""
        return self.apart.get(number, self)

    def with_equation(self, number: int) -> StageNest:
        """The loops of one equation, to be changed apart from the others'."""
        return self.apart.get(number, replace(self, apart={}, equation=number))

    def each(self) -> tuple[StageNest, ...]:
        """These loops, and those of equations that have their own."""
        return (self, *self.apart.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(loop.name for loop in self.loops)

    def position(self, name: object) -> int:
        """Where the loop `name` stands; an error that lists the loops there are."""
        names = self.names
        if name not in names:
            loops = f"its loops are {listed(names)}" if names else "it is a single element and has none"
            raise ScheduleError(f"{self.label} has no loop {shown(name)}; {loops}{meant(name, names)}")
        return names.index(str(name))

    def loop(self, name: object) -> Loop:
        return self.loops[self.position(name)]

    def replaced(self, position: int, *loops: Loop, count: int = 1) -> StageNest:
        """The nest with `count` loops from `position` replaced; new names must be new."""
        rest = (*self.loops[:position], *self.loops[position + count :])
        if len(rest) + len(loops) > MAX_LOOPS:
            raise ScheduleError(
                f"{self.label} has {len(self.loops)} loops, and a stage has at most {MAX_LOOPS}; fuse some, or "
                "split less often"
            )
        taken = {loop.name for loop in rest}
        for loop in loops:
            if loop.name in taken:
                raise ScheduleError(
                    f"{self.label} has a loop {loop.name} already; its loops are {listed(self.names)}: choose "
                    "another name for the new one"
                )
            taken.add(loop.name)
        return replace(self, loops=(*self.loops[:position], *loops, *self.loops[position + count :]))

    def axes_of(self, value: Expr) -> set[Axis]:
        """The stage's own axes that a counter is made of."""
        found: set[Axis] = set()
        for node in walk(value):
            if isinstance(node, Axis) and node in self.fused:
                for component in self.fused[node].components:
                    found |= self.axes_of(component)
            elif isinstance(node, Axis):
                found.add(node)
        return found

    def shown(self, expr: Expr) -> str:
        """The expression as text, with the counts of fused loops as products."""
        products = {fused.count.name: fused.product for fused in self.fused.values() if isinstance(fused.count, Size)}

        def visible(node: Expr) -> Expr:
            return visible_product(node.name) if isinstance(node, Size) and node.name in products else node

        def visible_product(name: str) -> Expr:
            return transform(products[name], visible)

        return text(simplify(transform(expr, visible)))

    def virtual(self, value: Expr) -> list[Axis]:
        """The virtual axes that a counter is made of, each before those that its components are made of."""
        found: dict[Axis, None] = {}
        for node in walk(value) if self.fused else ():
            if isinstance(node, Axis) and node in self.fused:
                found[node] = None
                for component in self.fused[node].components:
                    found |= dict.fromkeys(self.virtual(component))
        return list(found)

    def component_name(self, axis: Axis, number: int) -> str:
        """What a loop was called before it was fused, unless a loop that is there now has that name."""
        name = self.parts[axis][number] if axis in self.parts else ""
        return name if name and name not in self.names else f"{axis.name}.{number}"

    def position_of(self, axis: Axis, counter: Callable[[str], Expr]) -> Expr | None:
        """The position of a virtual axis in terms of the counters of loops: where a loop is over all of it, or it is a
        component of one that is so; None where the loops made of it are pieces."""
        whole = next((loop for loop in self.loops if loop.value is axis), None)
        if whole is not None:
            return counter(whole.name)
        for outer, fused in self.fused.items():
            number = next((k for k, component in enumerate(fused.components) if component is axis), None)
            if number is not None:
                position = self.position_of(outer, counter)
                return None if position is None else fused.component(number, position)
        return None

    def fused_depth(self, value: Expr) -> int:
        """How often what a counter is made of has been fused, one time over the other."""
        nested = [node for node in walk(value) if isinstance(node, Axis) and node in self.fused]
        return max((1 + max(map(self.fused_depth, self.fused[axis].components)) for axis in nested), default=0)

    def init_position(self) -> int:
        """Which loop of a reduction its init stands before: the first of the innermost reduction loops that stand
        directly inside each other, or with unrolled loops alone between them, so that what is accumulated there is
        initialised there.

        In reduction loops further out the init is in the first iteration. Where such a loop has none that is certainly
        before all others, or is no loop that runs in order, the init stands before the outermost reduction loop.
        """
        reductions = [k for k, loop in enumerate(self.loops) if self.is_reduction(loop)]
        around = innermost = reductions[-1]
        while around - 1 in reductions or (around > 0 and self.loops[around - 1].kind == "unroll"):
            around -= 1
            innermost = around if around in reductions else innermost
        outer = [self.loops[k] for k in reductions if k < innermost]
        return innermost if all(map(self._begins_alike, outer)) else reductions[0]

    def marked_as(self, other: StageNest, loop: str) -> StageNest:
        """These loops, the outer ones of the kinds that another stage's have down to one of them."""
        count = other.position(loop) + 1
        outer = (replace(mine, kind=theirs.kind) for mine, theirs in zip(self.loops, other.loops[:count], strict=False))
        return replace(self, loops=(*outer, *self.loops[count:]))

    def _begins_alike(self, loop: Loop) -> bool:
        """Whether a reduction loop runs in order, from a value that is the same whatever is outside."""
        fixed = not any(isinstance(node, Axis) for node in walk(loop.begin))
        alone = all(axis.reduction for axis in self.axes_of(loop.value))
        return fixed and alone and loop.kind == "serial" and not self.fused_depth(loop.value)

    def init_loops(self, first: int, axes: tuple[Axis, ...]) -> tuple[Loop, ...]:
        """The loops of an init, with these axes, that stand in for loops[first:], of which the first is a reduction's:
        those over data axes alone, and for what mixed loops leave open, the virtual axes that they share with others
        and the init's own axes. Loops over no axes, which splits by more than the extent or by 1 leave, make no
        difference to it."""
        inner = self.loops[first:]
        mixed = [loop for loop in inner if self.is_reduction(loop)]
        pure = tuple(replace(loop, peel=None) for loop in inner if self.axes_of(loop.value) and loop not in mixed)
        closed = {axis for loop in (*self.loops[:first], *pure) for axis in self.virtual(loop.value)}
        shared = dict.fromkeys(axis for loop in mixed for axis in self.virtual(loop.value) if axis in closed)
        positions = (Loop(axis.name, axis, Const(0, INDEX), self.fused[axis].count) for axis in shared)
        open_axes = {axis for loop in mixed for axis in self.axes_of(loop.value)}
        return (*pure, *positions, *(axis_loop(axis) for axis in axes if axis in open_axes))

    def is_reduction(self, loop: Loop) -> bool:
        """Whether the loop is made of reduction axes, alone or with others."""
        return any(axis.reduction for axis in self.axes_of(loop.value))


def axis_loop(axis: Axis) -> Loop:
    """The loop over an axis as it was defined."""
    return Loop(axis.name, axis, axis.lower, simplify(axis.upper - axis.lower))


def default_nest(stage: Tensor, axes: tuple[Axis, ...] | None = None) -> StageNest:
    """One loop an axis, in the order of the definition; `axes` are those of the stage where it is placed."""
    if axes is None:
        (equation,) = stage.equations
        axes = equation.loops
    return StageNest(stage, tuple(map(axis_loop, axes)), axes)
