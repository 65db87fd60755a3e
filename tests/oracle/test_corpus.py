"""Schedules that gave silently wrong numbers, crashes or races elsewhere, written in our API.

Each is refused with a witness, or computed right: the same bits as the default schedule, and what the reference says.
What needs commands that we do not have (rfactor) is here as far as it can be said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .oracle import Oracle

n, m = ps.size_var("n"), ps.size_var("m")


def vector_sum(dtype: str, **options: Any) -> tuple[ps.Tensor, ps.Tensor]:
    """TVM #1795: the sum of a vector."""
    V = ps.placeholder((n,), dtype, name="V")
    r = ps.reduce_axis((0, n), name="r")
    return V, ps.compute((1,), lambda i: ps.sum(V[r], axis=r, **options), name="O")


def matmul(dtype: str) -> tuple[ps.Tensor, ps.Tensor, ps.Tensor]:
    """TVM #7420: a matrix product."""
    k = ps.size_var("k")
    A, B = ps.placeholder((n, k), dtype, name="A"), ps.placeholder((k, m), dtype, name="B")
    r = ps.reduce_axis((0, k), name="r")
    return A, B, ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def box(rows: Any = 20, columns: Any = 23) -> tuple[ps.Tensor, ps.Tensor, ps.Tensor]:
    """Halide #7851, #7871, #7872, #7890, #7892: a 5x5 sum, and its mean in a stage of its own."""
    image = ps.placeholder((rows + 4, columns + 4), "int32", name="image")
    r, q = ps.reduce_axis((0, 5), name="r"), ps.reduce_axis((0, 5), name="q")
    local = ps.compute((rows, columns), lambda y, x: ps.sum(image[y + q, x + r], axis=(q, r)), name="local_sum")
    return image, local, ps.compute((rows, columns), lambda y, x: local[y, x] // 25, name="blurry")


def chain() -> tuple[ps.Tensor, ps.Tensor, ps.Tensor, ps.Tensor]:
    """TVM #15877, #15911: C = A + B, D = C + C, E = D + A."""
    A, B = ps.placeholder((n,), "float32", name="A"), ps.placeholder((n,), "float32", name="B")
    C = ps.compute((n,), lambda i: A[i] + B[i], name="C")
    D = ps.compute((n,), lambda i: C[i] + C[i], name="D")
    return C, D, ps.compute((n,), lambda i: D[i] + A[i], name="E"), A


def some(dtype: str, *shape: int) -> Any:
    values = np.random.default_rng(len(shape)).integers(0, 90, shape)
    return values.astype(dtype) / (7 if dtype.startswith("float") else 1)


def computed_right(s: ps.Schedule, *arrays: Any) -> Any:
    """The result, after the scheduled kernel, the default one and the reference have agreed."""
    arrays = tuple(np.asarray(a, p.dtype.name) for a, p in zip(arrays, s.program.arguments, strict=True))
    result = ps.build(s)(*arrays)
    (output,) = s.outputs
    plain = ps.build(ps.Schedule(output))(*arrays)
    assert np.array_equal(result, plain, equal_nan=True)
    reference = ps.evaluate(output, dict(zip(s.program.arguments, arrays, strict=True)))
    assert np.allclose(result, reference, rtol=1e-5)
    return result


def refused(s: ps.Schedule, command: Callable[[], object]) -> ps.LegalityError:
    """The refusal, after the schedule is seen to be as it was."""
    before = s.commands
    with pytest.raises(ps.LegalityError) as caught:
        command()
    assert s.commands == before and next(Oracle(s.state, dict.fromkeys(("n", "m", "k"), 4)).violations(), None) is None
    return caught.value


def test_tvm_1795_a_vectorized_reduction_axis() -> None:
    _, O = vector_sum("float32")
    s = ps.Schedule(O)
    _, inner = s[O].split("r", 8)
    error = refused(s, lambda: s[O].vectorize(inner))
    assert error.sizes == {"n": 2} and error.cell == ("O", (0,))
    assert error.source == ("O", {"i": 0, "r": 0}) and error.sink == ("O", {"i": 0, "r": 1})


def test_tvm_1795_with_an_order_that_is_free() -> None:
    V, O = vector_sum("float32", reassociate=True)
    s = ps.Schedule(O)
    _, inner = s[O].split("r", 8)
    s[O].vectorize(inner)
    assert ps.build(s)(np.ones(128, np.float32)) == [128]
    assert ps.build(s)(np.ones(131, np.float32)) == [131]
    assert V.name == "V"


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_tvm_670_a_vectorized_piece_of_a_row_sum(dtype: str) -> None:
    A = ps.placeholder((n, n), dtype, name="A")
    k = ps.reduce_axis((0, n), name="k")
    B = ps.compute((n,), lambda i: ps.sum(A[i, k], axis=k), name="B")
    s = ps.Schedule(B)
    _, inner = s[B].split("k", 8)
    if dtype == "float32":
        assert refused(s, lambda: s[B].vectorize(inner)).sizes == {"n": 2}
    else:
        s[B].vectorize(inner)
        computed_right(s, some(dtype, 61, 61))


def test_tvm_7420_a_parallel_reduction_axis() -> None:
    _, _, C = matmul("float32")
    s = ps.Schedule(C)
    error = refused(s, lambda: s[C].parallel("r"))
    assert error.sizes == {"n": 1, "m": 1, "k": 2} and "at the same time" in str(error)
    s[C].reorder("r", "i", "j")
    refused(s, lambda: s[C].parallel("r"))
    refused(s, lambda: s[C].parallel("r", "i"))
    s[C].parallel("i", "j")
    computed_right(s, some("float32", 5, 7), some("float32", 7, 6))


@pytest.mark.parametrize("order", ["ijr", "rij", "irj"])
def test_tvm_7420_with_an_order_that_is_free(order: str) -> None:
    """A race there; here each thread has partial results of its own."""
    _, _, C = matmul("int32")
    s = ps.Schedule(C)
    s[C].reorder(*order)
    s[C].parallel("r")
    for shape in ((5, 7, 6), (5, 100, 6), (1, 0, 3)):
        computed_right(s, some("int32", *shape[:2]), some("int32", *shape[1:]))


def test_tvm_2898_factors_10_and_32_where_neither_divides_the_other() -> None:
    A = ps.placeholder((48,), "float16", name="A")
    C = ps.compute((48,), lambda i: A[i], name="C")
    D = ps.compute((48,), lambda i: C[i], name="D")
    for inlined in (False, True):
        s = ps.Schedule(D)
        if inlined:
            s[C].inline()
        else:
            s[C].split("i", 10)
        _, inner = s[D].split("i", 32)
        s[D].split(inner, 10)
        computed_right(s, some("float16", 48))


@pytest.mark.parametrize("length", [0, 1, 31, 1000, 1024])
def test_tvm_15911_part_of_the_chain_was_not_computed(length: int) -> None:
    C, D, E, _ = chain()
    s = ps.Schedule(E)
    o, i = s[D].split("i", 32)
    s[D].vectorize(i)
    s[C].inline()
    o, i = s[E].split("i", 32)
    s[E].unroll(i)
    s[E].parallel(o)
    computed_right(s, some("float32", length), some("float32", length))


def test_tvm_15877_a_producer_inside_vectorized_loops() -> None:
    C, D, E, _ = chain()
    s = ps.Schedule(E)
    _, i = s[E].split("i", 8)
    s[E].vectorize(i)
    s[D].inline()
    s[C].inline()
    computed_right(s, some("float32", 45), some("float32", 45))


def test_tvm_12373_bounds_of_a_reduction_the_wrong_way_round() -> None:
    T = ps.placeholder((10, 10), "int8", name="T")
    r, q = ps.reduce_axis((5, 0), name="r"), ps.reduce_axis((7, 0), name="q")
    C = ps.compute((10,), lambda i: ps.sum(ps.cast("int32", T[r, q]) * i, axis=(r, q)), name="C")
    s = ps.Schedule(C)
    _, inner = s[C].split("r", 4)
    s[C].vectorize(inner)
    assert not computed_right(s, some("int8", 10, 10)).any()


def test_tvm_4932_a_factor_larger_than_the_extent() -> None:
    A = ps.placeholder((2, 2), "float32", name="A")
    B = ps.compute((2, 2), lambda i, j: A[i, j] + 1, name="B")
    s = ps.Schedule(B)
    _, inner = s[B].split("i", 4)
    s[B].vectorize(inner)
    computed_right(s, some("float32", 2, 2))


@pytest.mark.parametrize("factor", [0, -1, True, 2.0])
def test_tvm_9805_a_factor_that_is_no_factor(factor: Any) -> None:
    _, O = vector_sum("int32")
    with pytest.raises(ps.ScheduleError, match="factor"):
        ps.Schedule(O)[O].split("r", factor)


def test_tvm_15205_a_sum_that_leaves_its_constant_tensor() -> None:
    T = ps.compute((3,), lambda i: ps.cast("float32", -34.0282), name="T")
    k = ps.reduce_axis((0, 64), name="k")
    with pytest.raises(ps.BoundsError, match="k=3"):
        ps.compute((), lambda: ps.sum(T[k], axis=k), name="B")


def test_tvm_15204_a_guard_of_two_conditions() -> None:
    A = ps.placeholder((3, 5), "int32", name="A")
    pad = ps.compute((4, 6), lambda i, j: ps.select((i < 3) & (j < 5), A[i, j], 0), name="pad")
    r = ps.reduce_axis((0, 4), name="r")
    B = ps.compute((3, 6), lambda i, j: ps.sum(pad[r, j], axis=r), name="B")
    s = ps.Schedule(B)
    s[pad].inline()
    s[B].reorder("r", "i", "j")
    s[B].vectorize("j")
    computed_right(s, some("int32", 3, 5))
    with pytest.raises(ps.BoundsError):
        ps.compute((4, 6), lambda i, j: ps.select((i < 3) | (j < 5), A[i, j], 0), name="either")


def test_tvm_15203_an_inequality_as_an_index() -> None:
    T = ps.placeholder((2, 10), "float32", name="T")
    out = ps.compute((16, 10), lambda c, d: T[ps.select(c <= 4, 1, 0), d], name="out")
    s = ps.Schedule(out)
    s[out].fuse("c", "d")
    _, inner = s[out].split("c_d", 16)
    s[out].vectorize(inner)
    computed_right(s, some("float32", 2, 10))


def test_tvm_13010_a_reduction_axis_of_one_iteration() -> None:
    A, W = ps.placeholder((n, 1), "float32", name="A"), ps.placeholder((1, m), "float32", name="W")
    r = ps.reduce_axis((0, 1), name="r")
    C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * W[r, j], axis=r), name="C")
    s = ps.Schedule(C)
    s[C].reorder("r", "j", "i")
    s[C].parallel("r")
    computed_right(s, some("float32", 6, 1), some("float32", 1, 5))


