"""Stages in the loops of recurrences, and time tiles that overlap, which are made of those and of `block_steps`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

Kernel = Any


def same_bits(s: ps.Schedule, threads: int, given: list[Any], *sizes: dict[str, int]) -> Kernel:
    """The kernel has the bits of the default schedule at all of these sizes."""
    kernel, default = s.build(ps.Target("native", threads=threads), check=True), ps.Schedule(s.outputs).build()
    for known in sizes:
        arrays = [array(**known) for array in given]
        np.testing.assert_array_equal(kernel(*arrays, **known), default(*arrays, **known))
    return kernel


def stencil(dtype: str = "float64", T: Any = None, reach: int = 1) -> tuple[ps.Tensor, ps.Tensor, ps.Tensor]:
    """A field, one that is read in each step, and the last plane: of what is not linear, and differs from step to
    step."""
    T, n, m = ps.size_var("T") if T is None else T, ps.size_var("n", min=1), ps.size_var("m", min=1)
    A, K = (ps.placeholder((n, m), dtype, name=name) for name in "AK")
    c = ps.compute((n, m), lambda i, j: K[i, j] + 1, name="c")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, n, m), dtype, name="u")
    u[0, i, j] = A[i, j]
    inside = (i >= reach) & (i < n - reach) & (j >= 1) & (j < m - 1)
    around = u[t, i - reach, j] + u[t, i + reach, j - 1] * u[t, i, j + 1]
    u[t + 1, i, j] = ps.select(inside, ps.select(t < 3, around + c[i, j], ps.maximum(around, u[t, i, j])), u[t, i, j])
    return u, c, u[T]


def planes(dtype: str = "float64") -> list[Any]:
    def made(seed: int) -> Any:
        def array(n: int, m: int, **_: int) -> Any:
            return (np.random.default_rng(seed).random((n, m)) * 3).astype(dtype)

        return array

    return [made(1), made(2)]


SIZES = [{"T": T, "n": n, "m": m} for T, n, m in ((0, 5, 5), (1, 9, 4), (4, 1, 1), (5, 2, 19), (7, 23, 11), (8, 8, 40))]


@pytest.mark.parametrize(
    ("name", "steps", "space", "threads"),
    [
        ("jacobi_1d", 4, (24,), 2),
        ("jacobi_1d", None, None, 1),
        ("jacobi_2d", 3, (4, 16), 2),
        ("heat_3d", 3, (4, 4, None), 1),
        ("fdtd_2d", 3, (8, 40), 2),
    ],
)
def test_tiles_that_overlap(name: str, steps: int | None, space: tuple[int | None, ...] | None, threads: int) -> None:
    example = EXAMPLES[name]
    s = ps.Schedule(example.define())
    target, own = ps.Target("native", threads=threads), "hz" if name == "fdtd_2d" else "u"
    ps.recipes.time_tile(s[own], target, time=steps, space=space, shape="overlapped")
    kernel, default = s.build(target, check=True), ps.Schedule(example.define()).build()
    names = [a.name for a in s.program.arguments if isinstance(a, ps.Tensor)]
    others = {"M": 19} if "M" in example.sizes else {}
    for sizes in (
        example.sizes,
        dict.fromkeys(example.sizes, 3),
        {"T": 7, "N": 21, **others},
        {"T": 0, "N": 4, **others},
    ):
        given = example.inputs(np.random.default_rng(8), sizes)
        one, two = (k(*[given[tensor] for tensor in names], **sizes) for k in (kernel, default))
        np.testing.assert_array_equal(one, two)
    kinds = {loop.name: loop.kind for loop in s[f"{own}_blocks"].nest.loops}
    assert (kinds["i_o"] == "parallel") == (threads == 2)
    assert s[f"{own}_steps"].nest.loops[-1].kind == "vectorize"


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_steps_of_any_type_that_are_not_linear(dtype: str) -> None:
    u, _, last = stencil(dtype, reach=2)
    s = ps.Schedule(last)
    ps.recipes.time_tile(s[u], ps.Target("native", threads=2), time=3, space=(5, 8), shape="overlapped")
    same_bits(s, 2, planes(dtype), *SIZES)


@pytest.mark.parametrize("steps", [1, 7])
def test_a_literal_number_of_steps(steps: int) -> None:
    u, _, last = stencil(T=steps)
    s = ps.Schedule(last)
    ps.recipes.time_tile(s[u], ps.Target("native", threads=1), time=3, space=(5, 8), shape="overlapped")
    same_bits(s, 1, planes(), *({"n": known["n"], "m": known["m"]} for known in SIZES))


def coupled(T: Any, fewer: int) -> list[ps.Tensor]:
    """Two fields: v has as many planes as u or one less, and is read in the step that makes it."""
    n = ps.size_var("n", min=1)
    A, B = (ps.placeholder((n,), "int32", name=name) for name in "AB")
    t, i = ps.axes("t i")
    u, v = ps.recurrence((T + 1, n), "int32", name="u"), ps.recurrence((T + 1 - fewer, n), "int32", name="v")
    step, u[0, i] = ps.cast("int32", t), A[i]
    right = ps.select(i < n - 1, v[t, i + 1], step)
    if fewer:
        v[t, i] = ps.select(i > 0, u[t, i - 1] * u[t, i], B[i] + step)
        u[t + 1, i] = v[t, i] - right
        return [u[T]]
    v[0, i] = B[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 1, v[t + 1, i - 2], step)
    v[t + 1, i] = v[t, i] - right * u[t, i]
    return [u[T], v[T]]


@pytest.mark.parametrize("fewer", [0, 1])
@pytest.mark.parametrize("steps", [None, 1, 7])
def test_two_fields_that_need_each_other(steps: int | None, fewer: int) -> None:
    """Of several planes, or of one; one of them is also read in its own step."""
    s = ps.Schedule(coupled(ps.size_var("T", min=fewer) if steps is None else steps, fewer))
    blocks, inner = s["u"].block_steps("t", 3)
    blocks.split("i", 8)
    blocks.fold_storage("t", 2)
    for name in ("u_blocks", "v_blocks"):
        if s[name].nest.loop("i_o").kind == "serial":
            s[name].parallel("i_o")
    s["u_steps"].compute_at("u_blocks", "i_o")
    if steps == 1:  # where they do not need each other any more, and so do not move together
        s["v_steps"].compute_at("u_blocks", "i_o")
    assert s.state.places[s["v_steps"].tensor.uid].loop == "i_o"
    given = [
        lambda n, seed=seed, **_: np.random.default_rng(seed).integers(-9, 9, n).astype("int32") for seed in (1, 2)
    ]
    lengths = [1, 2, 7, 8, 30]
    counts = [0, 1, 2, 3, 4, 9] if steps is None else [steps]
    sizes = [{"T": T, "n": n} if steps is None else {"n": n} for T in counts if fewer <= T for n in lengths]
    same_bits(s, 2, given, *sizes)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s
    if steps != 1:
        inner.compute_root()
        same_bits(s, 1, given, *sizes[::4])
    while s.commands:
        s.undo()
    assert [stage.name for stage in s.program.live_stages()][:2] in (["u", "v"], ["v", "u"])


def test_chains_that_need_each_other_are_computed_in_the_loops_of_what_reads_them() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    i, j = ps.axes("i j")
    p, q = (ps.recurrence((n, n), "float64", name=name) for name in "pq")
    p[i, 0] = A[i, 0]
    q[i, 0] = A[i, 0] * 2
    p[i, j + 1] = A[i, j + 1] - 0.5 * q[i, j]
    q[i, j + 1] = q[i, j] + 0.25 * p[i, j + 1]
    s = ps.Schedule(ps.compute((n, n), lambda i, j: p[i, j] + q[i, n - 1 - j], name="C"))
    s["C"].split("i", 4)
    s["C"].parallel("i_o")
    s["p"].compute_at("C", "i_o")
    assert {s[name].loops for name in "pq"} == {("i", "j")}
    given = [lambda n: np.random.default_rng(n).random((n, n))]
    same_bits(s, 2, given, {"n": 1}, {"n": 6}, {"n": 17})
    s["q"].reorder("j", "i")
    assert s["p"].loops == ("j", "i")
    same_bits(s, 2, given, {"n": 6}, {"n": 17})
    s["q"].compute_root()
    same_bits(s, 2, given, {"n": 6})


def test_a_host_of_others_by_compute_with_is_not_placed() -> None:
    """What was left at the root had no loops to be in."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    i, j = ps.axes("i j")
    p, q = (ps.recurrence((n, n), "float64", name=name) for name in "pq")
    for own in (p, q):
        own[i, 0] = A[i, 0]
        own[i, j + 1] = A[i, j + 1] - 0.5 * own[i, j]
    s = ps.Schedule(ps.compute((n, n), lambda i, j: p[i, j] + q[i, j], name="C"))
    s[p].compute_with(q, "i")
    refused(r"p shares i of q by compute_with, at the root: p.compute_root\(\)", lambda: s[q].compute_at("C", "i"))
    s[p].compute_root()
    s[q].compute_at("C", "i")
    same_bits(s, 1, [lambda n: np.random.default_rng(n).random((n, n))], {"n": 7})


