"""Each pass alone: the loop IR before and after it, as it is printed."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest

import polysched as ps
from polysched.compute.dtypes import BOOL, DTYPES, INDEX
from polysched.compute.expr import Const, Expr, Op
from polysched.lower.ir import (
    Allocate,
    Block,
    Buffer,
    Check,
    For,
    If,
    Let,
    Load,
    LoopKind,
    Ramp,
    Stmt,
    Store,
    Var,
    lanes,
)
from polysched.lower.passes.promote_accumulators import promote_accumulators
from polysched.lower.passes.separate_full_tiles import separate_full_tiles
from polysched.lower.passes.split_vectors import split_vectors
from polysched.lower.passes.unroll import unroll
from polysched.lower.passes.vectorize import vectorize
from polysched.lower.printing import program_text
from polysched.lower.rewrite import simplified
from polysched.lower.verify import verify

F32, F64, U8 = DTYPES["float32"], DTYPES["float64"], DTYPES["uint8"]
N, M = ps.size_var("n"), ps.size_var("m")
A = Buffer("A", F32, (N,), "argument")
B = Buffer("B", F32, (N, M), "argument")
C = Buffer("C", F32, (N,), "argument")
I = Buffer("I", INDEX, (N,), "argument")
D = Buffer("D", F64, (N,), "argument")


def number(value: int) -> Const:
    return Const(value, INDEX)


def smallest(*bounds: Expr) -> Expr:
    result = bounds[0]
    for bound in bounds[1:]:
        result = Op("min", (result, bound), INDEX)
    return result


def loop(var: Var, end: Any, body: Stmt, kind: LoopKind = "serial", begin: Any = 0) -> For:
    first, last = (number(e) if isinstance(e, int) else e for e in (begin, end))
    return For(var, first, last, body, kind)


def add(a: Expr, b: Expr) -> Op:
    return Op("add", (a, b), a.dtype)


def check(made: Stmt, wanted: str) -> None:
    assert program_text(made) == dedent(wanted).strip()
    verify(made, ["test"], [A, B, C, I, D])


# unroll


def test_unroll_guards_what_a_tail_leaves_out() -> None:
    i = Var("i")
    made = unroll(loop(i, smallest(number(2), N), Store(A, (i,), Load(C, (i,))), "unroll"))
    check(
        made,
        """
        if 0 < n:
            A[0] = C[0]
        if 1 < n:
            A[1] = C[1]
        """,
    )


def test_unroll_counts_from_the_full_tile_where_the_begin_is_a_maximum() -> None:
    i = Var("i")
    made = unroll(loop(i, 2, Store(A, (i,), Load(C, (i,))), "unroll", Op("max", (number(0), N - 3), INDEX)))
    check(
        made,
        """
        if 0 >= n - 3:
            A[0] = C[0]
        if 1 >= n - 3:
            A[1] = C[1]
        """,
    )


def test_unroll_repeats_the_last_operands_where_only_registers_are_stored() -> None:
    i, r = Var("i"), Var("r")
    tile = Buffer("tile", F32, (number(2),), "register", padded=True)
    update = Store(tile, (i,), add(Load(tile, (i,)), Load(B, (i, r))))
    check(
        Allocate(tile, unroll(loop(r, M, loop(i, smallest(number(2), N), update, "unroll")))),
        """
        register tile: float32[2]
        for r in 0..m:
            if 0 < min(2, n):
                tile[0] = tile[0] + B[min(0, n - 1), r]
                tile[1] = tile[1] + B[min(1, n - 1), r]
        """,
    )


def test_unroll_leaves_other_loops_and_binds_no_variable_twice() -> None:
    i, k = Var("i"), Var("k")
    made = unroll(loop(i, 2, loop(k, M, Store(B, (i, k), Load(C, (i,)))), "unroll"))
    check(
        made,
        """
        for k in 0..m:
            B[0, k] = C[0]
        for k in 0..m:
            B[1, k] = C[1]
        """,
    )


# vectorize


def test_vectorize_masks_a_tail_and_runs_it_only_where_a_lane_is_left() -> None:
    i, o = Var("i"), Var("o")
    body = Store(A, (8 * o + i,), Load(C, (8 * o + i,)))
    made = vectorize(loop(o, 3, loop(i, smallest(number(8), N - 8 * o), body, "vectorize")))
    check(
        made,
        """
        for o in 0..3:
            if 0 < min(8, n - 8 * o):
                A[8 * o + ramp(0, 8)] = C[8 * o + ramp(0, 8) if ramp(0, 8) < n - 8 * o] where ramp(0, 8) < n - 8 * o
        """,
    )


def test_vectorize_needs_no_branch_where_a_lane_is_always_left() -> None:
    i, o = Var("i"), Var("o")
    body = Store(A, (8 * o + i,), Load(C, (8 * o + i,)))
    pieces = (N + 7) // 8
    made = vectorize(loop(o, pieces, loop(i, smallest(number(8), N - 8 * o), body, "vectorize")))
    assert "if 0" not in program_text(made).replace("C[8 * o + ramp(0, 8) if", "")


def test_vectorize_combines_the_lanes_of_a_reduction() -> None:
    i = Var("i")
    made = vectorize(loop(i, 4, Store(I, (number(0),), add(Load(I, (number(0),)), Load(I, (i,)))), "vectorize"))
    check(made, "I[0] = I[0] + lanes_add(I[ramp(0, 4)])")


def test_vectorize_masks_the_operands_of_a_reduction_with_its_identity() -> None:
    i = Var("i")
    update = Store(I, (number(0),), Op("min", (Load(I, (number(0),)), Load(I, (i,))), INDEX))
    made = vectorize(loop(i, smallest(number(4), N), update, "vectorize"))
    check(
        made,
        f"""
        if 0 < min(4, n):
            I[0] = min(I[0], lanes_min(select(ramp(0, 4) < n, I[ramp(0, 4) if ramp(0, 4) < n], {INDEX.highest})))
        """,
    )


def test_vectorize_runs_stores_that_depend_on_each_other_lane_by_lane_together() -> None:
    """An argmax: the index is chosen by the value before this lane's update of it."""
    i = Var("i")
    best = Load(A, (number(0),))
    better = Op("gt", (Load(C, (i,)), best), BOOL)
    index = Store(I, (number(0),), Op("select", (better, i, Load(I, (number(0),))), INDEX))
    value = Store(A, (number(0),), Op("max", (best, Load(C, (i,))), F32))
    check(
        vectorize(loop(i, 2, Block((index, value)), "vectorize")),
        """
        I[0] = select(C[0] > A[0], 0, I[0])
        A[0] = max(A[0], C[0])
        I[0] = select(C[1] > A[0], 1, I[0])
        A[0] = max(A[0], C[1])
        """,
    )


