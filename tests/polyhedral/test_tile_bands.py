"""Loops over tiles whose numbers are added up: what quotients are in terms of them, and the loops that isl makes."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import INDEX
from polysched.compute.expr import Axis, Const, Expr, Op
from polysched.polyhedral.tile_bands import band_of_tiles, tile_numbers
from polysched.polyhedral.tree import LoopNode, statements_below


def tables() -> ps.Schedule:
    """Each cell of its neighbours above, to the left, and above to the right."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    i, j = ps.axes("i j")
    u = ps.recurrence((n, n), "float64", name="u")
    near = ps.select(i > 0, u[i - 1, j], 1.0) + ps.select(j > 0, u[i, j - 1], 0.5)
    u[i, j] = A[i, j] + 0.25 * (near + ps.select((i > 0) & (j < n - 1), u[i - 1, j + 1], 0.0))
    return ps.Schedule(u)


def in_waves(s: ps.Schedule, *, two_levels: bool = False) -> ps.Schedule:
    u = s["u"]
    u.partition("i", 8, name="rows")
    u.partition("j+2*i", 12, name="parts")
    u.skew("parts", 1, by="rows")
    u.reorder("parts", "rows")
    u.parallel("rows")
    if two_levels:
        u.skew("j", 2, by="i")
        u.split("i", 3, outer="i_o", inner="i_i")
        u.split("j", 4, outer="j_o", inner="j_i")
        u.reorder("i_o", "j_o", "i_i", "j_i")
    return s


def value_of(expr: Expr, at: dict[Axis, int]) -> int:
    match expr:
        case Const(value):
            return int(value)
        case Axis():
            return at[expr]
        case Op(name, operands):
            a, *rest = (value_of(operand, at) for operand in operands)
            b = rest[0] if rest else 0
            return {"add": a + b, "sub": a - b, "mul": a * b, "neg": -a, "floordiv": a // b if b else 0,
                    "mod": a % b if b else 0}[name]  # fmt: skip
    raise AssertionError(expr)


def outermost(s: ps.Schedule) -> LoopNode:
    node: object = s.state.tree().root
    while not isinstance(node, LoopNode):
        (node,) = node.children  # type: ignore[attr-defined]
    return node


def test_quotients_follow_from_the_numbers_of_tiles() -> None:
    node = outermost(in_waves(tables()))
    band = band_of_tiles((), node)
    assert [loop.name for loop in band] == ["parts", "rows"]
    (statement,) = statements_below(node)
    zero = Const(0, INDEX)
    numbers = tile_numbers(band, tuple(Axis(loop.name, zero, zero) for loop in band), statement)
    assert len(numbers.quotients) == 2 and not numbers.zeros
    i, j = statement.axes
    for x, y in itertools.product(range(0, 40, 3), repeat=2):
        at = {i: x, j: y}
        at |= {axis: value_of(loop.values[statement.number], at) for loop, axis in zip(band, numbers.axes, strict=True)}
        for quotient, number in numbers.quotients:
            assert value_of(quotient, at) == value_of(number, at)
        assert all(0 <= value_of(offset, at) < extent for offset, extent in numbers.ranges())


def test_a_sum_alone_does_not_tell_its_quotients() -> None:
    s = tables()
    s["u"].partition("i", 8, name="rows")
    s["u"].partition("j+2*i", 12, name="parts")
    s["u"].skew("parts", 1, by="rows")
    s["u"].reorder("parts", "i", "rows")  # the loop over i stands between
    assert band_of_tiles((), outermost(s)) == ()


def test_tiles_without_sums_are_left_to_isl() -> None:
    s = tables()
    s["u"].split("i", 8)
    assert band_of_tiles((), outermost(s)) == ()


@pytest.mark.parametrize("two_levels", [False, True])
def test_waves_have_the_same_bits(two_levels: bool) -> None:
    s = in_waves(tables(), two_levels=two_levels)
    kernel, default = s.build(check=True), tables().build()
    text = kernel.source("isl")
    last = "j_o" if two_levels else "rows"  # all loops over tiles are made together
    assert re.search(rf"T\d+_{last}\(c0, c1.*\);", text) and "floor" not in text.split(f"_{last}(c0, c1", 1)[1]
    for extent in (1, 7, 8, 25, 61):
        a = np.random.default_rng(extent).standard_normal((extent, extent))
        np.testing.assert_array_equal(kernel(a, n=extent), default(a, n=extent))


def test_steps_that_are_skewed_by_the_lanes_of_their_tiles() -> None:
    n = ps.size_var("n", min=1)
    A, (i,) = ps.placeholder((n + 1,), "int32", name="A"), ps.axes("i")
    v = ps.recurrence((n + 1,), "int32", name="v")
    v.define((i,), A[i], where=i < 1)
    v[i + 1] = A[i + 1] * 2
    s = ps.Schedule(v)
    s[v].split("i", 2, outer="io", inner="ii")
    s[v].reorder("ii", "io")
    s[v].vectorize("ii")
    s[v].skew("io", 1, by="ii")
    a = np.arange(8, dtype=np.int32)
    np.testing.assert_array_equal(s.build()(a), np.where(np.arange(8) < 1, a, 2 * a))
