"""Points of isl's sets and relations at given sizes, and what expressions are there, computed one by one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import islpy

from polysched.compute.dtypes import INDEX
from polysched.compute.expr import Axis, Const, Expr, Op, Read, Size
from polysched.polyhedral.isl import Map, Set, World

Value = int | bool


def points(relation: Set | Map, world: World, sizes: Mapping[str, int]) -> set[tuple[int, ...]]:
    """All points at these sizes; of a relation, source and target coordinates in one tuple."""
    flat = relation.wrap().flatten() if isinstance(relation, Map) else relation.flatten()
    flat = flat.intersect_params(world.fixed(sizes))
    found: list[tuple[int, ...]] = []
    rank = flat.dim(islpy.dim_type.set)
    flat = flat.project_out(islpy.dim_type.param, 0, flat.dim(islpy.dim_type.param))

    def add(point: Any) -> None:
        values = (point.get_coordinate_val(islpy.dim_type.set, k).to_python() for k in range(rank))
        found.append(tuple(map(int, values)))

    flat.foreach_point(add)
    return set(found)


def value_of(
    expr: Expr, at: Mapping[Axis, int], sizes: Mapping[str, int], read: Callable[[Read], int] | None = None
) -> Any:
    """The value of an index expression or a condition at one point, as Python computes it."""
    match expr:
        case Const(value):
            return value
        case Axis():
            return at[expr]
        case Size(name):
            return sizes[name]
        case Read() if read is not None:
            return read(expr)
        case Op("select", (condition, yes, no)):
            return value_of(yes if value_of(condition, at, sizes, read) else no, at, sizes, read)
        case Op(name, operands):
            return _PYTHON[name](*(value_of(operand, at, sizes, read) for operand in operands))
    (child,) = expr.children
    return value_of(child, at, sizes, read)


_PYTHON: dict[str, Callable[..., Value]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "min": min,
    "max": max,
    "neg": lambda a: -a,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "xor": lambda a, b: a != b,
    "not": lambda a: not a,
}


def random_index(rng: random.Random, leaves: list[Expr], depth: int) -> Expr:
    """A quasi-affine expression: products, // and % only with literals."""
    if depth == 0:
        return rng.choice([*leaves, *leaves, Const(rng.randint(-4, 5), INDEX)])
    a = random_index(rng, leaves, depth - 1)
    match rng.randrange(8):
        case 0:
            return a * rng.randint(-3, 3)
        case 1:
            return Op("floordiv", (a, Const(rng.choice((1, 2, 3, 5, -2)), INDEX)), INDEX)
        case 2:
            return Op("mod", (a, Const(rng.choice((1, 2, 3, 4, -3)), INDEX)), INDEX)
        case 3:
            return Op(rng.choice(("min", "max")), (a, random_index(rng, leaves, depth - 1)), INDEX)
        case 4:
            both = random_index(rng, leaves, depth - 1), random_index(rng, leaves, depth - 1)
            return Op("select", (random_condition(rng, leaves, depth - 1), *both), INDEX)
        case 5:
            return -a
        case _:
            return Op(rng.choice(("add", "sub")), (a, random_index(rng, leaves, depth - 1)), INDEX)


def random_condition(rng: random.Random, leaves: list[Expr], depth: int) -> Expr:
    if depth == 0 or rng.random() < 0.4:
        a, b = (random_index(rng, leaves, max(0, depth - 1)) for _ in range(2))
        return rng.choice((a < b, a <= b, a > b, a >= b, a == b, a != b))
    a = random_condition(rng, leaves, depth - 1)
    if rng.random() < 0.2:
        return ~a
    b = random_condition(rng, leaves, depth - 1)
    return rng.choice((a & b, a | b, a ^ b, a == b, a != b))


def box(bounds: Mapping[Axis, range]) -> Iterator[dict[Axis, int]]:
    for values in itertools.product(*bounds.values()):
        yield dict(zip(bounds, values, strict=True))
