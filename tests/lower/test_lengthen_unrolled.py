"""The pass lengthen_unrolled: bounds go only where all that is in the loop is empty beyond them."""

from __future__ import annotations

import random
from types import ModuleType

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES, INDEX
from polysched.compute.expr import Const, Expr, Op
from polysched.lower.ir import Block, Buffer, For, If, Stmt, Store, Var
from polysched.lower.passes.lengthen_unrolled import lengthen_unrolled
from polysched.lower.printing import program_text

SEEN = Buffer("S", DTYPES["int64"], tuple(Const(n, INDEX) for n in (9, 4, 6)), "argument")
OUTER, STEP, LANE = Var("o"), Var("u"), Var("v")


def number(value: int) -> Const:
    return Const(value, INDEX)


def most(name: str, a: Expr, b: Expr) -> Expr:
    return Op(name, (a, b), INDEX)


def vectors(begin: Expr, end: Expr) -> Stmt:
    store = Store(SEEN, (OUTER, STEP, LANE), number(1))
    return For(LANE, most("max", number(0), begin), most("min", number(6), end), store, "vectorize")


def steps(begin: Expr, end: Expr, body: Stmt) -> Stmt:
    unrolled = For(STEP, most("max", number(0), begin), most("min", number(4), end), body, "unroll")
    return For(OUTER, number(0), number(9), unrolled, "serial")


def visited(interpreter: ModuleType, stmt: Stmt) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    machine = interpreter.Machine()
    machine.give(SEEN, np.zeros((9, 4, 6), np.int64))
    machine.run(stmt, {})
    return np.asarray(machine.arrays[SEEN])


@pytest.mark.parametrize("seed", range(200))
def test_the_same_iterations(interpreter: ModuleType, seed: int) -> None:
    rng = random.Random(seed)

    def bound(*of: Expr) -> Expr:
        return rng.choice((OUTER, -OUTER, number(0))) + rng.choice(of) + rng.randint(-4, 9)

    body = [vectors(bound(STEP, -STEP, number(0)), bound(STEP, -STEP, number(0))) for _ in range(rng.choice((1, 1, 2)))]
    before = steps(bound(number(0)), bound(number(0)), body[0] if len(body) == 1 else Block(tuple(body)))
    after = lengthen_unrolled(before)
    assert np.array_equal(visited(interpreter, after), visited(interpreter, before)), program_text(after)


def test_bounds_that_the_vectors_imply_go() -> None:
    """At u = 7 - o the vectors begin at 6, where they end; at u = o - 5 and before they end at 0."""
    body = vectors(OUTER + STEP - 1, STEP - OUTER + 5)
    assert "for u in 0..4" in program_text(lengthen_unrolled(steps(OUTER - 4, 7 - OUTER, body)))
    assert "for u in 0..min(4, 6 - o)" in program_text(lengthen_unrolled(steps(OUTER - 4, 6 - OUTER, body)))
    assert "for u in max(0, o - 3)..4" in program_text(lengthen_unrolled(steps(OUTER - 3, 7 - OUTER, body)))


def test_bounds_of_other_work_stay() -> None:
    empty = vectors(OUTER + STEP - 1, number(6))
    alone = Store(SEEN, (OUTER, STEP, number(0)), number(1))
    for body in (Block((empty, alone)), If(OUTER > 3, empty, alone)):
        before = steps(number(0), 7 - OUTER, body)
        assert program_text(lengthen_unrolled(before)) == program_text(before)
    serial = For(STEP, number(0), most("min", number(4), 7 - OUTER), empty, "serial")
    assert lengthen_unrolled(serial) is serial