def test_halide_7871_a_vectorized_loop_fused_with_a_reduction_loop() -> None:
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    _, inner = s[local].split("x", 4)
    s[local].reorder("y", "x_o", "q", inner, "r")
    t = s.copy()
    fused = t[local].fuse(inner, "r")
    t[local].vectorize(fused)
    computed_right(t, some("int32", 24, 27))
    s[local].vectorize(inner)
    with pytest.raises(ps.ScheduleError, match="vectorize"):
        s[local].fuse(inner, "r")


def test_halide_7872_a_split_consumer_of_a_stored_sum() -> None:
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    s[blurry].split("x", 2)
    s[local].reorder("q", "r", "y", "x")
    computed_right(s, some("int32", 24, 27))


def test_halide_7890_a_sum_split_by_one_and_reordered() -> None:
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    s[blurry].split("y", 2)
    s[local].split("x", 4)
    s[local].split("x_i", 1, outer="a", inner="b")
    s[local].reorder("r", "b", "x_o", "y", "q", "a")
    computed_right(s, some("int32", 24, 27))


def test_halide_7892_nested_splits_that_overhang_unrolled_and_vectorized() -> None:
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    outer, inner = s[local].split("x", 2)
    _, middle = s[local].split(outer, 4)
    s[local].unroll(middle)
    s[local].vectorize(inner)
    computed_right(s, some("int32", 24, 27))


