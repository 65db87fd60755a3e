"""narrow: with every other command, the same bits; what is refused, and what the refusal advises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.expr import Expr

Array = np.ndarray[Any, Any]
Commands = Callable[[ps.Schedule], None]


def alignment() -> tuple[ps.Tensor, ps.Tensor]:
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, m + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int32", 3), ps.cast("int32", -3))
    H[i + 1, j + 1] = ps.max(ps.max(H[i, j] + match, 0), ps.max(H[i, j + 1], H[i + 1, j]) - 2)
    r, q = ps.reduce_axis((0, n + 1), name="i"), ps.reduce_axis((0, m + 1), name="j")
    return H, ps.compute((), lambda: ps.max(H[r, q], axis=(r, q)), name="best")


def image(dtype: str = "int32") -> tuple[ps.Tensor, ps.Tensor]:
    """Rows of sums of bytes, and a filter of them, whose output has the type that was declared."""
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "uint8", name="A")
    B = ps.compute((n + 2, m), lambda i, j: ps.cast(dtype, A[i, j]) * 3 - 40, name="B")
    return B, ps.compute((n, m), lambda i, j: B[i, j] - ps.max(B[i + 1, j], B[i + 2, j]), name="C")


def sums() -> tuple[ps.Tensor, ps.Tensor]:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "uint8", name="A")
    r = ps.reduce_axis((0, 9), name="r")
    B = ps.compute((n + 2, m), lambda i, j: ps.sum(ps.cast("int32", A[i, j]) - r, axis=r, dtype="int32"), name="B")
    return B, ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")


def whole(s: ps.Schedule) -> None:
    s["B"].narrow("int16")


def vectors(s: ps.Schedule) -> None:
    s["B"].split("j", 32)
    s["B"].vectorize("j_i")
    s["B"].narrow("int16")
    s["C"].split("j", 16)
    s["C"].vectorize("j_i")


def in_loops(s: ps.Schedule) -> None:
    s["C"].tile("i", "j", 4, 12)
    s["B"].compute_at("C", "j_o")
    s["B"].narrow("int16")
    s["B"].vectorize("j")


def window(s: ps.Schedule) -> None:
    s["B"].narrow("int16")
    s["B"].compute_at("C", "i")
    s["B"].store_root()
    s["B"].fold_storage("i", 3)


def inlined(s: ps.Schedule) -> None:
    s["B"].narrow("int16")
    s["B"].inline()


def laid_out(s: ps.Schedule) -> None:
    s["B"].reorder_storage("j", "i")
    s["B"].align_storage("i", 8, offset=3)
    s["B"].narrow("int16")


def buffer(s: ps.Schedule) -> None:
    s["C"].cache_write()
    s["C_cache"].narrow("int16")
    s["C_cache"].split("j", 8)


def copied(s: ps.Schedule) -> None:
    s["C"].cache_read("B", at="i").narrow("int16")
    s["B"].narrow("int16")


@pytest.mark.parametrize("commands", [whole, vectors, in_loops, window, laid_out, buffer, copied, inlined])
@pytest.mark.parametrize("make", [image, sums])
def test_the_bits_are_those_of_the_default_schedule(
    make: Callable[[], tuple[ps.Tensor, ps.Tensor]], commands: Commands
) -> None:
    _, C = make()
    s = ps.Schedule(C)
    if make is sums and commands is inlined:
        pytest.skip("a reduction cannot be inlined")
    commands(s)
    assert ps.Schedule.from_text(C, s.to_text()) == s
    kernel, default = s.build("native", check=True), ps.Schedule(C).build("native")
    for n, m in ((0, 5), (1, 1), (5, 33), (9, 70)):
        a = np.random.default_rng(n).choice(np.array([0, 255], np.uint8), (n + 2, m))
        np.testing.assert_array_equal(kernel(a), default(a), err_msg=f"{n} {m}")


def test_a_recurrence_and_what_reads_it() -> None:
    H, best = alignment()
    s = ps.Schedule(best)
    few = s.specialize("n <= 42")
    few[H].narrow("int8")
    assert str(few[H].tensor) == "H: int8[n + 1, m + 1]"
    few["best"].cache_write().narrow("int8")
    ps.recipes.wavefront(few[H], ps.Target("native"))
    assert ps.Schedule.from_text(best, s.to_text()) == s
    kernel = s.build("native", check=True)
    default = ps.Schedule(best).build("native")
    for n, m in ((0, 0), (1, 7), (42, 42), (42, 300), (43, 43), (100, 90)):
        for letters in (1, 3):
            a, b = (np.random.default_rng(n).integers(0, letters, size, np.int32) for size in (n, m))
            assert kernel(a, b) == default(a, b), (n, m)


def test_a_system_is_narrowed_as_a_whole_and_undone() -> None:
    n = ps.size_var("n")
    (t,) = ps.axes("t")
    u, v = (ps.recurrence((n + 1,), "int64", name=name) for name in "uv")
    u[0], v[0] = 0, 1
    u[t + 1] = ps.min(v[t] + 2, 100)
    v[t + 1] = ps.max(u[t] - 3, -50)
    s = ps.Schedule(ps.compute((n + 1,), lambda i: u[i] * v[i], name="w"))
    before = str(s)
    s[u].narrow("int8")
    assert [s[stage].tensor.dtype.name for stage in (u, v, "w")] == ["int8", "int8", "int64"]
    assert "int64(u[i]) * int64(v[i])" in str(s)
    np.testing.assert_array_equal(s.build(check=True)(n=30), ps.Schedule(s.outputs).build()(n=30))
    assert s.undo() == 'u.narrow("int8")'
    assert str(s) == before


def test_comparisons_are_narrow_where_both_sides_are() -> None:
    B, _ = image()
    C = ps.compute(B.shape, lambda i, j: ps.select(B[i, j] > 100, B[i, j], ps.cast("int32", 7)), name="D")
    E = ps.compute(B.shape, lambda i, j: C[i, j], name="E")
    s = ps.Schedule(E)
    s[B].narrow("int16")
    s[C].narrow("int16")
    (equation,) = s[C].tensor.equations
    assert str(equation.body) == "select(B[i, j] > 100, B[i, j], int16(7))"


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (lambda s: s["B"].narrow("float16"), "narrow takes the name of an integer type"),
        (lambda s: s["B"].narrow(16), "narrow takes the name of an integer type"),
        (lambda s: s["B"].narrow("int64"), "B is of int32, which has no more bits"),
        (lambda s: s["C"].narrow("int16"), "C is an output, whose type is its caller's"),
        (lambda s: s["B"].narrow("int8"), "at most 725 at n=0, m=1 and i=0, j=0, and int8 has -128 to 127"),
        (lambda s: s["B"].narrow("uint16"), "at least -40"),
        (lambda s: (s["B"].inline(), s["B"].narrow("int16")), "inlined and has no loops"),
    ],
)
def test_refusals(commands: Callable[[ps.Schedule], Any], message: str) -> None:
    s = ps.Schedule(image()[1])
    with pytest.raises(ps.ScheduleError, match=message):
        commands(s)


def test_what_wraps_has_no_range() -> None:
    A = ps.placeholder((9,), "int32", name="A")

    def narrowed(value: Callable[[Expr], Expr]) -> str:
        B = ps.compute((9,), lambda i: value(A[i]), name="B")
        refusal = ps.Schedule(ps.compute((9,), lambda i: B[i], name="C"))[B].why_not("narrow", "int16")
        return "" if refusal is None else str(refusal)

    assert narrowed(lambda a: (a + 1) & 255) == ""
    assert narrowed(lambda a: ps.max(ps.min(a, 99), -99) * 3) == ""
    assert "2147483647" in narrowed(lambda a: ps.max(a + 1, 0))  # a + 1 may be anything
    assert narrowed(lambda a: ps.min(abs(a), 99)) != ""  # of the least integer it is that


def test_reductions_of_nothing_do_not_fit() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "uint8", name="A")
    r = ps.reduce_axis((0, n), name="r")
    B = ps.compute((), lambda: ps.max(ps.cast("int32", A[r]), axis=r), name="B")
    s = ps.Schedule(ps.compute((), lambda: B[()] + 1, name="C"))
    with pytest.raises(ps.ScheduleError, match=r"at n=0.*fit for n >= 1"):
        s[B].narrow("int16")
    s.specialize("n >= 1")[B].narrow("uint8")


@pytest.mark.parametrize(
    ("dtype", "value", "largest"),
    [
        ("int32", lambda a: ps.min(a * 3, 100), "at most 300"),
        ("int32", lambda a: ps.select(a * 3 > 7, ps.cast("int32", 1), ps.cast("int32", 0)), "at most 300"),
        ("int32", lambda a: (a * 3) // 4, "at most 300"),
        ("uint32", lambda a: ps.min(a - 1, 100), "at least -1"),
        ("int32", lambda a: ps.min(a + 27, 100), ""),
    ],
)
def test_what_is_compared_and_divided_in_fewer_bits_fits_as_well(
    dtype: str, value: Callable[[Expr], Expr], largest: str
) -> None:
    A = ps.placeholder((9,), "uint8", name="A")
    B = ps.compute((9,), lambda i: ps.min(ps.cast(dtype, A[i]), 100), name="B")
    C = ps.compute((9,), lambda i: value(B[i]), name="C")
    s = ps.Schedule(ps.compute((9,), lambda i: C[i] + 1, name="D"))
    s[B].narrow("int8")
    refusal = s[C].why_not("narrow", "int8")
    assert (refusal is None) if not largest else (largest in str(refusal))


def test_of_a_system_outputs_keep_their_type() -> None:
    n = ps.size_var("n")
    (t,) = ps.axes("t")
    u, v = (ps.recurrence((n + 1,), "int32", name=name) for name in "uv")
    u[0], v[0] = 0, 1
    u[t + 1] = ps.min(v[t] + 2, 100)
    v[t + 1] = ps.max(u[t] - 3, -50)
    s = ps.Schedule([u])
    s[v].narrow("int8")
    assert [s[stage].tensor.dtype.name for stage in (u, v)] == ["int32", "int8"]
    np.testing.assert_array_equal(s.build(check=True)(n=30), ps.Schedule(s.outputs).build()(n=30))


def test_what_is_affine_and_what_is_multiplied_are_looked_at() -> None:
    n = ps.size_var("n")
    r = ps.reduce_axis((0, 3), name="r")
    B = ps.compute((n,), lambda i: ps.min(ps.cast("int64", 1) - 129, ps.cast("int64", 255)), name="B")
    C = ps.compute((n,), lambda i: ps.prod(ps.min(ps.cast("int32", r), 1), axis=r), name="C")
    s = ps.Schedule(ps.compute((n,), lambda i: B[i] + C[i], name="D"))
    s[B].narrow("int8")
    with pytest.raises(ps.ScheduleError, match=r"at least -2147483648 at n=1 and i=0.*fit for n == 0"):
        s[C].narrow("int16")


def test_positions_are_not_narrow() -> None:
    A = ps.placeholder((9,), "uint8", name="A")
    r = ps.reduce_axis((0, 9), name="r")
    B = ps.compute((), lambda: ps.argmax(A[r], axis=r), name="B")
    s = ps.Schedule(ps.compute((), lambda: B[()] + 1, name="C"))
    with pytest.raises(ps.ScheduleError, match="finds a position"):
        s[B].narrow("int16")
