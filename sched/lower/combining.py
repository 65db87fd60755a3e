"""Partial results of a re-associable reduction: where they begin, and how two become one.

An argmin or argmax has two buffers, the index first and then the value it belongs to. Ties go to the smaller index, and
-1 stands for no index yet, so that any order gives the same result.
"""

from __future__ import annotations

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, Op
from ..compute.operations import apply
from ..compute.reductions import REDUCTIONS
from .ir import Accumulator, Buffer, Load, Stmt, Store
from .rewrite import block

Indices = tuple[Expr, ...]


def begin(accumulator: Accumulator, indices: Indices) -> Stmt:
    """Make an element what it is before anything is accumulated."""
    *index, value = accumulator.buffers
    identity = Const(REDUCTIONS[accumulator.reduction].identity(value.dtype), value.dtype)
    none = (Store(buffer, indices, Const(-1, INDEX)) for buffer in index)
    return block(*none, Store(value, indices, identity))


def merge(accumulator: Accumulator, indices: Indices, partial: Accumulator, at: Indices) -> Stmt:
    """Accumulate an element of partial results into an element."""
    name = accumulator.reduction
    combine = REDUCTIONS[name].combine
    if combine is None:
        here, operand = (Load(buffer, at) for buffer in partial.buffers)
        return block(*take_better(name, accumulator.buffers, indices, operand, here, valid=here >= 0))
    (into,), (other,) = accumulator.buffers, partial.buffers
    return Store(into, indices, Op(combine, (Load(into, indices), Load(other, at)), into.dtype))


def take_better(
    reduction: str, buffers: tuple[Buffer, ...], indices: Indices, operand: Expr, here: Expr, valid: Expr | None = None
) -> tuple[Stmt, Stmt]:
    """The update of an argmin or argmax by a candidate, its value and its index, where it is `valid`.

    The index goes first: what it is chosen by must not have changed yet.
    """
    chosen, state = buffers
    best, index = Load(state, indices), Load(chosen, indices)
    better = apply("lt" if reduction == "argmin" else "gt", operand, best)
    alike = apply("eq", operand, best)
    if operand.dtype.is_float:
        better = better | (apply("isnan", operand) & ~apply("isnan", best))
        alike = alike | (apply("isnan", operand) & apply("isnan", best))
    earlier = (index < 0) | apply("lt", here, index)
    taken = better | (alike & earlier)
    if valid is not None:
        taken = valid & taken
    combined = Op("min" if reduction == "argmin" else "max", (best, operand), operand.dtype)
    return Store(chosen, indices, Op("select", (taken, here, index), INDEX)), Store(state, indices, combined)
