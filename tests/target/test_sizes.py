"""Sizes from shapes."""

from __future__ import annotations

import pytest

from polysched.compute.operations import apply
from polysched.compute.sizes import evaluate_extent, solve_plan
from polysched.compute.tensor import size_var, validated_shape
from polysched.errors import ArgumentError

n, m, k = size_var("n"), size_var("m"), size_var("k")


def solve(arrays, shapes, given=None, sizes=(n, m)):
    plan = solve_plan([(name, validated_shape(shape, name)) for name, shape in arrays], sizes)
    return plan.solve(shapes, given)


def test_plain_sizes_come_first():
    plan = solve_plan([("A", validated_shape((n + 1, n), "A"))], (n,))
    assert [(step.source.dimension, step.coefficient) for step in plan.steps] == [(1, 1)]
    assert [check.dimension for check in plan.checks] == [0]


@pytest.mark.parametrize(
    ("extent", "length", "expected"),
    [(2 * n, 10, 5), (n * 3 + 1, 10, 3), (7 - n, 3, 4), (-n + 9, 2, 7), (2 * (n - 1) - n, 4, 6)],
)
def test_linear_extents(extent, length, expected):
    assert solve([("A", (extent,))], [(length,)], sizes=(n,)) == {"n": expected}


def test_sizes_are_solved_in_dependency_order():
    assert solve([("A", (2 * n + m,)), ("B", (m * 4,))], [(16,), (8,)]) == {"m": 2, "n": 7}


def test_given_sizes_help_and_must_agree():
    arrays = [("A", (n + m,))]
    with pytest.raises(ArgumentError, match="no array has a shape that determines n, m; give a value, as in n=8"):
        solve(arrays, [(7,)])
    assert solve(arrays, [(7,)], {"n": 3}) == {"n": 3, "m": 4}
    with pytest.raises(ArgumentError, match=r"A has the shape \(7,\); its dimension 0 must be n \+ m = 8 \(n is 3 as"):
        solve(arrays, [(7,)], {"n": 3, "m": 5})


@pytest.mark.parametrize("extent", [n // 2, n % 4, n * n, n * m])
def test_other_extents_determine_nothing(extent):
    assert solve_plan([("A", validated_shape((extent,), "A"))], (n,)).missing == (n,)


@pytest.mark.parametrize(
    ("arrays", "shapes", "words"),
    [
        (
            [("A", (n, k)), ("B", (k, m))],
            [(2, 5), (3, 4)],
            "B has the shape (3, 4); its dimension 0 must be k = 5 (k is 5 from dimension 1 of A)",
        ),
        ([("A", (2 * n,))], [(7,)], "A has the shape (7,); its dimension 0 must be 2 * n for an integer n"),
        ([("A", (n,)), ("B", (3,))], [(7,), (4,)], "B has the shape (4,); its dimension 0 must be 3"),
        ([("A", (n - 3,)), ("B", (n // 0,))], [(1,), (3,)], "B has the extent n // 0, which divides by zero (n is 4"),
        ([("A", (n + 3,))], [(1,)], "n is -2 from dimension 0 of A; it must be at least 0"),
    ],
)
def test_errors(arrays, shapes, words):
    names = [s for s in (n, m, k) if s.name in str(arrays)]
    with pytest.raises(ArgumentError) as error:
        solve(arrays, shapes, sizes=names)
    assert error.value.reason.startswith(words)


def test_promises():
    p = size_var("p", min=8, multiple_of=4)
    arrays = [("A", (p,))]
    assert solve(arrays, [(12,)], sizes=(p,)) == {"p": 12}
    with pytest.raises(ArgumentError, match="p is 4 from dimension 0 of A; it must be at least 8"):
        solve(arrays, [(4,)], sizes=(p,))
    with pytest.raises(ArgumentError, match="p is 10 from dimension 0 of A; it must be a multiple of 4"):
        solve(arrays, [(10,)], sizes=(p,))


def test_evaluation_is_pythons():
    values = {"n": 7, "m": 2}
    extents = [n // m, -n // m, n % m, -n % 4, n * m - 1, apply("min", n, m), apply("max", n, m)]
    assert [evaluate_extent(e, values) for e in extents] == [3, -4, 1, 1, 13, 2, 7]
