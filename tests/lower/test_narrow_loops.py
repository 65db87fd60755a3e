"""The pass narrow_loops: the same iterations do something, and no others run where a condition is an interval."""

from __future__ import annotations

import random
from types import ModuleType

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES, INDEX
from polysched.compute.expr import Const, Expr
from polysched.lower.ir import Buffer, For, If, Stmt, Store, Var, statements
from polysched.lower.passes.narrow_loops import narrow_loops
from polysched.lower.printing import program_text

SEEN = Buffer("S", DTYPES["int64"], (Const(7, INDEX), Const(9, INDEX)), "argument")
OUTER, INNER = Var("o"), Var("v")


def nest(condition: Expr) -> Stmt:
    store = Store(SEEN, (OUTER, INNER), Const(1, INDEX))
    inner = For(INNER, Const(0, INDEX), Const(9, INDEX), If(condition, store), "serial")
    return For(OUTER, Const(0, INDEX), Const(7, INDEX), inner, "serial")


def visited(interpreter: ModuleType, stmt: Stmt) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    machine = interpreter.Machine()
    machine.give(SEEN, np.zeros((7, 9), np.int64))
    machine.run(stmt, {})
    return np.asarray(machine.arrays[SEEN])


def random_condition(rng: random.Random, depth: int) -> Expr:
    if depth == 0:
        left = rng.choice((INNER, OUTER, INNER + OUTER, INNER + 1, INNER - 2 * OUTER, 2 * INNER, INNER % 3))
        right = rng.choice((OUTER, OUTER + 3, Const(2, INDEX), Const(5, INDEX), 8 - INNER))
        return rng.choice((left == right, left <= right, left < right, left >= right, left > right, left != right))
    a, b = random_condition(rng, depth - 1), random_condition(rng, depth - 1)
    return rng.choice((a & b, a | b))


@pytest.mark.parametrize("seed", range(150))
def test_the_same_iterations(interpreter: ModuleType, seed: int) -> None:
    rng = random.Random(seed)
    before = nest(random_condition(rng, rng.choice((0, 1, 1, 2))))
    after = narrow_loops(before)
    assert np.array_equal(visited(interpreter, after), visited(interpreter, before)), program_text(after)


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        ((OUTER == 0) | (INNER == 2), "v in select(o == 0, 0, 2)..select(o == 0, 9, 3)"),
        (
            (INNER + 1 == OUTER + 4) | (OUTER <= 2),
            "v in select(o <= 2, 0, max(0, o + 3))..select(o <= 2, 9, min(9, o + 4))",
        ),
        ((INNER >= OUTER) & (INNER < 5), "v in max(0, o)..5"),
        ((OUTER == 0) | (INNER == 2) & (OUTER > 3) | (INNER == 2) & (OUTER < 2), "select(o == 0, 0, select("),
        ((OUTER == 1) & (INNER > 3), "v in select(o == 1, 4, 9)..9"),
    ],
)
def test_intervals_become_bounds(condition: Expr, bounds: str) -> None:
    after = narrow_loops(nest(condition))
    assert bounds in program_text(after)
    assert not any(isinstance(stmt, If) for stmt in statements(after))


def test_conditions_on_loops_around_go_to_them() -> None:
    after = narrow_loops(nest((OUTER == 3) & (INNER != 4)))
    assert program_text(narrow_loops(nest(OUTER == 3))).startswith("for o in 3..4:\n    for v in 0..9:\n        S")
    assert any(isinstance(stmt, If) for stmt in statements(after))


def test_loops_that_are_written_out_keep_their_bounds() -> None:
    loop = For(
        INNER,
        Const(0, INDEX),
        Const(9, INDEX),
        If(INNER == OUTER, Store(SEEN, (OUTER, INNER), Const(1, INDEX))),
        "unroll",
    )
    assert narrow_loops(loop) is loop
