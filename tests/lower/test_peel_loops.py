"""peel: what the iterations in the middle no longer need, and that all iterations are there, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import INDEX
from polysched.compute.expr import const
from polysched.compute.simplify import constant_value
from polysched.lower.ir import Block, Buffer, For, Stmt, Store, Var, statements, values
from polysched.lower.passes.peel_loops import peel_loops
from polysched.lower.printing import program_text

Schedule = Callable[[ps.Schedule], object]


def border() -> ps.Schedule:
    """A five-point stencil that is 0 outside."""
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float32", name="A")

    def rows(i: Any, j: Any) -> Any:
        return ps.select(i > 0, A[i - 1, j], 0.0) + ps.select(i < n - 1, A[i + 1, j], 0.0)

    def columns(i: Any, j: Any) -> Any:
        return ps.select(j >= 1, A[i, j - 1], 0.0) + ps.select(j + 1 < m, A[i, j + 1], 0.0)

    return ps.Schedule(ps.compute((n, m), lambda i, j: rows(i, j) + columns(i, j) + A[i, j], name="C"))


def matmul() -> ps.Schedule:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.Schedule(ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C"))


def heat() -> ps.Schedule:
    T, n = ps.size_var("T"), ps.size_var("n")
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    return ps.Schedule(u)


def innermost(stmt: Stmt) -> list[For]:
    """The loops that stand around no others."""
    loops = [inner for inner in statements(stmt) if isinstance(inner, For)]
    return [loop for loop in loops if not any(isinstance(inner, For) for inner in statements(loop.body))]


def test_the_middle_has_no_conditions(lowered: Callable[..., Any]) -> None:
    s = border()
    assert s["C"].peel("i") == (1, 1)
    assert s["C"].peel("j") == (1, 1)
    lines = [program_text(loop) for loop in innermost(lowered(s).stages["simplify"])]
    assert len(lines) == 9
    assert ["select" in text for text in lines].count(False) >= 1
    middle = lines[4]
    assert (
        middle == "for j in 1..m - 1:\n    C[i, j] = A[i - 1, j] + A[i + 1, j] + (A[i, j - 1] + A[i, j + 1]) + A[i, j]"
    )


def test_lanes_in_the_middle_are_not_masked(lowered: Callable[..., Any]) -> None:
    s = border()
    s["C"].split("j", 8)
    s["C"].vectorize("j_i")
    s["C"].parallel("i")
    assert (s["C"].peel("i"), s["C"].peel("j_o")) == ((1, 1), (1, 1))
    stages = lowered(s).stages
    texts = [program_text(loop) for loop in innermost(stages["simplify"])]
    assert len(texts) == 9
    assert "select" not in texts[4] and " if " not in texts[4] and "where" not in texts[4]
    assert "where" in texts[3] and "where" in texts[5]


def test_a_loop_in_one_piece(lowered: Callable[..., Any]) -> None:
    """Without, the loop over tiles is cut where they are no longer full."""
    for pieces, peel in ((2, None), (1, 0)):
        s = border()
        s["C"].split("j", 8)
        s["C"].vectorize("j_i")
        if peel is not None:
            s["C"].peel("j_o", first=peel, last=peel)
        assert len(innermost(lowered(s).stages["simplify"])) == pieces


def test_the_last_tiles_apart(lowered: Callable[..., Any]) -> None:
    s = matmul()
    s["C"].tile("i", "j", 4, 8)
    s["C"].reorder("i_o", "j_o", "r", "i_i", "j_i")
    s["C"].unroll("i_i")
    s["C"].vectorize("j_i")
    s["C"].peel("i_o", last=1)
    s["C"].peel("j_o", last=1)
    texts = [program_text(loop) for loop in innermost(lowered(s).stages["simplify"])]
    assert [("where" in text or "if" in text or "min" in text) for text in texts] == [False, True, True, True]


def test_a_tile_that_lacks_one_element_is_not_full(lowered: Callable[..., Any]) -> None:
    A = ps.placeholder((3, 31), "float32", name="A")
    s = ps.Schedule(ps.compute((3, 31), lambda i, j: A[i, j] + 1, name="C"))
    s["C"].split("j", 16)
    s["C"].vectorize("j_i")
    s["C"].peel("j_o", first=1)
    assert program_text(lowered(s).stages["vectorize"]).count("where") == 1


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 0), (0, 1), (2, 3), (64, 64)])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 200])
def test_every_iteration_once_and_in_order(first: int, last: int, count: int) -> None:
    i, place = Var("i"), Buffer("B", INDEX, (const(1),), "argument")
    loop = For(i, const(3), const(3 + count), Store(place, (const(0),), i), peel=(first, last))
    ran: list[int] = []
    for part in _parts(peel_loops(loop)):
        begin, end = (int(constant_value(bound)) for bound in values(part)[:2])
        ran += range(begin, end)
    assert ran == list(range(3, 3 + count))


def _parts(stmt: Stmt) -> list[For]:
    return [part for part in (stmt.body if isinstance(stmt, Block) else (stmt,)) if isinstance(part, For)]


SCHEDULES: dict[str, tuple[Callable[[], ps.Schedule], Schedule]] = {
    "rows": (border, lambda s: s["C"].peel("i")),
    "many": (border, lambda s: (s["C"].peel("i", first=3), s["C"].peel("j", first=2, last=5))),
    "reversed": (border, lambda s: (s["C"].reverse("i"), s["C"].peel("i"))),
    "threads": (border, lambda s: (s["C"].split("i", 4), s["C"].parallel("i_o"), s["C"].peel("i_o", first=1, last=2))),
    "sum": (matmul, lambda s: (s["C"].split("r", 4), s["C"].peel("r_o", first=1, last=1))),
    "fused": (matmul, lambda s: (s["C"].split(s["C"].fuse("i", "j"), 8), s["C"].peel("i_j_o", last=1))),
    "recurrence": (heat, lambda s: s["u"].peel("i")),
    "skewed": (heat, lambda s: (s["u"].skew("i", 1, by="t"), s["u"].tile("t", "i", 3, 8), s["u"].peel("i_o", first=1))),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_bit_changes(name: str) -> None:
    make, schedule = SCHEDULES[name]
    s = make()
    schedule(s)
    kernel, reference = ps.build(s, check=True), ps.build(ps.Schedule(s.outputs))
    rng = np.random.default_rng(4)
    for n, m, k in ((0, 0, 0), (1, 1, 1), (2, 3, 2), (5, 40, 9), (19, 17, 16)):
        sizes = {"n": n, "m": m, "k": k, "T": k}
        shapes = [[sizes[str(extent)] for extent in tensor.shape] for tensor in s.program.arguments]
        arrays = [rng.random(shape).astype(s.outputs[0].dtype.numpy) for shape in shapes]
        named = {size.name: sizes[size.name] for size in s.program.sizes}
        assert kernel(*arrays, **named).tobytes() == reference(*arrays, **named).tobytes(), sizes
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s and str(again) == str(s)


def test_numbers_that_are_found() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n + 5,), "float32", name="A")

    def found(condition: Callable[[Any], Any]) -> tuple[int, int]:
        B = ps.compute((n,), lambda i: ps.select(condition(i), A[i], A[i + 5]), name="B")
        return ps.Schedule(B)["B"].peel("i")

    assert found(lambda i: (i >= 3) & (i <= n - 3)) == (3, 2)
    assert found(lambda i: i < 4) == (4, 0)
    assert found(lambda i: ~((i > 1) | (i + 7 >= n))) == (2, 7)
    with pytest.raises(ps.ScheduleError, match="no comparison in a select of B is decided by leaving out the first"):
        found(lambda i: i % 2 < 1)


REFUSALS: dict[str, tuple[Callable[[], ps.Schedule], Schedule, str]] = {
    "too many": (
        border,
        lambda s: s["C"].peel("i", first=65),
        "peel of i takes first= as an integer from 0 to 64, not 65",
    ),
    "lanes": (
        border,
        lambda s: (s["C"].split("j", 8), s["C"].vectorize("j_i"), s["C"].peel("j_i", last=1)),
        "loops that can be peeled are i, j_o",
    ),
    "made into lanes": (
        border,
        lambda s: (s["C"].split("j", 8), s["C"].peel("j_i", last=1), s["C"].vectorize("j_i")),
        "j_i of C is peeled, and vectorized loops are one piece of code; split j_i and peel the outer loop instead",
    ),
    "split": (
        border,
        lambda s: (s["C"].peel("i"), s["C"].split("i", 4)),
        "i of C is peeled; split first, and then peel what that makes",
    ),
    "five loops": (
        border,
        lambda s: [
            s["C"].peel(loop, last=1)
            for loop in (*s["C"].split("i", 8), *s["C"].split("j", 64)[:1], *s["C"].split("j_i", 8))
        ],
        "each loop that is peeled makes three versions of what is in it, and 4 loops of C are peeled already",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_would_be_accepted(name: str) -> None:
    make, schedule, words = REFUSALS[name]
    with pytest.raises(ps.ScheduleError) as refusal:
        schedule(make())
    assert words in str(refusal.value)
