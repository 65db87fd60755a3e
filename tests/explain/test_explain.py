"""`Schedule.explain`: the numbers against counts by hand, bounds marked as such, a note for each thing that is slow."""

from __future__ import annotations

from fractions import Fraction

import pytest

import polysched as ps
from polysched.target.explain import Explanation

TARGET = ps.Target("x86-64-v4", threads=1)  # 32 registers of 16 floats; L1 32 KiB, L2 512 KiB, L3 8 MiB


def matmul(reassociate: bool = False) -> ps.Schedule:
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r, reassociate=reassociate), name="C")
    return ps.Schedule(C)


def tiled(rows: int = 6, columns: int = 64) -> ps.Schedule:
    s = matmul()
    s["C"].split("i", rows)
    s["C"].split("j", columns)
    s["C"].reorder("i_o", "j_o", "r", "i_i", "j_i")
    s["C"].unroll("i_i")
    s["C"].vectorize("j_i")
    return s


def blur() -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    X = ps.placeholder((n + 2, m + 2), "float32", name="X")
    bx = ps.compute((n + 2, m), lambda i, j: X[i, j] + X[i, j + 1] + X[i, j + 2], name="bx")
    by = ps.compute((n, m), lambda i, j: bx[i, j] + bx[i + 1, j] + bx[i + 2, j], name="by")
    return ps.Schedule(by)


def jacobi() -> ps.Schedule:
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    return ps.Schedule(u)


def touched(explanation: Explanation, loop: str, stage: str | None = None) -> dict[str, str]:
    found = explanation.level(loop, stage).iteration.footprints
    return {f.tensor.name: f"{'' if f.exact else '<='}{f.bytes}" for f in found}


def numbers(explanation: Explanation) -> set[str]:
    return {note.partition(":")[0] for note in explanation.notes}


def test_matmul_at_fixed_sizes() -> None:
    e = tiled().explain(TARGET, n=1024, m=1024, k=1024)
    assert touched(e, "r") == {"C": "1536", "A": "24", "B": "256"}  # 6 x 64, 6 and 64 floats
    assert touched(e, "j_o") == {"C": "1536", "A": str(6 * 4096), "B": str(64 * 4096)}
    assert touched(e, "i_o") == {"C": str(6 * 4096), "A": str(6 * 4096), "B": str(1 << 22)}
    assert [e.level(loop).iteration.iterations for loop in ("i_o", "j_o", "r")] == [171, 171 * 16, 171 * 16 * 1024]
    assert str(e.level("r").operations) == str(2 * 6 * 64)
    # Each of 171 blocks of rows of A and of C moves, and B stays.
    assert e.level("i_o").moved == 171 * 24576 * 2 + (1 << 22)
    assert e.level("i_o").held_by(TARGET) == "L3" and e.level("j_o").held_by(TARGET) == "L2"
    (nest,) = e.nests
    assert nest.level.moved == 3 << 22 and nest.level.intensity == 2 * 1024**3 / (3 << 22)
    assert nest.roofline is not None and nest.roofline.operations == 2 * 1024**3
    assert nest.roofline.moved["L3"] == e.level("i_o").moved  # all of it, 12 MiB, is more than L3 holds
    assert nest.roofline.moved["L2"] == e.level("j_o").moved


def test_matmul_at_odd_sizes_has_exact_counts() -> None:
    e = tiled().explain(TARGET, n=1003, m=771, k=517)
    assert [e.level(loop).iteration.iterations for loop in ("i_o", "j_o", "r")] == [168, 168 * 13, 168 * 13 * 517]
    assert e.nests[0].roofline is not None and e.nests[0].roofline.operations == 2 * 1003 * 771 * 517
    assert "P012" in numbers(e)


def test_matmul_with_symbolic_sizes() -> None:
    e = tiled().explain(TARGET)
    assert touched(e, "i_o") == {"C": "24 * m", "A": "24 * k", "B": "4 * (k * m)"}
    assert touched(e, "r") == {"C": "1536", "A": "24", "B": "256"}
    assert str(e.level("j_o").operations) == "768 * k"
    assert e.level("i_o").bytes is None and e.level("i_o").moved is None and e.nests[0].roofline is None
    partly = tiled().explain(TARGET, k=100)
    assert touched(partly, "i_o") == {"C": "24 * m", "A": "2400", "B": "400 * m"}


