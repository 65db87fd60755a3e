"""simplify, and the bounds of expressions, against their values under random assignments."""

from __future__ import annotations

import gc
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import BOOL, INDEX
from polysched.compute.expr import Axis, Const, Expr, Op, Read, Size, transform, walk
from polysched.compute.operations import OPERATIONS, apply
from polysched.compute.simplify import constant_value, difference, key, linear, lower_bound, simplify, upper_bound

n, m = ps.size_var("n", min=1), ps.size_var("m", min=1)
i = ps.reduce_axis((0, n), name="i")
j = ps.reduce_axis((i - 2, ps.minimum(i + 3, 2 * n)), name="j")
k = ps.reduce_axis((-m, 2 * m + 1), name="k")
A, B = (ps.placeholder((8,), "int64", name=name) for name in "AB")
Values = Mapping[Any, int]


def value(expr: Expr, values: Values) -> Any:
    """The expression as NumPy computes it: wrapping, and 0 where it divides by 0."""
    match expr:
        case Const(number, to):
            return to.numpy.type(number)
        case Axis() | Size():
            return np.int64(values[expr])
        case Read(tensor):
            return np.int64(values[tensor])
        case Op("select", (condition, yes, no)):
            return value(yes, values) if value(condition, values) else value(no, values)
        case Op(name, operands):
            return OPERATIONS[name].numpy(*(value(operand, values) for operand in operands))
    raise AssertionError(type(expr).__name__)


def an_index(pick: random.Random, depth: int, leaves: list[Expr]) -> Expr:
    if depth == 0:
        return pick.choice([*leaves, Const(pick.randint(-9, 9), INDEX)])
    a, b = (an_index(pick, pick.randrange(depth), leaves) for _ in range(2))
    name = pick.choice(
        ["add", "add", "sub", "sub", "mul", "scale", "neg", "floordiv", "mod", "min", "max", "select", "rejoin"]
    )
    constant = pick.choice([1, 2, 3, 4, 8, 16, -1, -3])
    match name:
        case "scale":
            return a * constant
        case "floordiv" | "mod":
            return apply(name, a, constant)
        case "rejoin":
            return a // constant * constant + a % constant
        case "neg":
            return -a
        case "select":
            return Op("select", (a_condition(pick, depth - 1, leaves), a, b), INDEX)
        case _:
            return apply(name, a, b)


def a_condition(pick: random.Random, depth: int, leaves: list[Expr]) -> Expr:
    if depth <= 0 or pick.random() < 0.5:
        names = ["lt", "le", "gt", "ge", "eq", "ne"]
        a = an_index(pick, max(depth, 0), leaves)
        return apply(
            pick.choice(names), a, pick.choice([a + pick.randint(-2, 2), an_index(pick, max(depth, 0), leaves)])
        )
    a, b = (a_condition(pick, depth - 1, leaves) for _ in range(2))
    return pick.choice([a & b, a | b, ~a, a & Const(True, BOOL), a | Const(True, BOOL), Const(False, BOOL) & b])


def an_assignment(pick: random.Random, *, wild: bool = False) -> dict[Any, int]:
    """Axes within their bounds; or anything, and data among it, where arithmetic wraps."""
    values: dict[Any, int] = {n: pick.randint(1, 9), m: pick.randint(1, 9)}
    values[i] = pick.randrange(values[n])
    values[j] = pick.randint(values[i] - 2, min(values[i] + 3, 2 * values[n]) - 1)
    values[k] = pick.randint(-values[m], 2 * values[m])
    edges = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, 5]
    values |= {tensor: pick.choice(edges) if wild else pick.randint(-9, 9) for tensor in (A, B)}
    return values


@pytest.mark.parametrize("condition", [False, True], ids=["indices", "conditions"])
def test_values_do_not_change(condition: bool) -> None:
    for seed in range(400):
        pick = random.Random(seed)
        make = a_condition if condition else an_index
        expr = make(pick, 1 + seed % 4, [i, j, k, n, m])
        simple = simplify(expr)
        for _ in range(8):
            values = an_assignment(pick)
            assert value(simple, values) == value(expr, values), f"seed {seed}: {expr} became {simple} at {values}"
        assert simplify(simple) is simple, f"seed {seed}: {simple} is not its own simplest form"


