"""prefetch: the same bits, and refused where there is nothing to fetch, or too much. (What is fetched:
tests/lower/test_prefetch_lines.py.)"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import polysched as ps
from polysched.compute.sizes import evaluate_extent


def layernorm(m: int | ps.Size = 40) -> ps.Schedule:
    n = ps.size_var("n")
    x = ps.placeholder((n, m), "float32", name="x")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    mean = ps.compute((n,), lambda i: ps.sum(x[i, r], axis=r, reassociate=True), name="mean")
    square = ps.compute((n,), lambda i: ps.sum(x[i, q] * x[i, q], axis=q, reassociate=True), name="square")
    y = ps.compute((n, m), lambda i, j: (x[i, j] - mean[i]) * ps.rsqrt(square[i] + 1), name="y")
    s = ps.Schedule(y)
    for name in ("mean", "square"):
        s[name].compute_at("y", "i")
    return s


def blur() -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 1, j] + B[i + 2, j], name="C")
    return ps.Schedule(C)


def matmul(k: int | ps.Size | None = None) -> ps.Schedule:
    n, m, k = ps.size_var("n"), ps.size_var("m"), k or ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.Schedule(ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C"))


def heat() -> ps.Schedule:
    T, n, m = ps.size_var("k"), ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float32", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, m), "float32", name="u")
    u[0, i, j] = A[i, j]
    u[t + 1, i, j] = u[t, i, j] + ps.select(i > 0, u[t, i - 1, j], 0.0) + ps.select(i < n - 1, u[t, i + 1, j], 0.0)
    return ps.Schedule(u)


def of_a_recurrence(s: ps.Schedule) -> None:
    s["u"].skew("i", 1, by="t")
    s["u"].prefetch("u", at="i", distance=2)


def rows(s: ps.Schedule) -> None:
    s["y"].parallel("i")
    s["y"].prefetch("x", at="i")


def window(s: ps.Schedule) -> None:
    s["B"].compute_at("C", "i")
    s["B"].store_at()
    s["B"].fold_storage("i", 3)
    s["B"].prefetch("A", at="i", distance=2)


def of_a_folded_row(s: ps.Schedule) -> None:
    s["B"].compute_at("C", "i")
    s["B"].store_at()
    s["B"].fold_storage("i", 3)
    s["B"].reorder_storage("j/4", "i", "j%4")
    s["C"].split("j", 4)
    s["C"].prefetch("B", at="j_o")


def packed(s: ps.Schedule) -> None:
    s["C"].tile("i", "j", 3, 16)
    s["C"].reorder("j_o", "i_o", "r", "i_i", "j_i")
    s["C"].unroll("i_i")
    s["C"].vectorize("j_i")
    s["C"].pack("B", at="j_o", layout=("r", "j"))
    s["C"].prefetch("C", at="i_o")
    s["C"].prefetch("A", at="i_o", distance=2)
    s["C"].prefetch("B_cache", at="r", distance=4)


def packed_in_blocks(s: ps.Schedule) -> None:
    s["C"].split("r", 64, outer="r_c", inner="r")
    s["C"].split("j", 16)
    s["C"].reorder("r_c", "j_o", "i", "r", "j_i")
    s["C"].pack("B", at="r_c", layout=("j/16", "r", "j%16"))
    s["C"].prefetch("B_cache", at="r", by="j_o")
    s["C"].prefetch("B_cache", at="r", distance=5)


def lanes_of_a_sum(s: ps.Schedule) -> None:
    for name, axis in (("mean", "r"), ("square", "q")):
        s[name].vectorize(s[name].split(axis, 8)[1])
    s["mean"].prefetch("x", at="r_o", distance=4)
    s["y"].prefetch("x", at="i")


def fused(s: ps.Schedule) -> None:
    s["C"].split(s["C"].fuse("i", "j", name="f"), 8)
    s["C"].prefetch("B", at="r")


CASES: dict[str, tuple[Callable[[], ps.Schedule], Callable[[ps.Schedule], None]]] = {
    "rows": (layernorm, rows),
    "rows of any length": (lambda: layernorm(ps.size_var("m")), rows),
    "lanes": (layernorm, lanes_of_a_sum),
    "window": (blur, window),
    "folded": (blur, of_a_folded_row),
    "packed": (matmul, packed),
    "packed where one block is all": (lambda: matmul(40), packed_in_blocks),
    "fused": (matmul, fused),
    "recurrence": (heat, of_a_recurrence),
}


@pytest.mark.parametrize("name", CASES)
def test_no_bit_changes(name: str) -> None:
    make, schedule = CASES[name]
    s = make()
    schedule(s)
    plain = ps.Schedule.from_text(s.outputs, "\n".join(line for line in s.to_text().split("\n") if "fetch" not in line))
    kernel, reference = ps.build(s, check=True), ps.build(plain)
    assert "@llvm.prefetch" in kernel.source("llvm") and "@llvm.prefetch" not in reference.source("llvm")
    rng = np.random.default_rng(3)
    for n, m, k in ((0, 0, 0), (1, 1, 1), (5, 40, 3), (34, 70, 17)):
        sizes = {"n": n, "m": m, "k": k}
        shapes = [tuple(evaluate_extent(e, sizes) for e in a.shape) for a in s.program.arguments]
        arrays = [rng.random(shape, np.float32) for shape in shapes]
        named = {size.name: sizes[size.name] for size in s.program.sizes}
        assert kernel(*arrays, **named).tobytes() == reference(*arrays, **named).tobytes(), sizes
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s and str(again) == str(s)


def test_it_is_printed_where_it_is() -> None:
    s = layernorm()
    rows(s)
    lines = str(s).splitlines()
    assert lines[1:3] == ["    parallel for i in 0..n:", "        prefetch x for i + 1"]


REFUSALS: dict[str, tuple[Callable[[], ps.Schedule], Callable[[ps.Schedule], None], str]] = {
    "no such tensor": (
        layernorm,
        lambda s: s["y"].prefetch("X", at="i"),
        "prefetch in y: nothing reads X; what is read is x, mean, square; did you mean x?",
    ),
    "not read there": (
        blur,
        lambda s: s["C"].prefetch("A", at="i"),
        "prefetch of A at i of C: A is not read in that loop; what is read there is B",
    ),
    "no such loop": (blur, lambda s: s["C"].prefetch("B", at="k"), "C has no loop 'k'; its loops are i, j"),
    "further in": (
        blur,
        lambda s: s["C"].prefetch("B", at="i", by="j"),
        "prefetch of B at i of C: j is inside i, and what is fetched is that of a later iteration of the loop "
        "itself or of "
        "one around it: by= may be i",
    ),
    "the same in all iterations": (
        matmul,
        lambda s: s["C"].prefetch("A", at="j"),
        "prefetch of A at j of C: every iteration of j reads the same elements, as far as is known, so there is "
        "nothing to "
        "fetch ahead; what is read differs with i: choose one of these with by=",
    ),
    "lanes": (
        matmul,
        lambda s: (s["C"].split("j", 8), s["C"].vectorize("j_i"), s["C"].prefetch("A", at="r")),
        "prefetch of A at r of C: j_i is vectorized, and lanes run at one time; loops outside of it are i, j_o",
    ),
    "lanes made later": (
        matmul,
        lambda s: (s["C"].split("j", 8), s["C"].prefetch("A", at="r"), s["C"].vectorize("j_i")),
        "prefetch of A at r of C: j_i is vectorized",
    ),
    "too much": (
        lambda: layernorm(1 << 15),
        lambda s: s["y"].prefetch("x", at="i"),
        "prefetch of x at i of y would fetch 131072 bytes in each iteration, and at most 65536 are fetched, as "
        "more would "
        "push out what the iteration itself works on; in a loop further in (j) with by=i it is less; or split i into "
        "smaller pieces",
    ),
    "a loop taken away": (
        blur,
        lambda s: (s["C"].prefetch("B", at="i"), s["C"].split("i", 4)),
        "prefetch of B at i of C: C has no loop i; its loops are i_o, i_i, j. A command that takes away "
        "a loop of a prefetch is given before it",
    ),
    "a folded dimension": (
        blur,
        lambda s: (window(s), s["C"].prefetch("B", at="i")),
        "prefetch of B at i of C: every iteration of i reads the same elements, as far as is known",
    ),
    "a reader taken away": (
        blur,
        lambda s: (s["C"].prefetch("B", at="i"), s["B"].inline()),
        "prefetch of B at i of C: B is not read in that loop; what is read there is A",
    ),
    "a stage taken away": (
        blur,
        lambda s: (s["B"].prefetch("A", at="i"), s["B"].inline()),
        "prefetch of A at i of B: B is inlined and has no loops; take the prefetch back first",
    ),
    "fused": (
        matmul,
        lambda s: (s["C"].fuse("i", "j"), s["C"].prefetch("A", at="i_j")),
        "prefetch of A at i_j of C: i_j is made of fused loops of symbolic extents, so what a later iteration "
        "reads is not "
        "affine in its counter; leave these loops apart, or choose another loop with by=",
    ),
    "one iteration": (
        layernorm,
        lambda s: s["mean"].prefetch("x", at="i"),
        "prefetch of x at i of mean: i has one iteration in each iteration of the loops around it, at all sizes, so "
        "none is 1 further on; give the prefetch to y, in whose loops mean is: it has i there",
    ),
    "too far in a window": (
        blur,
        lambda s: (s["B"].compute_at("C", "i"), s["B"].prefetch("A", at="j", by="i", distance=3)),
        "prefetch of A at j of B: i has at most 3 iterations in each iteration of the loops around it, at all sizes, "
        "so none is 3 further on; distance= may be at most 2, or what is read differs with j: choose one of these with "
        "by=, or give the prefetch to C, in whose loops B is: it has i there",
    ),
    "too far in a tile": (
        blur,
        lambda s: (s["C"].split("i", 4), s["C"].prefetch("B", at="i_i", distance=4)),
        "prefetch of B at i_i of C: i_i has at most 4 iterations in each iteration of the loops around it, at all "
        "sizes, so none is 4 further on; distance= may be at most 3, or what is read differs with i_o: choose one of "
        "these with by=",
    ),
    "a tile made smaller than the distance": (
        lambda: ps.Schedule(pair()),
        lambda s: (s["E"].split("i", 9), s["E"].prefetch("Z", at="i_o")),
        "i_o has one iteration in each iteration of the loops around it, at all sizes, so none is 1 further on; no "
        "loop around reads more further on",
    ),
    "a copy of the iteration": (
        matmul,
        lambda s: (
            s["C"].reorder("r", "i", "j"),
            s["C"].pack("B", at="i", layout=("j", "r")),
            s["C"].prefetch("B_cache", at="r"),
        ),
        "prefetch of B_cache at r of C: every iteration of r reads the same elements, as far as is known",
    ),
    "distance": (
        blur,
        lambda s: s["C"].prefetch("B", at="i", distance=0),
        "prefetch of B takes a distance that is an integer from 1 to 2147483647, not 0",
    ),
    "shared": (
        lambda: ps.Schedule(pair()),
        lambda s: (s["E"].compute_with("D", "i"), s["E"].prefetch("Z", at="i")),
        "prefetch of Z at i of E: the loop is one that E shares with another stage; give the prefetch to the "
        "stage whose "
        "loop it is",
    ),
}


def pair() -> list[ps.Tensor]:
    Z = ps.placeholder((9, 9), "float32", name="Z")
    return [ps.compute((9, 9), lambda i, j: Z[i, j] + 1, name=name) for name in "DE"]


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_say_what_would_be_accepted(name: str) -> None:
    make, schedule, words = REFUSALS[name]
    s = make()
    with pytest.raises(ps.ScheduleError) as refusal:
        schedule(s)
    assert words in str(refusal.value)
