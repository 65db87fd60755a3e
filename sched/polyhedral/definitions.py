"""What each stage computes, after the commands that rewrite definitions: inline, the caches, rfactor.

A schedule keeps the list of its rewrites, and the definitions are that list applied to what the user wrote, so that any
of them can be taken back. Values are contracted (see `compute.contract`) before anything is rewritten, so that no
rewrite changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce as fold

from ..compute.components import components
from ..compute.contract import accumulate_sum, contract
from ..compute.dtypes import INDEX, DType
from ..compute.expr import Axis, Cast, Expr, Op, Read, same, substitute, transform, walk
from ..compute.recurrence import Recurrence
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Equation, Tensor
from .narrowing import Narrowing
from .steps import Planes

ReadFunction = Callable[[Read], Expr]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Several(Expr):
    """The values of several statements as one expression, so that what rewrites a value rewrites all of them."""

    operands: tuple[Expr, ...]
    dtype: DType
    weak: bool = False

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.operands

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return Several(operands, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """The stages, producers first.

    equations  what a stage is defined by, in the user's words, with what replaces the reads in it; the first equation
               of a recurrence
    values     what its (last) statement computes: contracted, and accumulated if it reduces; of a recurrence, the
               values of all equations
    """

    stages: tuple[Tensor, ...]
    equations: Mapping[int, Equation]
    values: Mapping[int, Expr]
    inlined: frozenset[int] = field(default=frozenset())

    def live(self) -> tuple[Tensor, ...]:
        """The stages that have loops, producers first."""
        return tuple(stage for stage in self.stages if stage.uid not in self.inlined)

    def has_rules(self, stage: Tensor) -> bool:
        """Whether a stage is computed by the equations of a recurrence, and not as a copy of one."""
        return isinstance(stage, Recurrence) and isinstance(self.values[stage.uid], Several)

    def consumers(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The stages that read a tensor and have loops."""
        return tuple(s for s in self.live() if s.uid != tensor.uid and reads_of(self.values[s.uid], tensor))

    def circle(self, stage: Tensor) -> tuple[Tensor, ...]:
        """The stages that need this one, and that it needs, itself among them."""
        reads = {s.uid: [n.tensor for n in walk(self.values[s.uid]) if isinstance(n, Read)] for s in self.stages}
        found = components(self.stages, lambda other: reads[other.uid])
        return next(component for component in found if stage in component)

    def with_value(self, stage: Tensor, equation: Equation, value: Expr) -> Definitions:
        equations, values = {**self.equations, stage.uid: equation}, {**self.values, stage.uid: value}
        return replace(self, equations=equations, values=values)

    def with_stage(self, stage: Tensor, before: Tensor, equation: Equation, value: Expr) -> Definitions:
        """The definitions with a stage more, computed before another one."""
        place = next(k for k, known in enumerate(self.stages) if known is before)
        stages = (*self.stages[:place], stage, *self.stages[place:])
        return replace(self.with_value(stage, equation, value), stages=stages)


@dataclass(frozen=True, slots=True, eq=False)
class Inlined:
    """Every read of `stage`, which is no reduction, is its value."""

    stage: Tensor

    def __call__(self, definitions: Definitions) -> Definitions:
        values = {uid: _inlined(definitions, self.stage, value) for uid, value in definitions.values.items()}
        return replace(definitions, values=values, inlined=definitions.inlined | {self.stage.uid})


def _inlined(definitions: Definitions, stage: Tensor, value: Expr) -> Expr:
    """A value with what `stage` computes in the place of its elements."""
    return _with_elements(value, stage, definitions.equations[stage.uid].axes, definitions.values[stage.uid])


def _with_elements(expr: Expr, stage: Tensor, axes: tuple[Axis, ...], element: Expr) -> Expr:
    """An expression with `element`, an expression of `axes`, in the place of what it reads of `stage`."""

    def computed(read: Read) -> Expr:
        indices = (index if index.dtype == INDEX else Cast(index, INDEX) for index in read.indices)
        at: dict[Axis, Expr] = dict(zip(axes, indices, strict=True))
        return substitute(element, at)

    return with_reads(expr, stage, computed)


@dataclass(frozen=True, slots=True, eq=False)
class ReadThrough:
    """`consumer` reads `tensor` through the stage `copy`."""

    consumer: Tensor
    tensor: Tensor
    copy: Tensor

    def __call__(self, definitions: Definitions) -> Definitions:
        copy, consumer = self.copy, self.consumer
        (own,) = copy.equations

        def copied(read: Read) -> Expr:
            return Read(copy, read.indices, read.location)

        equation, value = definitions.equations[consumer.uid], definitions.values[consumer.uid]
        body = with_reads(_seen_through(definitions, equation.body, self.tensor), self.tensor, copied)
        definitions = definitions.with_value(
            consumer, replace(equation, body=body), with_reads(value, self.tensor, copied)
        )
        return definitions.with_stage(copy, consumer, own, own.value)