def test_how_far_chains_of_needs_reach() -> None:
    """By the widest circle, not by the widest need: here every other step goes one cell on."""
    n = ps.size_var("n", min=1)
    t, i = ps.axes("t i")
    u, v = (ps.recurrence((17, n), "int32", name=name) for name in "uv")
    u[0, i] = 1
    v[0, i] = 2
    u[t + 1, i] = ps.select(i < n - 1, v[t, i + 1], 0)
    v[t + 1, i] = u[t, i] + 1
    s = ps.Schedule(u[16])
    blocks, steps = s["u"].block_steps("t", 8)
    blocks.split("i", 16)
    steps.compute_at(blocks, "i_o")
    computed = s.program.placements[steps.tensor.uid].computed
    assert str(computed.shape[2]) == "20"  # of seven steps, three go on; and one more at most
    same_bits(s, 1, [], {"n": 1}, {"n": 40})


def test_a_first_plane_in_one_equation_with_the_others() -> None:
    """It was left out, as the equation reads the plane before."""
    T, n = ps.size_var("T", min=1), ps.size_var("n", min=1)
    B = ps.placeholder((n,), "float64", name="B")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[t, i] = ps.select((t >= 1) & (i >= 1), u[t - 1, i - 1] + 1.0, ps.select(t >= 1, u[t - 1, i], B[i]))
    s = ps.Schedule(u[T])
    s[u].block_steps("t", 2)
    same_bits(s, 1, [lambda n, **_: np.arange(float(n))], {"T": 1, "n": 4}, {"T": 2, "n": 1}, {"T": 5, "n": 7})
    v = ps.recurrence((T + 1, n), "float64", name="v")
    v[t, i] = ps.select(2 * t >= i + 1, v[t - 1, i] + 1.0, B[i])
    with pytest.raises(ps.ScheduleError, match="give that plane an equation of its own"):
        ps.Schedule(v[T])["v"].block_steps("t", 2)