def test_halide_7851_fused_and_split_again_around_a_vector() -> None:
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    for stage in (blurry, local):
        s[stage].split("y", 2)
        s[stage].reorder("y_o", "x", "y_i")
        fused = s[stage].fuse("y_o", "x")
        s[stage].split(fused, 2)
        s[stage].vectorize("y_i")
    computed_right(s, some("int32", 24, 27))


@pytest.mark.parametrize("length", [3, 16, 17])
def test_halide_7764_an_inner_piece_larger_than_the_outer(length: int) -> None:
    A = ps.placeholder((n,), "int32", name="A")
    g = ps.compute((n,), lambda x: A[x], name="g")
    s = ps.Schedule(g)
    _, inner = s[g].split("x", 2)
    io, ii = s[g].split(inner, 4)
    s[g].reorder(ii, io, "x_o")
    s[g].vectorize(ii)
    computed_right(s, some("int32", length))


def test_halide_2812_and_7827_a_reduction_split_by_what_does_not_divide_it() -> None:
    """A tail that computes more than there is would add elements twice."""
    _, local, blurry = box()
    s = ps.Schedule(blurry)
    _, inner = s[local].split("r", 2)
    s[local].split("q", 3)
    s[local].split("q_i", 2, outer="a", inner="b")
    s[local].vectorize(inner)
    computed_right(s, some("int32", 24, 27))


