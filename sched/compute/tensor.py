"""Tensors and the parameters of a computation: what has a name, a type and a shape."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import DefinitionError, Location, one, user_location
from .dtypes import DType, dtype
from .expr import Axis, Const, Expr, Op, Read, Reduce, Scalar, Size, transform, walk
from .operations import as_expr, as_index

_uids = itertools.count()
MAX_NAME = 200
_SHAPE_OPERATIONS = frozenset({"add", "sub", "mul", "floordiv", "mod", "min", "max", "neg"})


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """One rule of a definition: tensor[indices] = body, for all values of `axes` at which `where` holds.

    The body of a reduction is a `Reduce`, whose axes are further loops of the equation; or it has one in it, of a value
    that is accumulated in the cell itself. `within` is which values of the reduction's axes it takes, where that is
    not all between their bounds. Where the body is a `masked` select, its condition decides nothing about the loops:
    all is computed, and taken or left.
    """

    axes: tuple[Axis, ...]
    indices: tuple[Expr, ...]
    body: Expr
    where: Expr | None = None
    within: Expr | None = None
    location: Location | None = None
    masked: bool = False
    reduce: Reduce | None = field(init=False)

    def __post_init__(self) -> None:
        reduce = next((node for node in walk(self.body) if isinstance(node, Reduce)), None)
        object.__setattr__(self, "reduce", reduce)

    @property
    def conditions(self) -> tuple[Expr, ...]:
        return tuple(condition for condition in (self.where, self.within) if condition is not None)

    @property
    def loops(self) -> tuple[Axis, ...]:
        """All axes, the reduction's last."""
        return (*self.axes, *(self.reduce.axes if self.reduce is not None else ()))

    @property
    def value(self) -> Expr:
        """The element-wise part: the body, or what the reduction accumulates."""
        return self.body if self.reduce is None else self.reduce.operand

    @property
    def finishes(self) -> bool:
        """Whether the body is made of a reduction's result, and not the result itself."""
        return self.reduce is not None and self.body is not self.reduce

    def finished(self, result: Expr) -> Expr:
        """The body with the reduction's result in the place of the reduction."""
        return transform(self.body, lambda node: result if isinstance(node, Reduce) else node)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named array: a placeholder where it has no equations, a stage otherwise.

    `strides` is "row-major", or "any" for a placeholder that accepts arrays of every stride.
    """

    name: str
    shape: tuple[Expr, ...]
    dtype: DType
    uid: int
    equations: tuple[Equation, ...] = ()
    strides: Literal["row-major", "any"] = "row-major"
    location: Location | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, indices: Any) -> Expr:
        given = indices if isinstance(indices, tuple) else (indices,)
        if len(given) != self.ndim:
            wanted = ", ".join(f"i{dimension}" for dimension in range(self.ndim)) or "()"
            raise DefinitionError(
                f"{self.name} has {counted(self.ndim)} and was indexed with {len(given)}; write {self.name}[{wanted}]"
            )
        exprs = tuple(self._index(dimension, index) for dimension, index in enumerate(given))
        return Read(self, exprs, user_location())

    def _index(self, dimension: int, index: Any) -> Expr:
        if isinstance(index, slice):
            raise DefinitionError(f"{self.name} is indexed one element at a time; a slice is not an index")
        if not isinstance(index, (Expr, int, float, np.generic)):
            hint = '; ps.axes gives a tuple for one name, too: (i,) = ps.axes("i")' if isinstance(index, tuple) else ""
            raise DefinitionError(f"{self.name} is indexed with {index!r:.60}; an index is an integer expression{hint}")
        expr = as_expr(index)
        if not expr.dtype.is_int:
            raise DefinitionError(
                f"{self.name} is indexed with `{expr}`, {one(expr.dtype.name)}; an index is an integer: divide with // "
                'and convert data with ps.cast("int64", x)'
            )
        if isinstance(expr, Op) and expr.name == "checked" and len(expr.operands) == 1:
            return Op("checked", (*expr.operands, Const(0, expr.dtype), self.shape[dimension]), expr.dtype)
        return expr

    @property
    def computed(self) -> bool:
        """Whether the tensor is a stage, and no placeholder."""
        return bool(self.equations)

    def close(self) -> bool:
        """Called before the equations are used; whether they were made only now, and are still to be proven."""
        return False

    def reopen(self) -> None:
        """Undo `close`, after a proof has failed, so that the next use is told so again."""

    def __iter__(self) -> Any:
        raise DefinitionError(f"{self.name} cannot be iterated over; index it, as in {self.name}[i]")

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        return self._refuse_whole()

    def _refuse_whole(self, *_: Any) -> Any:
        raise DefinitionError(
            f"{self.name} is a whole tensor, and expressions are made of elements: index it, as in {self.name}[i]"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse_whole
    __floordiv__ = __mod__ = __pow__ = __matmul__ = __neg__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = (
        _refuse_whole
    )

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


def counted(dimensions: int) -> str:
    """The number of dimensions in words."""
    return f"{dimensions} dimension{'' if dimensions == 1 else 's'}"


def validated_name(name: Any, what: str) -> str:
    """`name` if it is a name: a Python identifier of at most 200 characters."""
    if not isinstance(name, str) or not name.isidentifier() or len(name) > MAX_NAME:
        shown = name[:40] if isinstance(name, str) else name
        raise DefinitionError(
            f"{shown!r} cannot name {one(what)}: a name is a Python identifier of at most {MAX_NAME} characters"
        )
    return name


def new_uid() -> int:
    """A number that orders tensors and scalars by creation."""
    return next(_uids)


def validated_shape(shape: Any, name: str) -> tuple[Expr, ...]:
    """The extents as expressions of sizes and integers."""
    if isinstance(shape, (int, Expr)):
        shape = (shape,)
    if not isinstance(shape, (tuple, list)):
        raise DefinitionError(f"the shape of {name} is a tuple of integers and sizes, not a {type(shape).__name__}")
    extents = tuple(_extent(extent, name) for extent in shape)
    for extent in extents:
        if isinstance(extent, Const) and (not extent.dtype.is_int or extent.value < 0):
            raise DefinitionError(f"the shape of {name} has the extent {extent}; an extent is an integer >= 0")
        for node in walk(extent):
            allowed = isinstance(node, (Const, Size)) or (isinstance(node, Op) and node.name in _SHAPE_OPERATIONS)
            if not allowed or not node.dtype.is_int:
                raise DefinitionError(
                    f"the shape of {name} has the extent {extent}; extents are made of integers and size variables "
                    "with + - * // %"
                )
    return extents


def _extent(extent: Any, name: str) -> Expr:
    if not isinstance(extent, (Expr, int, float, np.generic)):
        raise DefinitionError(
            f"the shape of {name} is a tuple of integers and sizes, and {extent!r:.60} is neither: size variables are "
            'made with ps.size_var("n")'
        )
    return as_index(extent)


def size_var(name: str, *, min: int = 0, multiple_of: int = 1) -> Size:
    """A symbolic extent, known when the kernel is called.

    What is promised with `min` and `multiple_of` is checked at every call and makes proofs and loops simpler.

    >>> import polysched as ps
    >>> n = ps.size_var("n", min=1, multiple_of=8)
    >>> ps.placeholder((n, 3), "float32", name="A")
    A: float32[n, 3]
    """
    if not isinstance(min, int) or min < 0 or not isinstance(multiple_of, int) or multiple_of < 1:
        raise DefinitionError(f"size_var {name!r}: min is an integer >= 0 and multiple_of an integer >= 1")
    return Size(validated_name(name, "size"), min, multiple_of)


def scalar(name: str, dtype: Any = "float32") -> Scalar:
    """A scalar parameter of the kernel, passed like an array.

    >>> import polysched as ps
    >>> alpha = ps.scalar("alpha", "float32")
    >>> (2 * alpha).dtype.name
    'float32'
    """
    return Scalar(validated_name(name, "scalar"), _dtype(dtype), new_uid())


def placeholder(
    shape: Any, dtype: Any = "float32", *, name: str, strides: Literal["row-major", "any"] = "row-major"
) -> Tensor:
    """An input array.

    Arrays passed for it are C-contiguous unless `strides="any"`, which accepts every stride at the price of slower
    vector loads.

    >>> import polysched as ps
    >>> A = ps.placeholder((4, ps.size_var("n")), "uint8", name="A")
    >>> A.ndim
    2
    """
    name = validated_name(name, "tensor")
    if strides not in ("row-major", "any"):
        raise DefinitionError(f'strides of {name} is {strides!r}; accepted are "row-major" and "any"')
    return Tensor(
        name, validated_shape(shape, name), _dtype(dtype), new_uid(), strides=strides, location=user_location()
    )


_dtype = dtype