def sweep(rank: int, T: Any = None) -> tuple[ps.Tensor, ps.Tensor]:
    """Steps in place, which differ from step to step and along their edges, and the last plane."""
    T, n = ps.size_var("T") if T is None else T, ps.size_var("n", min=1)
    A = ps.placeholder((n,) * rank, "float64", name="A")
    t, *space = ps.axes("t i j"[: 2 * rank + 1])
    u = ps.recurrence((T + 1, *(n,) * rank), "float64", name="u")
    u[(0, *space)] = A[tuple(space)] * 2.0
    i, *others = space
    inside = (i >= 1) & (i < n - 1)
    before, after, old = u[(t + 1, i - 1, *others)], u[(t, i + 1, *others)], u[(t, *space)]
    for j in others:
        inside, before = inside & (j >= 1), before * u[t + 1, i, j - 1]
    u.define((t + 1, *space), ps.select(t < 3, before * 0.5 - after, ps.maximum(before, after) + old), where=inside)
    u.define((t + 1, *space), old * 0.75, where=~inside)
    return u, u[T]


@pytest.mark.parametrize(("rank", "steps", "T"), [(1, 2, None), (1, 3, 7), (2, 4, None), (2, 8, 8), (2, 5, 1)])
def test_blocks_of_steps_in_place(rank: int, steps: int, T: int | None) -> None:
    """Steps after the last one, and none, change nothing; the two stages share the loop over blocks."""
    u, last = sweep(rank, T)
    s = ps.Schedule(last)
    blocks, inner = s[u].block_steps("t", steps)
    assert (blocks.loops, inner.loops[:2]) == (("t", "i", "j")[: rank + 1], ("t", "t_s"))
    assert ps.Schedule.from_text(last, s.to_text()) == s
    counts = [T] if T is not None else [0, 1, steps - 1, steps, steps + 1, 2 * steps]
    known = [{"n": n} | ({} if T is not None else {"T": count}) for n in (1, 2, 9) for count in counts]
    given = [lambda n, **_: np.random.default_rng(n).standard_normal((n,) * rank)]
    same_bits(s, 1, given, *known)
    inner.fold_storage("t", 1)
    blocks.fold_storage("t", 2)
    same_bits(s, 1, given, *known)
    assert s.explain("x86-64-v3", **known[0]) is not None
    while s.commands:
        s.undo()
    assert s.stages == ps.Schedule(last).stages


