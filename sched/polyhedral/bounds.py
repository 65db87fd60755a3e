"""Promise 4: every access is proven inside its tensor, for all sizes, when it is defined."""

from __future__ import annotations

from collections.abc import Iterator

from ..compute.define import provers, sizes_of, tensors_read
from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, Size, walk
from ..compute.sizes import evaluate_extent
from ..compute.tensor import Equation, Tensor
from ..errors import BoundsError, DefinitionError
from .affine import affine, condition_sets, is_affine_condition, possible_values
from .isl import Frame, Map, Set, World


def size_context(world: World, tensors: tuple[Tensor, ...]) -> Set:
    """What is known of the sizes: their promises, and that no extent of a tensor is negative."""
    frame = world.parameter_frame()
    context = frame.universe()
    for size in list(world.sizes.values()):
        value = frame.size(size)
        context = context.intersect(value.ge_set(frame.const(size.min)))
        if size.multiple_of > 1:
            multiple = value.mod_val(world.val(size.multiple_of)).eq_set(frame.const(0))
            context = context.intersect(multiple)
    for tensor in tensors:
        for extent in tensor.shape:
            known = affine(extent, frame)
            if known is not None:
                context = context.intersect(known.ge_set(frame.const(0)))
    return context


def iteration_domain(frame: Frame, axes: tuple[Axis, ...], context: Set) -> Set:
    """The instances of an equation: lower <= axis < upper for every axis."""
    domain = frame.universe().intersect_params(context)
    for axis in axes:
        value, lower, upper = frame.axis(axis), affine(axis.lower, frame), affine(axis.upper, frame)
        if value is None or lower is None or upper is None:
            bad = axis.lower if lower is None else axis.upper
            raise DefinitionError(
                f"the bound {bad} of axis {axis.name} is not affine: bounds are sums of sizes and outer axes times "
                "integers, with // and % by integers",
                location=axis.location,
            )
        domain = domain.intersect(value.ge_set(lower)).intersect(value.lt_set(upper))
    return domain


def equation_domain(frame: Frame, equation: Equation, context: Set, *, reducing: bool) -> Set:
    """The instances of an equation over the frame's axes: its own, with `reducing` the reduction's too."""
    domain = iteration_domain(frame, equation.loops if reducing else equation.axes, context)
    for condition in (equation.where, equation.within if reducing else None):
        if condition is None:
            continue
        if not is_affine_condition(condition, frame):
            raise DefinitionError(
                f"the region `{condition}` of an equation is not affine: it is made of comparisons of sums of axes and "
                "sizes times integers, with & | ~; choose by data with ps.select",
                location=equation.location,
            )
        domain = domain.intersect(condition_sets(condition, frame)[0])
    return domain


def guarded_reads(expr: Expr, frame: Frame, domain: Set) -> Iterator[tuple[Read, Set]]:
    """Every read in `expr` with the instances that need its value: the conditions of enclosing selects narrow them.

    A node that several operations share is visited once for all that need it in one domain.
    """
    pending, seen = [(expr, domain)], set[tuple[int, int]]()
    kept: list[Set] = []  # alive, so that no two domains ever have one id
    while pending:
        node, needed = pending.pop()
        if (id(node), id(needed)) in seen:
            continue
        seen.add((id(node), id(needed)))
        if isinstance(node, Read):
            yield node, needed
        if isinstance(node, Op) and node.name == "select":
            condition, yes, no = node.operands
            may_hold, may_fail = condition_sets(condition, frame)
            narrowed = [(no, needed.intersect(may_fail)), (yes, needed.intersect(may_hold))]
            kept.extend(domain for _, domain in narrowed)
            pending += [*narrowed, (condition, needed)]
        else:
            pending += [(child, needed) for child in reversed(node.children)]


def access_relation(read: Read, frame: Frame, domain: Set) -> Map:
    """From an instance to every element that it may read."""
    relation: Map | None = None
    for index in read.indices:
        values = possible_values(index, frame, domain)
        relation = values if relation is None else relation.flat_range_product(values)
    return relation if relation is not None else frame.map_to(()).intersect_domain(domain)


def outside(index: Expr, extent: Expr, frame: Frame, domain: Set) -> Set:
    """The instances of `domain` at which an index may be less than 0, or not less than `extent`."""
    values = possible_values(index, frame, domain)
    limit = affine(extent, frame)
    negative = values.intersect_range(frame.world.from_text("{ [a] -> [b] : a < 0 }").domain())
    bad = negative.domain()
    if limit is None:
        return values.domain()
    beyond = Map.from_pw_aff(limit).apply_range(frame.world.from_text("{ [a] -> [b] : b >= a }"))
    return bad.union(values.intersect(beyond).domain())


