"""Pieces of fused loops of symbolic extents: what is known of them is exact where they are cut evenly, or far apart."""

from __future__ import annotations

from typing import Any

import pytest

import polysched as ps

from ..oracle.oracle import Oracle

SIZES = ({"n": 8, "m": 3}, {"n": 16, "m": 2}, {"n": 24, "m": 5})


def row_sums(**promises: int) -> ps.Schedule:
    """Sums in order, over the outer loop, fused with the rows: (r, i) in a box of m and n."""
    n, m = ps.size_var("n", **promises), ps.size_var("m")
    A = ps.placeholder((m, n), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    S = ps.compute((n,), lambda i: ps.sum(A[r, i], axis=r), name="S")
    s = ps.Schedule(S)
    s["S"].reorder("r", "i")
    s["S"].fuse("r", "i", name="f")
    return s


def legal(s: ps.Schedule, word: str, *arguments: Any) -> None:
    getattr(s["S"], word)(*arguments)
    for sizes in SIZES:
        assert next(Oracle(s.state, sizes).violations(), None) is None


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("word", ["vectorize", "parallel"])
def test_pieces_of_rows_that_they_divide(word: str, factor: int) -> None:
    s = row_sums(multiple_of=8)
    s["S"].split("f", factor)
    assert isinstance(s["S"].why_not("parallel", "f_o"), ps.LegalityError)
    legal(s, word, "f_i")


def test_pieces_of_pieces_and_another_order() -> None:
    s = row_sums(multiple_of=8)
    s["S"].split("f", 4)
    s["S"].split("f_o", 2, outer="a", inner="b")
    legal(s, "reorder", "b", "a", "f_i")
    legal(s, "reorder", "b", "f_i", "a")
    legal(s, "parallel", "b")
    refusal = s["S"].why_not("reverse", "a")
    assert isinstance(refusal, ps.LegalityError)
    assert Oracle(s.state, refusal.sizes).runs


def test_pieces_that_are_longer_than_a_row_of_literal_extent() -> None:
    m = ps.size_var("m", multiple_of=2)
    k = ps.size_var("k")
    A = ps.placeholder((k, m, 3), "float32", name="A")
    r = ps.reduce_axis((0, k), name="r")
    s = ps.Schedule(ps.compute((m, 3), lambda i, j: ps.sum(A[r, i, j], axis=r), name="S"))
    s["S"].reorder("r", "i", "j")
    s["S"].fuse("r", "i", "j", name="f")
    s["S"].split("f", 6)
    s["S"].vectorize("f_i")
    for sizes in ({"m": 2, "k": 3}, {"m": 6, "k": 2}):
        assert next(Oracle(s.state, sizes).violations(), None) is None


def test_rows_that_are_longer_than_a_piece() -> None:
    """Updates of one element are n positions apart, so that no two are in a piece of 8."""
    s = row_sums(min=8)
    s["S"].split("f", 8)
    legal(s, "vectorize", "f_i")
    s = row_sums(min=7)
    s["S"].split("f", 8)
    refusal = s["S"].why_not("vectorize", "f_i")
    assert isinstance(refusal, ps.LegalityError)
    assert refusal.sizes["n"] == 7


def test_another_order_of_pieces_that_do_not_divide_rows_is_refused() -> None:
    s = row_sums(min=8)
    s["S"].split("f", 8)
    assert isinstance(s["S"].why_not("reorder", "f_i", "f_o"), ps.LegalityError)
