"""specialize by what inputs hold: which schedule runs is decided by their least and greatest elements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES
from polysched.compute.extremes import limits

n, m = ps.size_var("n"), ps.size_var("m")
SIGNED_AND_UNSIGNED = [name for name, dtype in DTYPES.items() if dtype.is_int and name != "uint64"]


def table(dtype: str = "int32") -> tuple[ps.Tensor, ps.Tensor]:
    """A table of two dimensions, and what reads a copy of it."""
    A = ps.placeholder((n, m), dtype, name="A")
    B = ps.compute((n, m), lambda i, j: ps.cast("int64", A[i, j]) + 1, name="B")
    return A, ps.compute((n, m), lambda i, j: B[i, j] * 2, name="C")


def tells(condition: str, shape: tuple[int, ...], dtype: str, target: object = "native") -> ps.Kernel:
    """A kernel that counts up to a wrong index from below where the condition holds, and else from above."""
    A = ps.placeholder(tuple(ps.size_var(f"s{d}") if d else n for d in range(len(shape))), dtype, name="A")
    at, X = ps.placeholder((2,), "int64", name="at"), ps.placeholder((8,), "int32", name="X")
    B = ps.compute(A.shape, lambda *i: A[i] if i else A[()], name="B")
    C = ps.compute((2,), lambda i: X[ps.checked(at[i])], name="C")
    s = ps.Schedule([B, C])
    s.specialize(condition)["C"].reverse("i")
    return s.build(target, check=True)


def holds(kernel: ps.Kernel, values: np.ndarray) -> bool:
    with pytest.raises(ps.BoundsError) as wrong:
        kernel(values, np.array([100, 101]), np.zeros(8, np.int32))
    return "101" in str(wrong.value)


@pytest.mark.parametrize("dtype", SIGNED_AND_UNSIGNED)
def test_the_elements_decide(dtype: str) -> None:
    low, high = int(DTYPES[dtype].lowest), int(DTYPES[dtype].highest)
    kernel = tells("(min(A) >= 3) & (max(A) < 100)", (3, 3), dtype)
    random = np.random.default_rng(0)
    for rows, columns in ((1, 1), (3, 5), (2, 64), (4, 77), (1, 300)):
        inside = random.integers(3, 100, (rows, columns)).astype(dtype)
        assert holds(kernel, inside)
        for value, i, j in itertools.product((low, 2, 100, high), {0, rows - 1}, {0, columns // 2, columns - 1}):
            other = inside.copy()
            other[i, j] = value
            assert not holds(kernel, other), (value, i, j)
    assert holds(kernel, np.zeros((0, 4), dtype)) and holds(kernel, np.zeros((4, 0), dtype))


def test_any_shape_and_strides() -> None:
    assert holds(tells("max(A) == 7", (), "int8"), np.array(7, np.int8))
    assert not holds(tells("max(A) == 7", (), "int8"), np.array(6, np.int8))
    cube = tells("(n > 2) & (min(A) != 0)", (2, 3, 4), "int16", ps.Target("x86-64-v3"))
    values = np.arange(1, 1 + 4 * 6 * 40, dtype=np.int16).reshape(4, 6, 40)
    assert holds(cube, values) and not holds(cube, values - 1) and not holds(cube, values[:2])
    line = tells("max(A) < 90", (2,), "int32")
    values = np.arange(200, dtype=np.int32)
    values[1::2] = 5
    assert holds(line, values[:90]) and not holds(line, values[:91]) and holds(line, np.ascontiguousarray(values[1::2]))


def test_what_follows_from_a_condition() -> None:
    s, whole = ps.Schedule(table("int16")[1]), (-32768, 32767)

    def known(condition: str) -> tuple[int, int]:
        branch = s.copy().specialize(condition).condition
        return limits(branch).get(next(a.uid for a in s.program.arguments), whole)

    assert known("(n > 3) & (min(A) > -4) & (max(A) <= 9)") == (-3, 9)
    assert known("(-4 <= min(A)) & (9 > max(A))") == (-4, 8)
    assert known("min(A) == 5") == (5, 32767)
    assert known("max(A) == 5") == (-32768, 5)
    assert known("(min(A) >= 1) & (min(A) >= 4) & (max(A) < 90) & (max(A) < 80)") == (4, 79)
    for nothing in ("(min(A) >= 1) | (n > 3)", "~(max(A) > 3)", "max(A) != 5", "n > 3"):
        assert known(nothing) == whole
    # Of the other end nothing is said, and what cannot be, holds of empty inputs alone.
    assert known("(min(A) <= 5) & (max(A) >= 5)") == whole
    assert known("(min(A) >= 5) & (max(A) <= 3)") == whole


def test_narrow_where_inputs_are() -> None:
    _, C = table()
    s = ps.Schedule(C)
    with pytest.raises(ps.ScheduleError) as refusal:
        s["B"].narrow("int16")
    assert "fit for (min(A) >= -32768) & (max(A) <= 32767)" not in str(refusal.value)  # 32767 + 1 does not
    condition = "(min(A) >= -32768) & (max(A) < 32767)"
    few = s.specialize(condition)
    few["B"].narrow("int16")
    assert few["B"].why_not("narrow", "int8") is not None
    assert ps.Schedule.from_text(C, s.to_text()) == s and str(s).startswith(f"if {condition}:")
    kernel, default = s.build(check=True), ps.Schedule(C).build()
    for values in ([-32768, 32766], [-32768, 32767], [-32769, 0], [2**31 - 1, -(2**31)]):
        a = np.array([values, values[::-1]], np.int32)
        np.testing.assert_array_equal(kernel(a), default(a))


def test_a_refusal_names_the_inputs_for_which_all_fit() -> None:
    A, W = ps.placeholder((n,), "int32", name="A"), ps.placeholder((n,), "uint32", name="W")
    B = ps.compute((n,), lambda i: ps.max(A[i], ps.cast("int32", W[i] & 127)), name="B")
    s = ps.Schedule(ps.compute((n,), lambda i: B[i] + 1, name="C"))
    refusal = str(s["B"].why_not("narrow", "int8"))
    assert 'which may have it: specialize("(min(A) >= -128) & (max(A) <= 127)")' in refusal
    s.specialize("(min(A) >= -128) & (max(A) <= 127)")["B"].narrow("int8")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("max(B) < 3", "max.B. in the condition is of no argument; the arguments are A, F"),
        ("max(a) < 3", "did you mean A"),
        ("max(F) < 3", "F is of float32, and conditions are on integers that int64 holds"),
        ("max(A) < n", r"max.A. in the condition .* is compared with an integer"),
        ("min(A) + 1 < 3", "is compared with an integer"),
        ("min(A) < max(A)", "is compared with an integer"),
        ("A < 3", r"A in the condition is an input: compare its min\(A\) or max\(A\)"),
        ("max(A < 3", r"expected '\)'"),
        ("max() < 3", "is of no argument|expected"),
        ("max(A)", "is a number and no condition"),
        ("max(n) < 3", "is of no argument"),
        ("max < 3", "max in the condition is no size"),
        ("max(A) < 1234567890123456789", "at most 18 digits"),
        ("n < 1234567890", "at most 9 digits"),
    ],
)
def test_conditions_that_are_refused(condition: str, said: str) -> None:
    A, F = ps.placeholder((n,), "int32", name="A"), ps.placeholder((n,), "float32", name="F")
    s = ps.Schedule(ps.compute((n,), lambda i: A[i] + ps.cast("int32", F[i]), name="B"))
    with pytest.raises(ps.ScheduleError, match=said):
        s.specialize(condition)
    assert s == ps.Schedule(s.outputs)


def test_large_numbers_are_of_wide_inputs() -> None:
    A = ps.placeholder((n,), "int64", name="A")
    B = ps.compute((n,), lambda i: A[i], name="B")
    s = ps.Schedule(ps.compute((n,), lambda i: B[i] ^ 5, name="C"))
    s.specialize("(min(A) >= -2147483648) & (max(A) <= 2147483647)")["B"].narrow("int32")
    kernel = s.build(check=True)
    for values in ([-(2**31), 2**31 - 1], [-(2**31) - 1, 4], [2**31, 4], [2**63 - 1, -(2**63)]):
        a = np.array(values)
        np.testing.assert_array_equal(kernel(a), a ^ 5)


def test_several_conditions_on_a_fixed_shape_and_threads() -> None:
    A = ps.placeholder((5, 37), "int16", name="A")
    B = ps.compute((5, 37), lambda i, j: ps.cast("int32", A[i, j]) + 1, name="B")
    s = ps.Schedule(ps.compute((5, 37), lambda i, j: B[i, j] * 2, name="C"))
    for condition, dtype in (("(min(A) >= 0) & (max(A) < 255)", "uint8"), ("(min(A) >= -9) & (max(A) < 9)", "int8")):
        few = s.specialize(condition)
        few["B"].narrow(dtype)
        few["B"].parallel("i")
    s["C"].parallel("i")
    kernel = s.build(ps.Target("native", threads=2), check=True)
    for low, high in ((0, 254), (-9, 8), (-10, 254), (-32768, 32767)):
        a = np.random.default_rng(0).integers(low, high, (5, 37), np.int16, endpoint=True)
        a[0, 0], a[4, 36] = low, high
        np.testing.assert_array_equal(kernel(a), 2 * (a.astype(np.int32) + 1))
