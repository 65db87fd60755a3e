"""Copies and layouts: the same bits, in memory of another form."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps


def matmul(dtype: str = "float32") -> ps.Tensor:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A = ps.placeholder((n, k), dtype, name="A")
    B = ps.placeholder((k, m), dtype, name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def packed(output: ps.Tensor) -> ps.Schedule:
    """The five loops of Goto and van de Geijn around a register tile, with both operands packed."""
    s = ps.Schedule(output)
    c = s[output]
    c.split("j", 32, outer="jc", inner="j")
    c.split("i", 12, outer="ic", inner="i")
    c.split("r", 8, outer="rc", inner="r")
    c.split("i", 3)
    c.split("j", 16)
    c.reorder("jc", "rc", "ic", "j_o", "i_o", "r", "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    b = c.pack("B", at="rc", layout=("j/16", "r", "j % 16"))
    b.split("j", 16)
    b.reorder("j_o", "r", "j_i")
    b.vectorize("j_i")
    a = c.pack("A", at="ic", layout=("i/3", "r", "i%3"))
    a.split("i", 3)
    a.reorder("i_o", "r", "i_i")
    a.unroll("i_i")
    return s


SHAPES = [(0, 0, 0), (1, 1, 1), (3, 16, 8), (4, 17, 9), (12, 32, 8), (25, 70, 33), (26, 63, 1), (2, 0, 5)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_packed_operands(dtype: str) -> None:
    output = matmul(dtype)
    default, kernel = ps.build(ps.Schedule(output)), ps.build(packed(output), check=True)
    rng = np.random.default_rng(4)
    for n, m, k in SHAPES:
        a, b = (rng.integers(-100, 100, shape).astype(dtype) / dtype_scale(dtype) for shape in ((n, k), (k, m)))
        a, b = a.astype(dtype), b.astype(dtype)
        assert np.array_equal(kernel(a, b), default(a, b)), (n, m, k)


def dtype_scale(dtype: str) -> int:
    return 1 if dtype == "int8" else 7


def test_the_loop_ir_has_no_divisions_left() -> None:
    loops = ps.build(packed(matmul()), target="x86-64-v3").source("loops")
    assert "% 16" not in loops
    assert "B_cache[j_o, r, ramp(0, 8)]" in loops


def test_text_and_names() -> None:
    output = matmul()
    s = packed(output)
    assert s.commands[8] == 'C.cache_read("B", at="rc", name="B_cache", layout=("j/16", "r", "j%16"))'
    assert ps.Schedule.from_text(output, s.to_text()) == s
    assert [stage.name for stage in s.stages] == ["B_cache", "A_cache", "C"]
    while s.commands:
        s.undo()
    assert s == ps.Schedule(output)
    assert [stage.name for stage in s.stages] == ["C"]


def test_a_copy_of_everything_and_of_an_intermediate() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    B = ps.compute((n, n), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n, n), lambda i, j: B[j, i] * A[i, j], name="C")
    default = ps.build(ps.Schedule(C))
    s = ps.Schedule(C)
    s[C].tile("i", "j", 8, 4)
    copy = s[C].cache_read(B, layout=("i", "j"))
    assert copy.loops == ("j", "i")
    s[C].cache_read(A, at="j_o", name="At")
    s[B].compute_at(copy, "j")
    s[copy.tensor].parallel("j")
    s["At"].reorder_storage("j", "i")
    kernel = ps.build(s, check=True)
    for size in (0, 1, 7, 33):
        a = np.random.default_rng(size).random((size, size), np.float32)
        assert np.array_equal(kernel(a), default(a))
    s[B].inline()
    assert np.array_equal(ps.build(s, check=True)(a), default(a))
    s[B].compute_root()
    assert np.array_equal(ps.build(s, check=True)(a), default(a))


@pytest.mark.parametrize("write", [False, True])
def test_the_text_of_a_copy_of_everything(write: bool) -> None:
    output = matmul()
    s = ps.Schedule(output)
    if write:
        s[output].cache_write()
    else:
        s[output].cache_read("B", layout=("j/16", "r", "j%16"))
    assert ps.Schedule.from_text(output, s.to_text()) == s


def test_reordered_storage() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "int16", name="A")
    B = ps.compute((n, m), lambda i, j: A[i, j] * 3, name="B")
    C = ps.compute((m, n), lambda j, i: B[i, j] - 1, name="C")
    default = ps.build(ps.Schedule(C))
    for layout in (("j", "i"), ("j/4", "i", "j%4"), ("i/2", "j/8", "i%2", "j/2%4", "j%2")):
        s = ps.Schedule(C)
        s[B].reorder_storage(*layout)
        kernel = ps.build(s, check=True)
        for shape in ((0, 3), (1, 1), (7, 9), (16, 8)):
            a = np.arange(np.prod(shape), dtype="int16").reshape(shape)
            assert np.array_equal(kernel(a), default(a))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (("j", "k"), "'k' is no term of a layout over r, j"),
        (("j",), "the layout leaves r out"),
        (("r", "j%8"), "no term for the upper part of j, j/8"),
        (("r", "j/8", "j%4"), "the terms of j overlap or leave some out"),
        (("r", "j", "j"), "the terms of j overlap"),
        (("r", "j/0", "j%0"), "divides by 0"),
        ("jr", "a layout is given by its terms"),
        (("r", 'j"'), "is no term of a layout"),
    ],
)
def test_layouts_that_are_none(layout: tuple[str, ...], words: str) -> None:
    s = ps.Schedule(matmul())
    with pytest.raises(ps.ScheduleError, match=words):
        s["C"].pack("B", layout=layout)
    assert s.commands == ()


def test_refusals() -> None:
    s = ps.Schedule(matmul())
    with pytest.raises(ps.ScheduleError, match=r"C does not read Q; it reads A, B"):
        s["C"].cache_read("Q")
    with pytest.raises(ps.ScheduleError, match="there is a A already; choose another name"):
        s["C"].cache_read("B", name="A")
    with pytest.raises(ps.ScheduleError, match="C has no loop 'x'"):
        s["C"].cache_read("B", at="x")
    with pytest.raises(ps.ScheduleError, match="C is an output, and its layout is its caller's"):
        s["C"].reorder_storage("j", "i")
    s["C"].cache_read("B", at="i")
    with pytest.raises(ps.ScheduleError, match="B_cache is computed or stored at i of C, which is not there"):
        s["C"].split("i", 4)


def blur() -> ps.Tensor:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: ps.sqrt(A[i, j]), name="B")
    return ps.compute((n, m), lambda i, j: B[i, j] + B[i + 1, j] * B[i + 2, j], name="C")


def test_folded_windows() -> None:
    output = blur()
    default = ps.build(ps.Schedule(output))
    for size in (3, 4, 7):
        s = ps.Schedule(output)
        s["B"].compute_at("C", "i")
        s["B"].store_root()
        s["B"].fold_storage("i", size)
        s["B"].vectorize(s["B"].split("j", 8)[1])
        assert f"stored at the root, i modulo {size}" in str(s)
        assert ps.Schedule.from_text(output, s.to_text()) == s
        kernel = ps.build(s, check=True)
        for n, m in ((0, 3), (1, 1), (9, 20)):
            a = np.random.default_rng(n).random((n + 2, m), np.float32)
            assert np.array_equal(kernel(a), default(a))


def test_a_fold_that_is_too_small() -> None:
    s = ps.Schedule(blur())
    s["B"].compute_at("C", "i")
    s["B"].store_root()
    with pytest.raises(ps.LegalityError, match=r"runs B\[C.i=0, i=2, j=0\] before C\[i=0, j=0\]") as refusal:
        s["B"].fold_storage("i", 2)
    assert refusal.value.cell == ("B", (2, 0))
    assert "into the cell of an element that C[i=0, j=0] still reads" in str(refusal.value)
    s["B"].fold_storage("i", 3)
    for command in (lambda: s["C"].parallel("i"), s["B"].compute_root, lambda: s["B"].fold_storage("i", 1)):
        with pytest.raises(ps.LegalityError, match="Fold B to a larger size"):
            command()
    assert s.commands[-1] == 'B.fold_storage("i", 3)'


def test_folds_of_reductions_and_within_tiles() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n + 3, 9), "float32", name="A")
    r = ps.reduce_axis((0, 9), name="r")
    S = ps.compute((n + 3,), lambda i: ps.sum(A[i, r], axis=r), name="S")
    C = ps.compute((n,), lambda i: S[i] + S[i + 3], name="C")
    default = ps.build(ps.Schedule(C))
    s = ps.Schedule(C)
    s[C].split("i", 8)
    s[S].compute_at(C, "i_i")
    s[S].store_at(C, "i_o")
    with pytest.raises(ps.LegalityError, match="still reads"):
        s[S].fold_storage("i", 3)
    s[S].fold_storage("i", 4)
    s[C].parallel("i_o")
    kernel = ps.build(s, check=True)
    for size in (0, 1, 5, 40):
        a = np.random.default_rng(size).random((size + 3, 9), np.float32)
        assert np.array_equal(kernel(a), default(a))


def test_refusals_of_folds() -> None:
    s = ps.Schedule(blur())
    with pytest.raises(ps.ScheduleError, match="B has no dimension z; its dimensions are i, j"):
        s["B"].fold_storage("z", 3)
    with pytest.raises(ps.ScheduleError, match="C is an output"):
        s["C"].fold_storage("i", 3)
    with pytest.raises(ps.ScheduleError, match="an integer from 1"):
        s["B"].fold_storage("i", 0)
    with pytest.raises(ps.LegalityError, match="still reads"):
        s["B"].fold_storage("i", 3)


def test_cache_write() -> None:
    output = matmul()
    default = ps.build(ps.Schedule(output))
    s = ps.Schedule(output)
    c = s[output]
    c.split("r", 4)
    c.tile("i", "j", 4, 8)
    c.reorder("i_o", "j_o", "r_o", "i_i", "r_i", "j_i")
    c.vectorize("j_i")
    cache = c.cache_write(at="j_o")
    assert (cache.loops, c.loops) == (("i", "j", "r"), ("i_o", "j_o", "i_i", "j_i"))
    cache.reorder("r", "i", "j")
    cache.vectorize("j")
    assert ps.Schedule.from_text(output, s.to_text()) == s
    kernel = ps.build(s, check=True)
    rng = np.random.default_rng(6)
    for n, m, k in SHAPES:
        a, b = rng.random((n, k), np.float32), rng.random((k, m), np.float32)
        assert np.array_equal(kernel(a, b), default(a, b))
    with pytest.raises(ps.ScheduleError, match="a loop of its reduction cannot be around the whole"):
        ps.Schedule(output)[output].cache_write(at="r")


@pytest.mark.parametrize("loop", ["r", "r_o", "r_i", "r_i_o", "r_i_i"])
@pytest.mark.parametrize("begin", [0, 2])
def test_rfactor(loop: str, begin: int) -> None:
    n, k = ps.size_var("n"), ps.size_var("k", min=2)
    A = ps.placeholder((n, k), "int32", name="A")
    r = ps.reduce_axis((begin, k), name="r")
    C = ps.compute((n,), lambda i: ps.sum(A[i, r] * A[i, r], axis=r), name="C")
    default = ps.build(ps.Schedule(C))
    s = ps.Schedule(C)
    if loop != "r":
        s[C].split("r", 8)
    if loop.startswith("r_i_"):
        s[C].split("r_i", 4)
    s[C].split("i", 4)
    partial = s[C].rfactor(loop)
    assert partial.loops[:2] == (loop, "i")
    assert s[C].loops == ("i_o", "i_i", loop)
    partial.parallel(loop)
    s[C].parallel("i_o")
    partial.reorder("i", loop)
    assert ps.Schedule.from_text(C, s.to_text()) == s
    kernel = ps.build(s, check=True)
    for width in (2, 3, 8, 21):
        a = np.arange(5 * width, dtype="int32").reshape(5, width)
        assert np.array_equal(kernel(a), default(a))


def test_rfactor_of_triangles_and_of_several_axes() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n, n, 5), "float64", name="A")

    def row(i: ps.Expr) -> ps.Expr:
        r, q = ps.reduce_axis((0, i + 1), name="r"), ps.reduce_axis((0, 5), name="q")
        return ps.max(A[i, r, q], axis=(r, q))

    C = ps.compute((n,), row, name="C")
    a = np.random.default_rng(7).standard_normal((19, 19, 5))
    wanted = ps.build(ps.Schedule(C))(a)
    for loop in ("r", "q", "r_o", "r_i"):
        s = ps.Schedule(C)
        if "_" in loop:
            s[C].split("r", 4)
        s[C].rfactor(loop)
        assert np.array_equal(ps.build(s, check=True)(a), wanted), loop


def test_refusals_of_rfactor() -> None:
    s = ps.Schedule(matmul())
    with pytest.raises(ps.ScheduleError, match=r"declare that it is free with ps.sum\(..., reassociate=True\)"):
        s["C"].rfactor("r")
    s = ps.Schedule(matmul("int32"))
    with pytest.raises(ps.ScheduleError, match="rfactor takes a loop made of one reduction axis, not i"):
        s["C"].rfactor("i")
    with pytest.raises(ps.ScheduleError, match="rfactor takes a loop of a reduction, and B has none"):
        ps.Schedule(blur())["B"].rfactor("i")


def test_streaming_stores() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "uint16", name="A")
    C = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="C")
    s = ps.Schedule(C)
    s[C].vectorize(s[C].split("j", 64)[1])
    s[C].parallel("i")
    s[C].store_streaming()
    assert str(s).startswith("C: uint16[n, m], streaming\n")
    assert ps.Schedule.from_text(C, s.to_text()) == s
    kernel = ps.build(s, check=True)
    assert "!nontemporal" in kernel.source("llvm")
    assert "fence seq_cst" in kernel.source("llvm")
    for shape in ((0, 0), (3, 5), (4, 64), (5, 200)):
        a = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
        for offset in (0, 1, 8):  # elements: with any alignment of the output
            memory = np.zeros(a.size + 16, "uint16")
            out = memory[offset : offset + a.size].reshape(shape)
            kernel(a, out=out)
            assert np.array_equal(out, a + 1)
            assert not memory[:offset].any()
            assert not memory[offset + a.size :].any()


def test_a_skewed_loop_of_a_reduction_has_its_init_over_the_axis_itself() -> None:
    """The init counted by the loop's begin, which is made of the reduction's axis."""
    A = ps.placeholder((4, 5, 6), "float32", name="A")
    r = ps.reduce_axis((0, 6), name="r")
    T = ps.compute((4, 5), lambda i, j: ps.argmin(A[i, j, r], axis=r), name="T")
    s = ps.Schedule(T)
    s[T].reorder("r", "j", "i")
    s[T].skew("i", 2, by="r")
    a = np.random.default_rng(9).random((4, 5, 6), np.float32)
    assert np.array_equal(ps.build(s, check=True)(a), a.argmin(-1))


def test_a_copy_that_would_have_no_reader_left() -> None:
    A = ps.placeholder((9,), "float32", name="A")
    B = ps.compute((9,), lambda i: A[i] + 1, name="B")
    C = ps.compute((9,), lambda i: B[i] * 2, name="C")
    s = ps.Schedule(C)
    s[B].inline()
    s[C].cache_read(A, at="i")
    with pytest.raises(ps.ScheduleError, match="C reads A, and its copy A_cache, only through stages that are inlined"):
        s[B].compute_root()
    assert s.commands[-1].startswith("C.cache_read")


def test_the_proof_of_a_fold_is_budgeted() -> None:
    """What follows from the tree is derived within the budget too, not only what is proven of it."""
    s = ps.Schedule(blur())
    s["B"].compute_at("C", "i")
    s["B"].store_root()
    s.program.world.budget = 300
    with pytest.raises(ps.BudgetError, match=r"B.fold_storage\(\"i\", 3\): undecided within 300 isl operations"):
        s["B"].fold_storage("i", 3)
    assert s.commands[-1] == "B.store_at()"
