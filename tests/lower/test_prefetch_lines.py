"""What is fetched ahead, address by address: all that is read later, wherever lines begin, and nothing outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.lower.printing import program_text

Positions = set[int]
LINE = 16  # float32 elements


def image() -> ps.Tensor:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m + 1), "float32", name="A")
    return ps.compute((n, m), lambda i, j: A[i + 2, j + 1] + A[i, j], name="C")


def rows(s: ps.Schedule) -> None:
    s["C"].prefetch("A", at="i")


def rows_further(s: ps.Schedule) -> None:
    s["C"].prefetch("A", at="i", distance=3)


def line_by_line(s: ps.Schedule) -> None:
    s["C"].split("j", 16)
    s["C"].vectorize("j_i")
    s["C"].prefetch("A", at="j_o", by="i")


def tiles(s: ps.Schedule) -> None:
    s["C"].tile("i", "j", 4, 24)
    s["C"].prefetch("A", at="i_o")


def tiles_in_a_row(s: ps.Schedule) -> None:
    s["C"].tile("i", "j", 4, 24)
    s["C"].prefetch("A", at="j_o", distance=2)


# What need not have been fetched when it is read: the rows, or columns, of the first iterations.
CASES: dict[str, tuple[Callable[[ps.Schedule], None], Callable[[int, int], bool]]] = {
    "rows": (rows, lambda i, j: i < 3),
    "rows_further": (rows_further, lambda i, j: i < 5),
    "line_by_line": (line_by_line, lambda i, j: i < 3),
    "tiles": (tiles, lambda i, j: i < 6),
    "tiles_in_a_row": (tiles_in_a_row, lambda i, j: j < 49),
}


def traced(
    lowered: Callable[..., Any], run_ir: Callable[..., Any], s: ps.Schedule, given: list[Any], sizes: dict[str, int]
) -> list[tuple[str, str, int]]:
    """What the last pass' code fetches and loads, in order."""
    made, events = lowered(s), list[tuple[str, str, int]]()
    reference = ps.evaluate(s.outputs[0], dict(zip(s.program.arguments, given, strict=True)))
    (result,) = run_ir(made, made.stages["simplify"], s.program, given, sizes, events)
    assert np.array_equal(result, reference)
    return events


def lacking(events: list[tuple[str, str, int]], name: str, shift: int, line: int = LINE) -> Positions:
    """The positions of a buffer that are loaded before their line is fetched, where lines begin `shift` elements
    before the buffer."""
    there, found = set[int](), set[int]()
    for word, of, position in events:
        if of == name and word == "prefetch":
            there.add((position + shift) // line)
        elif of == name and (position + shift) // line not in there:
            found.add(position)
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(1, 1), (9, 49), (8, 26)])
def test_what_is_read_has_been_fetched(
    name: str, shape: tuple[int, int], lowered: Callable[..., Any], run_ir: Callable[..., Any]
) -> None:
    schedule, early = CASES[name]
    s = ps.Schedule(image())
    schedule(s)
    n, m = shape
    array = np.random.default_rng(1).random((n + 2, m + 1), np.float32)
    events = traced(lowered, run_ir, s, [array], {"n": n, "m": m})
    for shift in (0, 1, 15):
        for position in lacking(events, "A", shift):
            assert early(*divmod(position, m + 1)), f"{divmod(position, m + 1)} with lines {shift} before"


def test_one_prefetch_a_line(lowered: Callable[..., Any], run_ir: Callable[..., Any]) -> None:
    A = ps.placeholder((5, 64), "float32", name="A")
    s = ps.Schedule(ps.compute((5, 64), lambda i, j: A[i, j] + 1, name="C"))
    s["C"].prefetch("A", at="i")
    events = traced(lowered, run_ir, s, [np.ones((5, 64), np.float32)], {})
    fetched = [position for word, _, position in events if word == "prefetch"]
    # A row is in at most five lines, as it may begin within one.
    assert fetched == [64 * i + place for i in range(1, 5) for place in (0, 16, 32, 48, 63)]


def test_panels_are_fetched_as_they_lie(lowered: Callable[..., Any], run_ir: Callable[..., Any]) -> None:
    A, B = (ps.placeholder((20, 20), "float32", name=name) for name in "AB")
    r = ps.reduce_axis((0, 20), name="r")
    C = ps.compute((20, 20), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 4, 4)
    s[C].reorder("j_o", "i_o", "r", "i_i", "j_i")
    s[C].pack(B, at="j_o", layout=("j", "r"), name="P")
    s[C].pack(A, layout=("i/4", "r", "i%4"), name="Q")
    s[C].prefetch("Q", at="i_o")
    s[C].prefetch("P", at="r", distance=2)
    given = [np.arange(400, dtype=np.float32).reshape(20, 20) % 7, np.ones((20, 20), np.float32)]
    events = traced(lowered, run_ir, s, given, {})
    assert lacking(events, "Q", 0) <= set(range(80)), "all but the first panel of four rows"
    fetched = {position for word, of, position in events if (word, of) == ("prefetch", "P")}
    assert fetched <= {20 * j + r for j in range(4) for r in range(20)}
    assert {20 * j + r for j in range(4) for r in range(2, 20)} <= fetched


def test_a_copy_in_a_loop_of_one_iteration_is_fetched(lowered: Callable[..., Any], run_ir: Callable[..., Any]) -> None:
    """isl leaves out r_c, in which the copy is made, and where its cells are depends on."""
    A, B = (ps.placeholder((20, 20), "float32", name=name) for name in "AB")
    r = ps.reduce_axis((0, 20), name="r")
    C = ps.compute((20, 20), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].split("r", 32, outer="r_c", inner="r")
    s[C].split("j", 4)
    s[C].reorder("r_c", "j_o", "i", "r", "j_i")
    s[C].pack(B, at="r_c", layout=("j/4", "r", "j%4"), name="P")
    s[C].prefetch("P", at="r", by="j_o")
    given = [np.arange(400, dtype=np.float32).reshape(20, 20) % 7, np.ones((20, 20), np.float32)]
    events = traced(lowered, run_ir, s, given, {})
    assert lacking(events, "P", 0, line=4) == set(range(80)), "all but the first panel of four columns"


def test_an_array_of_any_strides(lowered: Callable[..., Any]) -> None:
    A = ps.placeholder((9, 40), "float32", name="A", strides="any")
    s = ps.Schedule(ps.compute((9, 40), lambda i, j: A[i, j] + 1, name="C"))
    s["C"].prefetch("A", at="i")
    text = lowered(s).stages["simplify"]
    kernel, array = ps.build(s, check=True), np.random.default_rng(2).random((40, 18), np.float32)
    for view in (array.T[::2], array.T[9:], np.ascontiguousarray(array.T[:9])):
        assert np.array_equal(kernel(view), view + 1)
    assert "if A.stride1 == 1:" in program_text(text)


def test_what_would_be_too_much_at_some_sizes_is_not_fetched_there() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float32", name="A")
    s = ps.Schedule(ps.compute((n, m), lambda i, j: A[i, j] + 1, name="C"))
    s["C"].prefetch("A", at="i")
    assert "(m + 14) // 16 + 1 <= 1024" in ps.build(s, "x86-64-v3").source("loops")
