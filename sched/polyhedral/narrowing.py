"""Integer values in a type of fewer bits: the same values, where those that are named here fit into it.

A sum wraps as the narrow type's does, modulo 2^bits, so of sums, differences and products only the result counts.
Operations that need their operands as they are (`min`, quotients, comparisons) are narrow where they are made of what
is narrow, constants and counters, and then ask for their operands to fit (`Narrowing.exact`); all else is computed as
it was, and cut off. So what is narrow depends on the form of an expression alone, and whether its values are the same
on `value_ranges`. (TVM's NarrowDataType and Halide's lossless_cast do this for indices and for products.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..compute.dtypes import BOOL, INDEX, DType
from ..compute.expr import Axis, Cast, Const, Expr, Op, Read, Size, rebuild, transform, walk
from ..compute.operations import COMPARISONS
from ..compute.tensor import Equation, Tensor

_MODULAR = frozenset({"add", "sub", "mul", "neg", "and", "or", "xor", "not"})
_EXACT = frozenset({"min", "max", "abs", "floordiv", "mod", "shr"})
_LOGICAL = frozenset({"and", "or", "xor", "not", "eq", "ne"})


@dataclass(slots=True, eq=False)
class Narrowing:
    """Rewrites expressions for tensors that are stored in the type `to`: `narrow` are these, by the uids of the tensors
    whose values they have. `exact` are the expressions, as they were, whose values have to fit; kept, so that their ids
    stay theirs."""

    narrow: Mapping[int, Tensor]
    to: DType
    exact: list[Expr] = field(default_factory=list)
    _light: dict[int, tuple[Expr, bool]] = field(default_factory=dict)

    def widened(self, expr: Expr) -> Expr:
        """The expression, of the type that it has, with what it reads of narrow tensors converted."""
        return transform(expr, self._read)

    def _read(self, node: Expr) -> Expr:
        if not isinstance(node, Read) or node.tensor.uid not in self.narrow:
            return node
        tensor = self.narrow[node.tensor.uid]
        return node if node.tensor is tensor else Cast(Read(tensor, node.indices, node.location), node.dtype)

    def narrowed(self, expr: Expr) -> Expr:
        """The integer expression in the narrow type: the same modulo 2^bits, if all that is `exact` fits."""
        match expr:
            case Const(value):
                return Const(_wrapped(int(value), self.to), self.to)
            case Read() if self._is_narrow(expr):
                read = self.widened(expr).children[0]
                return read if read.dtype == self.to else Cast(read, self.to)
            case Op("select", (condition, yes, no)):
                return Op("select", (self._condition(condition), self.narrowed(yes), self.narrowed(no)), self.to)
            case Op(name, operands) if name in _MODULAR:
                return Op(name, tuple(map(self.narrowed, operands)), self.to)
            case Op("shl", (shifted, Const(value))) if 0 <= value < self.to.bits:
                return Op("shl", (self.narrowed(shifted), Const(value, self.to)), self.to)
            case Op(name, operands) if name in _EXACT and self._is_light(expr):
                self.exact += operands
                return Op(name, tuple(map(self.narrowed, operands)), self.to)
            case Cast(operand) if operand.dtype == BOOL or operand.dtype.is_int:
                operand = self._condition(operand) if operand.dtype == BOOL else self.widened(operand)
                return operand if operand.dtype == self.to else Cast(operand, self.to)
            case _:
                return Cast(self.widened(expr), self.to)

    def updated(self, update: Expr, stage: Tensor, equation: Equation) -> Expr:
        """What an update of a reduction computes: an operation on the accumulator, which is narrow, and the operand."""
        assert isinstance(update, Op)
        if update.name in _EXACT:
            self.exact += (operand for operand in update.operands if not accumulates(operand, stage, equation))
        return Op(update.name, tuple(map(self.narrowed, update.operands)), self.to)

    def equation(self, equation: Equation, stage: Tensor) -> Equation:
        """An equation of a stage that is narrow, in the user's words."""
        reduce = equation.reduce
        if reduce is None:
            return replace(equation, body=self.narrowed(equation.body))
        inner = replace(reduce, operand=self.narrowed(reduce.operand), dtype=self.to, reassociate=True)
        finished = self.narrowed(equation.finished(Read(stage, equation.indices)))

        def accumulated(node: Expr) -> Expr:
            return inner if accumulates(node, stage, equation) else node

        return replace(equation, body=transform(finished, accumulated) if equation.finishes else inner)

    def _condition(self, expr: Expr) -> Expr:
        """A condition, whose comparisons of narrow values are narrow."""
        if isinstance(expr, Op) and expr.name in _LOGICAL and all(o.dtype == BOOL for o in expr.operands):
            return rebuild(expr, tuple(map(self._condition, expr.operands)))
        if isinstance(expr, Op) and expr.name in COMPARISONS and self._compares_narrow(expr.operands):
            self.exact += expr.operands
            return Op(expr.name, tuple(map(self.narrowed, expr.operands)), BOOL)
        return self.widened(expr)

    def _compares_narrow(self, sides: tuple[Expr, ...]) -> bool:
        light = all(side.dtype.is_int and self._is_light(side) for side in sides)
        return light and any(self._is_narrow(node) or _is_wider(node) for side in sides for node in walk(side))

    def _is_narrow(self, node: Expr) -> bool:
        return isinstance(node, Read) and node.tensor.uid in self.narrow

    def _is_light(self, expr: Expr) -> bool:
        """Whether a value is made of narrow ones, constants and counters."""
        if id(expr) not in self._light:
            self._light[id(expr)] = expr, self._made_of_narrow(expr)
        return self._light[id(expr)][1]

    def _made_of_narrow(self, expr: Expr) -> bool:
        match expr:
            case Const(value):
                return expr.dtype.is_int and self.to.lowest <= value <= self.to.highest
            case Read():
                return self._is_narrow(expr)
            case Cast(operand):
                counts = operand.dtype == INDEX and all(isinstance(n, (Axis, Size, Const, Op)) for n in walk(operand))
                few = operand.dtype.is_int and holds(self.to, operand.dtype)
                return operand.dtype == BOOL or counts or few
            case Op("select", (_, yes, no)):
                return self._is_light(yes) and self._is_light(no)
            case Op("shl", (shifted, Const(value))):
                return 0 <= value < self.to.bits and self._is_light(shifted)
            case Op(name, operands) if name in _MODULAR or name in _EXACT:
                return expr.dtype.is_int and all(map(self._is_light, operands))
            case _:
                return False


def accumulates(node: Expr, stage: Tensor, equation: Equation) -> bool:
    """Whether a node is the accumulator of an equation: the element that it defines."""
    return (
        isinstance(node, Read)
        and node.tensor.uid == stage.uid
        and all(a is b for a, b in zip(node.indices, equation.indices, strict=True))
    )


def _is_wider(node: Expr) -> bool:
    """Whether a node is data in another type than it has in memory."""
    return isinstance(node, Cast) and node.operand.dtype.is_int and node.operand.dtype != INDEX


def holds(to: DType, dtype: DType) -> bool:
    """Whether a type has all values of another one."""
    return to.lowest <= dtype.lowest and dtype.highest <= to.highest


def _wrapped(value: int, to: DType) -> int:
    """An integer as a type of so many bits holds it."""
    return (value - int(to.lowest)) % (1 << to.bits) + int(to.lowest)
