"""Where a product and a sum are rounded once: fixed by the definition."""

from __future__ import annotations

from fractions import Fraction

import pytest

import polysched as ps
from polysched.compute.contract import accumulate_sum, contract
from polysched.compute.expr import Expr, Op, walk

a, b, c, d = (ps.scalar(name, "float32") for name in "abcd")


@pytest.mark.parametrize(
    ("expr", "shown"),
    [
        (a * b + c, "fma(a, b, c)"),
        (c + a * b, "fma(a, b, c)"),
        (a * b - c, "fma(a, b, -c)"),
        (c - a * b, "fma(-a, b, c)"),
        (a * b + c * d, "fma(a, b, c * d)"),
        (a * b - c * d, "fma(a, b, -(c * d))"),
        (a * b + c * d + a, "fma(a, b, c * d) + a"),
        (a * b + (c * d + a), "fma(a, b, fma(c, d, a))"),
        ((a * b + c) * d + a, "fma(fma(a, b, c), d, a)"),
        (-(a * b) + c, "-(a * b) + c"),
        (a / b + c, "a / b + c"),
        (ps.select(a < b * c + d, a, b), "select(a < fma(b, c, d), a, b)"),
        (ps.sqrt(a * a + b * b), "sqrt(fma(a, a, b * b))"),
        (a * 2 + 1, "fma(a, 2.0, 1.0)"),
    ],
)
def test_contraction(expr: Expr, shown: str) -> None:
    assert str(contract(expr)) == shown


@pytest.mark.parametrize("name", ["float16", "int32", "int64", "uint8", "bool"])
def test_other_types_are_left_alone(name: str) -> None:
    x = ps.scalar("x", name)
    expr = x * x + x
    assert contract(expr) is expr


def test_float64_is_contracted() -> None:
    x = ps.scalar("x", "float64")
    assert str(contract(x * x + x)) == "fma(x, x, x)"


def test_accumulation() -> None:
    assert str(accumulate_sum(c, a * b)) == "fma(a, b, c)"
    assert str(accumulate_sum(c, a + b)) == "a + b + c"
    assert str(accumulate_sum(c, Op("fma", (a, b, d), a.dtype))) == "fma(a, b, d) + c"


def test_the_same_value_up_to_rounding() -> None:
    """With exact numbers, contraction changes nothing."""
    values = {"a": Fraction(1, 3), "b": Fraction(-2, 7), "c": Fraction(5), "d": Fraction(3, 11)}
    for expr in (
        a * b + c,
        a * b - c,
        c - a * b,
        a * b - c * d,
        (a - b * c) * d - a * (b + c * d),
        a - (b - c * d) * a,
    ):
        shown = eval(str(contract(expr)), {"fma": lambda x, y, z: x * y + z}, values)
        assert shown == eval(str(expr), {}, values)
        assert any(isinstance(node, Op) and node.name == "fma" for node in walk(contract(expr)))


def test_shared_nodes_stay_shared() -> None:
    shared: Expr = a
    for _ in range(60):
        shared = shared * shared + b
    assert len(list(walk(contract(shared)))) == 62
