"""align_storage: strides that are multiples, with every other layout, and the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import polysched as ps


def window() -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    return ps.Schedule(ps.compute((n, m), lambda i, j: B[i, j] + B[i + 1, j] * 3 + B[i + 2, j], name="C"))


def rows(s: ps.Schedule) -> None:
    s["B"].align_storage("j", 16)


def columns(s: ps.Schedule) -> None:
    s["B"].reorder_storage("j", "i")
    s["B"].align_storage("i", 8, offset=3)


def panels(s: ps.Schedule) -> None:
    s["B"].reorder_storage("j/5", "i", "j%5")
    s["B"].align_storage("j%5", 8)
    s["B"].align_storage("i", 4, offset=1)


def tiles(s: ps.Schedule) -> None:
    s["C"].tile("i", "j", 4, 12)
    s["B"].compute_at("C", "j_o")
    s["B"].align_storage("j", 16)
    s["B"].vectorize("j")


def sliding(s: ps.Schedule) -> None:
    s["C"].split("j", 12)
    s["C"].reorder("j_o", "i", "j_i")
    s["B"].compute_at("C", "i")
    s["B"].store_at("C", "j_o")
    s["B"].reorder_storage("j", "i")
    s["B"].fold_storage("i", 3)
    s["B"].align_storage("i", 4)


def fused(s: ps.Schedule) -> None:
    s["B"].align_storage("j", 16)
    s["B"].vectorize(s["B"].split(s["B"].fuse("i", "j"), 8)[1])


def copies(s: ps.Schedule) -> None:
    s["C"].split("i", 4)
    copy = s["C"].cache_read("B", at="i_o")
    copy.align_storage("j", 32, offset=16)
    s["B"].compute_at(copy, copy.loops[0])


LAYOUTS: dict[str, tuple[Callable[[ps.Schedule], None], str]] = {
    "rows": (rows, "heap B: float32[n + 2, 16 * ((m + 15) // 16)]"),
    "columns": (columns, "heap B: float32[m, 8 * ((n + 6) // 8) + 3]"),
    "panels": (panels, "heap B: float32[(m + 4) // 5, 4 * (n // 4) + 5, 8]"),
    "tiles": (tiles, "stack B: float32[6, 16]"),
    "sliding": (sliding, "stack B: float32[12, 4]"),
    "fused": (fused, "heap B: float32[n + 2, 16 * ((m + 15) // 16)]"),
    "copies": (copies, "heap B_cache: float32[6, 32 * ((m + 15) // 32) + 16]"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_memory_is_padded_and_no_bit_changes(name: str) -> None:
    schedule, memory = LAYOUTS[name]
    s = window()
    schedule(s)
    kernel, reference = ps.build(s, check=True), ps.build(ps.Schedule(s.outputs))
    assert memory in kernel.source("loops").splitlines()
    rng = np.random.default_rng(5)
    for n, m in ((0, 0), (1, 1), (7, 12), (9, 33), (4, 16)):
        array = rng.random((n + 2, m), np.float32)
        assert kernel(array).tobytes() == reference(array).tobytes(), (n, m)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s and str(again) == str(s)


@pytest.mark.parametrize(
    ("extent", "multiple", "offset", "padded"),
    [(100, 16, 0, 112), (112, 16, 0, 112), (113, 16, 0, 128), (128, 128, 16, 144), (144, 128, 16, 144), (3, 8, 5, 5)],
)
def test_the_smallest_extent_that_is_aligned(extent: int, multiple: int, offset: int, padded: int) -> None:
    A = ps.placeholder((4, extent), "int8", name="A")
    B = ps.compute((4, extent), lambda i, j: A[i, j] + 1, name="B")
    s = ps.Schedule(ps.compute((4, extent), lambda i, j: B[3 - i, j], name="C"))
    s[B].align_storage("j", multiple, offset=offset)
    assert s.build("x86-64-v3").source("loops").startswith(f"heap B: int8[4, {padded}]")


def test_the_last_one_counts_and_one_aligns_nothing() -> None:
    s = window()
    plain = str(s)
    s["B"].align_storage("j", 16)
    s["B"].align_storage("j", 1)
    assert "float32[n + 2, m]" in s.build("x86-64-v3").source("loops")
    s.undo()
    assert "B: float32[n + 2, m], j aligned to 16" in str(s)
    s.undo()
    assert str(s) == plain


REFUSALS: dict[str, tuple[Callable[[ps.Schedule], None], str]] = {
    "output": (
        lambda s: s["C"].align_storage("j", 16),
        "align_storage: C is an output, and its layout is its caller's; stages that are stored inside are B",
    ),
    "outermost": (
        lambda s: s["B"].align_storage("i", 16),
        "align_storage of B: i is the outermost dimension stored, and no stride is made of its extent; what is aligned "
        "is one of j",
    ),
    "no term": (
        lambda s: (s["B"].reorder_storage("j/8", "i", "j%8"), s["B"].align_storage("j", 16)),
        "align_storage of B: 'j' is no term of how it is stored; what is aligned is one of i, j%8",
    ),
    "a term that goes": (
        lambda s: (s["B"].align_storage("j", 16), s["B"].reorder_storage("j/8", "i", "j%8")),
        "reorder_storage of B: j has been aligned, and is no term of this layout; reorder_storage first, and then "
        "align_storage one of i, j%8",
    ),
    "multiple": (
        lambda s: s["B"].align_storage("j", 1 << 17),
        "align_storage of B takes a multiple that is an integer from 1 to 65536, not 131072",
    ),
    "offset": (
        lambda s: s["B"].align_storage("j", 16, offset=16),
        "align_storage of B to multiples of 16 takes an offset that is an integer from 0 to 15, not 16",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_would_be_accepted(name: str) -> None:
    schedule, words = REFUSALS[name]
    with pytest.raises(ps.ScheduleError) as refusal:
        schedule(window())
    assert words in str(refusal.value)
