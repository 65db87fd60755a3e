"""Equal parts of an expression as one node."""

from __future__ import annotations

import polysched as ps
from polysched.compute.expr import Const, Expr, Op, Read, const, same, walk
from polysched.compute.sharing import shared
from polysched.lower.ir import Load, Store, statements
from polysched.target.build import lowered_for

A = ps.placeholder((8, 9), "float32", name="A")
i = ps.reduce_axis((0, 7), name="i")


def read(step: int) -> Read:
    return Read(A, (i + step, const(step)))


def reads(expr: Expr) -> int:
    return sum(isinstance(node, Read) for node in walk(expr))


def test_equal_parts_are_one_node() -> None:
    def square(step: int) -> Expr:
        return read(step) * read(step)

    expr = (square(0) + square(1)) * (square(1) - square(0))
    found = shared(expr)
    assert (reads(expr), reads(found)) == (8, 2)
    assert same(found, expr)
    assert found.children[0].children[0] is found.children[1].children[1]


def test_constants_of_other_types_and_signs_are_not_equal() -> None:
    zeros = Op("sub", (Const(0.0, A.dtype), Const(-0.0, A.dtype)), A.dtype)
    assert same(shared(zeros), zeros)
    casts = ps.cast("int32", read(0)) + ps.cast("int16", read(0))
    assert same(shared(casts), casts)


def test_what_is_left_stays_the_same_object() -> None:
    own = read(0)
    found = shared(read(0) + own, lambda node: node is own)
    assert found.children[1] is own
    assert found.children[0] is not own


def test_checks_stay_apart() -> None:
    index = ps.placeholder((7,), "int32", name="index")
    both = [A[ps.checked(index[i]), 0] for _ in range(2)]
    assert reads(shared(both[0] + both[1])) == 3  # of A twice, and the index that both share


def test_a_stage_inlined_twice_is_lowered_once() -> None:
    B = ps.compute((7,), lambda i: A[i, 0] * A[i + 1, 1], name="B")
    C = ps.compute((7,), lambda i: B[i] * B[i] - B[i], name="C")
    s = ps.Schedule(C)
    s[B].inline()
    lowered = lowered_for(s, ps.Target("native", threads=1), verified=True)
    found = [stmt for stmt in statements(lowered.stages["loops"]) if isinstance(stmt, Store)]
    assert [sum(isinstance(node, Load) for node in walk(stmt.value)) for stmt in found] == [2]
