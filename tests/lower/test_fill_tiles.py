"""Partial register tiles over packed operands run as full ones, and only where nothing outside is touched."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES, INDEX
from polysched.compute.expr import Const, Expr, Op
from polysched.lower.ir import Allocate, Block, Buffer, For, Load, LoopKind, Stmt, Store, Var
from polysched.lower.passes.fill_tiles import fill_tiles as filled
from polysched.lower.passes.separate_full_tiles import separate_full_tiles
from polysched.lower.passes.unroll import unroll
from polysched.lower.passes.vectorize import vectorize
from polysched.lower.printing import program_text
from polysched.lower.rewrite import simplified, with_variables

F32 = DTYPES["float32"]
N, K = ps.size_var("n"), ps.size_var("k")


def fill_tiles(stmt: Stmt, vector_bits: int = 128) -> Stmt:
    return filled(stmt, vector_bits)


def number(value: int) -> Const:
    return Const(value, INDEX)


def panels(*, padded: bool = True, width: int = 4) -> Buffer:
    return Buffer("P", F32, (Op("floordiv", (N + 3, number(4)), INDEX), K, number(width)), "heap", padded=padded)


def tile(
    kind: LoopKind,
    source: Buffer,
    end: Expr | None = None,
    *,
    fit: bool = True,
    width: int = 4,
    index: Callable[[Var, Var, Var], tuple[Expr, ...]] = lambda o, i, r: (o, r, i),
) -> Stmt:
    """Sums of columns of panels in a register tile of so many, written back."""
    o, r, i, back = Var("o"), Var("r"), Var("i"), Var("i")
    C = Buffer("C", F32, (N,), "argument")
    T = Buffer("T", F32, (number(width),), "register", padded=fit)
    left = Op("min", (number(width), N - width * o), INDEX) if end is None else end
    update = Store(T, (i,), Op("add", (Load(T, (i,)), Load(source, index(o, i, r))), F32))
    write = For(back, number(0), left, Store(C, (width * o + back,), Load(T, (back,))), kind)
    work = For(r, number(0), K, For(i, number(0), left, update, kind))
    count = Op("floordiv", (N + (width - 1), number(width)), INDEX)
    return For(o, number(0), count, Allocate(T, Block((work, write))))


def text(stmt: Stmt) -> str:
    return program_text(simplified(stmt))


@pytest.mark.parametrize(("kind", "word"), [("unroll", "unrolled"), ("vectorize", "vectorized")])
def test_the_work_is_full_and_the_write_back_is_not(kind: LoopKind, word: str) -> None:
    wanted = f"""
        for o in 0..(n + 3) // 4:
            register T: float32[4]
            for r in 0..k:
                {word} for i in 0..4:
                    T[i] = T[i] + P[o, r, i]
            if n - 4 * o - 4 >= 0:
                {word} for i in 0..4:
                    C[4 * o + i] = T[i]
            else:
                {word} for i in 0..min(4, n - 4 * o):
                    C[4 * o + i] = T[i]
    """
    assert text(separate_full_tiles(fill_tiles(tile(kind, panels())))) == dedent(wanted).strip()


@pytest.mark.parametrize(
    "stmt",
    [
        tile("vectorize", panels(padded=False)),
        tile("unroll", panels(), fit=False),
        tile("unroll", Buffer("P", F32, (N, K, number(4)), "argument"), index=lambda o, i, r: (o, i + r, i)),
        tile("vectorize", Buffer("P", F32, (N, K, number(4)), "argument")),
        tile("unroll", panels(), Op("min", (number(4), K - 1), INDEX)),  # which may be none at all
    ],
    ids=["vectors of no panels", "not one tile", "other rows for each term", "vectors", "perhaps empty"],
)
def test_what_may_leave_memory_is_not_filled(stmt: Stmt) -> None:
    assert text(fill_tiles(stmt)) == text(stmt)


def test_rows_that_are_not_packed_repeat_the_last_one() -> None:
    rows = Buffer("A", F32, (N, K), "argument")
    found = text(fill_tiles(tile("unroll", rows, index=lambda o, i, r: (4 * o + i, r))))
    assert "T[i] = T[i] + A[4 * o + min(i, n - 4 * o - 1), r]" in found
    assert found.count("unrolled for i in 0..4:") == 1


def test_few_columns_take_as_few_vectors() -> None:
    wanted = """
                if n - 12 * o <= 4:
                    for r in 0..k:
                        vectorized for i in 0..4:
                            T[i] = T[i] + P[o, r, i]
                else:
                    if n - 12 * o <= 8:
                        for r in 0..k:
                            vectorized for i in 0..8:
                                T[i] = T[i] + P[o, r, i]
                    else:
                        for r in 0..k:
                            vectorized for i in 0..12:
                                T[i] = T[i] + P[o, r, i]
    """
    found = text(separate_full_tiles(fill_tiles(tile("vectorize", panels(width=12), width=12))))
    assert dedent(wanted).strip() in dedent(found.split("float32[12]\n")[1])
    assert found.count("for r in") == 3, "what is written back is separated without the work"


def test_columns_that_are_never_so_few_take_all_vectors() -> None:
    """Of 30 columns the last tile of 12 has six."""
    o = Var("o")
    stmt = tile("vectorize", panels(width=12), Op("min", (number(12), number(30) - 12 * o), INDEX), width=12)
    assert isinstance(stmt, For)
    inner = Var("o")
    stmt = For(inner, number(0), number(3), with_variables(stmt.body, {stmt.var: inner, o: inner}))
    assert "<= 8:" in text(fill_tiles(stmt))
    assert "<= 4:" not in text(fill_tiles(stmt))


def packing(kind: LoopKind, destination: Buffer, end: Any = None) -> Stmt:
    A, o, r, i = Buffer("A", F32, (N, K), "argument"), Var("o"), Var("r"), Var("i")
    left = Op("min", (number(4), N - 4 * o), INDEX) if end is None else end(r)
    inner = For(i, number(0), left, Store(destination, (o, r, i), Load(A, (4 * o + i, r))), kind)
    return For(o, number(0), Op("floordiv", (N + 3, number(4)), INDEX), For(r, number(0), K, inner))


def test_a_partial_panel_is_written_whole() -> None:
    written = text(vectorize(packing("vectorize", panels())))
    assert "P[o, r, ramp(0, 4)] = A[4 * o + ramp(0, 4), r if ramp(0, 4) < n - 4 * o]" in written
    assert "where" not in written
    rows = text(unroll(packing("unroll", panels())))
    assert "if" not in rows
    assert "P[o, r, 3] = A[4 * o + min(3, n - 4 * o - 1), r]" in rows


def test_other_memory_is_written_within_its_bounds() -> None:
    assert "where" in text(vectorize(packing("vectorize", panels(padded=False))))
    assert "if 3 < n - 4 * o:" in text(unroll(packing("unroll", panels(padded=False))))
    assert "if 3 < n - 4 * o:" in text(unroll(packing("unroll", panels(width=3))))
