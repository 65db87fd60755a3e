"""Partial results of a re-associable reduction: where they begin, and how two become one.

An argmin or argmax has two buffers, the index first and then the value it belongs to. Ties go to the smaller index, and
-1 stands for no index yet, so that any order gives the same result.

A min or max of floats may keep NaN apart, in a second buffer that otherwise stays as it began. An update then asks the
operand alone whether it is NaN, and not what is accumulated, which the next update would have to wait for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr, Op, walk
from ..compute.operations import apply
from ..compute.reductions import REDUCTIONS
from .ir import Accumulator, Buffer, Load, Rarely, Stmt, Store, map_statements
from .math.expansion import EXPANDED
from .rewrite import block, is_element

Indices = tuple[Expr, ...]


def begin(accumulator: Accumulator, indices: Indices) -> Stmt:
    """Make an element what it is before anything is accumulated."""
    if is_apart(accumulator):
        return block(*(begin(replace(accumulator, buffers=(buffer,)), indices) for buffer in accumulator.buffers))
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
    if is_apart(accumulator):
        number, nan = (Load(buffer, at) for buffer in partial.buffers)
        return block(_numbers(accumulator, indices, number), _nan(accumulator, indices, nan))
    (into,) = accumulator.buffers
    other: Expr = Load(partial.buffers[0], at)
    if is_apart(partial):
        nan = Load(partial.buffers[1], at)
        other = Op("select", (apply("isnan", nan), nan, other), into.dtype)
    return Store(into, indices, Op(combine, (Load(into, indices), other), into.dtype), any_order=True)


def is_apart(accumulator: Accumulator) -> bool:
    """Whether NaN is kept apart from numbers."""
    return accumulator.reduction in ("min", "max") and len(accumulator.buffers) == 2


def can_be_apart(accumulator: Accumulator, updates: Iterable[Store]) -> bool:
    """Whether NaN may be kept apart: all updates are of the one form, with an operand that may be written twice."""
    if accumulator.reduction not in ("min", "max") or accumulator.buffers[0].dtype.name not in ("float32", "float64"):
        return False
    operands = [_operand(accumulator, store) for store in updates]
    return all(operand is not None and not any(map(_is_long, walk(operand))) for operand in operands)


def update_apart(accumulator: Accumulator, store: Store, own: Accumulator, place: Indices) -> Stmt:
    """An update of the accumulator as one of partial results that keep NaN apart."""
    operand = _operand(accumulator, store)
    assert operand is not None, "updates have the form that can_be_apart asks for"
    parts = block(_numbers(own, place, operand), _nan(own, place, operand))
    return map_statements(parts, lambda part: replace(part, mask=store.mask) if isinstance(part, Store) else part)


def _numbers(own: Accumulator, place: Indices, operand: Expr) -> Store:
    buffer = own.buffers[0]
    return Store(buffer, place, Op(f"{own.reduction}_number", (Load(buffer, place), operand), buffer.dtype))


def _nan(own: Accumulator, place: Indices, operand: Expr) -> Store:
    buffer = own.buffers[1]
    chosen = Op("select", (apply("isnan", operand), operand, Load(buffer, place)), buffer.dtype)
    return Store(buffer, place, chosen)


def _operand(accumulator: Accumulator, store: Store) -> Expr | None:
    """What an update combines its element with."""
    match store.value:
        case Op(name, (a, b)) if name == REDUCTIONS[accumulator.reduction].combine:
            for element, operand in ((a, b), (b, a)):
                if isinstance(element, Load) and is_element(element, store):
                    return operand
    return None


def _is_long(node: Expr) -> bool:
    """Whether it takes many instructions, or a branch, which LLVM would not find to be the same as another."""
    return isinstance(node, Rarely) or (isinstance(node, Op) and (node.name in EXPANDED or node.name == "checked"))


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
