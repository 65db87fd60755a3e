"""`cache_operand`, `separate` into other blocks, `split` with an offset, and recipes.closure, which is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

SIZES = (1, 2, 8, 9, 31, 33, 34, 65, 100)
STRANGE = (np.nan, np.inf, -np.inf, -0.0, 0.0)


def paths(dtype: str = "float32", size: int | None = None) -> tuple[ps.Tensor, ps.Tensor]:
    n = ps.size_var("n", min=1) if size is None else size
    W = ps.placeholder((n, n), dtype, name="W")
    k, i, j = ps.axes("k i j")
    d = ps.recurrence((n + 1, n, n), dtype, name="d")
    d[0, i, j] = W[i, j]
    d[k + 1, i, j] = ps.minimum(d[k, i, j], d[k, i, k] + d[k, k, j])
    return d, d[n]


def elimination() -> tuple[ps.Tensor, ps.Tensor]:
    """Gauss's and Jordan's, without pivoting: the pivot's row is scaled, and the column cleared by it."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    k, i, j = ps.axes("k i j")
    a = ps.recurrence((n + 1, n, n), "float64", name="a")
    a[0, i, j] = A[i, j]
    a[k + 1, i, j] = ps.select(i == k, a[k, k, j], a[k, i, j] - a[k, i, k] * a[k, k, j])
    return a, a[n]


def reached() -> tuple[ps.Tensor, ps.Tensor]:
    n = ps.size_var("n", min=1)
    E = ps.placeholder((n, n), "bool", name="E")
    k, i, j = ps.axes("k i j")
    r = ps.recurrence((n + 1, n, n), "bool", name="r")
    r[0, i, j] = E[i, j]
    r[k + 1, i, j] = r[k, i, j] | (r[k, i, k] & r[k, k, j])
    return r, r[n]


def given(n: int, dtype: Any) -> Any:
    random = np.random.default_rng(n)
    if dtype == "bool":
        return random.random((n, n)) < 2 / n
    if np.dtype(dtype).kind in "iu":
        return random.integers(0, 100, (n, n)).astype(dtype)
    values = (0.1 * random.standard_normal((n, n))).astype(dtype)
    strange = random.choice(STRANGE, (n, n)).astype(dtype)
    return values if n != 100 else np.where(random.random((n, n)) < 0.02, strange, values)


def agrees(s: ps.Schedule, dtype: str, target: ps.Target) -> None:
    kernel, default = s.build(target, check=True), ps.Schedule(s.outputs).build()
    for n in SIZES:
        w = given(n, dtype)
        one, two = kernel(w), default(w)
        np.testing.assert_array_equal(one, two)
        assert n == 100 or one.tobytes() == two.tobytes(), n


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_paths(dtype: str) -> None:
    target = ps.Target("native", threads=1)
    d, output = paths(dtype)
    s = ps.Schedule(output)
    ps.recipes.closure(s[d], target)
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    assert "k modulo 1" in str(s)
    agrees(s, dtype, target)


@pytest.mark.parametrize("case", [reached, elimination])
def test_other_closures_in_threads(case: Any) -> None:
    target = ps.Target("native", threads=2)
    stage, output = case()
    s = ps.Schedule(output)
    ps.recipes.closure(s[stage], target, block=8)
    assert any("parallel" in command for command in s.commands)
    agrees(s, output.dtype.name, target)


def test_a_fixed_size_and_another_target() -> None:
    d, output = paths("float32", 50)
    s = ps.Schedule(output)
    ps.recipes.closure(s[d], ps.Target("x86-64-v3", threads=1))
    w = given(50, "float32")
    want = w
    for k in range(50):
        want = np.minimum(want, want[:, k : k + 1] + want[k : k + 1, :])
    np.testing.assert_array_equal(s.build("x86-64-v3")(w), want)


def test_the_last_plane_is_all_that_is_kept() -> None:
    d, output = paths()
    s = ps.Schedule(output)
    ps.recipes.closure(s[d], ps.Target("x86-64-v4", threads=1))
    loops = s.build("x86-64-v4").source("loops")
    assert "heap d: float32[1, n, n]" in loops
    assert "heap d_k_i: float32[32, n]" in loops
    tile = [line for line in loops.splitlines() if line.lstrip().startswith("d_tile") and "= min(" in line]
    assert tile, "accumulators of the far tiles are in registers"


