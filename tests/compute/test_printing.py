"""Printed expressions are Python: evaluated again they print alike and have the same value."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute import functions
from polysched.compute.expr import Expr, Op
from polysched.compute.operations import OPERATIONS, apply
from polysched.compute.printing import MAX_NODES, text

n = ps.size_var("n", min=1)
i, j = (ps.reduce_axis((0, 5), name=name) for name in "ij")
A = ps.placeholder((5,), "int64", name="A")
F = ps.placeholder((5,), "float64", name="F")
x = ps.scalar("x", "float64")
NAMES: dict[str, Any] = {
    **{
        name: getattr(functions, name)
        for name in ("select", "checked", "isnan", *(o for o in OPERATIONS if hasattr(functions, o)))
    },
    **{"min": ps.minimum, "max": ps.maximum, "n": n, "i": i, "j": j, "A": A, "F": F, "x": x},
    **{to: lambda value, to=to: ps.cast(to, value) for to in ("int64", "float64", "int32")},
}


def an_int(pick: random.Random, depth: int) -> Expr:
    if depth == 0:
        return pick.choice([lambda: i, lambda: j, lambda: n, lambda: A[i], lambda: apply("neg", A[j])])()
    below = [an_int(pick, depth - 1) for _ in range(2)]
    operation = pick.choice(
        [
            "add",
            "sub",
            "mul",
            "floordiv",
            "mod",
            "and",
            "or",
            "xor",
            "shl",
            "shr",
            "neg",
            "not",
            "min",
            "abs",
            "select",
            "literal",
        ]
    )
    match operation:
        case "select":
            return ps.select(a_condition(pick, depth - 1), *below)
        case "literal":
            return apply(pick.choice(["add", "sub", "mul", "shl"]), below[0], pick.choice([-3, 2, 7]))
        case _:
            return apply(operation, *below[: OPERATIONS[operation].arity])


def a_float(pick: random.Random, depth: int) -> Expr:
    if depth == 0:
        return pick.choice([lambda: F[i], lambda: x, lambda: x * 2.5, lambda: x - 1e-07, lambda: -F[j] * -1.5])()
    below = [a_float(pick, depth - 1) for _ in range(2)]
    operation = pick.choice(["add", "sub", "mul", "truediv", "pow", "neg", "max", "sqrt", "floordiv", "mod", "cast"])
    if operation == "cast":
        return ps.cast("float64", an_int(pick, depth - 1))
    return apply(operation, *below[: OPERATIONS[operation].arity])


def a_condition(pick: random.Random, depth: int) -> Expr:
    if depth <= 0:
        return pick.choice([i < j, A[i] == n, F[i] >= x, ~(i != j)])
    if pick.random() < 0.4:
        return apply(pick.choice(["lt", "le", "eq", "ne"]), *(an_int(pick, depth - 1) for _ in range(2)))
    below = [a_condition(pick, depth - 1) for _ in range(2)]
    operation = pick.choice(["and", "or", "xor", "not", "eq", "lt"])
    return apply(operation, *below[: OPERATIONS[operation].arity])


def alike(a: Expr, b: Expr) -> bool:
    """The same structure, but for literals that a conversion has made strong."""
    if isinstance(a, Op) and isinstance(b, Op) and a.name != b.name:
        return False
    return (
        type(a) is type(b)
        and a.dtype == b.dtype
        and len(a.children) == len(b.children)
        and all(map(alike, a.children, b.children))
    )


@pytest.mark.parametrize("make", [an_int, a_float, a_condition])
def test_printed_expressions_evaluate_to_themselves(make: Any) -> None:
    for seed in range(300):
        expr = make(random.Random(seed), 1 + seed % 4)
        shown = text(expr)
        again = eval(shown, {"__builtins__": {}}, NAMES)
        assert text(again) == shown, f"seed {seed}"
        assert alike(expr, again), f"seed {seed}: {shown}"


@pytest.mark.parametrize(
    ("expr", "shown"),
    [
        (i + (j + n), "i + (j + n)"),
        ((i + j) + n, "i + j + n"),
        (i - (j - n), "i - (j - n)"),
        (i * (j + n) // 2, "i * (j + n) // 2"),
        ((i < j) == (j < n), "(i < j) == (j < n)"),
        ((i < j) & (j < n), "(i < j) & (j < n)"),
        (~(i < j) | (j == n), "~(i < j) | (j == n)"),
        (apply("neg", -i), "--i"),
        (-(i + 1), "-(i + 1)"),
        (i % -2, "i % -2"),
        ((x**3.0) ** x, "(x ** 3.0) ** x"),
        (x ** (x**3.0), "x ** (x ** 3.0)"),
        ((-x) ** 3.0, "(-x) ** 3.0"),
        (-(x**3.0), "-x ** 3.0"),
        (x / (x * 2), "x / (x * 2.0)"),
        (A[i + 1 - 2 * j], "A[i + 1 - 2 * j]"),
        (A[ps.clamp(A[i], 0, n - 1)], "A[min(max(A[i], 0), n - 1)]"),
        (A[ps.checked(A[i])], "A[checked(A[i])]"),
        (ps.select(i < 1, A[i], 0), "select(i < 1, A[i], 0)"),
        (ps.cast("float32", A[i]) * 0.1, "float32(A[i]) * 0.1"),
        (ps.cast("float16", x) + float("inf"), "float16(x) + inf"),
        (ps.sum(A[i], axis=i), "sum(A[i], axis=i)"),
        (ps.max(A[i] * A[j], axis=(i, j)), "max(A[i] * A[j], axis=(i, j))"),
        (ps.cast("int8", 300), "int8(300)"),
        (x * float("nan"), "x * nan"),
        (ps.placeholder((), "int8", name="Z")[()], "Z[()]"),
    ],
)
def test_notation(expr: Expr, shown: str) -> None:
    assert str(expr) == repr(expr) == shown


def test_tensors() -> None:
    assert repr(ps.placeholder((n + 1, 3), "int8", name="T")) == "T: int8[n + 1, 3]"
    assert repr(ps.placeholder((), "bool", name="Z")) == "Z: bool[]"


def test_an_expression_that_shares_nodes_is_shown_in_part() -> None:
    shared = x
    for _ in range(60):
        shared = shared * shared + x
    shown = str(shared)
    assert "x * x + x" in shown and "..." in shown and len(shown) < 20 * MAX_NODES


def test_numbers_of_numpy_print_as_pythons() -> None:
    assert str(x + np.float64(0.5)) == "x + 0.5" and str(A[i] + np.int64(3)) == "A[i] + 3"