def test_vectorize_puts_vectors_for_what_depends_on_the_loop() -> None:
    i, k = Var("i"), Var("k")
    made = vectorize(loop(i, 4, Let(k, i // 2, Store(A, (i,), Load(C, (k,)))), "vectorize"))
    check(made, "A[ramp(0, 4)] = C[ramp(0, 4) // 2]")


def test_vectorize_makes_masks_of_conditions_and_hulls_of_loops() -> None:
    i, k = Var("i"), Var("k")
    body = If(Op("lt", (i, M), BOOL), loop(k, i, Store(A, (i,), Load(C, (k,)))))
    check(
        vectorize(loop(i, 4, body, "vectorize")),
        """
        if lanes_or(ramp(0, 4) < m):
            for k in 0..lanes_max(ramp(0, 4)):
                if lanes_or((ramp(0, 4) < m) & (k < ramp(0, 4))):
                    A[ramp(0, 4)] = C[k] where (ramp(0, 4) < m) & (k < ramp(0, 4))
        """,
    )


def test_vectorize_starts_a_loop_at_the_first_lane_that_begins() -> None:
    i, k = Var("i"), Var("k")
    check(
        vectorize(loop(i, 4, loop(k, M, Store(A, (i,), Load(C, (k,))), begin=i), "vectorize")),
        """
        for k in lanes_min(ramp(0, 4))..m:
            if lanes_or(k >= ramp(0, 4)):
                A[ramp(0, 4)] = C[k] where k >= ramp(0, 4)
        """,
    )


def test_vectorize_keeps_the_mask_of_a_tail_in_conditions() -> None:
    i = Var("i")
    body = If(Op("lt", (i, M), BOOL), Store(A, (i,), Const(1.0, F32)), Store(A, (i,), Const(2.0, F32)))
    check(
        vectorize(loop(i, smallest(number(4), N), body, "vectorize")),
        """
        if 0 < min(4, n):
            if lanes_or((ramp(0, 4) < n) & (ramp(0, 4) < m)):
                A[ramp(0, 4)] = 1.0 where (ramp(0, 4) < n) & (ramp(0, 4) < m)
            if lanes_or((ramp(0, 4) < n) & ~(ramp(0, 4) < m)):
                A[ramp(0, 4)] = 2.0 where (ramp(0, 4) < n) & ~(ramp(0, 4) < m)
        """,
    )


def test_vectorize_leaves_out_the_lanes_beyond_a_tail_one_by_one() -> None:
    i, at = Var("i"), (number(0),)
    last = Store(I, at, Op("select", (Op("gt", (Load(C, (i,)), Const(0.0, F32)), BOOL), i, Load(I, at)), INDEX))
    check(
        vectorize(loop(i, smallest(number(2), N), last, "vectorize")),
        """
        if 0 < min(2, n):
            if 0 < n:
                I[0] = select(C[0] > 0.0, 0, I[0])
            if 1 < n:
                I[0] = select(C[1] > 0.0, 1, I[0])
        """,
    )


def test_vectorize_keeps_the_number_of_iterations_of_an_unrolled_loop_literal() -> None:
    i, k = Var("i"), Var("k")
    inner = loop(k, smallest(i + 2, N), Store(B, (i, k), Load(C, (k,))), "unroll", i)
    check(
        vectorize(loop(i, 4, inner, "vectorize")),
        """
        unrolled for k in 0..2:
            if lanes_or(ramp(0, 4) + k < min(ramp(0, 4) + 2, n)):
                B[ramp(0, 4), ramp(0, 4) + k] = C[ramp(0, 4) + k if ramp(0, 4) + k < min(ramp(0, 4) + 2, n)] \
where ramp(0, 4) + k < min(ramp(0, 4) + 2, n)
        """,
    )


def test_vectorize_of_a_loop_around_vectors_writes_its_lanes_out() -> None:
    i, k = Var("i"), Var("k")
    made = vectorize(loop(i, 2, loop(k, 4, Store(B, (i, k), Load(C, (k,))), "vectorize"), "vectorize"))
    check(
        made,
        """
        B[0, ramp(0, 4)] = C[ramp(0, 4)]
        B[1, ramp(0, 4)] = C[ramp(0, 4)]
        """,
    )


def test_vectorize_checks_every_lane() -> None:
    i = Var("i")
    made = vectorize(loop(i, smallest(number(4), N), Check(0, Load(I, (i,)), number(0), M), "vectorize"))
    assert "check 0 <= I[ramp(0, 4) if ramp(0, 4) < n] < m where ramp(0, 4) < n" in program_text(made)


# split_vectors


@pytest.mark.parametrize(
    ("buffer", "count", "bits", "pieces"),
    [(A, 24, 512, [16, 8]), (A, 15, 256, [8, 4, 2, 1]), (D, 8, 256, [4, 4]), (A, 8, 256, [8]), (D, 3, 128, [2, 1])],
)
def test_split_vectors_into_the_targets_and_powers_of_two(
    buffer: Buffer, count: int, bits: int, pieces: list[int]
) -> None:
    made = split_vectors(Store(buffer, (Ramp(number(0), count),), Load(buffer, (Ramp(N, count),))), bits)
    stores = made.body if isinstance(made, Block) else (made,)
    assert [lanes(s.indices[0]) for s in stores if isinstance(s, Store)] == pieces
    first = [program_text(s).split(" = ")[0] for s in stores]
    assert first[0] == f"{buffer.name}[ramp(0, {pieces[0]})]"
    if len(pieces) > 1:
        assert f"[ramp({pieces[0]}, " in first[1] or first[1] == f"{buffer.name}[{pieces[0]}]"


def test_split_vectors_keeps_combined_lanes_whole() -> None:
    wide = Ramp(number(0), 16)
    any_lane = Op("lanes_or", (Op("lt", (wide, N), BOOL),), BOOL)
    made = split_vectors(Store(D, (Ramp(number(0), 8),), Load(D, (number(0),), any_lane)), 256)
    check(
        made,
        """
        D[ramp(0, 4)] = D[0 if lanes_or(ramp(0, 16) < n)]
        D[ramp(4, 4)] = D[0 if lanes_or(ramp(0, 16) < n)]
        """,
    )


def test_split_vectors_leaves_out_vectors_behind_the_end() -> None:
    wide = Ramp(number(0), 24)
    made = split_vectors(
        Store(A, (wide,), Load(A, (wide + 1,), Op("lt", (wide, N), BOOL)), Op("lt", (wide, N), BOOL)), 256
    )
    check(
        made,
        """
        A[ramp(0, 8)] = A[ramp(0, 8) + 1 if ramp(0, 8) < n] where ramp(0, 8) < n
        if 8 < n:
            A[ramp(8, 8)] = A[ramp(8, 8) + 1 if ramp(8, 8) < n] where ramp(8, 8) < n
            if 16 < n:
                A[ramp(16, 8)] = A[ramp(16, 8) + 1 if ramp(16, 8) < n] where ramp(16, 8) < n
        """,
    )


def test_split_vectors_knows_what_literal_ends_decide() -> None:
    wide = Ramp(number(0), 32)
    made = split_vectors(Store(A, (wide,), Load(A, (wide + 1,)), Op("lt", (wide, number(10)), BOOL)), 256)
    check(
        made,
        """
        A[ramp(0, 8)] = A[ramp(0, 8) + 1]
        A[ramp(8, 8)] = A[ramp(8, 8) + 1] where ramp(8, 8) < 10
        """,
    )


def test_split_vectors_runs_all_vectors_of_another_pattern() -> None:
    """A lane's place in a row of 16: the second vector of each row may be empty, and the next row is not."""
    wide, column = Ramp(number(0), 32), Op("mod", (Ramp(number(0), 32), number(16)), INDEX)
    made = split_vectors(Store(A, (wide,), Load(A, (wide + 1,)), Op("lt", (column, N), BOOL)), 256)
    stores = made.body if isinstance(made, Block) else (made,)
    assert [type(store) for store in stores] == [Store] * 4


# separate_full_tiles


def test_full_tiles_of_a_serial_loop_are_a_range() -> None:
    o, i = Var("o"), Var("i")
    body = loop(i, smallest(number(8), N - 8 * o), Store(A, (8 * o + i,), Load(C, (8 * o + i,))), "vectorize")
    check(
        separate_full_tiles(loop(o, (N + 7) // 8, body)),
        """
        for o in 0..n // 8:
            vectorized for i in 0..8:
                A[8 * o + i] = C[8 * o + i]
        for o in max(0, n // 8)..(n + 7) // 8:
            vectorized for i in 0..min(8, n - 8 * o):
                A[8 * o + i] = C[8 * o + i]
        """,
    )


def test_full_tiles_of_a_parallel_loop_are_a_branch() -> None:
    o, i = Var("o"), Var("i")
    body = loop(i, smallest(number(8), N - 8 * o), Store(A, (8 * o + i,), Load(C, (8 * o + i,))), "vectorize")
    check(
        separate_full_tiles(loop(o, (N + 7) // 8, body, "parallel")),
        """
        parallel for o in 0..(n + 7) // 8:
            if n - 8 * o - 8 >= 0:
                vectorized for i in 0..8:
                    A[8 * o + i] = C[8 * o + i]
            else:
                vectorized for i in 0..min(8, n - 8 * o):
                    A[8 * o + i] = C[8 * o + i]
        """,
    )


def test_full_tiles_of_a_reversed_loop_have_their_bound_at_the_begin() -> None:
    o, i = Var("o"), Var("i")
    begin = Op("max", (number(0), 2 * o - N + 2), INDEX)
    body = loop(i, 2, Store(A, (2 * o + 1 - i,), Load(C, (i,))), "unroll", begin)
    text = program_text(separate_full_tiles(loop(o, (N + 1) // 2, body)))
    assert "    unrolled for i in 0..2:" in text
    assert "    unrolled for i in max(0, 2 * o - n + 2)..2:" in text


def test_a_loop_around_others_with_partial_tiles_at_both_ends_chooses() -> None:
    o, r, i = Var("o"), Var("r"), Var("i")
    begin = Op("max", (number(0), 3 - o), INDEX)
    tile = loop(i, smallest(number(4), N - o), Store(C, (o + i,), Load(B, (i, r))), "unroll", begin)
    body = loop(r, M, If(Op("ge", (o, number(2)), BOOL), tile, Store(C, (o,), Load(A, (r,)))))
    check(
        separate_full_tiles(loop(o, N, body)),
        """
        for o in 0..n:
            if (o >= 3) & (o < n - 3):
                for r in 0..m:
                    unrolled for i in 0..4:
                        C[o + i] = B[i, r]
            else:
                for r in 0..m:
                    if o >= 2:
                        unrolled for i in max(0, 3 - o)..min(4, n - o):
                            C[o + i] = B[i, r]
                    else:
                        C[o] = A[r]
        """,
    )


def test_full_tiles_by_a_quotient_are_a_range() -> None:
    j, i = Var("j"), Var("i")
    begin, end = Op("max", (number(0), (j - N) // 3), INDEX), smallest(number(4), (j + 1) // 2)
    check(
        separate_full_tiles(loop(j, N + 9, loop(i, end, Store(A, (i,), Load(C, (j,))), "unroll", begin))),
        """
        for j in 0..min(7, n + 9):
            unrolled for i in max(0, (j - n) // 3)..min(4, (j + 1) // 2):
                A[i] = C[j]
        for j in 7..n + 3:
            unrolled for i in 0..4:
                A[i] = C[j]
        for j in max(7, n + 3)..n + 9:
            unrolled for i in max(0, (j - n) // 3)..min(4, (j + 1) // 2):
                A[i] = C[j]
        """,
    )


def test_tiles_beside_a_loop_are_not_full_where_others_are() -> None:
    """The first tiles are n - o, the others m - o: what is known of those says nothing about the first."""
    o, i, k, r, q = Var("o"), Var("i"), Var("k"), Var("r"), Var("q")
    beside = loop(i, smallest(number(4), N - o), Store(C, (o + i,), Load(A, (i,))), "vectorize")
    inner = loop(r, M, Store(B, (k, r), Load(A, (o,))))
    tile, whole = loop(k, smallest(number(4), M - o), inner, "vectorize"), loop(q, N, Store(A, (q,), Load(C, (o,))))
    check(
        separate_full_tiles(loop(o, N, Block((beside, tile, whole)))),
        """
        for o in 0..min(n, m - 3):
            if n - o - 4 >= 0:
                vectorized for i in 0..4:
                    C[o + i] = A[i]
            else:
                vectorized for i in 0..min(4, n - o):
                    C[o + i] = A[i]
            vectorized for k in 0..4:
                for r in 0..m:
                    B[k, r] = A[o]
            for q in 0..n:
                A[q] = C[o]
        for o in max(0, min(n, m - 3))..n:
            if n - o - 4 >= 0:
                vectorized for i in 0..4:
                    C[o + i] = A[i]
            else:
                vectorized for i in 0..min(4, n - o):
                    C[o + i] = A[i]
            vectorized for k in 0..min(4, m - o):
                for r in 0..m:
                    B[k, r] = A[o]
            for q in 0..n:
                A[q] = C[o]
        """,
    )


# promote_accumulators


def test_an_accumulator_goes_to_registers_around_its_loop() -> None:
    i, r = Var("i"), Var("r")
    init = Store(C, (i,), Const(0.0, F32))
    update = Store(C, (i,), add(Load(C, (i,)), Load(B, (i, r))))
    check(
        promote_accumulators(loop(i, N, Block((init, loop(r, M, update))))),
        """
        for i in 0..n:
            register C_tile0: float32
            C_tile0 = 0.0
            for r in 0..m:
                C_tile0 = C_tile0 + B[i, r]
            C[i] = C_tile0
        """,
    )


def test_a_tile_of_accumulators_is_indexed_by_its_loops() -> None:
    i, k, r = Var("i"), Var("k"), Var("r")
    init = loop(i, 4, Store(C, (i,), Const(0.0, F32)), "vectorize")
    update = loop(k, 4, Store(C, (k,), add(Load(C, (k,)), Load(B, (k, r)))), "vectorize")
    check(
        promote_accumulators(Block((init, loop(r, M, update)))),
        """
        register C_tile0: float32[4]
        vectorized for i in 0..4:
            C_tile0[i] = 0.0
        for r in 0..m:
            vectorized for k in 0..4:
                C_tile0[k] = C_tile0[k] + B[k, r]
        vectorized for i in 0..4:
            C[i] = C_tile0[i]
        """,
    )


def test_a_sum_that_is_written_out_is_stored_once() -> None:
    i, k, r = Var("i"), Var("k"), Var("r")
    init = loop(i, 4, Store(C, (i,), Const(0.0, F32)), "vectorize")
    update = loop(k, 4, Store(C, (k,), add(Load(C, (k,)), Load(B, (k, r)))), "vectorize")
    check(
        promote_accumulators(Block((init, loop(r, 3, update, "unroll")))),
        """
        register C_tile0: float32[4]
        vectorized for i in 0..4:
            C_tile0[i] = 0.0
        unrolled for r in 0..3:
            vectorized for k in 0..4:
                C_tile0[k] = C_tile0[k] + B[k, r]
        vectorized for i in 0..4:
            C[i] = C_tile0[i]
        """,
    )


def test_a_tile_that_is_stored_once_stays_in_memory() -> None:
    i, k = Var("i"), Var("k")
    stmt = Block((loop(i, 4, loop(k, 4, Store(B, (i, k), Const(0.0, F32)), "vectorize"), "unroll"),))
    assert promote_accumulators(stmt) is stmt


def test_an_accumulator_without_an_init_is_loaded_first() -> None:
    r = Var("r")
    update = Store(C, (number(3),), add(Load(C, (number(3),)), Load(A, (r,))))
    check(
        promote_accumulators(loop(r, N, update)),
        """
        register C_tile0: float32
        C_tile0 = C[3]
        for r in 0..n:
            C_tile0 = C_tile0 + A[r]
        C[3] = C_tile0
        """,
    )


def test_a_tile_without_an_init_is_loaded_first() -> None:
    k, r = Var("k"), Var("r")
    update = loop(k, 4, Store(C, (k,), add(Load(C, (k,)), Load(B, (k, r)))), "vectorize")
    check(
        promote_accumulators(loop(r, M, update)),
        """
        register C_tile0: float32[4]
        vectorized for k in 0..4:
            C_tile0[k] = C[k]
        for r in 0..m:
            vectorized for k in 0..4:
                C_tile0[k] = C_tile0[k] + B[k, r]
        vectorized for k in 0..4:
            C[k] = C_tile0[k]
        """,
    )


def test_threads_share_no_registers() -> None:
    i, r = Var("i"), Var("r")
    for index in (i, number(3)):
        update = Store(C, (index,), add(Load(C, (index,)), Load(B, (i, r))))
        stmt = loop(r, M, loop(i, 4, update, "parallel"))
        assert promote_accumulators(stmt) is stmt


def test_several_tiles_share_no_registers() -> None:
    r, k, l = Var("r"), Var("k"), Var("l")
    elements = [Store(C, (number(c),), add(Load(C, (number(c),)), Load(A, (r,)))) for c in (3, 4)]
    tiles = [
        loop(var, begin + 4, Store(C, (var,), add(Load(C, (var,)), Load(B, (var, r)))), "vectorize", begin)
        for var, begin in ((k, 0), (l, 2))
    ]
    for updates in (elements, tiles):
        stmt = loop(r, N, Block(tuple(updates)))
        assert promote_accumulators(stmt) is stmt


def test_what_a_loop_moves_is_no_accumulator() -> None:
    i, r = Var("i"), Var("r")
    update = Store(C, (i,), add(Load(C, (i,)), Load(B, (i, r))))
    stmt = loop(r, M, loop(i, N, update))
    assert promote_accumulators(stmt) is stmt


# simplified


def test_simplified_drops_what_does_nothing() -> None:
    i, k = Var("i"), Var("k")
    keep = Store(A, (number(1) + number(2),), Load(C, (number(0),)))
    stmt = Block(
        (
            loop(i, 0, Store(A, (i,), Load(C, (i,)))),
            loop(k, N, Block(())),
            If(Const(False, BOOL), Store(A, (number(0),), Load(C, (number(0),)))),
            If(Const(True, BOOL), Block((keep, Block(())))),
        )
    )
    check(simplified(stmt), "A[3] = C[0]")


# whole schedules


def test_a_matmul_tile_has_its_accumulators_in_registers(lowered: Callable[..., Any]) -> None:
    n = ps.size_var("n")
    a, b = (ps.placeholder((n, n), "float32", name=name) for name in "AB")
    r = ps.reduce_axis((0, n), name="r")
    c = ps.compute((n, n), lambda i, j: ps.sum(a[i, r] * b[r, j], axis=r), name="C")
    s = ps.Schedule(c)
    s[c].tile("i", "j", 2, 16)
    s[c].reorder("r", "i_i", "j_i")
    s[c].unroll("i_i")
    s[c].vectorize("j_i")
    text = program_text(lowered(s, "x86-64-v3").stages["simplify"])
    (inner,) = {part.split("\n\n")[0] for part in text.split("for r in 0..n:\n")[1:2]}
    updates = [line.strip() for line in inner.splitlines()[:4]]
    row = "2 * i_o + min({}, n - 2 * i_o - 1)"  # beyond the last row, that one again
    assert updates[0] == (
        f"C_tile0[0, ramp(0, 8)] = fma(A[{row.format(0)}, r], B[r, 16 * j_o + ramp(0, 8)], C_tile0[0, ramp(0, 8)])"
    )
    assert updates[3].startswith(f"C_tile0[1, ramp(8, 8)] = fma(A[{row.format(1)}, r], B[r, 16 * j_o + ramp(8, 8)]")