@pytest.mark.parametrize(
    ("rows", "columns", "needed", "spills"), [(6, 64, 29, False), (14, 32, 31, False), (8, 64, 37, True)]
)
def test_registers_of_a_tile(rows: int, columns: int, needed: int, spills: bool) -> None:
    e = tiled(rows, columns).explain(TARGET)
    (tile,) = e.stages["C"].tiles
    assert (tile.rows, tile.columns, tile.needed) == (rows, columns, rows * columns // 16 + columns // 16 + 1)
    assert tile.needed == needed and tile.spills(TARGET) is spills and ("P013" in numbers(e)) is spills


def test_blur_with_compute_at() -> None:
    s = blur()
    s["by"].split("i", 32)
    s["bx"].compute_at("by", "i_o")
    e = s.explain(TARGET, n=1024, m=1024)
    assert touched(e, "i_o") == {"bx": str(34 * 4096), "X": str(34 * 1026 * 4), "by": str(32 * 4096)}
    assert touched(e, "i_i") == {"bx": str(3 * 4096), "by": "4096"}
    assert e.stages["bx"].recomputation == Fraction(34 * 32 * 1024, 1026 * 1024)
    assert e.stages["by"].recomputation == 1
    assert e.level("i_o").moved == 32 * (34 * 1026 + 32 * 1024) * 4  # what is stored in the loop does not leave it
    symbolic = s.explain(TARGET)
    assert touched(symbolic, "i_o") == {"bx": "136 * m", "X": "136 * m + 272", "by": "128 * m"}
    assert symbolic.stages["bx"].recomputation is None


def test_a_sliding_window_is_computed_once() -> None:
    s = blur()
    s["bx"].compute_at("by", "i")
    assert s.explain(TARGET, n=100, m=50).stages["bx"].recomputation == Fraction(3 * 100, 102)
    s["bx"].store_at()
    s["bx"].fold_storage("i", 4)
    e = s.explain(TARGET, n=100, m=50)
    assert e.stages["bx"].recomputation == 1
    assert {f.tensor.name: str(f.bytes) for f in e.nests[0].level.iteration.footprints}["bx"] == str(4 * 50 * 4)


def test_packed_gemm() -> None:
    s = matmul()
    ps.recipes.gemm(s["C"], TARGET, mr=14, nr=32, kc=512, mc=126, nc=1024)
    e = s.explain(TARGET, n=1024, m=1024, k=1024)
    assert touched(e, "r_c")["B"] == str(512 * 1024 * 4)
    assert touched(e, "i_c")["B_cache"] == str(512 * 1024 * 4) and touched(e, "i_c")["A"] == str(126 * 512 * 4)
    assert touched(e, "r", "C") == {"C": str(14 * 32 * 4), "A_cache": str(14 * 4), "B_cache": str(32 * 4)}
    assert e.stages["B_cache"].recomputation == 1
    # C is defined in the first of two blocks of r, and read again in the second.
    assert e.level("r_c").moved == 4 * (1 << 20) * (1 + 1 + 2)
    (tile,) = e.stages["C"].tiles
    assert tile.needed == 31 and not tile.spills(TARGET)


def test_jacobi() -> None:
    e = jacobi().explain(TARGET)
    assert [touched(e, "t")["u"], str(e.nests[0].level.iteration.footprints[0].bytes)] == [
        "8 * n",
        "8 * n + 8 * (T * n)",
    ]
    e = jacobi().explain(TARGET, T=10, n=1000)
    loops = [level for level in e.nests[0].level.all_below() if level.name == "t"]
    assert [level.iteration.iterations for level in loops] == [1, 10]
    assert loops[1].bytes == 2 * 8000  # the plane that is read and the one that is written
    assert e.nests[0].roofline is not None
    assert e.nests[0].roofline.operations == 10 * 1000 * 2  # two additions; at an end, of 0


def test_bounds_are_marked() -> None:
    """A cross is less than its box, and so are the elements of a position that is not affine."""
    A = ps.placeholder((10, 10), "float32", name="A")
    B = ps.compute((8, 8), lambda i, j: A[i, j + 1] + A[i + 2, j + 1] + A[i + 1, j] + A[i + 1, j + 2], name="B")
    assert touched(ps.Schedule(B).explain(TARGET), "j") == {"B": "4", "A": "<=36"}
    s = matmul()
    s["C"].fuse("i", "j", name="ij")
    assert touched(s.explain(TARGET), "ij")["A"].startswith("<=")
    assert touched(s.explain(TARGET), "r") == {"C": "4", "A": "4", "B": "4"}


def test_notes() -> None:
    default = matmul().explain(TARGET, n=64, m=64, k=64)
    assert {"P008", "P009"} <= numbers(default)
    assert default.nests[0].roofline is not None and default.nests[0].roofline.bound == "latency"
    reordered = matmul()
    reordered["C"].reorder("i", "r", "j")  # the next addition is of another sum
    (nest,) = reordered.explain(TARGET, n=64, m=64, k=64).nests
    assert nest.roofline is not None and "latency" not in nest.roofline.cycles
    assert "P009" not in numbers(matmul(reassociate=True).explain(TARGET))
    assert not {"P008", "P009"} & numbers(tiled().explain(TARGET, n=60, m=64, k=8))
    s = tiled()
    s["C"].parallel("i_o")
    four = ps.Target("x86-64-v4", threads=4)
    assert "P010" in numbers(s.explain(four, n=12, m=64, k=8)) and "P010" not in numbers(
        s.explain(four, n=96, m=64, k=8)
    )
    assert "P014" in numbers(tiled().explain(four)) and "P014" not in numbers(s.explain(four))
    assert "P011" in numbers(tiled(6, 40).explain(TARGET)) and "P011" not in numbers(tiled().explain(TARGET))


def test_strided_vector_loads_are_noted() -> None:
    A = ps.placeholder((64, 64), "float32", name="A")
    B = ps.compute((64, 64), lambda i, j: A[j, i] + 1, name="B")
    s = ps.Schedule(B)
    s[B].vectorize("j")
    assert "P002" in numbers(s.explain(TARGET))


@pytest.mark.parametrize("sizes", [{}, {"n": 0, "m": 0, "k": 0}, {"n": 7, "m": 1, "k": 3}])
def test_text_and_html(sizes: dict[str, int]) -> None:
    e = tiled().explain(TARGET, **sizes)
    text, html = str(e), e._repr_html_()
    for word in ("C.i_o", "C.j_i (vectorize)", "6 x 64 accumulators", "29 of 32 registers", "P0" if e.notes else ""):
        assert word in text and word in html
    assert html.count("<table>") == 1 and "<=" not in html


def test_names_are_escaped_and_errors_say_what_is_there() -> None:
    s = tiled()
    with pytest.raises(ps.ArgumentError, match="no size 'q'; its sizes are"):
        s.explain(TARGET, q=3)
    with pytest.raises(ps.ArgumentError, match="n is -1; an integer of at least 0"):
        s.explain(TARGET, n=-1)
    with pytest.raises(ps.ArgumentError, match="no loop 'z'; the loops are"):
        s.explain(TARGET).level("z")
    with pytest.raises(ps.TargetError):
        s.explain("nowhere")


def test_stages_that_share_loops_are_counted_in_each_iteration() -> None:
    """An exponential, its subtraction and an addition in each iteration of the loop that two stages share."""
    x = ps.placeholder((5, 64), "float32", name="x")
    q = ps.reduce_axis((0, 64), name="q")
    e = ps.compute((5, 64), lambda i, j: ps.exp(x[i, j] - 1.5), name="e")
    total = ps.compute((5,), lambda i: ps.sum(e[i, q], axis=q, reassociate=True), name="total")
    y = ps.compute((5, 64), lambda i, j: e[i, j] * total[i], name="y")
    s = ps.Schedule(y)
    for stage, loop in ((total, "q"), (e, "j")):
        s[stage].compute_at(y, "i")
        s[stage].split(loop, 16)
    s[e].compute_with(total, "q_i")
    s[total].vectorize("q_i")
    explained = s.explain(TARGET)
    assert touched(explained, "q_o") == {"e": "64", "x": "64", "total": "4"}
    assert str(explained.level("q_o").operations) == "48"
    assert str(explained.level("q_i").operations) == "3"
