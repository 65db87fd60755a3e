"""Diagonals: layouts of sums of positions and their folds, readers and copies in a recurrence's loops, the recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

SIZES = ((0, 0), (0, 3), (1, 1), (5, 1), (17, 40), (33, 20), (70, 81))


def score(kind: str) -> ps.Tensor:
    """Of Smith and Waterman's matrix: the largest of each row, or of all, or its last row."""
    (H,) = EXAMPLES["smith_waterman"].define()
    rows, columns = H.shape
    r, q = ps.reduce_axis((0, rows), name="i"), ps.reduce_axis((0, columns), name="j")
    match kind:
        case "rows":
            return ps.compute((rows,), lambda i: ps.max(H[i, q], axis=q), name="best")
        case "all":
            return ps.compute((), lambda: ps.max(H[r, q], axis=(r, q)), name="best")
    return H[rows - 1]


def expected(kind: str, h: Any) -> Any:
    return {"rows": lambda: h.max(axis=1), "all": h.max, "last": lambda: h[-1]}[kind]()


@pytest.mark.parametrize(("kind", "fold"), [("rows", 8), ("all", 8), ("last", None)])
def test_scores(kind: str, fold: int | None) -> None:
    """A reader in the loop over the diagonals lets all but those of two steps go."""
    example = EXAMPLES["smith_waterman"]
    output = score(kind)
    s = ps.Schedule(output)
    ps.recipes.wavefront(s["H"])
    assert (f'H.fold_storage("i+j", {fold})' in s.commands) == (fold is not None)
    assert ps.Schedule.from_text(output, s.to_text()) == s
    kernel = s.build(check=True)
    for n, m in SIZES:
        given = example.inputs(np.random.default_rng(n), {"N": n, "M": m})
        h = example.program({"N": n, "M": m}, **given)
        np.testing.assert_array_equal(kernel(given["a"], given["b"]), expected(kind, h))


def test_scores_of_16_bits_from_sequences_of_32() -> None:
    """Twice the lanes; the same numbers where these fit."""
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, m + 1), "int16", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int16", 3), ps.cast("int16", -3))
    H[i + 1, j + 1] = ps.max(ps.max(H[i, j] + match, 0), ps.max(H[i, j + 1], H[i + 1, j]) - 2)
    r, q = ps.reduce_axis((0, n + 1), name="i"), ps.reduce_axis((0, m + 1), name="j")
    s = ps.Schedule(ps.compute((), lambda: ps.max(H[r, q], axis=(r, q)), name="best"))
    ps.recipes.wavefront(s[H])
    kernel, example = s.build(check=True), EXAMPLES["smith_waterman"]
    for rows, columns in (*SIZES, (150, 90)):
        sizes = {"N": rows, "M": columns}
        given = example.inputs(np.random.default_rng(rows), sizes)
        assert kernel(given["a"], given["b"]) == example.program(sizes, **given).max()


def test_four_diagonals_together_need_the_two_before_them() -> None:
    s = ps.Schedule(score("all"))
    ps.recipes.wavefront(s["H"])
    s.undo()
    refused = s["H"].why_not("fold_storage", "i+j", 5)
    assert isinstance(refused, ps.LegalityError)
    assert "H.equation(2)[i=1, j=3] still reads" in refused.reason
    assert s["H"].why_not("fold_storage", "i+j", 6) is None


@pytest.mark.parametrize(("name", "stage"), [("smith_waterman", "H"), ("nussinov", "B")])
def test_outputs_are_copied_from_a_buffer(name: str, stage: str) -> None:
    example = EXAMPLES[name]
    outputs = example.define()
    s = ps.Schedule(outputs)
    ps.recipes.wavefront(s[stage])
    assert f"{stage}_cache" in str(s)
    kernel = s.build(check=True)
    for n, m in SIZES:
        sizes = {"N": max(n, 1), "M": m}
        given = example.inputs(np.random.default_rng(n), sizes)
        np.testing.assert_array_equal(kernel(*given.values()), example.program(sizes, **given))


def test_the_recipe_refuses() -> None:
    s = ps.Schedule(EXAMPLES["prefix_sum"].define())
    with pytest.raises(ps.ScheduleError, match="wavefront is for recurrences over two dimensions, and p is none"):
        ps.recipes.wavefront(s["p"])
    i, j = ps.axes("i j")
    far = ps.recurrence((9, 9), "int32", name="far")
    far[0, j] = 1
    far[i + 1, j] = ps.select(j < 4, far[i, j + 5], 1) + ps.select(j > 0, far[i + 1, j - 1], 0)
    s = ps.Schedule(far)
    with pytest.raises(ps.ScheduleError, match="wavefront: the cells of far need each other along every diagonal"):
        ps.recipes.wavefront(s["far"])
    assert s.commands == ()


