"""compute_at and store_at: the same bits wherever a stage is computed, and what cannot be is refused with a way out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import polysched as ps


def blur() -> ps.Tensor:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m + 2), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) / 3, name="B")
    return ps.compute((n, m), lambda i, j: (B[i, j] + B[i + 1, j] + B[i + 2, j]) / 3, name="C")


def in_row_tiles(s: ps.Schedule) -> None:
    outer, _ = s["C"].split("i", 16)
    s["B"].compute_at("C", outer)


def in_each_row(s: ps.Schedule) -> None:
    _, inner = s["C"].split("i", 16)
    s["B"].compute_at("C", inner)


def sliding(s: ps.Schedule) -> None:
    outer, inner = s["C"].split("i", 16)
    s["B"].compute_at("C", inner)
    s["B"].store_at("C", outer)


def sliding_over_all(s: ps.Schedule) -> None:
    s["B"].compute_at("C", "i")
    s["B"].store_root()


def sliding_in_threads(s: ps.Schedule) -> None:
    outer, inner = s["C"].split("i", 16)
    s["C"].parallel(outer)
    s["B"].compute_at("C", inner)
    s["B"].store_at("C", outer)
    s["B"].vectorize(s["B"].split("j", 16)[1])
    s["C"].vectorize(s["C"].split("j", 16)[1])


def in_tiles(s: ps.Schedule) -> None:
    _, xo, _, _ = s["C"].tile("i", "j", 16, 32)
    s["B"].compute_at("C", xo)
    s["B"].vectorize(s["B"].split("j", 8)[1])


def scheduled_before(s: ps.Schedule) -> None:
    s["B"].split("i", 4)
    s["B"].unroll("i_i")
    s["B"].parallel("i_o")
    in_tiles(s)


def loops_moved_after(s: ps.Schedule) -> None:
    in_tiles(s)
    s["C"].reorder("j_o", "i_o")
    s["B"].compute_at("C", "i_o")
    s["C"].reverse("i_o")
    s["C"].split("j_o", 2)


def there_and_back(s: ps.Schedule) -> None:
    in_tiles(s)
    s["B"].compute_root()


SCHEDULES = (
    *(in_row_tiles, in_each_row, sliding, sliding_over_all, sliding_in_threads, in_tiles, scheduled_before),
    *(loops_moved_after, there_and_back),
)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_same_bits(schedule: Callable[[ps.Schedule], None]) -> None:
    output = blur()
    default = ps.build(ps.Schedule(output))
    s = ps.Schedule(output)
    schedule(s)
    kernel = ps.build(s, check=True)
    rng = np.random.default_rng(1)
    for n, m in [(0, 0), (0, 5), (1, 1), (2, 40), (15, 31), (16, 32), (17, 33), (75, 103)]:
        a = rng.random((n + 2, m + 2), np.float32)
        assert np.array_equal(kernel(a), default(a)), (n, m)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_text_form(schedule: Callable[[ps.Schedule], None]) -> None:
    output = blur()
    s = ps.Schedule(output)
    schedule(s)
    again = ps.Schedule.from_text(output, s.to_text())
    assert again == s
    assert str(again) == str(s)


def chain() -> ps.Tensor:
    A = ps.placeholder((50, 40), "int32", name="A")
    B = ps.compute((50, 40), lambda i, j: A[i, j] * 3 - A[j, i % 40], name="B")
    r = ps.reduce_axis((0, 40), name="r")
    R = ps.compute((50,), lambda i: ps.max(B[i, r], axis=r), name="R")
    D = ps.compute((48, 40), lambda i, j: B[i, j] + B[i + 2, j] - R[i + 1], name="D")
    return ps.compute((48, 39), lambda i, j: D[i, j] * D[i, j + 1], name="E")


def test_stages_in_loops_of_stages_in_loops() -> None:
    output = chain()
    a = np.random.default_rng(2).integers(-99, 99, (50, 40), np.int32)
    wanted = ps.build(ps.Schedule(output))(a)
    s = ps.Schedule(output)
    s["E"].split("i", 7)
    s["D"].compute_at("E", "i_i")
    s["R"].compute_at("E", "i_o")
    s["B"].compute_at("E", "i_o")
    assert np.array_equal(ps.build(s, check=True)(a), wanted)
    s["R"].compute_at("D", "i")
    s["R"].vectorize(s["R"].split("r", 8)[1])
    assert np.array_equal(ps.build(s, check=True)(a), wanted)
    s["R"].compute_at("E", "i_i")
    with pytest.raises(ps.ScheduleError, match="cannot be computed at i of D, because R reads it outside"):
        s["B"].compute_at("D", "i")


def test_choices_and_reads_from_data() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    K = ps.placeholder((n,), "int64", name="K")
    B = ps.compute((n,), lambda i: ps.sqrt(A[i]), name="B")
    r = ps.reduce_axis((0, n), name="r")
    M = ps.compute((n,), lambda i: ps.argmin(A[r] * B[i], axis=r), name="M")
    C = ps.compute((n,), lambda i: ps.select(i > 3, B[i - 4], 0.0) + B[ps.clamp(K[i], 0, n - 1)] + M[i], name="C")
    a, k = np.random.default_rng(3).random(37), np.random.default_rng(3).integers(-9, 99, 37)
    wanted = ps.build(ps.Schedule(C))(a, k)
    s = ps.Schedule(C)
    s[C].split("i", 8)
    s[M].compute_at(C, "i_o")
    s[B].compute_at(C, "i_o")
    s[C].vectorize("i_i")
    with pytest.raises(ps.ScheduleError, match="B cannot be computed at i_o of C, because M reads it outside"):
        s[M].compute_root()
    assert np.array_equal(ps.build(s, check=True)(a, k), wanted)


def test_a_window_cannot_slide_over_threads() -> None:
    s = ps.Schedule(blur())
    s["C"].split("i", 16)
    s["B"].compute_at("C", "i_i")
    s["C"].parallel("i_o")
    with pytest.raises(ps.LegalityError, match="at the same time") as refusal:
        s["B"].store_at()
    assert refusal.value.sizes == {"n": 17, "m": 1}
    assert refusal.value.cell == ("B", (16, 0))
    assert s.commands[-1] == 'C.parallel("i_o")'


def test_refusals() -> None:
    s = ps.Schedule(blur())
    for stage, consumer, loop, words in (
        ("B", "C", "z", "C has no loop 'z'; its loops are i, j"),
        ("B", "Q", "i", "Q is none; those after it are C"),
        ("C", "B", "i", "C is an output"),
    ):
        with pytest.raises(ps.ScheduleError, match=words):
            s[stage].compute_at(consumer, loop)
    with pytest.raises(ps.ScheduleError, match=r"B.compute_at\(consumer, loop\) comes first"):
        s["B"].store_at("C", "i")
    s["B"].compute_at("C", "i")
    with pytest.raises(ps.ScheduleError, match="outside of that loop; it can be stored at the root or at i of C"):
        s["B"].store_at("C", "j")
    with pytest.raises(ps.ScheduleError, match="Before a command that takes this loop away, place B at another one"):
        s["C"].split("i", 4)
    s["C"].split("j", 8)
    s["C"].vectorize("j_i")
    with pytest.raises(ps.ScheduleError, match="which is vectorized: compute it outside of that loop"):
        s["B"].compute_at("C", "j_i")
    s["B"].compute_root()
    s["C"].fuse("i", "j_o")
    with pytest.raises(ps.ScheduleError, match="made of fused loops"):
        s["B"].compute_at("C", "i_j_o")


def test_nothing_is_computed_where_nothing_is_read() -> None:
    n = ps.size_var("n", min=5)
    A = ps.placeholder((n,), "float32", name="A")
    P = ps.compute((n,), lambda i: A[i] * 2, name="P")
    s = ps.Schedule(ps.compute((n,), lambda i: ps.select((i < 4) | (i >= n - 2), P[i], A[i]), name="C"))
    s[P].compute_at("C", "i")
    assert "P: recomputation 0.3 (6 for 20)" in str(s.explain(n=20))
