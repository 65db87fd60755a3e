"""Recurrences: tensors that several equations define, which may read the tensor itself and each other's.

An equation is written with axes of the user's, u[t + 1, i] = f(t, i). When the tensor is first used, `close` rewrites
all of them over one axis a dimension: u[t, i] = f(t - 1, i) where t >= 1. So every equation of a tensor has the same
axes, and its left side is the identity, as in `compute`; the region that it covers is a condition.

That such a system means something is proven in `polyhedral/definedness.py`. The form is that of systems of affine
recurrence equations (Karp, Miller, Winograd 1967; Alpha: Mauras 1989).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..errors import DefinitionError, one, user_location
from .define import check_depth, make_stage
from .dtypes import BOOL, INDEX
from .dtypes import dtype as as_dtype
from .expr import Axis, Cast, Const, Expr, Reduce, walk
from .operations import as_expr, as_index, convert
from .rules import FREE, Rule, closed_equations, dimension_names
from .tensor import Tensor, new_uid, validated_name, validated_shape


def axes(names: str, /, **ranges: tuple[Any, Any]) -> tuple[Axis, ...]:
    """Axes to write recurrences with, one a name: non-negative integers, or those from lower up to upper. Always a
    tuple: one alone is `(i,) = ps.axes("i")`.

    names   separated by blanks or commas
    ranges  name=(lower, upper) for axes that do not take every value that the left side allows

    >>> import polysched as ps
    >>> t, i = ps.axes("t i", i=(1, 9))
    >>> i
    i
    """
    listed = re.split(r"[\s,]+", names.strip()) if isinstance(names, str) else []
    if not listed or len(set(listed)) != len(listed):
        raise DefinitionError(f'axes takes different names in one string, as in ps.axes("t i j"), not {names!r:.60}')
    made = tuple(_axis(name, ranges.pop(name, None)) for name in listed)
    if ranges:
        raise DefinitionError(f"axes has a range for {', '.join(ranges)}, which is none of {', '.join(listed)}")
    return made


def _axis(name: str, bounds: Any) -> Axis:
    validated_name(name, "axis")
    if bounds is None:
        return Axis(name, Const(0, INDEX, weak=True), FREE, location=user_location())
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise DefinitionError(f"the range of the axis {name} is (lower, upper), not {bounds!r:.60}")
    lower, upper = (as_index(bound) for bound in bounds)
    for bound in (lower, upper):
        if bound.dtype != INDEX or not bound.weak:
            raise DefinitionError(f"the bound {bound} of the axis {name} is not an integer affine in axes and sizes")
    return Axis(name, lower, upper, location=user_location())


def recurrence(shape: Any, dtype: Any = "float32", *, name: str) -> Recurrence:
    """A tensor that equations define, u[t + 1, i] = f(u[t, i], ...), each for the cells that its left side describes.

    shape  extents, as of `compute`
    dtype  the type of the elements; every equation gives values of this type

    When it is first used, isl proves that every cell is defined exactly once, that every read is in bounds, and that
    there is an order in which all can be computed: `DefinitionError` or `BoundsError` names a cell where that fails.
    Fewer indices than dimensions make a tensor of what is left: u[T] is the last plane.

    >>> import numpy as np, polysched as ps
    >>> n = ps.size_var("n", min=1)
    >>> a = ps.placeholder((n,), "int64", name="a")
    >>> p = ps.recurrence((n,), "int64", name="p")
    >>> (i,) = ps.axes("i")
    >>> p[0] = a[0]
    >>> p[i + 1] = p[i] + a[i + 1]
    >>> ps.build(ps.Schedule(p))(np.arange(5))
    array([ 0,  1,  3,  6, 10])
    """
    name = validated_name(name, "tensor")
    return Recurrence(name, validated_shape(shape, name), as_dtype(dtype), new_uid(), location=user_location())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recurrence(Tensor):
    """See `recurrence`. `rules` are the equations as they were written; `equations` are made of them by `close`."""

    rules: list[Rule] = field(default_factory=list)

    def __setitem__(self, indices: Any, value: Any) -> None:
        self.define(indices, value)

    def define(self, indices: Any, value: Any, *, where: Any = None) -> None:
        """self[indices] = value, for the axes' values at which the left side is inside the tensor and `where` holds.

        >>> import polysched as ps
        >>> i, j = ps.axes("i j")
        >>> L = ps.recurrence((8, 8), "float32", name="L")
        >>> L.define((i, j), 0.0, where=j > i)
        >>> L.define((i, j), 1.0, where=j <= i)
        """
        if self.equations:
            raise DefinitionError(
                f"{self.name} is used already, and so are its equations; write all of them before the first Schedule "
                "or evaluate"
            )
        given = indices if isinstance(indices, tuple) else (indices,)
        left = Tensor.__getitem__(self, given).children
        condition = None if where is None else as_expr(where)
        if condition is not None and condition.dtype != BOOL:
            raise DefinitionError(f"where= of {self.name} is a condition, as in i < j, not `{condition}`")
        body = self._body(value)
        check_depth(self.name, body)
        _check_axes(self.name, left, condition, body)
        self.rules.append(Rule(left, body, condition, user_location()))

    def _body(self, value: Any) -> Expr:
        body = as_expr(value)
        if body.weak and (self.dtype.is_float or not body.dtype.is_float):
            body = convert(body, self.dtype)
            body = Const(body.value, body.dtype) if isinstance(body, Const) else Cast(body, body.dtype)
        if body.dtype != self.dtype:
            raise DefinitionError(
                f"{self.name} holds {self.dtype.name}, and is given `{body}`, {one(body.dtype.name)}: convert it with "
                f'ps.cast("{self.dtype.name}", ...)'
            )
        for reduce in _reductions(body):
            what = f"{reduce.dtype.name} inside an equation of {self.name}, which holds {self.dtype.name}"
            if reduce.name.startswith("arg"):
                what = f"an index and a value inside an equation of {self.name}"
            elif reduce.dtype == self.dtype:
                continue
            if body is not reduce:
                raise DefinitionError(
                    f"ps.{reduce.name} accumulates {what}; a sum inside an expression is accumulated in the cell that "
                    "it is for: declare another kind as a ps.recurrence of its own and read it"
                )
        return body

    def __getitem__(self, indices: Any) -> Any:
        given = indices if isinstance(indices, tuple) else (indices,)
        if not given or len(given) >= self.ndim or any(isinstance(index, slice) for index in given):
            return Tensor.__getitem__(self, indices)
        return self._plane(given)

    def _plane(self, first: tuple[Any, ...]) -> Tensor:
        """The tensor of what is left when the first dimensions have these indices."""
        if any(isinstance(node, Axis) for index in first if isinstance(index, Expr) for node in walk(index)):
            given, rest = ", ".join(map(str, first)), ", ".join(f"i{k}" for k in range(len(first), self.ndim))
            raise DefinitionError(
                f"{self.name} has {self.ndim} dimensions and was indexed with {len(first)}; write {self.name}[{given}, "
                f"{rest}] for an element. A plane, which is a tensor, has indices of integers and sizes alone"
            )
        label = "_".join(re.sub(r"\W+", "_", str(index)) for index in first).rstrip("_")
        return make_stage(
            f"{self.name}_{label}",
            self.shape[len(first) :],
            dimension_names(self.name, self.ndim, self.rules)[len(first) :],
            lambda *at: Tensor.__getitem__(self, (*first, *at)),
        )

    @property
    def computed(self) -> bool:
        return True

    def close(self) -> bool:
        """Make the equations, at the first use; from then on they are what they are."""
        if self.equations:
            return False
        if not self.rules:
            raise DefinitionError(
                f"{self.name} has no equations; define its cells, as in {self.name}[0] = ...", location=self.location
            )
        object.__setattr__(self, "equations", closed_equations(self.name, self.shape, self.rules))
        return True

    def reopen(self) -> None:
        object.__setattr__(self, "equations", ())

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


def _reductions(body: Expr) -> list[Reduce]:
    return [node for node in walk(body) if isinstance(node, Reduce)]


def _check_axes(name: str, left: tuple[Expr, ...], where: Expr | None, body: Expr) -> None:
    """Every axis is one of the left side's, or a reduction's inside it."""
    known = [node for index in left for node in walk(index) if isinstance(node, Axis)]
    for axis in known:
        if axis.reduction:
            raise DefinitionError(f"the left side of {name} has the reduction axis {axis.name}; use ps.axes")
    reduces = _reductions(body)
    if len(reduces) > 1:
        raise DefinitionError(
            f"an equation of {name} has {len(reduces)} reductions, and each accumulates in a cell of its own: declare "
            "all but one as a ps.recurrence or ps.compute and read them"
        )
    inner = [axis for reduce in reduces for axis in reduce.axes]
    labels = [axis.name for axis in (*dict.fromkeys(known), *inner)]
    if len(set(labels)) != len(labels):
        raise DefinitionError(f"two axes of an equation of {name} have the same name: {', '.join(labels)}")
    checked = [(body, [*known, *inner])] + ([(where, known)] if where is not None else [])
    checked += [(bound, [*known, *inner]) for axis in inner for bound in (axis.lower, axis.upper)]
    checked += [(bound, known) for axis in known for bound in (axis.lower, axis.upper)]
    for expr, scope in checked:
        for node in walk(expr):
            if isinstance(node, Axis) and not any(node is axis for axis in scope):
                shown = ", ".join(dict.fromkeys(axis.name for axis in scope)) or "none"
                raise DefinitionError(
                    f"the axis {node.name} is not on the left side of this equation of {name} (its axes: {shown}); "
                    "every value that it takes would define the same cells"
                )
