"""Stages that are computed in loops made of fused ones: the same bits, and buffers as small as without the fusion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import polysched as ps

WIDTH = 20


def chain(width: int | ps.Size = WIDTH) -> ps.Schedule:
    n = ps.size_var("n")
    A = ps.placeholder((n + 4, width), "float32", name="A")
    B = ps.compute((n + 4, width), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n + 2, width), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    return ps.Schedule(ps.compute((n, width), lambda i, j: C[i, j] * 3 + C[i + 2, j], name="D"))


def tiled(s: ps.Schedule) -> None:
    s["D"].tile("i", "j", 4, 8)
    s["D"].vectorize("j_i")
    s["D"].parallel("i_o", "j_o", name="p")


def in_tiles(s: ps.Schedule) -> None:
    tiled(s)
    s["C"].compute_at("D", "p")
    s["B"].compute_at("D", "p")
    s["C"].vectorize("j")


def chained(s: ps.Schedule) -> None:
    tiled(s)
    s["C"].compute_at("D", "p")
    s["B"].compute_at("C", "i")
    s["B"].store_at("D", "p")


def further_in(s: ps.Schedule) -> None:
    tiled(s)
    s["C"].compute_at("D", "i_i")
    s["C"].store_at("D", "p")
    s["B"].compute_at("D", "p")


def pieces(s: ps.Schedule) -> None:
    s["D"].split(s["D"].fuse("i", "j", name="f"), 8)
    s["D"].vectorize("f_i")
    s["D"].parallel("f_o")
    s["C"].compute_at("D", "f_o")


def each(s: ps.Schedule) -> None:
    s["D"].fuse("i", "j", name="f")
    s["C"].compute_at("D", "f")


def twice(s: ps.Schedule) -> None:
    tile = s["D"].tile("i", "j", 4, 8)
    assert tile[:2] == ("i_o", "j_o")
    s["D"].fuse("i_i", "j_i", name="q")
    s["D"].fuse(s["D"].fuse("i_o", "j_o", name="p"), "q", name="all")
    s["C"].compute_at("D", "all")


CASES: dict[str, tuple[Callable[[ps.Schedule], None], dict[str, str]]] = {
    "tiles": (in_tiles, {"B": "8, 8", "C": "6, 8"}),
    "chained": (chained, {"C": "6, 8"}),
    "further in": (further_in, {"B": "8, 8", "C": "6, 8"}),
    "pieces": (pieces, {"C": "4, 20"}),
    "each": (each, {"C": "3, 1"}),
    "twice": (twice, {"C": "6, 20"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bits_and_the_buffers(name: str) -> None:
    schedule, boxes = CASES[name]
    s = chain()
    schedule(s)
    kernel, reference = ps.build(s, check=True), ps.build(ps.Schedule(s.outputs))
    for stage, box in boxes.items():
        assert f"stack {stage}: float32[{box}]" in kernel.source("loops")
    rng = np.random.default_rng(6)
    for n in (0, 1, 4, 7, 17):
        array = rng.random((n + 4, WIDTH), np.float32)
        assert kernel(array).tobytes() == reference(array).tobytes(), n
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s and str(again) == str(s)


def test_each_element_of_a_tile_is_computed_once() -> None:
    s = chain()
    in_tiles(s)
    plain = chain()
    plain["D"].tile("i", "j", 4, 8)
    for name in ("C", "B"):
        plain[name].compute_at("D", "j_o")
    target = ps.Target("x86-64-v3", threads=1)
    ours, theirs = s.explain(target, n=16).stages, plain.explain(target, n=16).stages
    assert [ours[name].recomputation for name in "BC"] == [theirs[name].recomputation for name in "BC"]


REFUSALS: dict[str, tuple[Callable[[], ps.Schedule], Callable[[ps.Schedule], object], str]] = {
    "symbolic": (
        lambda: chain(ps.size_var("m")),
        lambda s: (s["D"].fuse("i", "j", name="f"), s["C"].compute_at("D", "f")),
        "C cannot be computed inside f of D, which is made of fused loops of symbolic extents: what is needed there is "
        "not affine in its counter; compute it outside of it, at the root or in a loop around, fix the extents of all "
        "but the outermost of i, j, or leave these apart and make the outermost parallel",
    ),
    "inside of pieces": (
        chain,
        lambda s: (
            s["D"].tile("i", "j", 4, 8),
            s["D"].split(s["D"].fuse("i_o", "j_o", name="p"), 2),
            s["C"].compute_at("D", "i_i"),
        ),
        "C cannot be computed inside i_i of D, further in than all pieces of the fused loop p: it can be computed at "
        "p_o, p_i, or leave p in one piece",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_would_be_accepted(name: str) -> None:
    make, schedule, words = REFUSALS[name]
    with pytest.raises(ps.ScheduleError) as refusal:
        schedule(make())
    assert words in str(refusal.value)
