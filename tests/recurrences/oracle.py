"""Which schedules of recurrences are legal, by brute force: every instance at given sizes, and when it runs.

No isl here, and nothing of the checker: instances are enumerated, what they read is evaluated, and two instances are
compared loop by loop down the tree. What is read must have been written, by everything that writes the cell; what is
accumulated is initialised before, updated in order (in any where it is re-associable: threads and lanes have partial
results, or take turns), and finished after. Iterations of parallel loops are unordered; lanes of a vector loop run each
statement together, also where they are in different iterations of a loop of which each lane has one, or of which
lanes or statements have others. Where dimensions are folded, whoever writes another element into a cell is before the
element is written, or after it is read.

Stages in loops of others have a copy of an element for each iteration of the loops around their store. Which elements
an iteration computes is claimed (`claimed`), and checked: what is read is in the reader's copy, and that is written,
and read, in one and the same loops.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from polysched.compute.expr import Axis, Cast, Const, Expr, Op, Read, Size
from polysched.compute.tensor import Tensor
from polysched.polyhedral.statement import Statement
from polysched.polyhedral.tree import Fused, Leaf, LoopNode, Node

from ..polyhedral.enumerated import points

Cell = tuple[int, tuple[int, ...], tuple[int, ...]]  # of a stage, by its uid, in a copy
Step = tuple[Hashable, int]  # "sequence", or the kind of a loop, with the place or the counter


@dataclass(frozen=True, eq=False)
class Instance:
    """One run of a statement: its axes' values, the cell that it writes and in which copy, the cells that it reads, and
    its time."""

    statement: Statement
    at: dict[Axis, int]
    copy: tuple[int, ...]
    cell: tuple[int, ...]
    reads: frozenset[Cell]
    path: tuple[Step, ...]

    @property
    def name(self) -> tuple[str, dict[str, int]]:
        return self.statement.stage.name, {axis.name: value for axis, value in self.at.items()}

    @property
    def reduced(self) -> tuple[int, ...]:
        """Where among the updates of its element it is."""
        return tuple(value for axis, value in self.at.items() if axis.reduction)


class Sizes:
    """Expressions of indices, evaluated with Python's integers; `fused` are the boxes of fused loops."""

    def __init__(self, sizes: dict[str, int], fused: Mapping[Axis, Fused] | None = None) -> None:
        self.sizes, self.fused = sizes, fused or {}
        self.counts = {box.count: box for box in self.fused.values()}

    def value(self, expr: Expr, at: dict[Axis, int]) -> Any:
        """The value, or None where it comes from data."""
        match expr:
            case Const(value):
                return value
            case Axis() if expr in self.fused:
                return self.position(self.fused[expr], at)
            case Axis():
                return at[expr]
            case Size() if expr in self.counts:
                return prod(self.value(extent, at) for extent in self.counts[expr].extents)
            case Size(name):
                return self.sizes[name]
            case Cast(operand):
                return self.value(operand, at)
            case Op("select", (condition, yes, no)):
                return self.value(yes if self.value(condition, at) else no, at)
            case Op(name, operands):
                values = [self.value(operand, at) for operand in operands]
                return None if None in values else _OPERATIONS[name](*values)
        return None

    def position(self, box: Fused, at: dict[Axis, int]) -> int:
        """Where in their box the components of a fused loop are, which they do not leave."""
        position = 0
        for component, begin, extent in zip(box.components, box.begins, box.extents, strict=True):
            offset, size = self.value(component, at) - self.value(begin, at), self.value(extent, at)
            assert 0 <= offset < size, "a component leaves its box"
            position = position * size + offset
        return position

    def reads(self, expr: Expr, at: dict[Axis, int]) -> Iterator[Read]:
        """The reads whose values are needed here."""
        if isinstance(expr, Op) and expr.name == "select":
            holds = self.value(expr.operands[0], at)
            yield from self.reads(expr.operands[0], at)
            for side, taken in ((expr.operands[1], True), (expr.operands[2], False)):
                if holds is None or bool(holds) == taken:
                    yield from self.reads(side, at)
            return
        if isinstance(expr, Read):
            yield expr
        for child in expr.children:
            yield from self.reads(child, at)


_OPERATIONS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
    "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b, "min": min, "max": max,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
}  # fmt: skip


def instances(state: Any, sizes: dict[str, int]) -> list[Instance]:
    """Everything that runs at these sizes."""
    tree = state.tree()
    known = Sizes(sizes, tree.fused)
    cuts, leaves = state.program.cuts, list(_leaves(tree.root, ()))
    _check_loops(state.program, leaves)
    return [
        instance
        for s, path in leaves
        for instance in _of_statement(
            s, path, known, state.program, _in_lanes(s, path, known, tree.fused, state.program)
        )
        if s.rule is None or _part(s, instance.at, cuts.get(s.stage.uid, ())) == s.loops_of
    ]


