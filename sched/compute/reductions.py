"""Reductions: how a range of elements becomes one."""

from __future__ import annotations

import builtins as _builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import DefinitionError, user_location
from .dtypes import BOOL, INDEX, DType
from .dtypes import dtype as as_dtype
from .expr import Axis, Cast, Const, Expr, Reduce, walk
from .functions import maximum, minimum
from .operations import apply, as_expr, as_index, convert
from .tensor import validated_name


@dataclass(frozen=True, slots=True)
class Reduction:
    """`combine` is the operation between two partial results; None where the state is a value and its index.

    `exact` says that the result does not depend on the order of accumulation, for any type.
    """

    name: str
    combine: str | None
    identity: Callable[[DType], int | float | bool]
    exact: bool


REDUCTIONS: dict[str, Reduction] = {
    row.name: row
    for row in (
        Reduction("sum", "add", lambda t: 0.0 if t.is_float else 0, exact=False),
        Reduction("prod", "mul", lambda t: 1.0 if t.is_float else 1, exact=False),
        Reduction("min", "min", lambda t: True if t == BOOL else t.highest, exact=True),
        Reduction("max", "max", lambda t: False if t == BOOL else t.lowest, exact=True),
        Reduction("any", "or", lambda _: False, exact=True),
        Reduction("all", "and", lambda _: True, exact=True),
        Reduction("argmin", None, lambda t: t.highest, exact=True),
        Reduction("argmax", None, lambda t: t.lowest, exact=True),
    )
}


def reduce_axis(bounds: tuple[Any, Any], name: str = "r") -> Axis:
    """An axis to reduce over, from bounds[0] up to but not including bounds[1].

    Inside a definition the bounds may be affine in its axes (a triangle).

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "float64", name="A")
    >>> def row(i):
    ...     r = ps.reduce_axis((0, i + 1), name="r")
    ...     return ps.sum(A[r], axis=r)
    >>> prefix = ps.compute((n,), row, name="prefix")
    """
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise DefinitionError(f"reduce_axis {name!r} takes its bounds as (lower, upper)")
    lower, upper = (as_index(bound) for bound in bounds)
    for bound in (lower, upper):
        if bound.dtype != INDEX or not bound.weak:
            raise DefinitionError(
                f"the bound {bound} of reduce_axis {name!r} is not an integer affine in axes and sizes"
            )
    return Axis(validated_name(name, "reduction axis"), lower, upper, reduction=True, location=user_location())


def _reduce(name: str, value: Any, axis: Any, reassociate: bool, dtype: Any = None) -> Reduce:
    operand = as_expr(value)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if not axes or not _builtins.all(isinstance(a, Axis) and a.reduction for a in axes):
        raise DefinitionError(f"ps.{name} reduces over axis=, made by ps.reduce_axis((lower, upper), name=...)")
    if len({id(a) for a in axes}) != len(axes):
        raise DefinitionError(f"ps.{name} names an axis twice")
    if _builtins.any(isinstance(node, Reduce) for node in walk(operand)):
        raise DefinitionError(
            f"a reduction inside ps.{name}: declare the inner one as a ps.compute of its own and read it"
        )
    if name in ("any", "all"):
        operand = operand if operand.dtype == BOOL else apply("ne", operand, 0)
    elif name in ("sum", "prod"):
        default = INDEX if operand.dtype == BOOL else operand.dtype
        operand = convert(operand, default if dtype is None else as_dtype(dtype))
    if operand.weak:
        operand = (
            Cast(operand, operand.dtype) if not isinstance(operand, Const) else Const(operand.value, operand.dtype)
        )
    result = INDEX if name.startswith("arg") else operand.dtype
    free = reassociate or REDUCTIONS[name].exact or not operand.dtype.is_float
    return Reduce(name, operand, axes, result, free, location=user_location())


def sum(value: Any, *, axis: Any, reassociate: bool = False, dtype: Any = None) -> Expr:
    """The sum over one or several reduction axes, accumulated in their order; 0 over an empty range.

    The accumulator has the type of `value` (int64 for bool), or `dtype`. `reassociate=True` allows schedules to change
    the order in which a float sum is accumulated, and with it the last bits.

    >>> import polysched as ps
    >>> n, r = ps.size_var("n"), ps.reduce_axis((0, 16), name="r")
    >>> A = ps.placeholder((n, 16), "float32", name="A")
    >>> ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="rows")
    rows: float32[n]
    """
    return _reduce("sum", value, axis, reassociate, dtype)


def prod(value: Any, *, axis: Any, reassociate: bool = False, dtype: Any = None) -> Expr:
    """The product over reduction axes, like `sum`; 1 over an empty range."""
    return _reduce("prod", value, axis, reassociate, dtype)


def min(value: Any, other: Any = None, *, axis: Any = None) -> Expr:
    """The least of two elements, `ps.min(a, b)`, or over reduction axes, `ps.min(a, axis=r)`; NaN if one is NaN.

    Over an empty range: infinity, or the greatest integer.
    """
    return _binary_or_reduction("min", value, other, axis)


def max(value: Any, other: Any = None, *, axis: Any = None) -> Expr:
    """The greatest of two elements, `ps.max(a, b)`, or over reduction axes, `ps.max(a, axis=r)`; NaN if one is NaN.

    Over an empty range: minus infinity, or the least integer.
    """
    return _binary_or_reduction("max", value, other, axis)


def _binary_or_reduction(name: str, value: Any, other: Any, axis: Any) -> Expr:
    if (other is None) == (axis is None):
        raise DefinitionError(
            f"ps.{name} takes two elements, ps.{name}(a, b), or one and its axes, ps.{name}(a, axis=r)"
        )
    if axis is None:
        return (minimum if name == "min" else maximum)(value, other)
    return _reduce(name, value, axis, reassociate=True)


def argmin(value: Any, *, axis: Any) -> Expr:
    """The index of the least value, the first of equal ones, a NaN before all; int64, and -1 over an empty range.

    Over one axis it is the axis' value; over several, which must all start at 0 and not depend on each other, the
    row-major position, as in NumPy.
    """
    return _reduce("argmin", value, axis, reassociate=True)


def argmax(value: Any, *, axis: Any) -> Expr:
    """The index of the greatest value, like `argmin`."""
    return _reduce("argmax", value, axis, reassociate=True)


def any(value: Any, *, axis: Any) -> Expr:
    """Whether a value is not 0; False over an empty range."""
    return _reduce("any", value, axis, reassociate=True)


def all(value: Any, *, axis: Any) -> Expr:
    """Whether no value is 0; True over an empty range."""
    return _reduce("all", value, axis, reassociate=True)