def test_steps_after_the_last_one_are_masks_and_no_statements() -> None:
    u, last = sweep(2)
    s = ps.Schedule(last)
    s[u].block_steps("t", 4)
    text = str(s)
    assert "select(4 * t + t_s - T <= 0, " in text and "T >=" not in text
    assert "u_steps[t, t_s, i, j] = u_blocks[t, i, j]  # equation 0: t_s == 0" in text


def test_steps_in_tiles_of_three_dimensions_are_generated_within_the_budget() -> None:
    s = ps.Schedule(EXAMPLES["heat_3d"].define())
    blocks, steps = s["u"].block_steps("t", 2)
    outer, inner = zip(*(blocks.split(loop, 4) for loop in "ijk"), strict=True)
    blocks.reorder("t", *outer, *inner)
    steps.compute_at(blocks, outer[-1])
    same_bits(s, 1, [lambda N, **_: np.random.default_rng(1).random((N, N, N))], {"T": 3, "N": 9})


def test_what_is_computed_more_than_once_is_told() -> None:
    u, _, last = stencil(T=8)
    s = ps.Schedule(last)
    blocks, steps = s[u].block_steps("t", 4)
    assert s.explain("x86-64-v3", n=64, m=64).stages["u_steps"].recomputation == 1
    blocks.tile("i", "j", 8, 16)
    blocks.reorder("t", "i_o", "j_o", "i_i", "j_i")
    steps.compute_at(blocks, "j_o")
    known = s.explain("x86-64-v3", n=64, m=64).stages
    assert 1.3 < float(known["u_steps"].recomputation) < 2 and known["u_blocks"].recomputation == 1
    assert "u_steps: float64[1, 3, 14, 22] stored here  # again: 6 of 14 i in the next i_o" in str(s)


def test_a_stage_that_a_recurrence_reads_in_its_loops() -> None:
    u, c, last = stencil()
    s = ps.Schedule(last)
    s[u].tile("i", "j", 4, 8)
    s[u].reorder("t", "i_o", "j_o", "i_i", "j_i")
    s[c].compute_at(u, "j_o")
    s[u].parallel("i_o")
    same_bits(s, 2, planes(), *SIZES)
    s[c].store_at(u, "i_o")
    same_bits(s, 2, planes(), *SIZES)
    s[c].compute_root()
    assert s[c].loops == ("i", "j")
    same_bits(s, 2, planes(), *SIZES)