def _part(statement: Statement, values: Mapping[Axis, int], cuts: tuple[Any, ...]) -> int:
    """The equation, or the cut, that an instance belongs to."""
    at = {axis.name: value for axis, value in values.items()}
    number = statement.equation
    for place, cut in enumerate(cuts, len(statement.stage.equations)):
        if cut.equation == number and cut.axis in at:
            block, own = at[cut.axis] // cut.factor, (at[cut.other] + cut.ahead) // cut.factor
            number = place if block < own or (cut.later and block > own) else number
    return number


def _leaves(node: Node, path: tuple[Any, ...]) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
    if isinstance(node, Leaf):
        yield node.statement, path
    elif isinstance(node, LoopNode):
        yield from _leaves(node.body, (*path, node))
    else:
        for place, child in enumerate(node.children):
            yield from _leaves(child, (*path, place))


def _check_loops(program: Any, leaves: list[tuple[Statement, tuple[Any, ...]]]) -> None:
    """An iteration's copy of a stage is read in the loops in which it is written."""
    loops = {s.number: [node for node in path if isinstance(node, LoopNode)] for s, path in leaves}
    for sink, _ in leaves:
        for source, _ in leaves:
            kept = _kept(program, source.stage)
            if any(read.tensor is source.stage for read in sink.reads):
                around = zip(loops[source.number][:kept], loops[sink.number][:kept], strict=True)
                assert all(a is b for a, b in around), f"{sink.label} reads a copy of {source.label} elsewhere"


def _kept(program: Any, stage: Tensor) -> int:
    """The number of loops around that have a copy of a stage for each iteration."""
    return program.placements[stage.uid].around.kept if stage.uid in program.placements else 0


def claimed(statement: Statement, program: Any, sizes: dict[str, int]) -> Iterator[dict[Axis, int]]:
    """What a schedule says that a statement in loops of others computes."""
    for point in sorted(points(statement.domain.intersect_params(program.context), program.world, sizes)):
        yield dict(zip(statement.axes, point, strict=True))


_WIDE = 13  # of a size at which a loop that may have several iterations has
Taken = dict[tuple[Any, ...], set[Any]]  # which iterations of a loop there are for each iteration of those around