@pytest.mark.parametrize("columns", [1, 23])
def test_halide_7909_a_loop_of_one_iteration_slides_nothing(columns: int) -> None:
    """Sliding windows along a loop that was split by one, and along one inside it: wrong numbers."""
    image = ps.placeholder((24, columns + 4), "int32", name="image")
    source = ps.compute((24, columns + 4), lambda y, x: 2 * image[y, x] + 5 * y, name="source")
    r, q = ps.reduce_axis((0, 5), name="r"), ps.reduce_axis((0, 5), name="q")
    local = ps.compute((20, columns), lambda y, x: ps.sum(source[y + q, x + r], axis=(q, r)), name="local_sum")
    blurry = ps.compute((20, columns), lambda y, x: local[y, x] // 25, name="blurry")
    s = ps.Schedule(blurry)
    s[blurry].split("y", 1)
    s[local].compute_at(blurry, "y_o")
    s[local].store_at()
    s[source].compute_at(local, "x")
    s[source].store_at()
    computed_right(s, some("int32", 24, columns + 4))


@pytest.mark.parametrize("lanes", [True, False])
@pytest.mark.parametrize("length", [10, 12, 3])
def test_halide_8600_partial_results_of_tiles_that_overhang(length: int, lanes: bool) -> None:
    """Partial results for each place in a tile: the input was thought to be read beyond its end."""
    A = ps.placeholder((length, length), "uint8", name="A")
    y, x = ps.reduce_axis((0, length), name="y"), ps.reduce_axis((0, length), name="x")
    total = ps.compute((), lambda: ps.sum(ps.cast("int32", A[y, x]), axis=(y, x)), name="total")
    s = ps.Schedule(total)
    s[total].tile("y", "x", 4, 4)
    places = s[total].fuse("y_i", "x_i")
    if lanes:
        s[total].vectorize(places)
        s[total].parallel("y_o", "x_o")
    else:
        s[total].reorder(places, "y_o", "x_o")
        s[total].parallel(places)
    computed_right(s, some("uint8", length, length))


def test_halide_1895_lanes_over_one_axis_of_two_reduced() -> None:
    A = ps.placeholder((n, m), "uint16", name="A")
    y, x = ps.reduce_axis((0, n), name="y"), ps.reduce_axis((0, m), name="x")
    total = ps.compute((), lambda: ps.sum(A[y, x], axis=(y, x)), name="total")
    s = ps.Schedule(total)
    _, inner = s[total].split("x", 16)
    s[total].reorder("x_o", inner, "y")
    s[total].vectorize(inner)
    computed_right(s, some("uint16", 9, 37))


def test_halide_236_lanes_that_choose_between_a_constant_and_a_sum() -> None:
    r = ps.reduce_axis((1, 3), name="r")
    add = ps.compute((2, 2), lambda x, y: ps.sum(r * 1, axis=r), name="add")
    foo = ps.compute((2, 2, 4), lambda x, y, c: ps.select(c == 3, 255, add[x, y]), name="foo")
    s = ps.Schedule(foo)
    s[foo].vectorize("c")
    assert (ps.build(s)() == [3, 3, 3, 255]).all()


def test_halide_5430_parallel_tiles_whose_last_one_overlaps() -> None:
    A = ps.placeholder((n + 2,), "float32", name="A")
    out = ps.compute((n,), lambda x: A[x] + 2 * A[x + 1] + A[x + 2], name="out")
    s = ps.Schedule(out)
    outer, inner = s[out].split("x", 32)
    s[out].parallel(outer)
    s[out].vectorize(inner)
    computed_right(s, some("float32", 72))


def test_halide_6609_only_what_commutes_may_change_its_order() -> None:
    A = ps.placeholder((n,), "float32", name="A")
    r = ps.reduce_axis((0, n), name="r")
    B = ps.compute((), lambda: ps.prod(A[r], axis=r), name="B")
    s = ps.Schedule(B)
    assert refused(s, lambda: s[B].reverse("r")).sizes == {"n": 2}
    refused(s, lambda: s[B].parallel("r"))


def test_halide_6808_a_guard_that_depends_on_what_is_updated() -> None:
    """In place the guard races; as two stages it reads what it is defined to read, in parallel, too."""
    before = ps.compute((10,), lambda x: ps.cast("int32", 1), name="before")
    f = ps.compute((10,), lambda x: ps.select(before[0] == 1, 2, before[x]), name="f")
    s = ps.Schedule(f)
    s[f].parallel("x")
    s[before].parallel("x")
    assert (ps.build(s)() == 2).all()


def test_halide_prefix_sum_with_races_allowed() -> None:
    A = ps.placeholder((n,), "float32", name="A")

    def prefix(i: Any) -> Any:
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(A[r], axis=r)

    P = ps.compute((n,), prefix, name="P")
    s = ps.Schedule(P)
    error = refused(s, lambda: s[P].parallel("r"))
    assert error.sizes == {"n": 2} and error.cell == ("P", (1,))
    _, inner = s[P].split("i", 8)
    s[P].reorder("i_o", "r", inner)
    s[P].vectorize(inner)
    s[P].parallel("i_o")
    computed_right(s, some("float32", 37))


def test_tiramisu_300_a_consumer_that_reads_its_producer_mirrored() -> None:
    f = ps.compute((48, 48), lambda y, x: ps.cast("int32", x + y), name="f")
    g = ps.compute((48, 48), lambda y, x: f[y, 47 - x], name="g")
    for inlined in (False, True):
        s = ps.Schedule(g)
        if inlined:
            s[f].inline()
        else:
            s[f].reorder("x", "y")
        s[g].reverse("x")
        s[g].parallel("y")
        computed_right(s)


def test_tiramisu_197_a_vector_loop_shorter_than_its_lanes() -> None:
    A = ps.placeholder((n, n), "int32", name="A")

    def below(i: Any) -> Any:
        j = ps.reduce_axis((0, i), name="j")
        return ps.sum(A[i, j], axis=j)

    S = ps.compute((n,), below, name="S")
    s = ps.Schedule(S)
    _, inner = s[S].split("j", 8)
    s[S].vectorize(inner)
    computed_right(s, some("int32", 21, 21))