def _seen_through(definitions: Definitions, body: Expr, tensor: Tensor) -> Expr:
    """A body in the user's words that reads `tensor` itself, and not through stages that are inlined in it."""
    for stage in reversed(definitions.stages):
        if stage.uid in definitions.inlined and reads_of(definitions.values[stage.uid], tensor):
            equation = definitions.equations[stage.uid]
            body = _with_elements(body, stage, equation.axes, equation.body)
    return body


@dataclass(frozen=True, slots=True, eq=False)
class ComputedIn:
    """What `stage` computes is computed in the stage `copy`, whose elements it then takes over. What needs a
    recurrence, and is needed by it, reads the copy."""

    stage: Tensor
    copy: Tensor

    def __call__(self, definitions: Definitions) -> Definitions:
        stage, copy = self.stage, self.copy
        equation, value = definitions.equations[stage.uid], definitions.values[stage.uid]

        def accumulated(read: Read) -> Expr:
            return Read(copy, read.indices, read.location)

        taken, whole = Read(copy, equation.axes), equation
        if definitions.has_rules(stage):
            equation, whole = (
                copy.equations[0],
                Equation(equation.axes, equation.axes, taken, location=equation.location),
            )
            for other in definitions.circle(stage):
                changed = with_reads(definitions.values[other.uid], stage, accumulated)
                definitions = definitions.with_value(other, definitions.equations[other.uid], changed)
        definitions = definitions.with_stage(copy, stage, equation, with_reads(value, stage, accumulated))
        return definitions.with_value(stage, replace(whole, body=taken), taken)


@dataclass(frozen=True, slots=True, eq=False)
class OperandCopied:
    """An equation of the recurrence `consumer` reads `operand`, at some of its axes, from the recurrence `copy`."""

    consumer: Tensor
    number: int
    operand: Read
    copy: Tensor
    axes: tuple[Axis, ...]

    def __call__(self, definitions: Definitions) -> Definitions:
        values, (own,) = definitions.values[self.consumer.uid], self.copy.equations
        value = with_reads(values.children[self.number], self.operand.tensor, self.copied)
        changed = (*values.children[: self.number], value, *values.children[self.number + 1 :])
        equation = definitions.equations[self.consumer.uid]
        definitions = definitions.with_value(self.consumer, equation, values.with_children(changed))
        return definitions.with_stage(self.copy, self.consumer, own, Several((own.body,), self.copy.dtype))

    def copied(self, read: Read) -> Expr:
        """What replaces a read of the operand's tensor."""
        alike = all(map(same, read.indices, self.operand.indices))
        return Read(self.copy, self.axes, read.location) if alike else read


@dataclass(frozen=True, slots=True, eq=False)
class Factored:
    """The reduction `stage` sums up partial results of the stage `partial`, both of which are given."""

    stage: Tensor
    partial: Tensor
    equation: Equation

    def __call__(self, definitions: Definitions) -> Definitions:
        (own,) = self.partial.equations
        value = value_of(self.partial, own)
        for stage in definitions.stages:
            value = _inlined(definitions, stage, value) if stage.uid in definitions.inlined else value
        definitions = definitions.with_stage(self.partial, self.stage, own, value)
        return definitions.with_value(self.stage, self.equation, value_of(self.stage, self.equation))


@dataclass(frozen=True, slots=True, eq=False)
class StepsBlocked:
    """Recurrences are computed several steps at a time, by two each in their place (see `steps`)."""

    planes: Planes

    def __call__(self, definitions: Definitions) -> Definitions:
        pairs, members = self.planes.pairs, {pair.stage for pair in self.planes.pairs}
        last = [stage for stage in definitions.stages if stage in members][-1]
        old = {pair.stage: values_of(definitions.values[pair.stage.uid]) for pair in pairs}
        steps = [(pair.stage, pair.steps, pair.of_steps) for pair in pairs]
        for stage, tensor, made in (*steps, *((pair.stage, pair.blocks, pair.of_blocks) for pair in pairs)):
            values = Several(tuple(m.value(old[stage]) for m in made), tensor.dtype)
            definitions = definitions.with_stage(tensor, last, tensor.equations[0], values)
        left = tuple(s for s in definitions.stages if s not in members)
        for other in left:
            if other.uid not in definitions.inlined:
                equation, value = definitions.equations[other.uid], definitions.values[other.uid]
                body, changed = (transform(expr, self._read) for expr in (equation.body, value))
                definitions = definitions.with_value(other, replace(equation, body=body), changed)
        return replace(definitions, stages=left)

    def _read(self, node: Expr) -> Expr:
        return self.planes.read(node) if isinstance(node, Read) else node


def values_of(value: Expr) -> tuple[Expr, ...]:
    """What each equation of a stage computes, given the stage's value."""
    return value.children if isinstance(value, Several) else (value,)


