"""Nodes, their structure, and walking over them."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import INDEX
from polysched.compute.expr import (
    Cast,
    Const,
    Expr,
    Op,
    Read,
    Reduce,
    depth,
    rebuild,
    same,
    substitute,
    transform,
    walk,
)
from polysched.compute.operations import OPERATIONS

n = ps.size_var("n")
i, j = (ps.reduce_axis((0, n), name=name) for name in "ij")
A = ps.placeholder((n, n), "float32", name="A")
x = ps.scalar("x", "float32")


def test_operators_build_the_operations_of_the_table() -> None:
    made = [i + j, i - j, i * j, i / j, i // j, i % j, x**x, -i, abs(i), i < j, i <= j, i > j, i >= j, i == j, i != j]
    made += [i & j, i | j, i ^ j, ~i, i << j, i >> j]
    names = [
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "neg",
        "abs",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "and",
        "or",
        "xor",
        "not",
        "shl",
        "shr",
    ]
    assert [expr.name for expr in made] == names  # type: ignore[attr-defined]
    assert +i is i


def test_reflected_operators_keep_the_order() -> None:
    made = [5 + i, 5 - i, 5 * i, 5 / i, 5 // i, 5 % i, 5 & i, 5 | i, 5 ^ i, 5 << i, 5 >> i, 2.0**x, i > 5, i == 5]
    shown = [
        "5 + i",
        "5 - i",
        "5 * i",
        "5.0 / float64(i)",
        "5 // i",
        "5 % i",
        "5 & i",
        "5 | i",
        "5 ^ i",
        "5 << i",
        "5 >> i",
    ]
    assert [str(expr) for expr in made] == [*shown, "2.0 ** x", "i > 5", "i == 5"]


def is_numpy_function(name: str) -> bool:
    return OPERATIONS[name].arity == 1 and OPERATIONS[name].reference is None and name != "not"


@pytest.mark.parametrize("name", [name for name in OPERATIONS if is_numpy_function(name)])
def test_functions_of_numpy_build_nodes(name: str) -> None:
    made = OPERATIONS[name].numpy(x)
    assert isinstance(made, Op) and made.name == name and made.operands == (x,)


def test_walk_meets_every_node_once_before_its_operands() -> None:
    shared = A[i, j] * 2
    expr = shared + shared
    nodes = list(walk(expr))
    assert nodes[:3] == [expr, shared, shared.children[0]] and len(nodes) == 6
    assert depth(expr) == 4 and depth(i) == 1


def test_transform_changes_what_changed_and_nothing_else() -> None:
    left, right = A[i, j] * 2, A[j, j] + 1
    expr = left - right
    made = transform(expr, lambda node: j if node is i else node)
    assert str(made) == "A[j, j] * 2.0 - (A[j, j] + 1.0)" and made.children[1] is right
    assert transform(expr, lambda node: node) is expr
    kept = transform(expr, lambda node: j if node is i else node, lambda node: node is left)
    assert kept is expr


def test_transform_visits_a_shared_node_once() -> None:
    shared: Expr = x
    for _ in range(80):
        shared = shared + shared
    count = 0

    def counted(node: Expr) -> Expr:
        nonlocal count
        count += 1
        return Op("neg", (node,), node.dtype) if node is x else node

    assert depth(transform(shared, counted)) == 82 and count == 81


def test_substitute() -> None:
    assert str(substitute(A[i, j + i], {i: j * 2, j: i})) == "A[j * 2, i + j * 2]"


def test_rebuild_keeps_type_and_identity() -> None:
    read = A[i, j]
    assert isinstance(read, Read) and rebuild(read, (i, j)) is read
    moved = rebuild(read, (j, i))
    assert isinstance(moved, Read) and moved.tensor is A and moved.location is read.location
    assert rebuild(Cast(i, A.dtype), (j,)).dtype == A.dtype
    total = ps.sum(read, axis=j)
    assert isinstance(total, Reduce) and isinstance(rebuild(total, (x,)), Reduce) and rebuild(total, (x,)).axes == (j,)  # type: ignore[attr-defined]


def test_same_compares_structure() -> None:
    assert same(A[i, j] + 1, A[i, j] + 1) and not same(A[i, j], A[j, i]) and not same(i, j)
    assert same(Const(1, INDEX), Const(1, INDEX)) and not same(Const(1, INDEX), Const(2, INDEX))
    assert not same(Const(0.0, A.dtype), Const(-0.0, A.dtype)) and same(
        Const(float("nan"), A.dtype), Const(float("nan"), A.dtype)
    )
    assert not same(i + j, i - j) and not same(ps.cast("int8", x), ps.cast("int16", x)) and same(-x, -x)
    assert same(ps.sum(x, axis=i), ps.sum(x, axis=i)) and not same(ps.sum(x, axis=i), ps.max(x, axis=i))
    assert not same(ps.sum(x, axis=i), ps.sum(x, axis=j))
    assert not same(ps.sum(x, axis=i), ps.sum(x, axis=i, reassociate=True))


def test_equality_builds_a_node_and_hashing_is_by_identity() -> None:
    assert isinstance(i == j, Op) and isinstance(i != 3, Op)
    assert len({i, j, i}) == 2


@pytest.mark.parametrize("to", ["int32", np.int32, np.dtype("int32"), ps.scalar("like", "int32").dtype])
def test_cast_takes_type_and_value_in_either_order(to):
    x = ps.scalar("x", "float32")
    assert same(ps.cast(to, x), ps.cast(x, to))
    assert ps.cast(3.7, to).dtype.name == "int32"