@pytest.mark.parametrize("condition", [False, True], ids=["values", "conditions"])
def test_data_wraps_as_before(condition: bool) -> None:
    """Data and large literals may overflow; what is simplified must overflow alike."""
    data: list[Expr] = [A[0], A[0], B[0], i, Const(2**62, INDEX), Const(-(2**63), INDEX)]
    with np.errstate(all="ignore"):
        for seed in range(400):
            pick = random.Random(seed)
            expr = (a_condition if condition else an_index)(pick, 1 + seed % 4, data)
            simple = simplify(expr)
            for _ in range(8):
                values = an_assignment(pick, wild=True)
                assert value(simple, values) == value(expr, values), f"seed {seed}: {expr} became {simple} at {values}"


def test_bounds_are_sound() -> None:
    bounded = 0
    for seed in range(400):
        pick = random.Random(seed)
        expr = an_index(pick, 1 + seed % 3, [i, j, k, n, m])
        high, low = upper_bound(expr), lower_bound(expr)
        for _ in range(12):
            values = an_assignment(pick)
            found = value(expr, values)
            assert value(low, values) <= found <= value(high, values), (
                f"seed {seed}: {low} <= {expr} <= {high} at {values}"
            )
        bounded += not any(isinstance(node, Axis) for bound in (high, low) for node in walk(bound))
    assert bounded > 250


