"""affine.py against evaluation point by point."""

from __future__ import annotations

import random

import pytest

import polysched as ps
from polysched.compute.dtypes import INDEX
from polysched.compute.expr import Axis, Cast, Const, Expr, Op
from polysched.polyhedral.affine import affine, condition_sets, is_affine_condition, possible_values
from polysched.polyhedral.bounds import iteration_domain
from polysched.polyhedral.isl import Frame, Map, Set, World

from .enumerated import box, points, random_condition, random_index, value_of

n = ps.size_var("n")
T = ps.placeholder((8,), "int8", name="T")


def scene() -> tuple[Frame, Set, dict[Axis, range], dict[str, int]]:
    i = Axis("i", Const(0, INDEX), n)
    j = Axis("j", Const(-2, INDEX), Const(3, INDEX))
    world = World((n,))
    frame = world.frame((i, j), "S")
    domain = iteration_domain(frame, (i, j), world.parameter_frame().universe())
    return frame, domain, {i: range(4), j: range(-2, 3)}, {"n": 4}


@pytest.mark.parametrize("seed", range(60))
def test_quasi_affine_expressions_are_exact(seed: int) -> None:
    frame, domain, ranges, sizes = scene()
    expr = random_index(random.Random(seed), [*ranges, n], 3)
    exact = affine(expr, frame)
    assert exact is not None
    expected = {(*at.values(), value_of(expr, at, sizes)) for at in box(ranges)}
    assert points(Map.from_pw_aff(exact).intersect_domain(domain), frame.world, sizes) == expected
    assert points(possible_values(expr, frame, domain), frame.world, sizes) == expected


@pytest.mark.parametrize("seed", range(60))
def test_affine_conditions_are_exact(seed: int) -> None:
    frame, domain, ranges, sizes = scene()
    condition = random_condition(random.Random(1000 + seed), [*ranges, n], 3)
    assert is_affine_condition(condition, frame)
    hold, fail = (points(s.intersect(domain), frame.world, sizes) for s in condition_sets(condition, frame))
    truth = {tuple(at.values()): bool(value_of(condition, at, sizes)) for at in box(ranges)}
    assert hold == {point for point, value in truth.items() if value}
    assert fail == {point for point, value in truth.items() if not value}


@pytest.mark.parametrize("seed", range(40))
def test_conditions_on_data_may_hold_and_may_fail(seed: int) -> None:
    frame, domain, ranges, sizes = scene()
    rng = random.Random(2000 + seed)
    data = Cast(T[Const(0, INDEX)], INDEX)
    condition = random_condition(rng, [*ranges, n, data], 2)
    hold, fail = (points(s.intersect(domain), frame.world, sizes) for s in condition_sets(condition, frame))
    for value in (-128, -1, 0, 1, 3, 127):
        for at in box(ranges):
            outcome = value_of(condition, at, sizes, lambda read, value=value: value)
            assert tuple(at.values()) in (hold if outcome else fail)


@pytest.mark.parametrize("seed", range(40))
def test_possible_values_of_data_are_a_superset(seed: int) -> None:
    frame, domain, ranges, sizes = scene()
    rng = random.Random(3000 + seed)
    data = Cast(T[Const(0, INDEX)], INDEX)
    expr = random_index(rng, [*ranges, n, data], 2)
    values = possible_values(expr, frame, domain)
    for at in box({axis: range(r.start, r.stop, 2) for axis, r in ranges.items()}):
        for value in (-128, -1, 0, 5, 127):
            point = (*at.values(), value_of(expr, at, sizes, lambda read, value=value: value))
            assert _contains(values, point, frame, sizes)


def _contains(values: Map, point: tuple[int, ...], frame: Frame, sizes: dict[str, int]) -> bool:
    at = frame.universe()
    for axis, coordinate in zip(frame.axes, point, strict=False):
        position = frame.axis(axis)
        assert position is not None
        at = at.intersect(position.eq_set(frame.const(coordinate)))
    here = Map.from_pw_aff(frame.const(point[-1])).intersect_domain(at)
    return not values.intersect(here).intersect_params(frame.world.fixed(sizes)).is_empty()


@pytest.mark.parametrize(
    ("expr", "low", "high"),
    [
        (ps.clamp(T[0], 0, 7), 0, 7),
        (ps.clamp(ps.cast("int64", T[0]), 2, 7), 2, 7),
        (ps.cast("int64", T[0]) % 5, 0, 4),
        (ps.cast("int64", ps.cast("uint8", T[0])), 0, 255),
        (ps.cast("int64", T[0]), -128, 127),
        (ps.cast("int64", T[0]) + 1, -127, 128),
        (ps.minimum(T[0], 3), -128, 3),
    ],
    ids=str,
)
def test_what_limits_data(expr: Expr, low: int, high: int) -> None:
    """The values are exactly those between the limits: no wider, or clamped indices would be refused."""
    frame, domain, _, sizes = scene()
    found = {point[-1] for point in points(possible_values(expr, frame, domain), frame.world, sizes)}
    assert (min(found), max(found)) == (low, high)


def test_what_is_not_affine() -> None:
    frame, _, ranges, _ = scene()
    i, j = ranges
    for expr in (i * j, n * i, Op("floordiv", (i, n), INDEX), Cast(T[i], INDEX), i // Const(0, INDEX)):
        assert affine(expr, frame) is None
    assert affine(Axis("k", Const(0, INDEX), n), frame) is None, "an axis of another statement"
