"""recipes.time_tile: tiles over time of every stencil, on one thread and two, with the same bits and little memory."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

STENCILS = {
    "jacobi_1d": {"T": 9, "N": 70},
    "jacobi_2d": {"T": 9, "N": 41},
    "heat_3d": {"T": 5, "N": 21},
    "seidel_2d": {"T": 5, "N": 17},
    "fdtd_2d": {"T": 7, "N": 23, "M": 45},
}
THREADS = [1, 2]


def tiled(name: str, threads: int, **options: object) -> ps.Schedule:
    s = ps.Schedule(EXAMPLES[name].define())
    ps.recipes.time_tile(s[s.stages[0]], ps.Target("native", threads=threads), **options)
    return s


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", STENCILS)
def test_the_same_bits(name: str, threads: int) -> None:
    example = EXAMPLES[name]
    space = {"jacobi_1d": (40,), "heat_3d": (4, 4, None)}.get(name, (4, 40))
    tuned, default = tiled(name, threads, time=3, space=space), ps.Schedule(example.define())
    kernels = default.build(), tuned.build(ps.Target("native", threads=threads), check=True)
    names = [a.name for a in tuned.program.arguments if isinstance(a, ps.Tensor)]
    for sizes in (STENCILS[name], example.sizes, dict.fromkeys(example.sizes, 3)):
        given = example.inputs(np.random.default_rng(8), sizes)
        one, two = (k(*[given[tensor] for tensor in names], **sizes) for k in kernels)
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, two)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("shape", "loop"), [("diamond", "i_d"), ("wavefront", "i_o"), (None, "i_d")])
def test_all_fields_are_on_threads(shape: str | None, loop: str) -> None:
    s = tiled("fdtd_2d", 2, shape=shape)
    assert [[x.name for x in s[field].nest.loops if x.kind == "parallel"] for field in ("ex", "ey", "hz")] == [
        [loop]
    ] * 3


@pytest.mark.parametrize(("name", "form"), [("jacobi_2d", "t-i"), ("fdtd_2d", "t-i"), ("jacobi_1d", "t-i")])
def test_slabs_lean_as_little_as_they_can(name: str, form: str) -> None:
    assert next(c for c in tiled(name, 2).commands if "partition" in c).split('"')[1] == form


def test_slabs_of_a_wide_stencil_lean_as_far_as_it_reads() -> None:
    T, n = ps.size_var("T"), ps.size_var("n", min=4)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = ps.select((i > 1) & (i < n - 2), u[t, i - 2] + u[t, i] + u[t, i + 2], u[t, i])
    s, default = ps.Schedule(u[T]), ps.Schedule(u[T])
    ps.recipes.time_tile(s[u], ps.Target("native", threads=2), shape="diamond", time=3, space=(40,))
    assert next(c for c in s.commands if "partition" in c).split('"')[1] == "2*t-i"
    a = np.random.default_rng(6).standard_normal(333)
    np.testing.assert_array_equal(s.build(ps.Target("native", threads=2))(a, T=11), default.build()(a, T=11))


def test_both_shapes_have_the_same_bits_as_few_steps() -> None:
    example = EXAMPLES["jacobi_2d"]
    sizes = {"T": 7, "N": 37}
    given = example.inputs(np.random.default_rng(5), sizes)
    target = ps.Target("native", threads=2)
    found = [tiled("jacobi_2d", 2, shape=shape, time=3, space=(4, 40)).build(target)(given["A"], **sizes)
             for shape in ("diamond", "wavefront")]  # fmt: skip
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], example.program(sizes, **given), rtol=1e-12)


def test_a_sweep_in_place_has_no_diamonds() -> None:
    with pytest.raises(ps.ScheduleError, match=r"slabs of t and i in u need each other in both directions.*wavefront"):
        tiled("seidel_2d", 2, shape="diamond", space=(4, 40))
    with pytest.raises(ps.ScheduleError, match=r'time_tile has the shapes "diamond", .* and none that is'):
        tiled("jacobi_2d", 2, shape="hexagonal")


@pytest.mark.parametrize(("name", "planes"), [("jacobi_2d", 2), ("heat_3d", 2), ("fdtd_2d", 1)])
def test_planes_that_are_kept(name: str, planes: int) -> None:
    s = tiled(name, 1)
    folds = [command for command in s.commands if "fold_storage" in command]
    assert folds and all(command.endswith(f'fold_storage("t", {planes})') for command in folds)


@pytest.mark.parametrize(("name", "row"), [("jacobi_1d", "i"), ("jacobi_2d", "j"), ("heat_3d", "k")])
def test_rows_are_stored_in_whole_vectors(name: str, row: str) -> None:
    s = ps.Schedule(EXAMPLES[name].define())
    ps.recipes.time_tile(s["u"], ps.Target("x86-64-v3", threads=1))
    assert s.commands[-2] == f'u.align_storage("{row}", 4)'


def test_an_output_is_stored_as_its_caller_has_it() -> None:
    n = ps.size_var("n", min=3)
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((6, n, n), "float64", name="u")
    u[0, i, j] = A[i, j]
    inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1)
    u[t + 1, i, j] = ps.select(inside, u[t, i - 1, j] + u[t, i + 1, j] + u[t, i, j + 1], u[t, i, j])
    s, default = ps.Schedule(u), ps.Schedule(u)
    ps.recipes.time_tile(s[u], ps.Target("native", threads=1))
    assert 'u.vectorize("j_i")' in s.commands and not any("storage" in command for command in s.commands)
    a = np.random.default_rng(4).standard_normal((45, 45))
    np.testing.assert_array_equal(s.build()(a, n=45), default.build()(a, n=45))


def test_the_memory_of_a_call_does_not_grow_with_the_steps() -> None:
    s = tiled("jacobi_2d", 1)
    u = s["u"].tensor
    extents = s.program.layout(u).shape(u.shape)
    assert str(extents[0]) == "2"


def test_two_planes_are_enough_where_one_tile_has_all_steps() -> None:
    n = ps.size_var("n", min=3)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((11, n), "float64", name="u")
    u[0, i] = A[i]
    u.define((t + 1, i), u[t, i - 1] + u[t, i + 1], where=(i > 0) & (i < n - 1))
    u.define((t + 1, i), u[t, i], where=(i == 0) | (i == n - 1))
    s, default = ps.Schedule(u[10]), ps.Schedule(u[10])
    ps.recipes.time_tile(s[u], ps.Target("native", threads=1))
    assert any(command.endswith('fold_storage("t", 2)') for command in s.commands)
    a = np.random.default_rng(3).standard_normal(2500)
    np.testing.assert_array_equal(s.build()(a, n=2500), default.build()(a, n=2500))


def gauss_seidel(T: object, rank: int) -> list[ps.Tensor]:
    n = ps.size_var("n", min=3)
    A = ps.placeholder((n,) * rank, "float64", name="A")
    t, *space = ps.axes("t i j k"[: 2 * rank + 1])
    u = ps.recurrence((T + 1, *(n,) * rank), "float64", name="u")
    u[(0, *space)] = A[tuple(space)]

    def at(step: object, axis: int, by: int) -> ps.Expr:
        return u[(step, *(x + by if k == axis else x for k, x in enumerate(space)))]

    inside = space[0] > 0
    for x in space:
        inside = inside & (x > 0) & (x < n - 1)
    around = sum((at(t + 1, k, -1) + at(t, k, 1) for k in range(rank)), at(t, 0, 0))
    u[(t + 1, *space)] = ps.select(inside, 0.3 * around, u[(t, *space)])
    return [u[T]]


@pytest.mark.parametrize(("steps", "threads"), [(2, 1), (5, 1), (11, 1), (3, 2), (10, 2)])
def test_sweeps_in_place_have_their_steps_in_lanes(steps: int, threads: int) -> None:
    outputs = gauss_seidel(steps, 2)
    s, default = ps.Schedule(outputs), ps.Schedule(outputs)
    target = ps.Target("native", threads=threads)
    ps.recipes.time_tile(s["u"], target)
    assert 'u.fold_storage("i+t", 2)' in s.commands and 'u.vectorize("t")' in s.commands
    assert (s.commands[-1] == 'u.parallel("i_d")') == (threads == 2)
    kernels = s.build(target, check=True), default.build()
    for extent in (3, 4, 9, 40) if threads == 1 else (3, 16, 140, 290):
        a = np.random.default_rng(extent).standard_normal((extent, extent))
        one, two = (kernel(a, n=extent) for kernel in kernels)
        np.testing.assert_array_equal(one, two)


def test_tiles_that_lean_less_than_steps_are_apart_do_not_run_in_waves() -> None:
    """What is stored in the place of a cell two rows further up would be there before a step has read that cell."""
    s = ps.Schedule(gauss_seidel(5, 2))
    ps.recipes.time_tile(s["u"], ps.Target("native", threads=1))
    s["u"].partition("i", 4, name="rows")
    with pytest.raises(ps.LegalityError, match=r"into the cell of an element that .* still reads"):
        s["u"].partition("j+i", 8, name="parts")
    s["u"].partition("j+3*i", 8, name="parts")


def test_steps_are_shared_out_evenly() -> None:
    t, i = ps.axes("t i")
    for steps, expected in ((40, None), (100, 34), (96, 33)):  # with the plane at 0; up to 48 are all in one tile
        u = ps.recurrence((steps + 1, 99), "float32", name="u")
        u[0, i] = ps.cast("float32", 1.0)
        u[t + 1, i] = ps.select((i > 0) & (i < 98), u[t, i - 1] + u[t, i + 1], u[t, i])
        s = ps.Schedule(u[steps])
        ps.recipes.time_tile(s[u], ps.Target("x86-64-v3", threads=1))
        splits = [c for c in s.commands if c.startswith('u.split("t"')]
        assert splits == ([f'u.split("t", {expected}, outer="t_o", inner="t_i")'] if expected else [])


def test_refusals_leave_the_schedule_as_it_was() -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    with pytest.raises(ps.ScheduleError, match=r"extents of tiles for the loops i, j of u in space="):
        ps.recipes.time_tile(s["u"], space=(8,))
    assert s.commands == ()
    with pytest.raises(ps.ScheduleError, match="u_T is none"):
        ps.recipes.time_tile(s["u_T"])
    t, i = ps.axes("t i")
    n = ps.size_var("n", min=1)
    v = ps.recurrence((9, n), "float32", name="v")
    v[0, i] = ps.cast("float32", 1.0)
    v[t + 1, i] = v[t, n - 1 - i] + v[t, i]
    s = ps.Schedule(v)
    with pytest.raises(ps.ScheduleError, match="no skews were found with which v can be tiled over t, i"):
        ps.recipes.time_tile(s["v"])
    assert s.commands == () and s.advises


def test_rows_longer_than_a_vector_loop_may_be() -> None:
    s = tiled("jacobi_2d", 1, space=(8, 4096))
    assert s["u"].loops[-2:] == ("j_i_o", "j_i_i") and 'u.vectorize("j_i_i")' in s.commands


def same_at(s: ps.Schedule, target: ps.Target, rank: int, *sizes: tuple[int, int]) -> None:
    kernels = s.build(target), ps.Schedule(list(s.outputs)).build()
    symbolic = any(size.name == "T" for size in kernels[0].signature.sizes)
    for extent, T in sizes:
        a = np.random.default_rng(extent).standard_normal((extent,) * rank)
        found = (kernel(a, n=extent, **({"T": T} if symbolic else {})) for kernel in kernels)
        for one, two in zip(*(r if isinstance(r, tuple) else (r,) for r in found), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("steps", "block"), [(ps.size_var("T"), 16), (40, 20), (49, 17)])
def test_sweeps_of_any_number_of_steps_are_blocks_in_lanes(steps: object, block: int, threads: int) -> None:
    s = ps.Schedule(gauss_seidel(steps, 2))
    target = ps.Target("native", threads=threads)
    ps.recipes.time_tile(s["u"], target)
    assert f'u.block_steps("t", {block}, name="u_blocks", steps="u_steps")' in s.commands
    assert {'u_steps.vectorize("t_s")', 'u_steps.fold_storage("i+t_s", 2)'} <= set(s.commands)
    parallel = [x.name for x in s["u_steps"].nest.loops if x.kind == "parallel"]
    assert parallel == (["i_d"] if threads > 1 else [])
    same_at(s, target, 2, (3, 1), (9, 0), (9, 16), (45, 17), (45, 33), (300, 15))


def test_blocks_in_lanes_have_as_many_steps_as_they_are_given() -> None:
    s = ps.Schedule(gauss_seidel(ps.size_var("T"), 2))
    ps.recipes.time_tile(s["u"], ps.Target("native", threads=1), time=5)
    assert 'u.block_steps("t", 5, name="u_blocks", steps="u_steps")' in s.commands


@pytest.mark.parametrize(("rank", "threads", "planes"), [(1, 2, 1), (2, 2, 2), (2, 1, 2)])
def test_sweeps_that_have_no_blocks_have_four_steps_at_once(rank: int, threads: int, planes: int) -> None:
    """As rows of one dimension, and where the plane before the last one is asked for, too."""
    (last,) = gauss_seidel(ps.size_var("T", min=1), rank)
    (copied,) = last.equations
    u = copied.body.tensor
    s = ps.Schedule([last, u[u.shape[0] - 2]] if planes > 1 else last)
    target = ps.Target("native", threads=threads)
    ps.recipes.time_tile(s["u"], target)
    assert 'u.unroll("t_i")' in s.commands and (planes > 1 or 'u.fold_storage("t", 1)' in s.commands)
    assert [x.name for x in s["u"].nest.loops if x.kind == "parallel"] == (["i_d"] if threads > 1 and rank > 1 else [])
    same_at(s, target, rank, (3, 1), (9, 6), (45, 13))
