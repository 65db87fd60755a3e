"""Sweeps: chains along one dimension, with lanes and threads along another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

Cases = list[tuple[tuple[Any, ...], dict[str, int]]]
TARGETS = [ps.Target("x86-64-v3", threads=1), ps.Target("x86-64-v3", threads=2)]


def scan(axis: int, dtype: str = "float32", *, batch: bool = False, backwards: bool = False) -> ps.Tensor:
    """Decaying sums along an axis of a matrix, or of each in a batch."""
    n, m, b = ps.size_var("n", min=1), ps.size_var("m", min=1), ps.size_var("b")
    front = (b,) if batch else ()
    i, j, k = ps.axes("i j k")
    a = ps.placeholder((*front, n, m), dtype, name="a")
    p = ps.recurrence((*front, n, m), dtype, name="p")
    at = (k,) if batch else ()
    one = ps.cast(dtype, 1)

    def place(step: Any) -> tuple[Any, ...]:
        length = m if axis else n
        step = length - 1 - step if backwards else step
        return (*at, i, step) if axis else (*at, step, j)

    step = j if axis else i
    p[place(0)] = a[place(0)]
    p[place(step + 1)] = p[place(step)] * (one + one) + a[place(step + 1)]
    return p


def compare(outputs: Any, stage: Any, cases: Cases, target: ps.Target) -> ps.Schedule:
    """Bits of the recipe and of the default schedule."""
    default, s = ps.Schedule(outputs), ps.Schedule(outputs)
    ps.recipes.sweep(s[stage], target)
    assert ps.Schedule.from_text(outputs, s.to_text()) == s
    kernel, other = s.build(target=target, check=True), default.build(target=target)
    for arrays, sizes in cases:
        for got, wanted in zip(several(kernel(*arrays, **sizes)), several(other(*arrays, **sizes)), strict=True):
            np.testing.assert_array_equal(got.view(np.uint8), wanted.view(np.uint8))
    return s


def several(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def filled(dtype: str, *shape: int) -> Any:
    values = np.random.default_rng(sum(shape)).integers(-9, 9, shape)
    return values.astype(dtype)


SHAPES = ((1, 1), (1, 40), (3, 7), (8, 8), (17, 33), (40, 1), (35, 70))


@pytest.mark.parametrize("target", TARGETS, ids=["one", "two"])
@pytest.mark.parametrize(("axis", "dtype"), [(1, "float32"), (0, "float64"), (0, "uint16")])
def test_scans(axis: int, dtype: str, target: ps.Target) -> None:
    p = scan(axis, dtype)
    s = compare(p, p, [((filled(dtype, *shape),), {}) for shape in SHAPES], target)
    vectors = [command for command in s.commands if "vectorize" in command]
    assert vectors == (['p_cache.vectorize("i_i")', 'p.vectorize("j_i")'] if axis else ['p.vectorize("j_i")'])
    assert any("parallel" in command for command in s.commands) == (target.thread_count() > 1)


def test_narrow_elements_have_squares_of_sixteen() -> None:
    p = scan(1, "int8")
    s = ps.Schedule(p)
    ps.recipes.sweep(s[p], ps.Target("x86-64-v4", threads=1))
    assert 'p_cache.split("j", 16, outer="j_o", inner="j_i")' in s.commands


@pytest.mark.parametrize("axis", [0, 1])
def test_batches_and_backwards(axis: int) -> None:
    p = scan(axis, batch=True, backwards=True)
    cases: Cases = [((filled("float32", b, *shape),), {}) for b, shape in enumerate(SHAPES)]
    for target in TARGETS:
        s = compare(p, p, cases, target)
    assert any(command.endswith('.parallel("k")') for command in s.commands)


def test_what_is_made_of_chains_takes_them_over() -> None:
    """Both directions of a filter, and their sum, are computed for two vectors of rows at a time."""
    example = EXAMPLES["deriche"]
    outputs = example.define()
    cases: Cases = [((filled("float64", n, m),), {}) for n, m in ((0, 2), (1, 3), (7, 17), (16, 16), (21, 40))]
    s = compare(outputs, outputs[0], cases, ps.Target("x86-64-v3", threads=1))
    placed = [c for c in s.commands if "compute_at" in c]
    assert placed == ['g.compute_at("y", "i_o")', 'f.compute_at("y", "i_o")']


@pytest.mark.parametrize(("name", "chains"), [("deriche", 16), ("adi", 8)])
def test_two_vectors_of_chains_are_side_by_side_but_in_steps_over_time(name: str, chains: int) -> None:
    output = EXAMPLES[name].define()[0]
    s = ps.Schedule(output)
    ps.recipes.sweep(s[output], ps.Target("x86-64-v4", threads=1))
    assert f'.split("i", {chains}, ' in next(c for c in s.commands if "split" in c)


def test_implicit_sweeps_keep_one_step() -> None:
    (v,) = EXAMPLES["adi"].define()
    for target in TARGETS:
        cases: Cases = [((filled("float64", n, n),), {"T": T}) for n, T in ((2, 0), (3, 1), (9, 3), (16, 2))]
        s = compare(v, v, cases, target)
        folds = [c for c in s.commands if "fold" in c]
        assert folds == ['p.fold_storage("t", 1)', 'q.fold_storage("t", 1)', 'v.fold_storage("t", 1)']


@pytest.mark.parametrize("both", [True, False])
def test_chains_are_in_the_loop_of_what_reads_them_if_they_need_no_other_rows(both: bool) -> None:
    """Those that need each other as well; with a need of another row, each loop would compute its neighbours' anew."""
    n, m = ps.size_var("n", min=1), ps.size_var("m", min=1)
    A = ps.placeholder((n, m), "float32", name="A")
    t, i, j = ps.axes("t i j")
    p, q = (ps.recurrence((3, n, m), "float32", name=name) for name in "pq")
    for own in (p, q):
        own[0, i, j] = A[i, j]
        own[t + 1, i, 0] = A[i, 0]
    p[t + 1, i, j + 1] = A[i, j + 1] - 0.5 * q[t + 1, i, j]
    other = p[t, i, j] if both else ps.select(i > 0, p[t, i - 1, j], 0.0)
    q[t + 1, i, j + 1] = q[t + 1, i, j] + 0.25 * other
    C = ps.compute((n, m), lambda i, j: p[2, i, j] + q[2, i, j], name="C")
    s = ps.Schedule(C)
    target = ps.Target("native", threads=2)
    ps.recipes.sweep(s[C], target)
    assert (s["p"].tensor.uid in s.state.places) == both
    a = np.random.default_rng(2).random((37, 50), np.float32)
    np.testing.assert_array_equal(s.build(target, check=True)(a), ps.Schedule(C).build()(a))


