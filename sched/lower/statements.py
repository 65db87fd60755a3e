"""From a statement of the Program to loop IR: reads become loads, guards masks, run-time checks statements."""

from __future__ import annotations

from collections.abc import Mapping

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, rebuild, substitute, walk
from ..compute.operations import apply, convert
from ..compute.reductions import REDUCTIONS
from ..compute.simplify import simplify
from ..compute.tensor import Tensor
from ..polyhedral.bounds import outside
from ..polyhedral.program import Program, Statement
from .ir import Block, Buffer, Check, Load, RuntimeCheck, Stmt, Store, Var
from .rewrite import both


class StatementLowering:
    """Lowers statements of one Program; owns its buffers and its list of run-time checks."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.checks: list[RuntimeCheck] = []
        self.heap: list[Buffer] = []
        self._buffers: dict[int, Buffer] = {}
        self._state: dict[int, Buffer] = {}
        self._safe: dict[int, bool] = {}
        for tensor in argument_tensors(program):
            self._buffers[tensor.uid] = _argument(tensor)

    @property
    def arguments(self) -> tuple[Buffer, ...]:
        """The buffers of the kernel's array parameters, in the order of the calling convention."""
        return tuple(self._buffers[tensor.uid] for tensor in argument_tensors(self.program))

    def buffer(self, tensor: Tensor) -> Buffer:
        """Where a tensor is stored; intermediate ones on the heap."""
        if tensor.uid not in self._buffers:
            self._buffers[tensor.uid] = self._on_heap(Buffer(tensor.name, tensor.dtype, tensor.shape, "heap"))
        return self._buffers[tensor.uid]

    def _on_heap(self, buffer: Buffer) -> Buffer:
        self.heap.append(buffer)
        return buffer

    def state(self, statement: Statement) -> Buffer:
        """The values that go with the indices of an argmin or argmax."""
        stage, reduce = statement.stage, statement.reduce
        assert reduce is not None
        if stage.uid not in self._state:
            name = f"{stage.name}_value"
            self._state[stage.uid] = self._on_heap(Buffer(name, reduce.operand.dtype, stage.shape, "heap"))
        return self._state[stage.uid]

    def lower(self, statement: Statement, at: Mapping[Axis, Expr]) -> Stmt:
        """The statement at an instance whose axes have these values."""
        value = _Value(self, statement, dict(at))
        indices = tuple(value.index(index) for index in statement.indices)
        buffer = self.buffer(statement.stage)
        reduce = statement.reduce
        if reduce is not None and REDUCTIONS[reduce.name].combine is None:
            stores = self._arg_reduction(statement, value, buffer, indices)
        else:
            stores = (Store(buffer, indices, value.lower(statement.value, None)),)
        every = (*value.checks, *stores)
        return every[0] if len(every) == 1 else Block(every)

    def _arg_reduction(
        self, statement: Statement, value: _Value, buffer: Buffer, indices: tuple[Expr, ...]
    ) -> tuple[Stmt, ...]:
        """The index first, then the value it belongs to: what the index is chosen by must not have changed yet.

        Ties go to the smaller index, so that the order of updates does not matter; -1 stands for no index yet.
        """
        state, reduce = self.state(statement), statement.reduce
        assert reduce is not None
        operand = value.lower(statement.value, None)
        if statement.kind == "init":
            return Store(buffer, indices, Const(-1, INDEX)), Store(state, indices, operand)
        best, index = Load(state, indices), Load(buffer, indices)
        here = value.index(_position(reduce.axes))
        better = apply("lt" if reduce.name == "argmin" else "gt", operand, best)
        alike = apply("eq", operand, best)
        if operand.dtype.is_float:
            better = better | (apply("isnan", operand) & ~apply("isnan", best))
            alike = alike | (apply("isnan", operand) & apply("isnan", best))
        earlier = (index < 0) | Op("lt", (here, index), BOOL)
        chosen = Op("select", (better | (alike & earlier), here, index), INDEX)
        combined = Op("min" if reduce.name == "argmin" else "max", (best, operand), operand.dtype)
        return Store(buffer, indices, chosen), Store(state, indices, combined)

    def is_safe(self, read: Read, statement: Statement) -> bool:
        """Whether a read is in bounds at every instance of its statement, also where a guard does not need it."""
        if id(read) not in self._safe:
            frame, domain = statement.frame, statement.domain
            self._safe[id(read)] = all(
                outside(read, dimension, frame, domain).is_empty() for dimension in range(len(read.indices))
            )
        return self._safe[id(read)]


class _Value:
    """Lowers the expressions of one instance, collecting its run-time checks."""

    def __init__(self, lowering: StatementLowering, statement: Statement, at: dict[Axis, Expr]) -> None:
        self.lowering, self.statement, self.at = lowering, statement, at
        self.checks: list[Check] = []
        self._lowered: dict[tuple[int, int], tuple[Expr | None, Expr]] = {}
        self._inside: dict[tuple[int, int], tuple[Expr | None, Expr]] = {}

    def index(self, expr: Expr) -> Expr:
        return simplify(substitute(expr, self.at))

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
        return Load(self.lowering.buffer(read.tensor), tuple(indices), guard)

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


def intermediate_tensors(program: Program) -> tuple[Tensor, ...]:
    """The tensors that the kernel allocates."""
    arguments = argument_tensors(program)
    return tuple(stage for stage in program.live_stages() if not any(stage is tensor for tensor in arguments))


def _argument(tensor: Tensor) -> Buffer:
    strides = tuple(Var(f"{tensor.name}.stride{k}") for k in range(tensor.ndim)) if tensor.strides == "any" else None
    return Buffer(tensor.name, tensor.dtype, tensor.shape, "argument", strides)
