"""How the symbolic sizes of a call follow from the shapes of its arrays, and what the shapes must then satisfy.

Sizes are told apart by name, as everywhere in a definition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ArgumentError
from .dtypes import INDEX
from .expr import Const, Expr, Op, Size, walk
from .operations import apply

Shapes = Sequence[tuple[str, tuple[Expr, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """`dimension` of the array in `position`, whose name is `array`, is `extent` long."""

    array: str
    position: int
    dimension: int
    extent: Expr


@dataclass(frozen=True, slots=True, eq=False)
class SizeStep:
    """size = (the array's extent - rest) / coefficient, which must divide exactly.

    `rest` has only sizes of earlier steps, or known beforehand, in it; None is 0.
    """

    size: Size
    source: Extent
    coefficient: int = 1
    rest: Expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SizePlan:
    """`steps` in the order to take them, then `checks`; nothing determines the sizes that are `missing`."""

    arrays: Shapes
    sizes: tuple[Size, ...]
    steps: tuple[SizeStep, ...]
    checks: tuple[Extent, ...]
    missing: tuple[Size, ...]

    def solve(self, shapes: Sequence[Sequence[int]], given: Mapping[str, int] | None = None) -> dict[str, int]:
        """The value of every size, for arrays of these shapes (of the right number of dimensions each).

        given  sizes whose value is known beforehand; the shapes must agree with it

        Raises ArgumentError where a shape does not fit, or a size is undetermined, too small or not the multiple that
        it was promised to be.
        """
        if given:
            return solve_plan(self.arrays, self.sizes, given)._solve(shapes, given)
        return self._solve(shapes, {})

    def _solve(self, shapes: Sequence[Sequence[int]], given: Mapping[str, int]) -> dict[str, int]:
        if self.missing:
            names = ", ".join(size.name for size in self.missing)
            raise ArgumentError(
                f"no array has a shape that determines {names}; give a value, as in {self.missing[0].name}=8"
            )
        values = dict(given)
        origins = {name: f"{name} is {value} as given" for name, value in given.items()}
        for step in self.steps:
            at = step.source
            extent = shapes[at.position][at.dimension]
            rest = 0 if step.rest is None else _evaluated(step.rest, at, values, origins)
            value, remainder = divmod(extent - rest, step.coefficient)
            if remainder:
                raise ArgumentError(
                    f"{_shaped(at, shapes)} must be {at.extent} for an integer {step.size.name}"
                    + _where(at.extent, origins)
                )
            values[step.size.name] = value
            origins[step.size.name] = f"{step.size.name} is {value} from dimension {at.dimension} of {at.array}"
        for size in self.sizes:
            _check_promises(size, values[size.name], origins[size.name])
        for check in self.checks:
            expected = _evaluated(check.extent, check, values, origins)
            if shapes[check.position][check.dimension] != expected:
                equals = "" if isinstance(check.extent, Const) else f"{check.extent} = "
                raise ArgumentError(
                    f"{_shaped(check, shapes)} must be {equals}{expected}{_where(check.extent, origins)}"
                )
        return values


def _shaped(at: Extent, shapes: Sequence[Sequence[int]]) -> str:
    return f"{at.array} has the shape {tuple(shapes[at.position])}; its dimension {at.dimension}"


def _evaluated(expr: Expr, at: Extent, values: Mapping[str, int], origins: Mapping[str, str]) -> int:
    try:
        return evaluate_extent(expr, values)
    except ZeroDivisionError:
        raise ArgumentError(
            f"{at.array} has the extent {at.extent}, which divides by zero{_where(expr, origins)}"
        ) from None


def _where(extent: Expr, origins: Mapping[str, str]) -> str:
    known = [origins[name] for name in dict.fromkeys(_names(extent)) if name in origins]
    return f" ({', '.join(known)})" if known else ""


def _check_promises(size: Size, value: int, origin: str) -> None:
    if value < size.min:
        raise ArgumentError(f"{origin}; it must be at least {size.min}")
    if value % size.multiple_of:
        raise ArgumentError(f"{origin}; it must be a multiple of {size.multiple_of}")
    if value > INDEX.highest:
        raise ArgumentError(f"{origin}; it must fit into 64 bits")


def solve_plan(arrays: Shapes, sizes: Iterable[Size], known: Collection[str] = ()) -> SizePlan:
    """The plan for arrays given as (name, shape), and for sizes of which those named in `known` are known already.

    A size is taken from the first extent, in the order of the arrays, that is linear in it and has no other unknown
    in it; an extent that is a size and nothing else goes before all others.
    """
    sizes = tuple(sizes)
    extents = [
        Extent(name, position, dimension, extent)
        for position, (name, shape) in enumerate(arrays)
        for dimension, extent in enumerate(shape)
    ]
    solved = set(known)
    steps: list[SizeStep] = []
    while (step := _next_step(extents, solved)) is not None:
        steps.append(step)
        solved.add(step.size.name)
    taken = [step.source for step in steps]
    checks = tuple(extent for extent in extents if extent not in taken)
    missing = tuple(size for size in sizes if size.name not in solved)
    return SizePlan(tuple(arrays), sizes, tuple(steps), checks, missing)


def _next_step(extents: Iterable[Extent], solved: Collection[str]) -> SizeStep | None:
    best = None
    for source in extents:
        unknown = {name for name in _names(source.extent) if name not in solved}
        if len(unknown) != 1:
            continue
        if isinstance(source.extent, Size):
            return SizeStep(source.extent, source)
        best = best or _linear_step(source, *unknown)
    return best


def _linear_step(source: Extent, name: str) -> SizeStep | None:
    linear = _linear(source.extent, name)
    if linear is None or linear[0] == 0:
        return None
    size = next(node for node in walk(source.extent) if isinstance(node, Size) and node.name == name)
    return SizeStep(size, source, *linear)


def _names(expr: Expr) -> list[str]:
    """The names of the sizes in an expression, in order."""
    return [node.name for node in walk(expr) if isinstance(node, Size)]


_Linear = tuple[int, Expr | None]


def _linear(expr: Expr, name: str) -> _Linear | None:
    """(coefficient, rest) with expr = coefficient * size + rest and without the size in rest; None if it has none."""
    if name not in _names(expr):
        return 0, expr
    match expr:
        case Size():
            return 1, None
        case Op("neg", (a,)):
            return _scaled(-1, _linear(a, name))
        case Op("add", (a, b)):
            return _sum(_linear(a, name), _linear(b, name))
        case Op("sub", (a, b)):
            return _sum(_linear(a, name), _scaled(-1, _linear(b, name)))
        case Op("mul", (Const(factor), a)) | Op("mul", (a, Const(factor))):
            return _scaled(int(factor), _linear(a, name))
        case _:
            return None


def _scaled(factor: int, form: _Linear | None) -> _Linear | None:
    if form is None:
        return None
    coefficient, rest = form
    return factor * coefficient, None if rest is None else apply("mul", factor, rest)


def _sum(a: _Linear | None, b: _Linear | None) -> _Linear | None:
    if a is None or b is None:
        return None
    rests = [rest for rest in (a[1], b[1]) if rest is not None]
    return a[0] + b[0], None if not rests else rests[0] if len(rests) == 1 else apply("add", *rests)


def evaluate_extent(expr: Expr, values: Mapping[str, int]) -> int:
    """The value of an extent: sizes and integers under + - * // % min max and negation, as Python computes them.

    Raises ZeroDivisionError where it divides by zero.
    """
    match expr:
        case Const(value):
            return int(value)
        case Size(name):
            return values[name]
        case Op(name, operands):
            first, *others = (evaluate_extent(operand, values) for operand in operands)
            match name:
                case "neg":
                    return -first
                case "add":
                    return first + others[0]
                case "sub":
                    return first - others[0]
                case "mul":
                    return first * others[0]
                case "floordiv":
                    return first // others[0]
                case "mod":
                    return first % others[0]
                case "min":
                    return min(first, others[0])
                case "max":
                    return max(first, others[0])
    raise AssertionError(f"{expr} is not an extent")
