"""Index expressions and iteration spaces at given sizes, for many instances at a time, in NumPy."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from polysched.compute.expr import Axis, Cast, Const, Expr, Op, Size
from polysched.compute.operations import OPERATIONS

Columns = dict[Axis, Any]


def numbers(exprs: Any, at: Columns, count: int, sizes: dict[str, int], fused: Any = None) -> list[Any]:
    """The values of expressions at each of `count` instances, whose axes have the values `at`."""
    return [_number(expr, at, sizes, fused or {}) + np.zeros(count, int) for expr in exprs]


def _number(expr: Expr, at: Columns, sizes: dict[str, int], fused: Any) -> Any:
    """The value of an index expression at every instance; of fused loops, the position in their box."""
    match expr:
        case Const(value):
            return value
        case Axis() if expr in fused:
            position, box = 0, fused[expr]
            for parts in zip(box.components, box.begins, box.extents, strict=True):
                value, begin, extent = (_number(part, at, sizes, fused) for part in parts)
                assert np.all((value >= begin) & (value < begin + extent)), "a component leaves its box"
                position = position * extent + (value - begin)
            return position
        case Axis():
            return at[expr]
        case Size(name) if name in sizes:
            return sizes[name]
        case Size():
            return prod(_number(e, at, sizes, fused) for f in fused.values() if f.count is expr for e in f.extents)
        case Cast(operand):
            return _number(operand, at, sizes, fused)
        case Op(name, operands):
            function = getattr(np, "where" if name == "select" else OPERATIONS[name].ufunc)
            return function(*(_number(operand, at, sizes, fused) for operand in operands))
    raise AssertionError(f"{expr} is not an index")


def grid(axes: tuple[Axis, ...], columns: Columns, count: int, sizes: dict[str, int]) -> tuple[Columns, int]:
    """Every point of the iteration space over each of `count` instances, in the order of the definition."""
    for axis in axes:
        lower, upper = numbers([axis.lower, axis.upper], columns, count, sizes)
        extents = np.maximum(upper - lower, 0)
        rows = np.repeat(np.arange(count), extents)
        columns = {known: values[rows] for known, values in columns.items()}
        columns[axis] = lower[rows] + np.arange(len(rows)) - (np.cumsum(extents) - extents)[rows]
        count = len(rows)
    return columns, count


def row_numbers(*tables: list[Any]) -> list[Any]:
    """For the rows of several tables, given as lists of columns, numbers that are equal for equal rows."""
    if len(tables[0]) == 1:
        return [table[0] for table in tables]
    stacked = np.concatenate([np.stack(table, axis=1) for table in tables])
    inverse = np.unique(stacked, axis=0, return_inverse=True)[1].ravel()
    return np.split(inverse, np.cumsum([len(table[0]) for table in tables])[:-1])


def joined(a: Any, b: Any) -> tuple[Any, Any]:
    """All (k, l) with a[k] == b[l]."""
    order = np.argsort(b, kind="stable")
    low, high = np.searchsorted(b[order], a, "left"), np.searchsorted(b[order], a, "right")
    mine = np.repeat(np.arange(len(a)), high - low)
    offset = np.arange(len(mine)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    return mine, order[low[mine] + offset]