@dataclass(frozen=True, slots=True, eq=False)
class Narrowed:
    """Stages are computed and stored in tensors of another integer type, by the uids that both have (see
    `narrowing`). All that reads them converts."""

    narrow: Mapping[int, Tensor]
    to: DType

    def __call__(self, definitions: Definitions) -> Definitions:
        narrowing = Narrowing(self.narrow, self.to)
        for stage in definitions.stages:
            equation, value = definitions.equations[stage.uid], definitions.values[stage.uid]
            narrow = self.narrow.get(stage.uid)
            if narrow is None:
                own, made = replace(equation, body=narrowing.widened(equation.body)), narrowing.widened(value)
            else:
                made = narrow_value(definitions, stage, narrowing)
                rules = definitions.has_rules(stage)
                own = narrow.equations[0] if rules else narrowing.equation(equation, stage)
            definitions = definitions.with_value(stage, own, made)
        return replace(definitions, stages=tuple(self.narrow.get(s.uid, s) for s in definitions.stages))


def narrow_value(definitions: Definitions, stage: Tensor, narrowing: Narrowing) -> Expr:
    """What a stage that is narrow computes, of what it computes now."""
    value = definitions.values[stage.uid]
    if not definitions.has_rules(stage):
        return _narrow_statements(stage, definitions.equations[stage.uid], value, narrowing)
    pairs = zip(stage.equations, value.children, strict=True)
    return Several(tuple(_narrow_statements(stage, e, own, narrowing) for e, own in pairs), narrowing.to)


def _narrow_statements(stage: Tensor, equation: Equation, value: Expr, narrowing: Narrowing) -> Expr:
    """What the statements of an equation compute."""
    if equation.reduce is None:
        return narrowing.narrowed(value)
    if isinstance(value, Several):
        update, finish = value.children
        return Several((narrowing.updated(update, stage, equation), narrowing.narrowed(finish)), narrowing.to)
    return narrowing.updated(value, stage, equation)


# One change to the definitions.
Rewrite = Inlined | ReadThrough | ComputedIn | OperandCopied | Factored | StepsBlocked | Narrowed


def as_read(rewrites: Iterable[Rewrite], definitions: Definitions, stage: Tensor, number: int, expr: Expr) -> Expr:
    """What is written in an equation of a recurrence, with the copies that it is read through."""
    for rewrite in rewrites:
        match rewrite:
            case ReadThrough(consumer, tensor, copy) if consumer is stage:
                expr = _with_other(expr, tensor, copy)
            case OperandCopied(consumer, own, operand) if consumer is stage and own == number:
                expr = with_reads(expr, operand.tensor, rewrite.copied)
            case ComputedIn(tensor, copy) if tensor is not stage and reads_of(definitions.values[stage.uid], copy):
                expr = _with_other(expr, tensor, copy)
            case Narrowed(narrow, to) if stage.uid not in narrow:
                expr = Narrowing(narrow, to).widened(expr)
            case _:
                pass
    return expr


def _with_other(expr: Expr, tensor: Tensor, other: Tensor) -> Expr:
    return with_reads(expr, tensor, lambda read: Read(other, read.indices, read.location))


def defined(stages: tuple[Tensor, ...], rewrites: Iterable[Rewrite]) -> Definitions:
    """The definitions of the stages, rewritten."""
    equations = {stage.uid: stage.equations[0] for stage in stages}
    values = {stage.uid: _values_of(stage) for stage in stages}
    return fold(lambda definitions, rewrite: rewrite(definitions), rewrites, Definitions(stages, equations, values))


def _values_of(stage: Tensor) -> Expr:
    if isinstance(stage, Recurrence):
        return Several(tuple(value_of(stage, equation) for equation in stage.equations), stage.dtype)
    return value_of(stage, stage.equations[0])


def value_of(stage: Tensor, equation: Equation) -> Expr:
    """What the (last) statement of an equation computes under every schedule: contracted, accumulated if it reduces;
    of one that finishes what is accumulated, the values of update and finish."""
    reduce, operand = equation.reduce, contract(equation.value)
    combine = None if reduce is None else REDUCTIONS[reduce.name].combine
    if reduce is None or combine is None:
        return operand
    accumulator = Read(stage, equation.indices)
    if combine == "add":
        update = accumulate_sum(accumulator, operand)
    else:
        update = Op(combine, (accumulator, operand), operand.dtype)
    return Several((update, contract(equation.finished(accumulator))), stage.dtype) if equation.finishes else update


def reads_of(value: Expr, tensor: Tensor) -> bool:
    """Whether an expression reads a tensor, in whatever type that is stored."""
    return any(isinstance(node, Read) and node.tensor.uid == tensor.uid for node in walk(value))


def with_reads(expr: Expr, tensor: Tensor, function: ReadFunction) -> Expr:
    """The expression with every read of `tensor` replaced."""
    return transform(expr, lambda node: function(node) if isinstance(node, Read) and node.tensor is tensor else node)