# --- layouts


def skewed(factors: tuple[str, ...]) -> tuple[ps.Schedule, ps.Schedule]:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "int32", name="A")
    B = ps.compute((n, m), lambda i, j: A[i, j] * 3, name="B")
    C = ps.compute((m, n), lambda j, i: B[i, j] - 1, name="C")
    s = ps.Schedule(C)
    s["B"].reorder_storage(*factors)
    return s, ps.Schedule(C)


@pytest.mark.parametrize(
    "layout",
    [("i+j", "i"), ("j", "i + j"), ("i-j", "j"), ("-i+2*j", "j"), ("(i+j)/4", "i", "(i+j)%4"), ("2*i+j", "3*i+j")],
)
def test_skewed_planes(layout: tuple[str, ...]) -> None:
    s, default = skewed(layout)
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    kernel, other = s.build(check=True), default.build()
    for shape in ((0, 3), (3, 0), (1, 1), (7, 9), (16, 8)):
        a = np.arange(np.prod(shape), dtype="int32").reshape(shape)
        np.testing.assert_array_equal(kernel(a), other(a))


def test_a_sum_takes_as_much_room_as_it_has_values() -> None:
    A = ps.placeholder((6, 9), "int32", name="A")
    B = ps.compute((6, 9), lambda i, j: A[i, j] * 3, name="B")
    s = ps.Schedule(ps.compute((6, 9), lambda i, j: B[i, j] - 1, name="C"))
    for layout, shape in {("i+j", "i"): "14, 6", ("i-2*j", "j"): "22, 9", ("10*i+j",): "59"}.items():
        trial = s.copy()
        trial["B"].reorder_storage(*layout)
        assert f"B: int32[{shape}]" in trial.build().source("loops")


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (("i+j",), r"at n=2, m=2 B\[0, 1\] and B\[1, 0\] would be in one place"),
        (("i+j", "2*i+2*j"), r"B\[0, 1\] and B\[1, 0\] would be in one place"),
        (("i+j", "i", "j"), "has 3 terms of different sums, and 2 tell all elements apart"),
        (("i+i", "j"), "is no term of a layout over i, j"),
        (("0*i+j", "i"), "is no term of a layout"),
        (("i+j/2", "i"), "is no term of a layout"),
        (("(i+j)%4", "i"), r"no term for the upper part of \(i\+j\), \(i\+j\)/4"),
        (("i+k", "i"), "is no term of a layout"),
    ],
)
def test_layouts_that_are_none(layout: tuple[str, ...], said: str) -> None:
    with pytest.raises(ps.ScheduleError, match=said):
        skewed(layout)


def test_folds_of_sums() -> None:
    s = ps.Schedule(score("rows"))
    for stage in (s["H"], s["best"]):
        stage.skew("j", by="i")
        stage.reorder("j", "i")
    refused: Callable[..., Any] = s["H"].why_not
    assert "H has no term of i+j in its layout; its dimensions are i, j" in str(refused("fold_storage", "i+j", 3))
    s["H"].reorder_storage("i+j", "i")
    assert "no term of j in its layout; its layout has terms of i+j, i" in str(refused("fold_storage", "j", 3))
    assert isinstance(refused("fold_storage", "i+j", 3), ps.LegalityError)  # best reads all of it afterwards
    s["best"].compute_with("H", "j")
    assert isinstance(refused("fold_storage", "i+j", 2), ps.LegalityError)
    s["H"].fold_storage("i+j", 3)
    assert "as [i+j, i], i+j modulo 3" in str(s)
    assert "reorder_storage of H: i+j is folded" in str(refused("reorder_storage", "i", "j"))
    kernel, default = s.build(), ps.Schedule(s.outputs).build()
    given = EXAMPLES["smith_waterman"].inputs(np.random.default_rng(1), {"N": 30, "M": 21})
    np.testing.assert_array_equal(kernel(**given), default(**given))
    assert isinstance(s["best"].why_not("compute_root"), ps.LegalityError)


# --- stages beside a recurrence, and copies of one


def test_compute_with_a_recurrence() -> None:
    s = ps.Schedule(score("rows"))
    refusal = s["best"].why_not("compute_with", "H", "j")
    assert refusal is None  # row by row
    s["H"].skew("j", by="i")
    s["H"].reorder("j", "i")
    assert "would not share j" in str(s["best"].why_not("compute_with", "H", "j"))


