"""transpose: tiles in registers, of any size and dtype, without gathers where tiles are full."""

from __future__ import annotations

from typing import Any

import pytest

import polysched as ps

from .agreement import agrees, some

SIZES = [(0, 4), (1, 1), (2, 40), (16, 64), (33, 17), (130, 67), (1024, 20), (2048, 3)]


def recipe(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.transpose(s[s.stages[-1]], target)


def tiles(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.transpose(s[s.stages[-1]], target, lanes=8, tile=(16, 24), streaming=False)


def transposed(n: Any, m: Any, dtype: str) -> ps.Tensor:
    A = ps.placeholder((m, n), dtype, name="A")
    return ps.compute((n, m), lambda i, j: A[j, i], name="B")


@pytest.mark.parametrize(("dtype", "schedule"), [("int16", tiles), ("float32", recipe), ("float64", recipe)])
def test_any_size(dtype: str, schedule: Any) -> None:
    calls = [(some(1, (m, n), dtype),) for n, m in SIZES]
    agrees(transposed(ps.size_var("n"), ps.size_var("m"), dtype), schedule, calls)


@pytest.mark.parametrize(("n", "m"), [(3, 200), (200, 3), (64, 64), (1024, 40)])
def test_fixed_sizes(n: int, m: int) -> None:
    agrees(transposed(n, m, "float32"), recipe, [(some(2, (m, n), "float32"),)])


def test_full_tiles_are_shuffled_and_not_gathered() -> None:
    s = ps.Schedule(transposed(256, 128, "uint8"))
    recipe(s, ps.Target("native", threads=1))
    assert ps.build(s).warnings == ()


@pytest.mark.parametrize("sizes", [(ps.size_var("n"), ps.size_var("m")), (250, 130), (37, 19)])
def test_partial_tiles_are_masked_and_not_gathered(sizes: Any) -> None:
    s = ps.Schedule(transposed(*sizes, "float32"))
    recipe(s, ps.Target("x86-64-v4", threads=1))
    assert s.build(ps.Target("x86-64-v4", threads=1)).warnings == ()


def test_rows_that_lie_pages_apart_have_tiles() -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    recipe(s := ps.Schedule(transposed(n, m, "float64")), ps.Target("x86-64-v4", threads=1))
    own = s["B"].specialize("n % 512 == 0")
    assert own.loops == ("j_t", "i_t", "j_o", "i_o", "i_i", "j_i")
    assert s["B"].loops == ("j_o", "i_o", "i_i", "j_i")
    tiles(s := ps.Schedule(transposed(n, m, "float64")), ps.Target("x86-64-v4", threads=1))
    assert not any("specialize" in command for command in s.commands)


def test_what_else_is_read_and_other_axes() -> None:
    """Channels first to channels last, scaled, with a bias that is read along the output."""
    n, c, h, w = 2, 24, 5, 37
    I, bias = ps.placeholder((n, c, h, w), name="I"), ps.placeholder((c,), name="bias")
    out = ps.compute((n, h, w, c), lambda b, y, x, k: I[b, k, y, x] * 2 + bias[k], name="out")
    s = agrees(out, recipe, [(some(3, (n, c, h, w), "float32"), some(4, (c,), "float32"))], threads=2)
    assert s["out"].loops == ("b", "y", "k_o", "x_o", "x_i", "k_i")


@pytest.mark.parametrize("kind", ["copy", "sum", "scalar"])
def test_other_stages_are_refused(kind: str) -> None:
    A, r = ps.placeholder((8, 8), name="A"), ps.reduce_axis((0, 8), name="r")
    made = {
        "copy": lambda: ps.compute((8, 8), lambda i, j: A[i, j], name="B"),
        "sum": lambda: ps.compute((8, 8), lambda i, j: ps.sum(A[j, i] * A[i, r], axis=r), name="B"),
        "scalar": lambda: ps.compute((), lambda: A[0, 0], name="B"),
    }[kind]()
    s = ps.Schedule(made)
    with pytest.raises(ps.ScheduleError, match="along another axis"):
        recipe(s, ps.Target("native", threads=1))