def _in_lanes(
    statement: Statement, path: tuple[Any, ...], known: Sizes, fused: Mapping[Axis, Fused], program: Any
) -> dict[int, Hashable]:
    """For loops inside a vector loop, by their uids, which iterations there are for each iteration of those around, at
    large sizes and at these; none where lanes have different ones, and no more than one each, or not all from the first
    to the last, or where they are written out and lanes begin apart."""
    loops = [step for step in path if isinstance(step, LoopNode) and step.kind not in ("position", "component")]
    first = next((k for k, loop in enumerate(loops) if loop.kind == "vectorize"), len(loops)) + 1
    if first >= len(loops):
        return {}
    wide = Sizes({s.name: -(-max(s.min, _WIDE) // s.multiple_of) * s.multiple_of for s in program.sizes}, fused)
    large = _taken(statement, loops, first, wide, program)
    own = _taken(statement, loops, first, known, program)
    alike = {k: _alike(loops, k, found) for k, found in large.items()}
    return {loops[k].uid: None if alike[k] is None else (alike[k], _frozen(own[k])) for k in large}


def _taken(statement: Statement, loops: list[LoopNode], first: int, known: Sizes, program: Any) -> dict[int, Taken]:
    """For each loop from a first one on."""
    every = claimed(statement, program, known.sizes) if statement.prefix else _grid(statement.axes, known)
    taken: dict[int, Taken] = {k: {} for k in range(first, len(loops))}
    cuts = program.cuts.get(statement.stage.uid, ())
    for at in every:
        if not all(known.value(condition, at) for condition in _conditions(statement)):
            continue
        if statement.rule is not None and _part(statement, at, cuts) != statement.loops_of:
            continue
        counters = [known.value(loop.values[statement.number], at) for loop in loops]
        for k, found in taken.items():
            found.setdefault(tuple(counters[:k]), set()).add(counters[k])
    return taken


def _frozen(taken: Taken) -> Hashable:
    return frozenset((around, frozenset(values)) for around, values in taken.items())


def _alike(loops: list[LoopNode], k: int, taken: Taken) -> Hashable:
    dense = all(max(values) - min(values) + 1 == len(values) for values in taken.values())
    begins: Taken = {}
    for around, values in taken.items():
        outside = tuple(c for c, loop in zip(around, loops, strict=False) if loop.kind != "vectorize")
        begins.setdefault(outside, set()).add(min(values))
    ranges: Taken = {}
    for around, values in taken.items():
        outside = tuple(c for c, loop in zip(around, loops, strict=False) if loop.kind != "vectorize")
        ranges.setdefault(outside, set()).add(frozenset(values))
    alike = all(len(values) == 1 for values in ranges.values())
    apart = loops[k].kind == "unroll" and any(len(values) > 1 for values in begins.values())
    if not alike and (not dense or apart or all(len(values) == 1 for values in taken.values())):
        return None
    return _frozen(taken)


def _kind(loop: LoopNode, in_lanes: Mapping[int, Hashable]) -> Hashable:
    """What must be the same of two instances whose order follows from the counters of a loop."""
    return (loop.kind, in_lanes[loop.uid]) if loop.uid in in_lanes else loop.kind


def _of_statement(
    statement: Statement, path: tuple[Any, ...], known: Sizes, program: Any, in_lanes: Mapping[int, Hashable]
) -> Iterator[Instance]:
    placed = bool(statement.prefix)
    for at in claimed(statement, program, known.sizes) if placed else _grid(statement.axes, known):
        if not all(known.value(condition, at) for condition in _conditions(statement)):
            assert not placed, f"{statement.label} is computed where it is not defined"
            continue
        steps = tuple(
            ("sequence", step)
            if isinstance(step, int)
            else (_kind(step, in_lanes), int(known.value(step.values[statement.number], at)))
            for step in path
            if isinstance(step, int) or step.kind not in ("position", "component")
        )
        cell = tuple(known.value(index, at) for index in statement.indices)
        found = [r for r in known.reads(statement.value, at) if r.tensor.equations and not statement.accumulates(r)]
        counters = [counter for kind, counter in steps if kind != "sequence"]
        reads = frozenset(
            (r.tensor.uid, tuple(counters[: _kept(program, r.tensor)]), tuple(known.value(i, at) for i in r.indices))
            for r in found
        )
        yield Instance(statement, at, tuple(counters[: _kept(program, statement.stage)]), cell, reads, steps)


def _conditions(statement: Statement) -> tuple[Expr, ...]:
    equation = statement.rule
    if equation is None:
        return ()
    conditions = (equation.where, equation.within if statement.kind == "update" else None)
    region = () if statement.piece is None else statement.piece.region
    return tuple(condition for condition in (*conditions, *region) if condition is not None)


def _grid(axes: tuple[Axis, ...], known: Sizes) -> Iterator[dict[Axis, int]]:
    if not axes:
        yield {}
        return
    *outer, axis = axes
    for at in _grid(tuple(outer), known):
        for value in range(known.value(axis.lower, at), known.value(axis.upper, at)):
            yield {**at, axis: value}


BEFORE, AFTER, BESIDE, TOGETHER = "before", "after", "beside", "together"


def order(a: Instance, b: Instance) -> str:
    """How the first of two instances stands to the second."""
    lanes = False
    for (kind, x), (other, y) in zip(a.path, b.path, strict=False):
        if kind == "vectorize":
            lanes = lanes or x != y
        elif x != y:
            unknown = isinstance(kind, tuple) and lanes and (kind[1] is None or kind != other)
            return BESIDE if kind == "parallel" or unknown else BEFORE if x < y else AFTER
    return TOGETHER if lanes else "same"


def violations(state: Any, sizes: dict[str, int]) -> Iterator[tuple[Instance, Instance]]:
    """Pairs of which the first must run before the second, or apart from it, and does not."""
    every = instances(state, sizes)
    for first, second, free in _needs(every):
        if not free and order(first, second) != BEFORE:
            yield first, second
    for stage in state.program.live_stages():
        layout = state.program.layout(stage)
        if layout.folds:
            yield from _overwritten(stage, layout, every)


_RANK = {"define": 0, "init": 0, "update": 1, "finish": 2}


def _needs(every: list[Instance]) -> Iterator[tuple[Instance, Instance, bool]]:
    """Who writes what another reads, or goes on with; and whether they may be in any order."""
    writers: dict[Cell, list[Instance]] = {}
    for instance in every:
        writers.setdefault((instance.statement.stage.uid, instance.copy, instance.cell), []).append(instance)
    for sink in every:
        for read in sink.reads:
            assert read in writers, f"{sink.name} reads {read}, which is not computed where it reads it"
            yield from ((writer, sink, False) for writer in writers[read])
    for group in writers.values():  # in the order of the definition
        ranked = sorted(group, key=lambda instance: (_RANK[instance.statement.kind], instance.reduced))
        for k, first in enumerate(ranked):
            for second in ranked[k + 1 :]:
                both = first.statement.kind == second.statement.kind == "update"
                reduce = first.statement.reduce
                yield first, second, both and reduce is not None and reduce.reassociate


def _overwritten(stage: Tensor, layout: Any, every: list[Instance]) -> Iterator[tuple[Instance, Instance]]:
    """Who reads an element, or goes on with it, and who may have written another into its cell since."""

    def place(instance: Instance) -> tuple[int, ...]:
        sums = {form: sum(instance.cell[k] * c for k, c in form) for form in layout.forms(len(instance.cell))}
        where = (x % layout.folds[form] if form in layout.folds else x for form, x in sums.items())
        return (*instance.copy, *where)

    sharing: dict[tuple[int, ...], list[Instance]] = {}
    for instance in every:
        if instance.statement.stage is stage:
            sharing.setdefault(place(instance), []).append(instance)
    for first, second, free in _needs(every):
        if first.statement.stage is not stage:
            continue
        for writer, reader in ((first, second), (second, first)) if free else ((first, second),):
            for other in sharing[place(writer)]:
                apart = other.cell == writer.cell or other is reader
                if not apart and order(other, writer) != BEFORE and order(reader, other) != BEFORE:
                    yield reader, other