@pytest.mark.parametrize("name", ["fdtd_2d", "lu", "nussinov", "smith_waterman", "deriche"])
def test_a_recurrence_in_a_buffer_of_its_own(name: str) -> None:
    """What needs the cells while they are computed reads the buffer; the stage takes them over."""
    example = EXAMPLES[name]
    outputs = example.define()
    s = ps.Schedule(outputs)
    stage = next(stage for stage in s.stages if stage.rules)  # type: ignore[attr-defined]
    s[stage].cache_write(name="own")
    assert f"{stage.name}[" not in str(s).partition(f"\n{stage.name}: ")[0], "the system reads its buffer"
    assert s["own"].loops[: len(stage.shape)] == ps.Schedule(outputs)[stage].loops[: len(stage.shape)]
    assert len(s[stage].loops) == len(stage.shape)
    with pytest.raises(ps.ScheduleError, match="is no recurrence, and its one equation"):
        s[stage].equation(0)
    s["own"].equation(0).reverse(s["own"].loops[-1])
    given = example.inputs(np.random.default_rng(8), example.sizes)
    names = [a.name for a in s.program.arguments if isinstance(a, ps.Tensor)]
    kernels = s.build(check=True), ps.Schedule(outputs).build()
    one, two = (kernel(*[given[tensor] for tensor in names], **example.sizes) for kernel in kernels)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ps.ScheduleError, match="the cells of a recurrence are computed where its equations say"):
        ps.Schedule(outputs)[stage].cache_write("i")


# --- several diagonals at a time


def gotoh(dtype: str, *, matrix: bool) -> ps.Tensor:
    """Alignment with gaps that cost more where they begin: three recurrences that need each other."""
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), dtype, name="a"), ps.placeholder((m,), dtype, name="b")
    i, j = ps.axes("i j")
    E, F, H = (ps.recurrence((n + 1, m + 1), dtype, name=name) for name in "EFH")
    least = ps.cast(dtype, -100)
    for gap in (E, F):
        gap[0, j] = least
        gap[i + 1, 0] = least
    H[0, j] = ps.cast(dtype, 0)
    H[i + 1, 0] = ps.cast(dtype, 0)
    E[i + 1, j + 1] = ps.max(E[i + 1, j] - 1, H[i + 1, j] - 3)
    F[i + 1, j + 1] = ps.max(F[i, j + 1] - 1, H[i, j + 1] - 3)
    match = ps.select(a[i] == b[j], ps.cast(dtype, 3), ps.cast(dtype, -2))
    H[i + 1, j + 1] = ps.max(ps.max(H[i, j] + match, ps.cast(dtype, 0)), ps.max(E[i + 1, j + 1], F[i + 1, j + 1]))
    r, q = ps.reduce_axis((0, n + 1), name="i"), ps.reduce_axis((0, m + 1), name="j")
    return H if matrix else ps.compute((), lambda: ps.max(H[r, q], axis=(r, q)), name="best")


@pytest.mark.parametrize(("dtype", "matrix"), [("int32", False), ("int16", False), ("float32", True)])
def test_three_recurrences_along_diagonals(dtype: str, matrix: bool) -> None:
    s = ps.Schedule(gotoh(dtype, matrix=matrix))
    ps.recipes.wavefront(s["H"], ps.Target("native", threads=1))
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    assert sum(command.word == "fold_storage" for _, command in s.log) == 3
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for n, m in ((0, 0), (1, 1), (5, 40), (64, 33), (97, 120)):
        random = np.random.default_rng(n)
        given = random.integers(0, 3, n).astype(dtype), random.integers(0, 3, m).astype(dtype)
        np.testing.assert_array_equal(kernel(*given), default(*given), err_msg=f"{n}, {m}")


def test_vectors_of_diagonals_are_carried_in_registers() -> None:
    s = ps.Schedule(score("all"))
    ps.recipes.wavefront(s["H"], ps.Target("x86-64-v4", threads=1))
    loops = s.build(target="x86-64-v4").source("loops")
    assert loops.count("lanes_behind(H_before") >= 3
    assert "register H_before0: int32[16]" in loops