@pytest.mark.parametrize(
    ("expr", "shown"),
    [
        (i + 1 - 1, "i"),
        (2 * i + 3 * i - i, "4 * i"),
        (i - i + n - n, "0"),
        (-(i - n), "n - i"),
        ((i * 8 + 3) // 8, "i"),
        ((i * 8 + 16) % 8, "0"),
        ((i + 8) % 4, "i % 4"),
        ((i + 8) // 4, "i // 4 + 2"),
        (i // 4 * 4 + i % 4, "i"),
        (3 * (i // 4 * 4) + 3 * (i % 4) + 1, "3 * i + 1"),
        (ps.minimum(i, i + 1), "i"),
        (ps.maximum(n - 1, n), "n"),
        (i < i + 1, "True"),
        (i == i + 1, "False"),
        ((i < n) & (i <= +i), "i < n"),
        ((i < n) | (i <= +i), "True"),
        ((n + 1) * (n - 1) - n * n, "-1"),
        (i * n - n * i, "0"),
        (i % -4, "i % -4"),
        (A[i + i], "A[2 * i]"),
        (A[0] + 1 > A[0], "A[0] + 1 > A[0]"),
        (A[0] * 4 // 4, "4 * A[0] // 4"),
        (A[0] + A[0] - 2 * A[0], "0"),
        (A[0] - B[0], "A[0] - B[0]"),
    ],
)
def test_forms(expr: Expr, shown: str) -> None:
    assert str(simplify(expr)) == shown


def test_differences_and_constants() -> None:
    assert difference(i + 3, i - 2) == 5 and difference(i, n) is None
    assert constant_value(n - n + 4) == 4 and constant_value(n) is None
    terms, constant = linear(3 * i - 2 * n + 7)
    assert sorted((str(atom), c) for atom, c in terms.values()) == [("i", 3), ("n", -2)] and constant == 7


def test_keys_tell_nodes_apart() -> None:
    axes = [ps.reduce_axis((0, n), name="a") for _ in range(100)]
    assert all(key(a * b) == key(b * a) for a in axes for b in axes)
    assert key(i + n) == key(i + ps.size_var("n")) and key(i * n) == key(n * i) and key(i - n) != key(n - i)
    assert key(A[i]) != key(B[i]) and key(A[i]) == key(A[i]) and key(i) != key(j)
    assert key(ps.cast("int8", A[i])) != key(ps.cast("int16", A[i]))


def test_floats_and_narrow_integers_are_left_alone() -> None:
    x, y = ps.scalar("x", "float32"), ps.scalar("y", "int8")
    for expr in (x + 1.0 - 1.0, x * 0.0, y + 1 - 1, y < y + 1):
        assert str(simplify(expr)) == str(expr)


def test_shared_nodes_cost_once() -> None:
    shared: Expr = ps.scalar("x", "float32")
    for _ in range(100):
        shared = shared * shared + 1.0
    assert simplify(shared).dtype.name == "float32" and len(list(walk(shared))) == 301


@pytest.mark.parametrize("name", ["min", "max", "lt", "le", "gt", "ge", "eq", "ne"])
def test_quotients_by_one_divisor_are_compared(name: str) -> None:
    """(n + p) // d + e and n // d, where what is known decides, and only there."""
    for d in (1, 3, 6):
        for p in range(-7, 8):
            for e in range(-2, 3):
                a, b = (n + p) // d + e, n // d
                pairs = [((x + p) // d + e, x // d) for x in range(1, 40)]
                made = simplify(Op(name, (simplify(a), simplify(b)), INDEX if name in ("min", "max") else BOOL))
                if name in ("min", "max"):
                    first = all((x <= y) == (name == "min") or x == y for x, y in pairs)
                    second = all((y <= x) == (name == "min") or x == y for x, y in pairs)
                    assert any(isinstance(node, Op) and node.name == name for node in walk(made)) != (first or second)
                    assert all(value(made, {n: x}) == OPERATIONS[name].numpy(*pair) for x, pair in enumerate(pairs, 1))
                else:
                    outcomes = {bool(OPERATIONS[name].numpy(x, y)) for x, y in pairs}
                    assert (made.value if isinstance(made, Const) else None) == (
                        next(iter(outcomes)) if len(outcomes) == 1 else None
                    ), (d, p, e)


def test_a_minimum_of_three_leaves_out_what_never_decides() -> None:
    tiles, full = (n + 5) // 6 - 9 * m, n // 6 - 9 * m
    for three in (ps.minimum(ps.minimum(9, tiles), full), ps.minimum(full, ps.minimum(tiles, 9))):
        assert sum(isinstance(node, Op) and node.name == "floordiv" for node in walk(simplify(three))) == 1
        for x, y in ((1, 1), (6, 0), (7, 0), (60, 1), (59, 1), (200, 3)):
            assert value(simplify(three), {n: x, m: y}) == value(three, {n: x, m: y})


@pytest.mark.parametrize("name", ["add", "sub", "mul", "neg"])
def test_the_form_that_a_node_keeps_is_the_one_found_anew(name: str) -> None:
    n, m, k = Size("n"), Size("m"), Axis("k", Const(0, INDEX), Const(9, INDEX))
    inner = [n - m * 3 + k, (n + 5) // 6 * 7 - k, n * m - k % 4 * 2 + 1, Const(0, INDEX) - m * 5]
    for a in inner:
        for b in inner:
            operands = (a, b)[: 1 if name == "neg" else 2]
            simple = simplify(Op(name, operands, INDEX))
            terms, constant = linear(simple)
            again, same = linear(rebuilt(simple))
            assert ({term: c for term, (_, c) in terms.items()}, constant) == (
                {term: c for term, (_, c) in again.items()},
                same,
            )
            assert [*terms] == [*again]
            assert linear(simple) is linear(simple) or not isinstance(simple, Op) or len(terms) < 2


def rebuilt(expr: Expr) -> Expr:
    """The expression of other nodes, which know nothing of themselves."""
    operands = tuple(map(rebuilt, expr.children))
    return expr.with_children(operands) if operands else expr


def test_what_is_known_of_nodes_is_no_circle() -> None:
    """Simplifying leaves nothing that only a collection of garbage frees."""
    n, m = Size("n"), Size("m")

    def all_of_it() -> None:
        for expr in (n * m + n * 3 - 5, (n * 6 + m) // 6, n * m, Const(0, INDEX) - n):
            simple = simplify(expr)
            linear(simple)
            transform(simple, lambda node: n if node is m else node)

    all_of_it()
    gc.collect()
    gc.disable()
    try:
        all_of_it()
        assert gc.collect() == 0
    finally:
        gc.enable()
