"""A Program: the statements of a computation over isl sets. Proof and code generation see only this.

A stage without a reduction is one statement; a reduction is two, an init over the stage's axes and an update over
those and the reduction axes, whose value reads the element it writes. Values are contracted (see `compute.contract`)
when the Program is made, before anything is inlined, so inlining changes no bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..compute.contract import accumulate_sum, contract
from ..compute.define import sizes_of, stages_of, tensors_read
from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Scalar, Size, substitute, transform, walk
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Equation, Tensor
from ..errors import DefinitionError
from .affine import affine
from .bounds import iteration_domain, size_context
from .isl import Frame, Map, Set, World, inert

StatementKind = Literal["define", "init", "update"]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """stage[indices] = value for every instance in `domain`, whose dimensions are `axes`.

    The value of an argmin or argmax update is what is compared; the state beside the index is the code generator's.
    """

    number: int
    stage: Tensor
    kind: StatementKind
    axes: tuple[Axis, ...]
    indices: tuple[Expr, ...]
    value: Expr
    reduce: Reduce | None
    frame: Frame
    domain: Set

    @property
    def label(self) -> str:
        """What the statement is called in messages and dumps."""
        return self.stage.name if self.kind == "define" else f"{self.stage.name}.{self.kind}"

    def writes(self) -> Map:
        """From an instance to the element it writes."""
        values = [affine(index, self.frame) for index in self.indices]
        assert all(value is not None for value in values), "left-hand sides are affine by construction"
        return self.frame.map_to([v for v in values if v is not None]).intersect_domain(self.domain)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The reads of other elements than the accumulator."""
        found = [node for node in walk(self.value) if isinstance(node, Read)]
        return tuple(read for read in found if read.tensor is not self.stage)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The statements of the stages that are not inlined, producers first, in one isl World."""

    world: World
    context: Set
    outputs: tuple[Tensor, ...]
    arguments: tuple[Tensor | Scalar, ...]
    stages: tuple[Tensor, ...]
    values: Mapping[int, Expr]
    inlined: frozenset[int]
    statements: tuple[Statement, ...]

    @property
    def sizes(self) -> tuple[Size, ...]:
        return tuple(size for size in self.world.sizes.values() if not size.name.startswith("|"))

    def of_stage(self, stage: Tensor) -> tuple[Statement, ...]:
        return tuple(statement for statement in self.statements if statement.stage is stage)

    def live_stages(self) -> tuple[Tensor, ...]:
        """The stages that have loops, producers first."""
        return tuple(stage for stage in self.stages if stage.uid not in self.inlined)

    def with_inlined(self, stage: Tensor) -> Program:
        """The Program in which every read of `stage` is its value. The caller has checked that it has one."""
        equation = stage.equations[0]
        own = self.values[stage.uid]

        def replaced(expr: Expr) -> Expr:
            if isinstance(expr, Read) and expr.tensor is stage:
                indices = (index if index.dtype == INDEX else Cast(index, INDEX) for index in expr.indices)
                at: dict[Axis, Expr] = dict(zip(equation.axes, indices, strict=True))
                return substitute(own, at)
            return expr

        values = {uid: transform(value, replaced) for uid, value in self.values.items()}
        inlined = self.inlined | {stage.uid}
        return replace(
            self,
            values=values,
            inlined=inlined,
            statements=_statements(self.world, self.context, self.stages, values, inlined),
        )

    def without_inlined(self, stage: Tensor) -> Program:
        """The Program in which `stage` is stored again."""
        values = {s.uid: _value(s) for s in self.stages}
        statements = _statements(self.world, self.context, self.stages, values, frozenset())
        program = replace(self, values=values, inlined=frozenset(), statements=statements)
        for other in self.stages:
            if other.uid in self.inlined and other is not stage:
                program = program.with_inlined(other)
        return program


def make_program(outputs: tuple[Tensor, ...], arguments: tuple[Tensor | Scalar, ...] | None, budget: int) -> Program:
    """The Program of the definitions that `outputs` need."""
    stages = stages_of(outputs)
    tensors = {t.uid: t for s in stages for t in (*tensors_read(s), s)}
    if arguments is None:
        arguments = default_arguments(stages)
    named = (*tensors.values(), *(a for a in arguments if isinstance(a, Tensor)))
    sizes = sizes_of(named)
    _check_names(arguments, outputs, sizes)
    world = World(sizes, budget)
    context = size_context(world, tuple(named))
    values = {stage.uid: _value(stage) for stage in stages}
    statements = _statements(world, context, stages, values, frozenset())
    return Program(world, context, outputs, arguments, stages, values, frozenset(), statements)


def default_arguments(stages: tuple[Tensor, ...]) -> tuple[Tensor | Scalar, ...]:
    """Placeholders and scalars, as they were created."""
    found: dict[int, Tensor | Scalar] = {}
    for stage in stages:
        for tensor in tensors_read(stage):
            if not tensor.equations:
                found[tensor.uid] = tensor
        for equation in stage.equations:
            for node in walk(equation.body):
                if isinstance(node, Scalar):
                    found[node.uid] = node
    return tuple(found[uid] for uid in sorted(found))


def _check_names(arguments: tuple[Tensor | Scalar, ...], outputs: tuple[Tensor, ...], sizes: tuple[Size, ...]) -> None:
    """Arguments are also passed by name, so a name must mean one thing."""
    seen: dict[str, object] = {}
    for item in (*arguments, *outputs, *sizes):
        other = seen.setdefault(item.name, item)
        if other is not item:
            raise DefinitionError(
                f"two things that a caller may pass by name are both called {item.name}: give placeholders, outputs, "
                "scalars and sizes names of their own",
                location=getattr(item, "location", None),
            )


def _value(stage: Tensor) -> Expr:
    """What the (last) statement of a stage computes under every schedule: contracted, accumulated if it reduces."""
    equation = stage.equations[0]
    reduce, operand = equation.reduce, contract(equation.value)
    combine = None if reduce is None else REDUCTIONS[reduce.name].combine
    if reduce is None or combine is None:
        return operand
    accumulator = Read(stage, equation.indices)
    if combine == "add":
        return accumulate_sum(accumulator, operand)
    return Op(combine, (accumulator, operand), operand.dtype)


def _statements(
    world: World, context: Set, stages: tuple[Tensor, ...], values: Mapping[int, Expr], inlined: frozenset[int]
) -> tuple[Statement, ...]:
    made: list[Statement] = []

    def add(stage: Tensor, kind: StatementKind, axes: tuple[Axis, ...], equation: Equation, value: Expr) -> None:
        number = len(made)
        frame = world.frame(axes, inert("S", number, f"{stage.name}_{kind}"))
        domain = iteration_domain(frame, axes, context)
        made.append(Statement(number, stage, kind, axes, equation.indices, value, equation.reduce, frame, domain))

    for stage in stages:
        if stage.uid in inlined:
            continue
        for equation in stage.equations:
            value, reduce = values[stage.uid], equation.reduce
            if reduce is None:
                add(stage, "define", equation.axes, equation, value)
                continue
            identity = Const(REDUCTIONS[reduce.name].identity(reduce.operand.dtype), reduce.operand.dtype)
            add(stage, "init", equation.axes, equation, identity)
            add(stage, "update", equation.loops, equation, value)
    return tuple(made)
