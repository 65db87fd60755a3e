"""`explain`: where intermediates live, and how many bytes there are at once, against counts by hand."""

from __future__ import annotations

import polysched as ps
from polysched.target.explain.memory import Memory

TARGET = ps.Target("x86-64-v4", threads=4)


def chain() -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 4, m), "float32", name="A")
    B = ps.compute((n + 4, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n + 2, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    return ps.Schedule(ps.compute((n, m), lambda i, j: C[i, j] + C[i + 2, j], name="D"))


def shown(memory: Memory) -> list[tuple[str, str, str, bool]]:
    return [(one.name, str(one.bytes), one.place, one.private) for one in memory.stored]


def test_whole_intermediates_are_there_all_the_time() -> None:
    e = chain().explain(TARGET, n=100, m=50)
    assert shown(e.memory) == [("B", "20800", "heap", False), ("C", "20400", "heap", False)]
    assert (str(e.memory.total), str(e.memory.private), e.memory.threads) == ("41200", "0", 1)
    assert "memory (bytes): B 20,800 on the heap, C 20,400 on the heap\nat once: 41,200\n" in str(e)
    assert "at once: 41,200" in e._repr_html_()


def test_each_thread_has_its_own() -> None:
    s = chain()
    s["D"].tile("i", "j", 8, 32)
    s["D"].parallel("i_o")
    s["C"].compute_at("D", "j_o")
    s["B"].compute_at("D", "i_o")
    e = s.explain(TARGET, n=1000, m=2000)
    assert shown(e.memory) == [("B", "96000", "heap", True), ("C", "1280", "stack", True)]
    assert (str(e.memory.shared), str(e.memory.private), str(e.memory.total)) == ("0", "97280", "389120")
    assert "at once: 389,120 (0 shared, 97,280 for each of 4 threads)" in str(e)
    assert str(s.explain(TARGET).memory.private) == "48 * m + 1280"


def test_accumulators_are_in_registers() -> None:
    n = ps.size_var("n")
    A, B = (ps.placeholder((n, n), "float32", name=name) for name in "AB")
    r = ps.reduce_axis((0, n), name="r")
    s = ps.Schedule(ps.compute((n, n), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C"))
    s["C"].tile("i", "j", 6, 32)
    s["C"].reorder("i_o", "j_o", "r", "i_i", "j_i")
    s["C"].unroll("i_i")
    s["C"].vectorize("j_i")
    e = s.explain(TARGET, n=512)
    assert shown(e.memory) == [("C", "768", "registers", False)]
    assert str(e.memory.total) == "0", "what is in registers is no memory"
    assert "memory (bytes): C 768 in registers\n\n" in str(e)


def test_nothing_is_stored() -> None:
    A = ps.placeholder((8,), "float32", name="A")
    e = ps.Schedule(ps.compute((8,), lambda i: A[i] + 1, name="B")).explain(TARGET)
    assert e.memory.stored == () and "memory: nothing but the arguments" in str(e)


def test_what_is_padded_and_folded_counts_as_it_is() -> None:
    s = chain()
    s["C"].compute_at("D", "i")
    s["C"].store_at()
    s["C"].fold_storage("i", 3)
    s["B"].align_storage("j", 16)
    e = s.explain(TARGET, n=100, m=50)
    assert shown(e.memory) == [("B", str(104 * 64 * 4), "heap", False), ("C", str(3 * 50 * 4), "heap", False)]
