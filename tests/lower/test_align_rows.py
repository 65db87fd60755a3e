"""Loops of vectors that are streamed begin at a cache line."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m")


def streamed(rows: Any, columns: Any, dtype: str = "float32", at_least: int = 0) -> ps.Schedule:
    A = ps.placeholder((rows, columns), dtype, name="A")
    s = ps.Schedule(ps.compute((rows, columns), lambda i, j: A[i, j] * 2 + 1, name="C"))
    s["C"].split("j", 64)
    s["C"].vectorize("j_i")
    s["C"].store_streaming(at_least=at_least)
    return s


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("begin", [0, 3, 16])
def test_every_element_is_written_once_wherever_rows_and_memory_begin(dtype: str, begin: int) -> None:
    symbolic = streamed(n, m, dtype).build(check=True)
    for rows, columns in ((1, 1), (3, 511), (5, 513), (4, 1001), (2, 4099)):
        a = np.random.default_rng(columns).integers(0, 100, (rows, columns)).astype(dtype)
        for kernel in (symbolic, streamed(rows, columns, dtype).build(check=True)):
            memory = np.full(a.size + 32, 77, dtype)
            kernel(a, out=memory[begin : begin + a.size].reshape(a.shape))
            assert np.array_equal(memory[begin : begin + a.size], (a * 2 + 1).astype(dtype).reshape(-1))
            assert (memory[:begin] == 77).all() and (memory[begin + a.size :] == 77).all()


def test_which_rows_are_cut() -> None:
    target = ps.Target("x86-64-v4")

    def first(rows: Any, columns: Any, s: ps.Schedule | None = None) -> bool:
        return "j_i_first" in (s or streamed(rows, columns)).build(target, check=True).source("loops-align_rows")

    assert first(n, m) and first(n, 1001)
    assert not first(n, 1024), "rows are whole lines"
    assert not first(n, 500), "most of a short row are its ends"
    A = ps.placeholder((n, m), "float32", name="A")
    plain = ps.Schedule(ps.compute((n, m), lambda i, j: A[i, j] * 2 + 1, name="C"))
    plain["C"].split("j", 64)
    plain["C"].vectorize("j_i")
    assert not first(n, m, plain), "not streamed"


def test_long_ragged_rows_go_past_the_caches_as_whole_lines() -> None:
    def code(columns: Any, target: str) -> str:
        return streamed(n, columns).build(ps.Target(target)).source("asm")

    assert "vmovntps" in code(1001, "x86-64-v4")
    assert "vmovntps" not in code(500, "x86-64-v4")
    assert "vmovntps" not in code(1001, "x86-64-v3"), "half a line would be streamed, and the other stored"


def test_what_is_small_is_stored_as_always() -> None:
    target = ps.Target("x86-64-v4")

    def code(rows: Any, at_least: int) -> str:
        return streamed(rows, 1024, at_least=at_least).build(target).source("asm")

    assert "vmovntps" in code(8, 4 * 8192)
    assert "vmovntps" not in code(8, 4 * 8192 + 1)
    assert "vmovntps" in code(n, 4 * 8192), "decided in each call"
    a, threaded = np.ones((8, 1030), np.float32), streamed(n, m, at_least=4 * 8192)
    threaded["C"].parallel("i")
    for s in (streamed(n, m, at_least=4 * 8192), threaded):
        kernel = s.build(ps.Target("native", threads=2), check=True)
        for rows, columns in ((8, 1024), (7, 1024), (8, 1030)):
            assert (kernel(a[:rows, :columns].copy()) == 3).all()


def test_small_arrays_have_loops_without_the_choice() -> None:
    """One question before an innermost loop, and none at the stores in it."""
    raw = streamed(n, 1024, at_least=4 * 8192).build(ps.Target("x86-64-v4")).source("llvm-raw")
    asked = re.search(r"(%v\d+) = icmp ult i64 \S+ 8192\n", raw)
    assert asked is not None
    chosen = re.search(rf"br i1 {asked[1]}, label %(b\d+), label %(b\d+)", raw)
    assert chosen is not None
    assert len(re.findall(rf"{asked[1]}\b", raw)) == 1 + raw.count(f"br i1 {asked[1]},")
    small, large = (raw.index(f"\n{label}:") for label in chosen.groups())
    assert small < large
    assert "store <16 x float>" in raw[small:large] and "!nontemporal" not in raw[small:large]
    assert "!nontemporal" in raw[large:]


def test_bytes_that_are_no_number_are_refused() -> None:
    for wrong in (-1, True, "2", 1 << 62):
        with pytest.raises(ps.ScheduleError, match="store_streaming of C takes at_least, the bytes from which on"):
            streamed(n, m, at_least=wrong)  # type: ignore[arg-type]
