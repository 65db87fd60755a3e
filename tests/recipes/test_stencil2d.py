"""stencil2d: pipelines over images of any size, in registers, in tiles, and before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .agreement import agrees, some

SIZES = [(0, 4), (1, 1), (2, 40), (9, 33), (17, 70)]


def recipe(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.stencil2d(s[s.stages[-1]], target)


def small(s: ps.Schedule, target: ps.Target) -> None:
    """Tiles so small that there are several, with tails."""
    ps.recipes.stencil2d(s[s.stages[-1]], target, rows=3, vectors=1, tile=(6, 32))


def blur(n: Any, m: Any, dtype: str) -> ps.Tensor:
    A = ps.placeholder((n + 2, m + 2), dtype, name="A")
    B = ps.compute((n + 2, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) // 3, name="B")
    return ps.compute((n, m), lambda i, j: (B[i, j] + B[i + 1, j] + B[i + 2, j]) // 3, name="C")


def corners(n: Any, m: Any) -> ps.Tensor:
    """A stage at each place: derivatives in tiles, products inlined, a sum twice read in registers."""
    A = ps.placeholder((n + 2, m + 3), "float32", name="A")
    dx = ps.compute((n + 2, m + 2), lambda i, j: A[i, j + 1] * 2 - A[i, j] * 3, name="dx")
    xx = ps.compute((n + 2, m + 2), lambda i, j: dx[i, j] * dx[i, j], name="xx")
    r, q = ps.reduce_axis((0, 3), name="r"), ps.reduce_axis((0, 3), name="q")
    total = ps.compute((n, m), lambda i, j: ps.sum(xx[i + r, j + q], axis=(r, q)), name="total")
    return ps.compute((n, m), lambda i, j: ps.sqrt(total[i, j]) + total[i, j] * dx[i + 1, j + 1], name="out")


def colours(n: Any, m: Any) -> ps.Tensor:
    """Grey is shared by three colours, and needs the largest element of all."""
    A = ps.placeholder((3, n + 2, m + 2), "float32", name="A")
    y, x = ps.reduce_axis((0, n + 2), name="y"), ps.reduce_axis((0, m + 2), name="x")
    top = ps.compute((), lambda: ps.max(ps.abs(A[0, y, x]), axis=(y, x)), name="top")
    weights = ps.compute((3,), lambda c: ps.cast("float32", c) + 1, name="weights")
    grey = ps.compute(
        (n + 2, m + 2),
        lambda i, j: (A[0, i, j] * weights[0] + A[1, i, j] * weights[1] + A[2, i, j]) / (top[()] + 1),
        name="grey",
    )
    soft = ps.compute((n, m), lambda i, j: grey[i, j] + grey[i + 1, j + 1] * 2 + grey[i + 2, j + 2], name="soft")
    return ps.compute((3, n, m), lambda c, i, j: A[c, i + 1, j + 1] * soft[i, j] - grey[i, j], name="out")


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint8"])
def test_blur(dtype: str) -> None:
    calls = [(some(1, (n + 2, m + 2), dtype),) for n, m in [*SIZES, (3, 20001)]]
    s = agrees(blur(ps.size_var("n"), ps.size_var("m"), dtype), recipe, calls)
    assert 'B.compute_at("C", "j_o")' in s.commands
    assert ps.build(s, ps.Target("native", threads=1)).warnings == ()


def test_small_images_have_a_schedule_of_their_own() -> None:
    """Where the sum of rows and columns tells that the output stays in the caches; a promise of the sizes may, too."""
    target = ps.Target("x86-64-v4", threads=1)
    recipe(s := ps.Schedule(blur(ps.size_var("n"), ps.size_var("m"), "uint16")), target)
    own = [command for command in s.commands if 'specialize("n + m <= ' in command]
    assert own
    assert not any("prefetch" in command for command in own)
    streamed = [command.split("at_least=")[1] for command in s.commands if "store_streaming" in command]
    assert [int(bytes_[:-1]) for bytes_ in streamed] == [target.l3_bytes // 8, target.l2_bytes]
    assert any(command.startswith("C.prefetch") for command in s.commands)
    recipe(fixed := ps.Schedule(blur(45, 131, "uint16")), target)
    assert not any("specialize" in command for command in fixed.commands)
    ps.recipes.stencil2d(
        (wanted := ps.Schedule(blur(ps.size_var("n"), ps.size_var("m"), "uint16")))["C"], target, streaming=True
    )
    assert "C.store_streaming()" in wanted.commands


def test_narrowed_vectors_are_not_streamed() -> None:
    target = ps.Target("x86-64-v4", threads=1)
    A = ps.placeholder((4004, 4096), "uint8", name="A")
    B = ps.compute((4000, 4096), lambda i, j: ps.cast("uint16", A[i, j]) + A[i + 1, j] + A[i + 4, j], name="B")
    for dtype in ("uint8", "uint16"):
        C = ps.compute((3999, 4096), lambda i, j, to=dtype: ps.cast(to, B[i, j] + B[i + 1, j]), name="C")
        recipe(s := ps.Schedule(C), target)
        assert any("store_streaming" in command for command in s.commands) == (dtype == "uint16")


@pytest.mark.parametrize("columns", [641, 1920, 64])
def test_tiles_of_known_rows_are_even(columns: int) -> None:
    """No tile has more than a register tile less than another."""
    s = ps.Schedule(corners(300, columns))
    target = ps.Target("x86-64-v4", threads=1)
    recipe(s, target)
    even = next(command for command in s.commands if command.startswith('out.split("j", ') and "j_t" in command)
    factor = int(even.split(", ")[1])
    assert factor % 32 == 0
    count = -(-columns // factor)
    assert count * factor - columns < 32 * count


def test_blur_of_fixed_sizes_in_threads() -> None:
    agrees(blur(45, 131, "uint16"), recipe, [(some(2, (47, 133), "uint16"),)], threads=2)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("schedule", [recipe, small])
def test_corners(schedule: Any, threads: int) -> None:
    calls = [(some(3, (n + 2, m + 3), "float32"),) for n, m in SIZES]
    s = agrees(corners(ps.size_var("n"), ps.size_var("m")), schedule, calls, threads=threads)
    assert {'dx.compute_at("out", "j_t")', "xx.inline()", 'total.compute_at("out", "j_o")'} <= set(s.commands)


@pytest.mark.parametrize("schedule", [recipe, small])
def test_stages_in_tiles_that_read_the_same_share_loops(schedule: Any) -> None:
    """Two derivatives do; a third has a footprint of its own, and what is made of it reads something else."""
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m + 3), "float32", name="A")
    dx = ps.compute((n + 2, m + 2), lambda i, j: A[i, j + 1] * 2 - A[i, j] * 3, name="dx")
    dy = ps.compute((n + 2, m + 2), lambda i, j: A[i, j + 1] * 5 + A[i, j], name="dy")
    dz = ps.compute((n, m + 2), lambda i, j: A[i, j + 1] * 4 + A[i, j], name="dz")
    out = ps.compute(
        (n, m), lambda i, j: dx[i, j] * dy[i + 1, j + 1] + dx[i + 2, j + 2] * dy[i, j + 2] - dy[i + 2, j] * dx[i, j + 1]
        + dz[i, j] * dz[i, j + 2], name="out"
    )  # fmt: skip
    calls = [(some(3, (rows + 2, columns + 3), "float32"),) for rows, columns in SIZES]
    s = agrees(out, schedule, calls)
    assert [command for command in s.commands if "compute_with" in command] == ['dx.compute_with("dy", "j_o")']


def test_colours() -> None:
    calls = [(some(4, (3, n + 2, m + 2), "float32"),) for n, m in SIZES]
    s = agrees(colours(ps.size_var("n"), ps.size_var("m")), small, calls)
    assert s["out"].loops == ("i_t", "j_t", "i_o", "j_o", "c", "i_i", "j_i")
    assert s["top"].loops[0] == "y"  # of no tile: once, before all


def test_the_blur_is_a_blur() -> None:
    a = some(5, (34, 67), "uint16").astype("uint16")
    s = ps.Schedule(blur(32, 65, "uint16"))
    ps.recipes.stencil2d(s["C"])
    rows = (a[:, :-2] + a[:, 1:-1] + a[:, 2:]) // 3
    np.testing.assert_array_equal(ps.build(s)(a), (rows[:-2] + rows[1:-1] + rows[2:]) // 3)


def test_one_dimension_is_refused() -> None:
    A = ps.placeholder((9,), "float32", name="A")
    s = ps.Schedule(ps.compute((7,), lambda i: A[i] + A[i + 2], name="B"))
    with pytest.raises(ps.ScheduleError, match="for one dimension, use split, vectorize and compute_at"):
        ps.recipes.stencil2d(s["B"])
    assert s.commands == ()


def test_products_are_refused() -> None:
    A, r = ps.placeholder((64, 64), "float32", name="A"), ps.reduce_axis((0, 64), name="r")
    s = ps.Schedule(ps.compute((64, 64), lambda i, j: ps.sum(A[i, r] * A[r, j], axis=r), name="B"))
    with pytest.raises(ps.ScheduleError, match=r"see recipes\.gemm"):
        ps.recipes.stencil2d(s["B"])
    assert s.commands == ()