def test_chains_that_another_runs_beside_share_its_loops_where_a_third_one_cannot() -> None:
    """v goes through its rows backwards, and q reads columns of it: only p and q have the innermost loops in common."""
    (v,) = EXAMPLES["adi"].define()
    s = ps.Schedule(v)
    s["p"].compute_with("q", "j")
    nests = [line.strip() for line in str(s).splitlines()]
    first = next(number for number, line in enumerate(nests) if line.startswith("p[t, i, j]") and "equation 1" in line)
    assert nests[first + 1].startswith("q[t, i, j]")
    arguments, sizes = filled("float64", 9, 9), {"T": 3}
    np.testing.assert_array_equal(s.build()(arguments, **sizes), ps.Schedule(v).build()(arguments, **sizes))


@pytest.mark.parametrize("name", ["multigrid", "prefix_sum", "jacobi_1d"])
def test_other_examples(name: str) -> None:
    example = EXAMPLES[name]
    outputs = example.define()
    given = example.inputs(np.random.default_rng(2), example.sizes)
    sizes = {"T": 3} if "T" in example.sizes else {}
    compare(outputs, outputs[0], [(tuple(given.values()), sizes)], TARGETS[0])


def test_literal_sizes_and_a_transposed_reader() -> None:
    A = ps.placeholder((30, 50), "float32", name="A")
    i, j = ps.axes("i j")
    f = ps.recurrence((30, 50), "float32", name="f")
    f[i, 0] = A[i, 0]
    f[i, j + 1] = f[i, j] + A[i, j + 1]
    y = ps.compute((50, 30), lambda j, i: f[i, j] * 2, name="y")
    z = ps.compute((30, 50), lambda j, i: f[j, i] + y[i, j], name="z")
    compare([y, z], z, [((filled("float32", 30, 50),), {})], TARGETS[0])


def substituted(*, forwards: bool, literal: int | None = None) -> ps.Tensor:
    N = literal or ps.size_var("N", min=1)
    L = ps.placeholder((N, N), "float32", name="L")
    (i,) = ps.axes("i")
    x = ps.recurrence((N,), "float32", name="x")
    if forwards:
        r = ps.reduce_axis((0, i), name="r")
        x[i] = (1 - ps.sum(L[i, r] * x[r], axis=r)) / L[i, i]
    else:
        r = ps.reduce_axis((i + 1, N), name="r")
        x[i] = (1 - ps.sum(L[i, r] * x[r], axis=r)) / L[i, i]
    return x


@pytest.mark.parametrize("literal", [None, 37])
def test_one_right_hand_side(literal: int | None) -> None:
    x = substituted(forwards=True, literal=literal)
    matrices = [
        filled("float32", n, n) + 50 * np.eye(n, dtype="float32") for n in (1, 5, 16, 37, 64) if literal in (None, n)
    ]
    s = compare(x, x, [((matrix,), {}) for matrix in matrices], TARGETS[0])
    assert 'x.equation(1).vectorize("i_i")' in s.commands


def test_sums_in_the_other_order_are_refused() -> None:
    s = ps.Schedule(substituted(forwards=False))
    with pytest.raises(ps.ScheduleError, match="sweep cuts sums over cells that were computed in blocks before"):
        ps.recipes.sweep(s["x"], TARGETS[0])
    assert s.commands == ()


def test_the_recipe_refuses() -> None:
    A = ps.placeholder((5, 5), "float32", name="A")
    s = ps.Schedule(ps.compute((5, 5), lambda i, j: A[i, j] + 1, name="B"))
    with pytest.raises(ps.ScheduleError, match="sweep is for recurrences, and B is none and made of none; see recipes"):
        ps.recipes.sweep(s["B"])
    s = ps.Schedule(EXAMPLES["lu"].define())
    with pytest.raises(
        ps.ScheduleError, match="sweep is for sums in recurrences over one dimension, and L, U have more"
    ):
        ps.recipes.sweep(s["L"])
    assert s.commands == ()