def test_an_input_is_copied_in_the_loops_of_a_recurrence() -> None:
    u, c, last = stencil()
    s = ps.Schedule(last)
    s[c].inline()
    s[u].tile("i", "j", 4, 8)
    s[u].reorder("t", "i_o", "j_o", "i_i", "j_i")
    copy = s[u].cache_read("K", at="j_o")
    copy.vectorize("j")
    same_bits(s, 1, planes(), *SIZES)


def test_a_stage_for_steps_within_a_tile() -> None:
    """In loops of a stage that is in loops itself."""
    u, _, last = stencil()
    s = ps.Schedule(last)
    blocks, steps = s[u].block_steps("t", 4)
    own = steps.cache_read("c", name="own")
    blocks.split("i", 8)
    steps.compute_at(blocks, "i_o")
    own.compute_at(steps, "t_s")
    blocks.parallel("i_o")
    same_bits(s, 2, planes(), *SIZES)


def test_rows_go_through_all_steps_of_a_tile_together() -> None:
    u, _, last = stencil()
    s = ps.Schedule(last)
    blocks, steps = s[u].block_steps("t", 4)
    blocks.split("i", 8)
    steps.compute_at(blocks, "i_o")
    with pytest.raises(ps.LegalityError):
        steps.reorder("i", "t_s")
    steps.skew("i", 1, by="t_s")
    steps.reorder("i", "t_s")
    steps.fold_storage("t_s", 2)
    same_bits(s, 1, planes(), *SIZES)


def test_steps_are_found_again_at_the_root() -> None:
    u, _, last = stencil()
    s = ps.Schedule(last)
    blocks, steps = s[u].block_steps("t", 3)
    steps.vectorize(steps.split("j", 8)[1])
    steps.compute_root()
    assert steps.loops == ("t", "t_s", "i", "j_o", "j_i")
    same_bits(s, 1, planes(), *SIZES)
    steps.compute_at(blocks, "t")
    same_bits(s, 1, planes(), *SIZES)


def refused(match: str, give: Any) -> None:
    with pytest.raises(ps.ScheduleError, match=match):
        give()


def test_what_has_no_blocks_of_steps() -> None:
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    t, i = ps.axes("t i")

    def made(value: Any) -> tuple[ps.Tensor, ps.Schedule]:
        u = ps.recurrence((T + 2, n), "float64", name="u")
        u.define((t, i), 1.0, where=t < 2)
        u[t + 2, i] = value(u)
        return u, ps.Schedule(u[T + 1])

    u, s = made(lambda u: u[t, i])
    refused(r"it reads u\[t - 2, i\], 2 steps back", lambda: s[u].block_steps("t", 2))
    r = ps.reduce_axis((0, n), name="r")
    u, s = made(lambda u: ps.sum(u[t + 1, r], axis=r))
    refused("its equations have sums", lambda: s[u].block_steps("t", 2))
    u, s = made(lambda u: u[t + 1, i])
    refused("i is not its first dimension, of several; that is t", lambda: s[u].block_steps("i", 2))
    refused("a block has 2 steps or more", lambda: s[u].block_steps("t", 1))
    refused("different names", lambda: s[u].block_steps("t", 2, name="v", steps="v"))
    s[u].split("i", 8)
    refused("there are commands on it already", lambda: s[u].block_steps("t", 2))
    s = ps.Schedule(u)
    refused("it is an output, and all of its planes are asked for", lambda: s[u].block_steps("t", 2))
    s = ps.Schedule(ps.compute((n,), lambda i: u[T, i], name="D"))
    refused(r"D reads u\[T, i\], and of the planes only the last, T \+ 1, and", lambda: s[u].block_steps("t", 2))
    s = ps.Schedule(EXAMPLES["fdtd_2d"].define())
    s["ey"].split("i", 8)
    refused("commands on e[xy], which it needs and which needs it, already", lambda: s["hz"].block_steps("t", 2))


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize("T", [None, 1, 7])
def test_blocks_of_two_that_need_each_other_in_one_step(T: int | None, steps: int) -> None:
    """All steps of both are alike, from copies on."""
    T_, n = ps.size_var("T") if T is None else T, ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u, v = (ps.recurrence((T_ + 1, n), "float64", name=name) for name in "uv")
    u[0, i] = A[i]
    v[0, i] = A[i] * 3.0
    u[t + 1, i] = ps.select(i > 0, v[t + 1, i - 1] * 0.5 - u[t, i], v[t, i] + 1.0)
    v[t + 1, i] = ps.select(i < n - 1, v[t, i + 1], 2.0) + u[t + 1, i] * 0.25
    s = ps.Schedule([u[T_], v[T_]])
    blocks, inner = s[u].block_steps("t", steps)
    assert {"u_blocks", "u_steps", "v_blocks", "v_steps"} <= {stage.name for stage in s.program.live_stages()}
    assert not s.state.places and ps.Schedule.from_text(s.outputs, s.to_text()) == s
    given = [lambda n, **_: np.random.default_rng(n).standard_normal(n)]
    known = [{"n": n} | ({"T": count} if T is None else {}) for n in (1, 2, 9) for count in (0, 1, 3, 4, 6)]
    same_bits(s, 1, given, *known)
    inner.fold_storage("t", 1)
    blocks.fold_storage("t", 2)
    same_bits(s, 1, given, *known)