def test_scores_are_in_fewer_bits_where_all_fit() -> None:
    s = ps.Schedule(score("all"))
    ps.recipes.wavefront(s["H"], ps.Target("x86-64-v4", threads=1))
    (branch,) = s.branches
    few = branch.schedule
    assert [few[name].tensor.dtype.name for name in ("H", "best_cache", "best")] == ["int16", "int16", "int32"]
    assert s["H"].tensor.dtype.name == "int32"
    assert 'H.split("i", 32, outer="i_o", inner="i_i")' in few.commands
    assert few.condition is not None


@pytest.mark.parametrize("output", ["rows", "all", "last"])
def test_sequences_are_in_fewer_bits_where_they_fit(output: str) -> None:
    """They are only compared, so that their copies may be; those of another call may not."""
    s = ps.Schedule(score(output))
    ps.recipes.wavefront(s["H"], ps.Target("native", threads=1))
    (branch,) = s.branches
    assert branch.words.endswith("(min(a) >= -32768) & (max(a) <= 32767) & (min(b) >= -32768) & (max(b) <= 32767)")
    copies = [stage for stage in branch.schedule.stages if stage.name.endswith(("_a", "_b"))]
    assert [copy.dtype.name for copy in copies] == ["int16", "int16"]
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for n, m in ((0, 0), (1, 1), (1, 70), (64, 33), (97, 120)):
        random = np.random.default_rng(n)
        a, b = random.integers(0, 3, n, np.int32), random.integers(0, 3, m, np.int32)
        for factor in (1, 16383, 16384, 65536, -16384, -16385):  # times 65536, all are 0 in 16 bits
            given = a * factor, b * factor
            np.testing.assert_array_equal(kernel(*given), default(*given), err_msg=f"{n}, {m}, {factor}")


def test_a_copy_whose_name_is_taken_is_left_out() -> None:
    n = ps.size_var("n")
    a, b = (ps.placeholder((n,), "int32", name=name) for name in "ab")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, n + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int32", 3), 0)
    H[i + 1, j + 1] = ps.max(H[i, j] + match, ps.max(H[i, j + 1], H[i + 1, j]))
    s = ps.Schedule(ps.compute((n + 1,), lambda i: H[i, n], name="H_a"))
    ps.recipes.wavefront(s[H], ps.Target("native", threads=1))
    (branch,) = s.branches
    assert {stage.name: stage.dtype.name for stage in branch.schedule.stages} == {
        **{"H_b": "int16", "H": "int16", "H_a": "int32"}
    }
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    given = np.random.default_rng(0).integers(0, 3, (2, 70), np.int32)
    np.testing.assert_array_equal(kernel(*given), default(*given))


def test_sequences_that_are_more_than_compared_stay_as_they_are() -> None:
    n = ps.size_var("n")
    a, b, c = (ps.placeholder((n,), "int32", name=name) for name in "abc")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, n + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select((a[i] == b[j]) & (c[i] < 100000), ps.cast("int32", 3), ps.cast("int32", b[j] > 0))
    H[i + 1, j + 1] = ps.max(H[i, j] + ps.select(a[i] + 1 > 0, match, 0), ps.max(H[i, j + 1], H[i + 1, j]))
    s = ps.Schedule(ps.compute((), lambda: H[n, n], name="length"))
    ps.recipes.wavefront(s[H], ps.Target("native", threads=1))
    (branch,) = s.branches
    assert "(b)" in branch.words and "(a)" not in branch.words and "(c)" not in branch.words
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for size, most in ((5, 3), (70, 3), (70, 40000)):
        given = np.random.default_rng(size).integers(0, most, (3, size), np.int32)
        assert kernel(*given) == default(*given)


@pytest.mark.parametrize(("size", "dtype"), [(40, "int8"), (200, "int16"), (20000, "int32")])
def test_counts_of_fixed_sizes_are_in_the_fewest_bits(size: int, dtype: str) -> None:
    a, b = ps.placeholder((size,), "uint8", name="a"), ps.placeholder((size,), "uint8", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((size + 1, size + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    H[i + 1, j + 1] = ps.max(
        H[i, j] + ps.select(a[i] == b[j], ps.cast("int32", 2), 0), ps.max(H[i, j + 1], H[i + 1, j])
    )
    s = ps.Schedule(ps.compute((), lambda: H[size, size], name="length"))
    ps.recipes.wavefront(s[H], ps.Target("native", threads=1))
    assert (s.branches, s[H].tensor.dtype.name) == ((), dtype)
    if size < 1000:
        random = np.random.default_rng(size)
        given = random.integers(0, 3, size, np.uint8), random.integers(0, 3, size, np.uint8)
        assert s.build(check=True)(*given) == ps.Schedule(s.outputs).build()(*given)