def prove_in_bounds(stage: Tensor) -> None:
    """Raise `BoundsError` unless every read of `stage` is inside its tensor at every instance that needs it."""
    tensors = (stage, *tensors_read(stage))
    world = World(sizes_of(tensors))
    with world.budgeted(f"the bounds of {stage.name}"):
        context = size_context(world, tensors)
        for tensor in tensors:
            _check_shape(tensor, world.parameter_frame())
        for equation in stage.equations:
            _prove_equation(stage, equation, world, context)


def _check_shape(tensor: Tensor, frame: Frame) -> None:
    for extent in tensor.shape:
        if affine(extent, frame) is None:
            raise DefinitionError(
                f"the extent {extent} of {tensor.name} is not affine: extents are sums of sizes times integers, "
                "with // and % by integers",
                location=tensor.location,
            )


def _prove_equation(stage: Tensor, equation: Equation, world: World, context: Set) -> None:
    frame = world.frame(equation.loops, "S")
    _prove_reads(stage, equation.value, frame, equation_domain(frame, equation, context, reducing=True))
    if equation.finishes:
        frame = world.frame(equation.axes, "S")
        body = equation.finished(Const(0, stage.dtype))
        _prove_reads(stage, body, frame, equation_domain(frame, equation, context, reducing=False))


def _prove_reads(stage: Tensor, value: Expr, frame: Frame, domain: Set) -> None:
    for read, needed in guarded_reads(value, frame, domain):
        for dimension in range(len(read.indices)):
            bad = outside(read.indices[dimension], read.tensor.shape[dimension], frame, needed)
            if not bad.is_empty():
                _refuse(stage, read, dimension, bad, frame)


def _refuse(stage: Tensor, read: Read, dimension: int, bad: Set, frame: Frame) -> None:
    index, tensor = read.indices[dimension], read.tensor
    data = any(isinstance(node, Read) for node in walk(index))
    if data and bad.is_subset(outside(Const(0, INDEX), tensor.shape[dimension], frame, bad)):
        point = frame.world.smallest(bad)
        assert point is not None
        sizes = ", ".join(f"{name}={value}" for name, value in point.sizes.items())
        raise BoundsError(
            f"{stage.name} reads {read}, but at {sizes} dimension {dimension} of {tensor} has no element; "
            f"{_advice(tensor, dimension, point.sizes)}",
            location=read.location,
        )
    if data:
        raise BoundsError(
            f"{stage.name} reads {read}, and the index {index} of dimension {dimension} comes from data: limit it with "
            f"ps.clamp({index}, 0, {tensor.shape[dimension]} - 1), or have it checked at run time with "
            f"ps.checked({index})",
            location=read.location,
        )
    point = frame.world.smallest(bad)
    assert point is not None
    at = ", ".join(f"{axis.name}={v}" for axis, v in zip(frame.axes, point.coordinates, strict=True))
    sizes = ", ".join(f"{name}={value}" for name, value in point.sizes.items())
    if affine(index, frame) is None:
        around = _around(index, tensor.shape[dimension], frame, bad)
        advice = "limit it with ps.clamp or ps.checked" if around is None else f"write {around}, which is the same here"
        raise BoundsError(
            f"{stage.name} reads {read}, and the index {index} is not affine in axes and sizes, so it cannot be proven "
            f"to stay inside dimension {dimension} of {tensor}; {advice}",
            location=read.location,
        )
    raise BoundsError(
        f"{stage.name} reads {read} outside {tensor}: {f'at {sizes}, ' if sizes else ''}the instance "
        f"{stage.name}[{at}] has the index {index} in dimension {dimension} of extent {tensor.shape[dimension]}; "
        f"{_advice(tensor, dimension, point.sizes)}",
        location=read.location,
    )


def _around(index: Expr, extent: Expr, frame: Frame, needed: Set) -> str | None:
    """A remainder by a size, as of periodic boundaries, as a choice that is affine and proven, if there is one."""
    match index:
        case Op("mod", (x, Size() as size)):
            after = Op("select", (x < size, x, x - size), INDEX)
            choices = after, Op("select", (x < 0, x + size, x), INDEX), Op("select", (x < 0, x + size, after), INDEX)
            inside = (c for c in choices if all(outside(c, e, frame, needed).is_empty() for e in (size, extent)))
            return next((str(choice).replace("select(", "ps.select(") for choice in inside), None)
        case _:
            return None


def _advice(tensor: Tensor, dimension: int, sizes: dict[str, int]) -> str:
    extent = tensor.shape[dimension]
    if isinstance(extent, Size) and evaluate_extent(extent, sizes) == 0:
        return (
            f'{tensor.name} is empty there: promise that it is not, as in ps.size_var("{extent.name}", min=1), or '
            "guard the access with ps.select(condition, ..., ...)"
        )
    return "guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape"


provers.append(prove_in_bounds)