@pytest.mark.parametrize("back", [1, 2])
def test_two_planes_are_kept_where_the_one_before_the_last_is_an_output(back: int) -> None:
    n = ps.size_var("n", min=2)
    W = ps.placeholder((n, n), "int32", name="W")
    k, i, j = ps.axes("k i j")
    d = ps.recurrence((n + 1, n, n), "int32", name="d")
    d[0, i, j] = W[i, j]
    d[k + 1, i, j] = ps.minimum(d[k, i, j], d[k, i, k] + d[k, k, j])
    s = ps.Schedule([d[n], d[n - back]])
    ps.recipes.closure(s[d], ps.Target("native", threads=1))
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    assert f"heap d: int32[{back + 1}, n, n]" in kernel.source("loops")
    for size in (2, 31, 32, 33, 65):
        for got, wanted in zip(kernel(given(size, "int32")), default(given(size, "int32")), strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["jacobi_2d", "lu", "prefix_sum"])
def test_what_is_none_is_refused(name: str) -> None:
    s = ps.Schedule(EXAMPLES[name].define())
    stage = next(stage for stage in s.stages if hasattr(stage, "rules"))
    with pytest.raises(ps.ScheduleError, match="closure is for recurrences with an equation"):
        ps.recipes.closure(s[stage])
    assert s.commands == ()


def test_in_place_needs_the_operands_apart() -> None:
    """Without them, the pivot's column is overwritten before all rows have read it."""
    d, output = paths()
    s = ps.Schedule(output)
    refusal = s[d].why_not("fold_storage", "k", 1)
    assert isinstance(refusal, ps.LegalityError)
    assert "still reads" in str(refusal)
    s[d].equation(1).cache_operand("k", "i")
    s[d].equation(1).cache_operand("k", "j")
    s[d].fold_storage("k", 1)
    assert "d[k, i, j] = min(d[k - 1, i, j], d_k_i[k, i] + d_k_j[k, j])" in str(s)
    agrees(s, "float32", ps.Target("native"))
    while s.commands:
        s.undo()
    assert len(s.stages) == 2


def test_blocks_whose_operands_are_folded_too_far() -> None:
    d, output = paths()
    s = ps.Schedule(output)
    ps.recipes.closure(s[d], ps.Target("x86-64-v4", threads=1))
    assert isinstance(s["d_k_i"].why_not("fold_storage", "k", 31), ps.LegalityError)
    assert isinstance(s[d].equation(1).why_not("parallel", "k_o"), ps.LegalityError)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('d.cache_operand("k", "i", name="c")', r"is for one equation of a recurrence, as in s\[d\].equation\(0\)"),
        (
            'd.equation(1).cache_operand("k", name="c")',
            r"reads nothing at k alone; what it reads at some .*d\[k - 1, i",
        ),
        ('d.equation(1).cache_operand("i", "x", name="c")', "'x' is no axis of its cells; there is k, i, j"),
        ('d.equation(1).cache_operand("k", "i", name="W")', "there is a W already"),
        ('d.equation(0).cache_operand("i", name="c")', "reads nothing at i alone"),
        ('d.equation(1).separate("i", "k", 8, blocks="later")', 'blocks= is "earlier" or "other", not'),
        ('d.split("k", 8, outer="a", inner="b", offset=8)', "takes an offset that is an integer from 0 to 7, not 8"),
    ],
)
def test_errors(command: str, said: str) -> None:
    s = ps.Schedule(paths()[1])
    with pytest.raises(ps.ScheduleError, match=said):
        s.extend(command)


def test_an_operand_that_is_not_there_for_all_of_its_axes() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float32", name="A")
    i, j = ps.axes("i j")
    u = ps.recurrence((n, n), "float32", name="u")
    u.define((i, j), A[i, j], where=i >= j)
    u.define((i, j), u[j, i] + A[j - i - 1, 0], where=i < j)
    s = ps.Schedule(u)
    with pytest.raises(ps.ScheduleError, match="reads nothing at i alone"):
        s[u].equation(1).cache_operand("i")
    v = ps.recurrence((n, n), "float32", name="v")
    v[i, 0] = A[i, 0]
    v.define((i, j), v[i, j - 1] + ps.select(i + 1 < n, A[i + 1, 0], 0.0), where=j > 0)
    t = ps.Schedule(v)
    with pytest.raises(ps.ScheduleError, match=r"A\[i \+ 1, 0\] is not inside A for all of i"):
        t[v].equation(1).cache_operand("i")


def test_split_with_an_offset() -> None:
    A = ps.placeholder((20,), "int32", name="A")
    s = ps.Schedule(ps.compute((20,), lambda i: A[i] * 2, name="B"))
    s["B"].split("i", 8, offset=5)
    assert "i = 8 * i_o + i_i - 5  # 0 <= i < 20" in str(s)
    assert s.commands == ('B.split("i", 8, outer="i_o", inner="i_i", offset=5)',)
    np.testing.assert_array_equal(s.build(check=True)(np.arange(20, dtype="int32")), 2 * np.arange(20))
