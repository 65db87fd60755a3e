"""From a statement of the Program to loop IR: reads become loads, guards masks, run-time checks statements."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ..compute.dtypes import BOOL, INDEX, DType
from ..compute.expr import Axis, Const, Expr, Op, Read, rebuild, substitute, walk
from ..compute.operations import convert
from ..compute.reductions import REDUCTIONS
from ..compute.sharing import shared
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from ..polyhedral.bounds import outside
from ..polyhedral.placement import Placement
from ..polyhedral.program import Program, Statement
from .abi import RuntimeCheck
from .combining import take_better
from .ir import Accumulator, Block, Buffer, Check, Load, Stmt, Store, Var
from .rewrite import both

Counters = Mapping[tuple[int, str], Expr]  # of loops, by the uid of the stage whose they are and their names

_STACK_BYTES = 1 << 18  # of all buffers on the stack together


class StatementLowering:
    """Lowers statements of one Program; owns its buffers, and adds to a kernel's list of run-time checks."""

    def __init__(self, program: Program, checks: list[RuntimeCheck]) -> None:
        self.program = program
        self.checks = checks
        self.heap: list[Buffer] = []
        self._buffers: dict[int, Buffer] = {}
        self._state: dict[int, Buffer] = {}
        self._accumulators: dict[tuple[int, int], Accumulator] = {}
        self._safe: dict[tuple[int, int], bool] = {}
        self._values: dict[int, Expr] = {}
        self._stack = _STACK_BYTES
        for tensor in argument_tensors(program):
            self._buffers[tensor.uid] = _argument(tensor, streaming=program.layout(tensor).streaming)

    @property
    def arguments(self) -> tuple[Buffer, ...]:
        """The buffers of the kernel's array parameters, in the order of the calling convention."""
        return tuple(self._buffers[tensor.uid] for tensor in argument_tensors(self.program))

    def buffer(self, tensor: Tensor) -> Buffer:
        """Where a tensor is stored, if it is no argument: on the heap, or on the stack in loops of other stages."""
        if tensor.uid not in self._buffers:
            self._buffers[tensor.uid] = self._made(tensor, tensor.name, tensor.dtype)
        return self._buffers[tensor.uid]

    def state(self, tensor: Tensor, dtype: DType) -> Buffer:
        """The values that go with the indices of an argmin or argmax."""
        if tensor.uid not in self._state:
            self._state[tensor.uid] = self._made(tensor, f"{tensor.name}_value", dtype)
        return self._state[tensor.uid]

    def private(self, tensors: tuple[Tensor, ...]) -> list[Buffer]:
        """The buffers of stages of which each iteration of some loop has its own elements."""
        uids = [tensor.uid for tensor in tensors]
        return [buffers[uid] for uid in uids for buffers in (self._buffers, self._state) if uid in buffers]

    def _made(self, tensor: Tensor, name: str, dtype: DType) -> Buffer:
        placement = self.program.placements[tensor.uid]
        layout = self.program.layout(tensor)
        shape = layout.shape(placement.stored.shape)
        padded = self._is_padded(tensor)
        if not placement.kept:
            self.heap.append(Buffer(name, dtype, shape, "heap", padded=padded, streaming=layout.streaming))
            return self.heap[-1]
        literal = [extent.value for extent in shape if isinstance(extent, Const)]
        size = int(prod(literal) * dtype.bytes)
        fits = len(literal) == len(shape) and size <= self._stack
        self._stack -= size if fits else 0
        return Buffer(name, dtype, shape, "stack" if fits else "heap", padded=padded)

    def _is_padded(self, tensor: Tensor) -> bool:
        """Whether a stage lies in panels, of which the last may not be full, and one instance writes each element that
        is stored at a time."""
        layout, placement = self.program.layout(tensor), self.program.placements[tensor.uid]
        plain = all(len(term.form) == 1 for term in layout.terms) and not layout.folds
        panels = plain and any(term.modulus is not None for term in layout.terms)
        once = len(self.program.of_stage(tensor)) == 1 and len(placement.kept) == len(placement.prefix)
        return panels and once

    def positions(self, tensor: Tensor, kept: Mapping[Axis, Expr], indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where an element is in the box that is stored; `kept` are the values of the prefix that tells elements
        apart."""
        placement = self.program.placements.get(tensor.uid)
        if placement is None or not placement.around.loops:
            return indices
        origins = (substitute(origin, dict(kept)) for origin in placement.stored.origin)
        return tuple(simplify(index - origin) for index, origin in zip(indices, origins, strict=True))

    def kept(self, tensor: Tensor, reader: Statement) -> dict[Axis, Expr]:
        """The kept prefix of a tensor's elements in terms of the axes of a statement that reads it, or writes it."""
        placement = self.program.placements.get(tensor.uid)
        if placement is None or tensor is reader.stage:
            return {}
        return dict(zip(placement.kept, placement.around.counters.get(reader.stage.uid, ()), strict=False))

    def accumulator(self, statement: Statement) -> Accumulator:
        """What the update of a reduction accumulates into."""
        stage, reduce = statement.stage, statement.reduce
        assert reduce is not None
        key = stage.uid, statement.equation
        if key not in self._accumulators:
            buffers: tuple[Buffer, ...] = (self.buffer(stage),)
            if REDUCTIONS[reduce.name].combine is None:
                buffers = (*buffers, self.state(stage, reduce.operand.dtype))
            self._accumulators[key] = Accumulator(stage.name, reduce.name, buffers)
        return self._accumulators[key]

    def lower(self, statement: Statement, at: Mapping[Axis, Expr], counters: Counters) -> Stmt:
        """The statement at an instance whose axes have these values, in loops with these counters."""
        value = _Value(self, statement, dict(at), counters)
        indices = value.cell(statement.stage, tuple(value.index(index) for index in statement.indices))
        buffer = self.buffer(statement.stage)
        reduce = statement.reduce
        if reduce is not None and REDUCTIONS[reduce.name].combine is None:
            stores = self._arg_reduction(statement, value, buffer, indices)
        else:
            any_order = statement.kind == "update" and reduce is not None and reduce.reassociate
            stores = (Store(buffer, indices, value.lower(self.value(statement), None), any_order=any_order),)
        every = (*value.checks, *stores)
        return every[0] if len(every) == 1 else Block(every)

    def _arg_reduction(
        self, statement: Statement, value: _Value, buffer: Buffer, indices: tuple[Expr, ...]
    ) -> tuple[Stmt, ...]:
        """The index and the value it belongs to; -1 stands for no index yet."""
        reduce = statement.reduce
        assert reduce is not None
        state = self.state(statement.stage, reduce.operand.dtype)
        operand = value.lower(self.value(statement), None)
        if statement.kind == "init":
            return Store(buffer, indices, Const(-1, INDEX)), Store(state, indices, operand)
        here = value.index(_position(reduce.axes))
        return take_better(reduce.name, (buffer, state), indices, operand, here)

    def value(self, statement: Statement) -> Expr:
        """What a statement computes, equal parts of it as one node. What it reads of its own stage is left alone, since
        the accumulator is known by its indices."""
        own, place = statement.stage, id(statement.value)
        if place not in self._values:
            self._values[place] = shared(statement.value, lambda node: isinstance(node, Read) and node.tensor is own)
        return self._values[place]

    def is_safe(self, read: Read, statement: Statement) -> bool:
        """Whether a read is in bounds at every instance of its statement, also where a guard does not need it. Pieces
        of an equation have their reads in common."""
        where = id(read), statement.number
        if where not in self._safe:
            placement = self.program.placements.get(read.tensor.uid)
            shape = read.tensor.shape if placement is None else placement.stored.shape
            positions = self.positions(read.tensor, self.kept(read.tensor, statement), read.indices)
            self._safe[where] = all(
                outside(position, extent, statement.frame, statement.domain).is_empty()
                for position, extent in zip(positions, shape, strict=True)
            )
        return self._safe[where]


class _Value:
    """Lowers the expressions of one instance, collecting its run-time checks."""

    def __init__(
        self, lowering: StatementLowering, statement: Statement, at: dict[Axis, Expr], counters: Counters
    ) -> None:
        self.lowering, self.statement, self.at, self.counters = lowering, statement, at, counters
        self.checks: list[Check] = []
        self._lowered: dict[tuple[int, int], tuple[Expr | None, Expr]] = {}
        self._inside: dict[tuple[int, int], tuple[Expr | None, Expr]] = {}

    def index(self, expr: Expr) -> Expr:
        return simplify(substitute(expr, self.at))

    def cell(self, tensor: Tensor, indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where an element that this instance reads or writes is stored."""
        program = self.lowering.program
        placement = program.placements.get(tensor.uid)
        if placement is None:
            return indices
        written = self.lowering.kept(tensor, self.statement)
        here = {
            axis: self.counters[loop] if loop in self.counters else self.index(written.get(axis, axis))
            for axis, loop in zip(placement.kept, placement.around.loops, strict=False)
        }
        positions = self.lowering.positions(tensor, here, indices)
        return program.layout(tensor).indices(positions, placement.stored.shape)

    def lower(self, expr: Expr, mask: Expr | None) -> Expr:
        """`expr` at this instance; `mask` is the condition of the selects around it, if they guard it.

        A node that is used twice under one mask is lowered once.
        """
        where = id(expr), id(mask)
        if where not in self._lowered:
            self._lowered[where] = mask, self._lower(expr, mask)
        return self._lowered[where][1]

    def _lower(self, expr: Expr, mask: Expr | None) -> Expr:
        match expr:
            case Axis():
                return self.at[expr]
            case Read():
                return self._load(expr, mask)
            case Op("checked", (index, _, _)):
                return self.lower(index, mask)
            case Op("select", (condition, yes, no)):
                guard = simplify(self.lower(condition, mask))
                negated = Op("not", (guard,), BOOL)
                return simplify(
                    Op(
                        "select",
                        (guard, self.lower(yes, both(mask, guard)), self.lower(no, both(mask, negated))),
                        expr.dtype,
                    )
                )
            case _:
                return simplify(rebuild(expr, tuple(self.lower(child, mask) for child in expr.children)))

    def _load(self, read: Read, mask: Expr | None) -> Expr:
        guard = None if self.lowering.is_safe(read, self.statement) else mask
        indices = []
        for dimension, index in enumerate(read.indices):
            # After inlining, what is checked may be anywhere in the index.
            for node in walk(index):
                if isinstance(node, Op) and node.name == "checked":
                    guard = both(guard, self._check(read, dimension, node, mask))
            indices.append(simplify(_as_index(self.lower(index, mask))))
        own, rule = self.statement, self.statement.rule
        finished = own.kind == "update" and rule is not None and rule.finishes and not own.accumulates(read)
        finished = finished and read.tensor is own.stage
        cell = self.cell(read.tensor, tuple(indices))
        return Load(self.lowering.buffer(read.tensor), cell, guard, finished=finished)

    def _check(self, read: Read, dimension: int, index: Op, mask: Expr | None) -> Expr:
        """The condition that an index which is checked at run time is inside: a failing one is reported and its element
        not read."""
        where = id(index), id(mask)
        if where not in self._inside:
            value, low, high = (_as_index(self.lower(operand, mask)) for operand in index.operands)
            number = len(self.lowering.checks)
            self.lowering.checks.append(RuntimeCheck(read.tensor.name, dimension, str(read.location or "")))
            self.checks.append(Check(number, value, low, high, mask))
            inside = Op("and", (Op("ge", (value, low), BOOL), Op("lt", (value, high), BOOL)), BOOL)
            self._inside[where] = mask, both(mask, inside)
        return self._inside[where][1]


def _as_index(expr: Expr) -> Expr:
    return convert(expr, INDEX)


def _position(axes: tuple[Axis, ...]) -> Expr:
    """The axis' value, or the row-major position in the box of several axes."""
    position: Expr = axes[0]
    for axis in axes[1:]:
        position = position * axis.upper + axis
    return position


def argument_tensors(program: Program) -> tuple[Tensor, ...]:
    """The arrays of a kernel in the order of the calling convention: listed arguments, then outputs not among them."""
    listed = tuple(argument for argument in program.arguments if isinstance(argument, Tensor))
    return (*listed, *(output for output in program.outputs if not any(output is tensor for tensor in listed)))


def intermediate_shapes(program: Program) -> tuple[tuple[str, tuple[Expr, ...]], ...]:
    """The names and shapes of what the kernel allocates."""
    arguments = argument_tensors(program)
    stages = (stage for stage in program.live_stages() if not any(stage is tensor for tensor in arguments))
    return tuple((stage.name, _at_least_none(program.placements[stage.uid])) for stage in stages)


def _at_least_none(placement: Placement) -> tuple[Expr, ...]:
    """The extents of what is stored: at sizes at which nothing is needed, those of a footprint may be negative."""
    if not placement.around.loops:
        return placement.stored.shape
    return tuple(simplify(Op("max", (extent, Const(0, INDEX)), INDEX)) for extent in placement.stored.shape)


def _argument(tensor: Tensor, *, streaming: int | None) -> Buffer:
    strides = tuple(Var(f"{tensor.name}.stride{k}") for k in range(tensor.ndim)) if tensor.strides == "any" else None
    return Buffer(tensor.name, tensor.dtype, tensor.shape, "argument", strides, streaming=streaming)
