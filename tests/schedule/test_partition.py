"""partition: slabs of a sum of loops."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps


def heat(steps: object = None) -> ps.Schedule:
    T, n = ps.size_var("T") if steps is None else steps, ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
    return ps.Schedule(u[T])


def product() -> ps.Schedule:
    n, m, k = (ps.size_var(name) for name in "nmk")
    A, B = ps.placeholder((n, k), "float64", name="A"), ps.placeholder((k, m), "float64", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.Schedule(ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C"))


def test_the_range_of_the_slabs() -> None:
    s = product()
    assert s["C"].partition("i+2*j", 8, name="a") == "a"
    assert s["C"].partition("j-i", 4) == "j_i_o"
    assert s["C"].loops == ("a", "j_i_o", "i", "j", "r")
    printed = str(s)
    assert "for a in 0..(n + 2 * m + 4) // 8 + 1" in printed or "for a in 0..(n + 2 * m + 5) // 8" in printed, printed
    assert "for j_i_o in (-n + 1) // 4..(m + 3) // 4" in printed, printed


def test_a_slab_stands_outside_of_what_it_sums() -> None:
    s = product()
    s["C"].split("i", 4)
    s["C"].partition("i_i+j", 8, name="d")
    assert s["C"].loops == ("i_o", "d", "i_i", "j", "r")


def test_diamonds_have_the_bits_of_the_default() -> None:
    s, default = heat(), heat().build()
    s["u"].partition("t+i", 4, name="wave")
    s["u"].partition("t-i", 4, name="d")
    s["u"].skew("d", by="wave")
    s["u"].reorder("d", "wave")
    s["u"].parallel("wave")
    s["u"].fold_storage("t", 2)
    kernel = s.build(check=True)
    for n, T in ((1, 3), (2, 9), (9, 4), (33, 17)):
        a = np.random.default_rng(n).standard_normal(n)
        np.testing.assert_array_equal(kernel(a, T=T, n=n), default(a, T=T, n=n))


def test_the_text_is_that_of_the_commands() -> None:
    s = heat()
    s["u"].partition(" t - i ", 4, name="d")
    assert s.commands == ('u.partition("t-i", 4, name="d")',)
    assert ps.Schedule.from_text(heat().outputs[0], s.to_text()).to_text() == s.to_text()


def test_slabs_across_a_dependence_are_refused() -> None:
    s = heat()
    with pytest.raises(ps.LegalityError) as refusal:
        s["u"].partition("t-2*i", 4, name="d")
    assert refusal.value.sizes == {"n": 3, "T": 3}
    assert (refusal.value.source, refusal.value.sink) == (("u", {"t": 2, "i": 1}), ("u", {"t": 3, "i": 2}))
    sums = product()
    with pytest.raises(ps.LegalityError, match="the order of a float64 sum is part of its definition"):
        sums["C"].partition("i-r", 4, name="d")
    assert sums.commands == ()


@pytest.mark.parametrize(
    ("form", "factor", "said"),
    [
        (
            "i+x",
            4,
            'partition takes a sum of loops, each once, as in "t\\+i" or "t-2\\*i", not \'i\\+x\'; loops of C are',
        ),
        ("i+i", 4, "not 'i\\+i'"),
        ("", 4, "not ''"),
        ("i//2", 4, "not 'i//2'"),
        ("i+j", 0, "partition of C takes a factor that is an integer from 1"),
        ("ij", 4, "ij is made of fused loops; partition first, and then fuse"),
    ],
)
def test_what_is_no_sum_of_loops(form: str, factor: int, said: str) -> None:
    s = product()
    if form == "ij":
        s["C"].fuse("i", "j", name="ij")
    with pytest.raises(ps.ScheduleError, match=said):
        s["C"].partition(form, factor, name="d")