def test_what_has_no_blocks_of_steps_together() -> None:
    T, n = ps.size_var("T", min=1), ps.size_var("n", min=1)
    t, i = ps.axes("t i")
    r = ps.reduce_axis((0, n), name="r")

    def made(own: Any, other: Any, planes: Any = T + 1) -> Any:
        u, v = ps.recurrence((T + 1, n), "float64", name="u"), ps.recurrence((planes, n), "float64", name="v")
        u[0, i] = 1.0
        v[0, i] = 2.0
        u[t + 1, i] = own(u, v)
        v[t + 1, i] = other(u, v)
        return u, v

    def s(both: Any, *outputs: Any) -> Any:
        return ps.Schedule([both[0][T], *outputs])[both[0]]

    both = made(lambda u, v: v[t, i], lambda u, v: u[t, i] + ps.sum(u[t, r], axis=r))
    refused("equations of v, which it needs, have sums", lambda: s(both).block_steps("t", 2))
    both = made(lambda u, v: v[t, i], lambda u, v: ps.select(t > 0, u[t - 1, i], 0.0))
    refused(r"v reads u\[t - 2, i\], 2 steps back, .* a recurrence of its own", lambda: s(both).block_steps("t", 2))
    both = made(lambda u, v: v[t, i], lambda u, v: u[t, i])
    refused("v, which it needs and which needs it, is an output", lambda: s(both, both[1]).block_steps("t", 2))
    named = {"steps": "v_blocks"}
    refused("different names", lambda: s(both).block_steps("t", 2, **named))
    both = made(lambda u, v: ps.select(2 * t <= T, v[t // 2, i], 0.0), lambda u, v: u[t, i], T // 2 + 1)
    refused(
        r"which has the most planes differs from size to size: u T \+ 1, v T // 2 \+ 1",
        lambda: s(both).block_steps("t", 2),
    )


def test_a_stage_that_is_inlined_stays_so_once_steps_are_in_blocks() -> None:
    """It read planes in between, which then were those of blocks at the end."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    F = ps.compute((T + 1, n), lambda t, i: u[t, i] * 3, name="F")
    u[0, i] = A[i]
    u[t + 1, i] = F[t, i] + 1
    s = ps.Schedule(u[T])
    s[F].inline()
    s[u].block_steps("t", 2)
    same_bits(s, 1, [lambda n, **_: np.arange(float(n))], {"T": 0, "n": 4}, {"T": 5, "n": 7})
    refused("of whose planes only the last, T, and the first are", s[F].compute_root)
    s.undo()
    s[F].compute_root()
    s[u].block_steps("t", 2)
    assert [stage.name for stage in s.program.live_stages()][:4] == ["u_steps", "F_steps", "u_blocks", "F_blocks"]
    same_bits(s, 1, [lambda n, **_: np.arange(float(n))], {"T": 0, "n": 4}, {"T": 5, "n": 7})


def test_other_stages_at_the_end_have_no_blocks_of_steps() -> None:
    s = ps.Schedule(EXAMPLES["fdtd_2d"].define())
    refused("u_9 is none|it is no recurrence", lambda: s[s.stages[-1]].block_steps("i", 2))


def test_what_cannot_be_in_the_loops_of_a_recurrence() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    B = ps.compute((n, n), lambda i, j: A[i, j] * 2, name="B")
    i, j = ps.axes("i j")
    p = ps.recurrence((n, n), "float64", name="p")
    p[i, 0] = B[i, 0]
    p[i, j + 1] = p[i, j] + B[i, j + 1]
    s = ps.Schedule(ps.compute((n, n), lambda i, j: p[i, j] + 1, name="C"))
    s[p].equation(1).parallel("i")
    refused("what reads it is not all in one and the same loops", lambda: s[B].compute_at(p, "i"))
    s.undo()
    s[p].equation(1).split("i", 4)
    refused("equation 1 of p, which reads it, has other loops of its own", lambda: s[B].compute_at(p, "i"))
    r = ps.reduce_axis((0, i), name="r")
    x = ps.recurrence((n, n), "float64", name="x")
    x.define((i, j), B[i, j], where=i < 1)
    x.define((i, j), B[i, j] - ps.sum(A[i, r] * x[r, j] * B[0, r], axis=r), where=i >= 1)
    s = ps.Schedule(x)
    refused("and is in no such loop", lambda: s[B].compute_at(x, "r"))


@pytest.mark.parametrize("shape", [(1, 4), (3, 0)])
def test_a_recurrence_without_steps_has_no_blocks(shape: tuple[int, int]) -> None:
    A = ps.placeholder((4,), "float32", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence(shape, "float32", name="u")
    u[0, i] = A[i]
    u.define((t, i), u[t - 1, i] + 1, where=t > 0)
    s = ps.Schedule(u[shape[0] - 1])
    with pytest.raises(ps.ScheduleError, match="no step at any size"):
        s["u"].block_steps("t", 4)


def test_no_stage_is_computed_in_slabs_of_a_recurrence() -> None:
    """isl made several loops of the slabs' one over t, and what is stored in it was allocated in each other's."""
    u, c, last = stencil()
    s = ps.Schedule(last)
    blocks, _ = s[u].block_steps("t", 2)
    with pytest.raises(ps.ScheduleError, match=r"u_steps cannot be computed in t of u_blocks, .* slabs by partition"):
        blocks.partition("+t", 2, name="slab")
    s = ps.Schedule(last)
    s[u].partition("+t", 2, name="slab")
    with pytest.raises(ps.ScheduleError, match="slabs by partition"):
        s[c].compute_at(u, "t")


def test_fields_that_need_each_other_in_place_are_refused_where_another_output_reads_them() -> None:
    """What would be accepted is found without the stages of their own that are placed with them."""
    T, m = ps.size_var("T", min=2), ps.size_var("m", min=1)
    t, i = ps.axes("t i")
    A = ps.placeholder((m,), "int32", name="A")
    u, v = (ps.recurrence((T + 1, m), "int32", name=name) for name in "uv")
    u[0, i], v[0, i] = A[i], A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t + 1, i - 1], 1) + v[t, i]
    v[t + 1, i] = u[t + 1, i] + v[t, i]
    s = ps.Schedule([u[T], v[T]])
    s["v"].block_steps("t", 3)
    with pytest.raises(ps.ScheduleError, match="because v_T reads it outside of that loop"):
        s["u_blocks"].compute_at("u_T", "i")


def test_sweeps_whose_tiles_need_each_other_are_refused_in_words() -> None:
    s = ps.Schedule(EXAMPLES["seidel_2d"].define())
    with pytest.raises(ps.ScheduleError, match=r'in the same block of steps; they are .* shape="wavefront" for others'):
        ps.recipes.time_tile(s["u"], ps.Target("native", threads=1), shape="overlapped")
    assert s.commands == ()
