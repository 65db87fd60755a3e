"""`compute`: from a Python function of the axes to a stage, checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import DefinitionError, PolyschedError, user_location
from .components import components
from .dtypes import INDEX
from .dtypes import dtype as as_dtype
from .expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Size, depth, walk
from .operations import as_expr, convert
from .tensor import Equation, Tensor, counted, new_uid, validated_name, validated_shape

MAX_DEPTH = 250

# Each is called with every new stage before the user gets it, and raises if the stage is not provably in bounds. The
# proof lives in `polyhedral`, which this room does not know.
provers: list[Callable[[Tensor], None]] = []

# Each is called with all stages of a computation, and with the recurrences among them that are used for the first time.
system_provers: list[Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], None]] = []


def compute(shape: Any, function: Callable[..., Any], *, name: str, dtype: Any = None) -> Tensor:
    """The tensor whose element at (i, j, ...) is function(i, j, ...), as in TVM's te.compute.

    shape     extents: integers and size variables; () for a single element
    function  called once with one axis a dimension; its parameters name the loops, and further ones that have
              defaults keep them. Its value is an element-wise
              expression, or one reduction of one
    dtype     the type of the elements; that of the expression by default

    Raises `DefinitionError` where the expression has no meaning and `BoundsError` where an access is not provably
    inside its tensor for all sizes.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n, n), "float32", name="A")
    >>> ps.compute((n, n), lambda i, j: 2 * A[j, i], name="B")
    B: float32[n, n]
    """
    name = validated_name(name, "tensor")
    extents = validated_shape(shape, name)
    return make_stage(name, extents, _axis_names(function, len(extents), name), function, dtype)


def make_stage(
    name: str, extents: tuple[Expr, ...], names: tuple[str, ...], function: Callable[..., Any], dtype: Any = None
) -> Tensor:
    """The stage whose loops have these names, with its definition checked."""
    location = user_location()
    axes = tuple(
        Axis(axis, Const(0, INDEX, weak=True), extent, location=location)
        for axis, extent in zip(names, extents, strict=True)
    )
    body = _body(function(*axes), dtype, name)
    check_depth(name, body)
    _check_scopes(name, axes, body)
    stage = Tensor(name, extents, body.dtype, new_uid(), (Equation(axes, axes, body),), location=location)
    for prove in provers:
        prove(stage)
    return stage


def _axis_names(function: Callable[..., Any], rank: int, name: str) -> tuple[str, ...]:
    if not callable(function):
        raise DefinitionError(f"{name} is defined by a function of its axes, not by a {type(function).__name__}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise DefinitionError(
            f"the parameters of {function!r} are not known, so the loops of {name} have no names; wrap it in a lambda"
        ) from None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    # What is left over is bound already, as c is in `lambda i, c=c: ...`.
    names = tuple(p.name for p in positional if p in positional[:rank] or p.default is p.empty)
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    if rest is not None:
        names += tuple(f"{rest}{k}" for k in range(len(names), rank))
    if len(names) != rank:
        taken = f"{len(names)}: {', '.join(names)}" if names else "none"
        raise DefinitionError(f"{name} has {counted(rank)}, and its function takes {taken}")
    return tuple(validated_name(axis, "loop") for axis in names)


def _body(value: Any, dtype: Any, name: str) -> Expr:
    if isinstance(value, (tuple, list)):
        raise DefinitionError(f"the function of {name} returns several values; declare one ps.compute for each")
    body = as_expr(value)
    if dtype is not None and isinstance(body, Reduce) and as_dtype(dtype) != body.dtype:
        raise DefinitionError(
            f"{name} is a reduction of {body.dtype.name}, not {as_dtype(dtype).name}; give the type to the reduction: "
            f"ps.{body.name}(..., dtype=...), or cast its operand"
        )
    if dtype is not None:
        body = convert(body, as_dtype(dtype))
    if isinstance(body, Const):
        body = convert(body, body.dtype)
        return Const(body.value, body.dtype) if isinstance(body, Const) else body
    return Cast(body, body.dtype) if body.weak else body


def check_depth(name: str, body: Expr) -> None:
    if (levels := depth(body)) > MAX_DEPTH:
        raise DefinitionError(
            f"the expression of {name} is {levels} operations deep, and at most {MAX_DEPTH} are accepted; "
            "write a long sum as ps.sum over a reduce_axis, and declare parts as a ps.compute of their own"
        )


def _check_scopes(name: str, axes: tuple[Axis, ...], body: Expr) -> None:
    reduction = body.axes if isinstance(body, Reduce) else ()
    names = [axis.name for axis in (*axes, *reduction)]
    if len(set(names)) != len(names):
        raise DefinitionError(f"two loops of {name} have the same name: {', '.join(names)}")
    scope = list(axes)
    for axis in reduction:
        for bound in (axis.lower, axis.upper):
            _check_axes(name, bound, scope, f"the bounds of {axis.name}")
        scope.append(axis)
    for node in walk(body):
        if isinstance(node, Reduce) and node is not body:
            raise DefinitionError(
                f"{name} does something with the result of ps.{node.name}; a reduction is the whole of a definition: "
                f"declare it as a ps.compute of its own and read it in {name}"
            )
        if isinstance(node, Op) and node.name == "checked" and len(node.operands) == 1:
            raise DefinitionError(
                f"ps.checked in {name} is not an index; it wraps a whole index, as in A[ps.checked(i)]"
            )
    _check_axes(name, body, scope, "the expression")
    if isinstance(body, Reduce) and body.name.startswith("arg") and len(body.axes) > 1:
        _check_positions(name, body)


def _check_axes(name: str, expr: Expr, scope: list[Axis], where: str) -> None:
    for node in walk(expr):
        if isinstance(node, Axis) and not any(node is axis for axis in scope):
            known = ", ".join(axis.name for axis in scope) or "none"
            hint = "; axis= lists a reduction's axes, outer ones first, as in axis=(r, s)" if node.reduction else ""
            raise DefinitionError(f"the axis {node.name} is not in scope in {where} of {name} ({known}){hint}")


def _check_positions(name: str, reduce: Reduce) -> None:
    """The position in a box of several axes needs a box: every axis from 0 to a size."""
    for axis in reduce.axes:
        zero = isinstance(axis.lower, Const) and axis.lower.value == 0
        if not zero or any(isinstance(node, Axis) for node in walk(axis.upper)):
            raise DefinitionError(
                f"ps.{reduce.name} over several axes in {name} gives a position in a box, so every axis must run from "
                f"0 to a size; {axis.name} runs from {axis.lower} to {axis.upper}"
            )


def stages_of(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Every stage that the outputs need, producers before consumers, otherwise in the order of creation.

    Recurrences that are used for the first time are closed, and proven to mean something.
    """
    found: dict[int, Tensor] = {}
    opened: list[Tensor] = []
    pending = list(outputs)
    try:
        while pending:
            tensor = pending.pop()
            if tensor.uid not in found:
                found[tensor.uid] = tensor
                if tensor.close():
                    opened.append(tensor)
                pending += tensors_read(tensor)
        stages = tuple(found[uid] for uid in sorted(found) if found[uid].equations)
        ordered = tuple(stage for group in components(stages, tensors_read) for stage in group)
        for prove in system_provers if opened else ():
            prove(ordered, tuple(opened))
    except PolyschedError:
        for tensor in opened:
            tensor.reopen()
        raise
    return ordered


def tensors_read(stage: Tensor) -> list[Tensor]:
    """The tensors that a stage reads, each once, in the order of their first read."""
    reads: dict[int, Tensor] = {}
    for equation in stage.equations:
        for node in walk(equation.body):
            if isinstance(node, Read):
                reads.setdefault(node.tensor.uid, node.tensor)
    return list(reads.values())


def sizes_of(tensors: tuple[Tensor, ...]) -> tuple[Size, ...]:
    """The sizes in the shapes, bounds and expressions of the tensors, in the order of their first use."""
    found: dict[str, Size] = {}

    def visit(expr: Expr) -> None:
        for node in walk(expr):
            if isinstance(node, Size):
                known = found.setdefault(node.name, node)
                if (known.min, known.multiple_of) != (node.min, node.multiple_of):
                    raise DefinitionError(
                        f"two size variables named {node.name} make different promises; name one of them anew"
                    )

    for tensor in tensors:
        for extent in tensor.shape:
            visit(extent)
        for equation in tensor.equations:
            for axis in equation.loops:
                visit(axis.lower)
                visit(axis.upper)
            for expr in (*equation.conditions, equation.body):
                visit(expr)
    return tuple(found.values())
