"""The expression nodes: a small closed union of frozen dataclasses, and nothing that computes with them.

`Expr` carries Python's operators, which build nodes through `operations.apply`. Nodes compare by identity, because
`==` on an expression builds a comparison, as in every array language; `same` compares structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import DefinitionError, Location
from .dtypes import INDEX, DType

if TYPE_CHECKING:
    from .tensor import Tensor


def _apply(name: str, *operands: Any) -> Expr:
    from .operations import apply  # noqa: PLC0415 - operations builds these nodes; the operators are only sugar for it

    return apply(name, *operands)


def _ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Expr:
    from .operations import apply_ufunc  # noqa: PLC0415 - as above

    return apply_ufunc(ufunc, method, inputs, options)


Method = Callable[["Expr", Any], "Expr"]


def _operator(name: str) -> tuple[Method, Method]:
    """The methods of a binary operator for an expression on its left and on its right."""
    return lambda self, other: _apply(name, self, other), lambda self, other: _apply(name, other, self)


class Expr:
    """An element-wise expression. `dtype` is its type; `weak` says that it takes on its partner's type (NumPy 2)."""

    __slots__ = ()
    dtype: DType
    weak: bool

    @property
    def is_data(self) -> bool:
        """Whether the value comes from memory or from the caller: any value of its type, so arithmetic on it wraps."""
        return False

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operands: what `rebuild` replaces. The bounds of an axis are not operands."""
        return ()

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        """The node with other operands of the same types."""
        assert not operands
        return self

    def shown(self, text: Callable[[Expr], str]) -> str:
        """How a node that a later room adds is printed, given how its operands are."""
        return f"{type(self).__name__}({', '.join(map(text, self.children))})"

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("sub")
    __mul__, __rmul__ = _operator("mul")
    __truediv__, __rtruediv__ = _operator("truediv")
    __floordiv__, __rfloordiv__ = _operator("floordiv")
    __mod__, __rmod__ = _operator("mod")
    __pow__, __rpow__ = _operator("pow")
    __and__, __rand__ = _operator("and")
    __or__, __ror__ = _operator("or")
    __xor__, __rxor__ = _operator("xor")
    __lshift__, __rlshift__ = _operator("shl")
    __rshift__, __rrshift__ = _operator("shr")

    def __neg__(self) -> Expr:
        return _apply("neg", self)

    def __pos__(self) -> Expr:
        return self

    def __invert__(self) -> Expr:
        return _apply("not", self)

    def __abs__(self) -> Expr:
        return _apply("abs", self)

    __lt__ = _operator("lt")[0]
    __le__ = _operator("le")[0]
    __gt__ = _operator("gt")[0]
    __ge__ = _operator("ge")[0]

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # builds a node, as NumPy's arrays do
        return _apply("eq", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # likewise
        return _apply("ne", self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            f"`{self}` has no truth value while a computation is being defined; combine conditions with & | ~ and "
            "choose between values with ps.select(condition, if_true, if_false)"
        )

    def __iter__(self) -> NoReturn:
        raise DefinitionError(f"`{self}` is one element and cannot be iterated over")

    def __getitem__(self, index: Any) -> NoReturn:
        raise DefinitionError(f"`{self}` is one element and cannot be indexed; all indices go into one A[i, j]")

    def __index__(self) -> NoReturn:
        raise DefinitionError(
            f"`{self}` has no value while a computation is being defined, so it is no Python number: reduce over a "
            "range with ps.sum(..., axis=ps.reduce_axis((0, n))), convert with ps.cast, use ps.sqrt for math.sqrt, and "
            "read tables through a ps.placeholder"
        )

    __int__ = __float__ = __complex__ = __round__ = __index__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Expr:
        """NumPy's functions and scalars build nodes too: np.sqrt(A[i]) is ps.sqrt(A[i])."""
        return _ufunc(ufunc, method, inputs, options)

    def __str__(self) -> str:
        from .printing import text  # noqa: PLC0415 - printing matches on the nodes of this module

        return text(self)

    __repr__ = __str__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Const(Expr):
    """A literal. Python's own numbers are weak; results of ps.cast are not."""

    value: bool | int | float
    dtype: DType
    weak: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Size(Expr):
    """A symbolic extent: one 64-bit integer a call, at least `min` and a multiple of `multiple_of`."""

    name: str
    min: int = 0
    multiple_of: int = 1
    dtype: DType = INDEX
    weak: bool = True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scalar(Expr):
    """A scalar parameter of the kernel. `uid` orders it among the arguments."""

    name: str
    dtype: DType
    uid: int
    weak: bool = False

    @property
    def is_data(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Axis(Expr):
    """An iteration variable with lower <= value < upper. The bounds are affine in sizes and enclosing axes."""

    name: str
    lower: Expr
    upper: Expr
    reduction: bool = False
    location: Location | None = None
    dtype: DType = INDEX
    weak: bool = True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Op(Expr):
    """An operation of `operations.OPERATIONS` on operands that already have the types it runs at.

    `simple` and `form` are notes of `simplify` to itself: that the node is its own result, and its linear form; other
    operands make another node.
    """

    name: str
    operands: tuple[Expr, ...]
    dtype: DType
    weak: bool = False
    simple: bool = field(default=False, init=False)
    form: tuple[Any, int] | None = field(default=None, init=False)

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.operands

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return Op(self.name, operands, self.dtype, self.weak)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cast(Expr):
    """Conversion to `dtype`: integers wrap, floats to integers saturate (NaN gives 0), anything to bool is != 0."""

    operand: Expr
    dtype: DType
    weak: bool = False

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return replace(self, operand=operands[0])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Read(Expr):
    """One element of a tensor."""

    tensor: Tensor
    indices: tuple[Expr, ...]
    location: Location | None = None
    weak: bool = False

    @property
    def dtype(self) -> DType:  # type: ignore[override]  # a read has its tensor's type and stores none of its own
        return self.tensor.dtype

    @property
    def is_data(self) -> bool:
        return True

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.indices

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return replace(self, indices=operands)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reduce(Expr):
    """A reduction of `operand` over `axes`, outermost first; only ever the whole body of an equation.

    `reassociate` says that the order of accumulation is free: declared by the user for float sums and products,
    true by nature of every other reduction.
    """

    name: str
    operand: Expr
    axes: tuple[Axis, ...]
    dtype: DType
    reassociate: bool
    weak: bool = False
    location: Location | None = field(default=None)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def with_children(self, operands: tuple[Expr, ...]) -> Expr:
        return replace(self, operand=operands[0])


def rebuild(expr: Expr, operands: tuple[Expr, ...]) -> Expr:
    """The node with other operands, of the same types; the node itself where nothing changed."""
    for new, old in zip(operands, expr.children, strict=True):
        if new is not old:
            return expr.with_children(operands)
    return expr


def transform(expr: Expr, function: Callable[[Expr], Expr], leave: Callable[[Expr], bool] | None = None) -> Expr:
    """`expr` with `function` applied to every node, operands first, and once to a node that is used twice.

    Nodes for which `leave` holds stay as they are, with all below them.
    """
    return _transformed(expr, function, leave, {})


def _transformed(
    node: Expr, function: Callable[[Expr], Expr], leave: Callable[[Expr], bool] | None, done: dict[int, Expr]
) -> Expr:
    """`transform`. A function inside of it that calls itself would be a circle, which only a collection of garbage
    frees, with all the nodes that it knows."""
    found = done.get(id(node))
    if found is None:
        if leave is not None and leave(node):
            return node
        operands = node.children
        if operands:
            operands = tuple([_transformed(operand, function, leave, done) for operand in operands])
            found = function(rebuild(node, operands))
        else:
            found = function(node)
        done[id(node)] = found
    return found


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of `expr` once, its operands after the node."""
    seen: set[int] = set()
    pending = [expr]
    while pending:
        node = pending.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            if children := node.children:
                pending += children[::-1]


def depth(expr: Expr) -> int:
    """How many nodes stand inside each other."""
    levels: dict[int, int] = {}

    def measured(node: Expr) -> Expr:
        levels[id(node)] = 1 + max((levels[id(operand)] for operand in node.children), default=0)
        return node

    transform(expr, measured)
    return levels[id(expr)]


def substitute(expr: Expr, values: dict[Axis, Expr]) -> Expr:
    """`expr` with axes replaced by expressions."""
    return transform(expr, lambda node: values.get(node, node) if isinstance(node, Axis) else node)


def same(a: Expr, b: Expr) -> bool:
    """Whether two expressions have the same structure over the same axes, sizes, scalars and tensors."""
    if a is b:
        return True
    if type(a) is not type(b) or a.dtype != b.dtype:
        return False
    match a, b:
        case Const(), Const():
            return repr(a.value) == repr(b.value)
        case Op(), Op():
            alike = a.name == b.name
        case Read(), Read():
            alike = a.tensor is b.tensor
        case Cast(), Cast():
            alike = True
        case Reduce(), Reduce():
            alike = a.name == b.name and a.reassociate == b.reassociate and all(map(_is, a.axes, b.axes))
        case _:
            return False
    return alike and len(a.children) == len(b.children) and all(map(same, a.children, b.children))


def _is(a: object, b: object) -> bool:
    return a is b


def const(value: bool | int | float, dtype: DType = INDEX) -> Const:
    """A literal of the given type; an index where no type is given."""
    return Const(value, dtype)
