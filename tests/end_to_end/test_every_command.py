"""Every command on every kind of definition, at sizes 0, 1, around each factor, and primes: NumPy's values, and the
bits of the default schedule."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.primitives import REGISTRY

Array = np.ndarray[Any, Any]
Definition = tuple[ps.Tensor, Callable[..., list[Array]], Callable[..., Array]]
FACTORS = (3, 8)
SIZES = (0, 1, 2, 3, 4, 7, 8, 9, 13, 17)
N, M, K = (ps.size_var(name) for name in "nmk")
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def matmul() -> Definition:
    a, b = ps.placeholder((N, K), "float32", name="A"), ps.placeholder((K, M), "float32", name="B")
    r = ps.reduce_axis((0, K), name="r")
    c = ps.compute((N, M), lambda i, j: ps.sum(a[i, r] * b[r, j], axis=r), name="T")
    return c, lambda rng, n, m, k: [normal(rng, n, k), normal(rng, k, m)], lambda a, b: a @ b


def elementwise() -> Definition:
    a, b = (ps.placeholder((N, M), "float32", name=name) for name in "AB")
    product = ps.compute((N, M), lambda i, j: a[i, j] * a[i, j] + b[i, j] * b[i, j], name="P")
    c = ps.compute((N, M), lambda i, j: ps.sqrt(product[i, j]) * b[i, j], name="T")
    return c, lambda rng, n, m, _: [normal(rng, n, m), normal(rng, n, m)], lambda a, b: np.sqrt(a * a + b * b) * b


def blur() -> Definition:
    a = ps.placeholder((N + 2, M + 2), "float32", name="A")
    rows = ps.compute((N + 2, M), lambda i, j: (a[i, j] + a[i, j + 1] + a[i, j + 2]) / 3, name="P")
    c = ps.compute((N, M), lambda i, j: (rows[i, j] + rows[i + 1, j] + rows[i + 2, j]) / 3, name="T")

    def reference(a: Array) -> Array:
        across = (a[:, :-2] + a[:, 1:-1] + a[:, 2:]) / np.float32(3)
        return (across[:-2] + across[1:-1] + across[2:]) / np.float32(3)

    return c, lambda rng, n, m, _: [normal(rng, n + 2, m + 2)], reference


def triangle() -> Definition:
    a = ps.placeholder((N, M), "float64", name="A")

    def prefix(i: Any, j: Any) -> Any:
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(a[r, j], axis=r)

    c = ps.compute((N, M), prefix, name="T")
    return c, lambda rng, n, m, _: [normal(rng, n, m).astype(np.float64)], lambda a: np.cumsum(a, axis=0)


def argmax() -> Definition:
    a = ps.placeholder((N, M, K), "int16", name="A")
    r = ps.reduce_axis((0, K), name="r")
    c = ps.compute((N, M), lambda i, j: ps.argmax(a[i, j, r], axis=r), name="T")

    def reference(a: Array) -> Array:
        return a.argmax(axis=2) if a.shape[2] else np.full(a.shape[:2], -1)

    return c, lambda rng, n, m, k: [rng.integers(-3, 3, (n, m, k), np.int16)], reference


def every() -> Definition:
    a = ps.placeholder((N, M, K), "bool", name="A")
    r = ps.reduce_axis((0, K), name="r")
    c = ps.compute((N, M), lambda i, j: ps.all(a[i, j, r], axis=r), name="T")
    return c, lambda rng, n, m, k: [rng.random((n, m, k)) < 0.9], lambda a: a.all(axis=2)


def some() -> Definition:
    a = ps.placeholder((N, M, K), "bool", name="A")
    r = ps.reduce_axis((0, K), name="r")
    c = ps.compute((N, M), lambda i, j: ps.any(a[i, j, r], axis=r), name="T")
    return c, lambda rng, n, m, k: [rng.random((n, m, k)) < 0.1], lambda a: a.any(axis=2)


def transposed() -> Definition:
    a = ps.placeholder((M, N), "float64", name="A", strides="any")
    c = ps.compute((N, M), lambda i, j: a[j, i], name="T")
    return c, lambda rng, n, m, _: [normal(rng, m, n).astype(np.float64)[:, ::-1]], lambda a: a.T.copy()


def gather() -> Definition:
    a, at = ps.placeholder((K + 1, M), "int32", name="A"), ps.placeholder((N,), "int64", name="at")
    c = ps.compute((N, M), lambda i, j: a[ps.clamp(at[i], 0, K), j] + a[ps.checked(at[i]), j], name="T")

    def arrays(rng: np.random.Generator, n: int, m: int, k: int) -> list[Array]:
        return [rng.integers(-9, 9, (k + 1, m), np.int32), rng.integers(0, k + 1, n)]

    return c, arrays, lambda a, at: 2 * a[at]


DEFINITIONS = {f.__name__: f for f in (matmul, elementwise, blur, triangle, argmax, every, some, transposed, gather)}
REDUCTIONS = ("matmul", "triangle", "argmax", "every", "some")


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape, dtype=np.float32)


# Schedules of any definition: each is given the stages, the last of which is T(i, j, ...), and a factor.


def split(s: ps.Schedule, f: int) -> None:
    for loop in s["T"].loops:
        s["T"].split(loop, f)


def tile(s: ps.Schedule, f: int) -> None:
    s["T"].tile("i", "j", f, 8)


def reorder(s: ps.Schedule, _: int) -> None:
    s["T"].reorder(*reversed(s["T"].loops)) if "r" not in s["T"].loops else s["T"].reorder("j", "i", "r")


def fuse(s: ps.Schedule, f: int) -> None:
    s["T"].split(s["T"].fuse("i", "j"), f)


def unroll(s: ps.Schedule, f: int) -> None:
    s["T"].unroll(s["T"].split(s["T"].loops[-1], f)[1])
    s["T"].unroll(s["T"].split("i", 2)[1])


def vectorize(s: ps.Schedule, f: int) -> None:
    s["T"].vectorize(s["T"].split("j", f)[1])


def vectorize_innermost(s: ps.Schedule, f: int) -> None:
    s["T"].split("j", f)
    s["T"].reorder(*(loop for loop in s["T"].loops if loop != "j_i"), "j_i")
    s["T"].vectorize("j_i")


def vectorize_rows(s: ps.Schedule, f: int) -> None:
    s["T"].vectorize(s["T"].split("i", f)[1])


def vectorize_fused(s: ps.Schedule, f: int) -> None:
    s["T"].vectorize(s["T"].split(s["T"].fuse("i", "j"), f)[1])


def vectorize_both(s: ps.Schedule, f: int) -> None:
    s["T"].tile("i", "j", 2, f)
    s["T"].vectorize("i_i")
    s["T"].vectorize("j_i")


def parallel(s: ps.Schedule, f: int) -> None:
    s["T"].parallel(s["T"].split("i", f)[0])


def parallel_collapsed(s: ps.Schedule, _: int) -> None:
    s["T"].parallel("i", "j")


def reverse(s: ps.Schedule, f: int) -> None:
    s["T"].split("j", f)
    for loop in ("i", "j_o", "j_i"):
        s["T"].reverse(loop)
    s["T"].vectorize("j_i")


def skew(s: ps.Schedule, f: int) -> None:
    """A wavefront of tiles: j runs outside of i, which is all that is left inside of a diagonal."""
    s["T"].skew("j", 2, by="i")
    s["T"].reorder("j", "i")
    s["T"].vectorize(s["T"].split("i", f)[1])


def partition(s: ps.Schedule, f: int) -> None:
    """Slabs that lean backwards, and of those slabs that lean forwards."""
    s["T"].partition("2*i-j", f)
    s["T"].partition("i+j", 4, name="wave")
    s["T"].vectorize(s["T"].split("j", f)[1])


def shift(s: ps.Schedule, f: int) -> None:
    s["T"].shift("j", f + 1)
    s["T"].shift("i", -2)
    s["T"].vectorize(s["T"].split("j", f)[1])


def peel(s: ps.Schedule, f: int) -> None:
    s["T"].tile("i", "j", 4, f)
    s["T"].vectorize("j_i")
    s["T"].peel("i_o", first=1, last=2)
    s["T"].peel("j_o", last=1)


def prefetch(s: ps.Schedule, f: int) -> None:
    """What rows further on need, in a loop over tiles of a row; of definitions that read nothing by rows, nothing."""
    s["T"].split("j", 8)
    for tensor in sorted({tensor.name for tensor in s.program.arguments}):
        if s["T"].why_not("prefetch", tensor, at="j_o", by="i", distance=f) is None:
            s["T"].prefetch(tensor, at="j_o", by="i", distance=f)


def inline(s: ps.Schedule, f: int) -> None:
    if len(s.stages) > 1:
        s[s.stages[0]].inline()
    s["T"].vectorize(s["T"].split("j", f)[1])


def compute_root(s: ps.Schedule, f: int) -> None:
    inline(s, f)
    s[s.stages[0]].compute_root()


def everything(s: ps.Schedule, f: int) -> None:
    s["T"].tile("i", "j", 4, f)
    inner = [loop for loop in s["T"].loops if loop not in ("i_o", "j_o", "i_i", "j_i")]
    s["T"].reorder("i_o", "j_o", *inner, "i_i", "j_i")
    s["T"].unroll("i_i")
    s["T"].vectorize("j_i")
    s["T"].parallel("i_o", "j_o")


SCHEDULES = {
    f.__name__: f
    for f in (
        *(split, tile, reorder, fuse, unroll, vectorize, vectorize_innermost, vectorize_rows, vectorize_fused),
        *(
            vectorize_both,
            parallel,
            parallel_collapsed,
            reverse,
            skew,
            partition,
            shift,
            peel,
            prefetch,
            inline,
            compute_root,
            everything,
        ),
    )
}


def sizes_of(name: str) -> list[tuple[int, int, int]]:
    """All pairs of n and m, or a part of all triples."""
    if name not in REDUCTIONS or name == "triangle":
        return [(n, m, 5) for n, m in itertools.product(SIZES, SIZES)]
    return [s for k, s in enumerate(itertools.product(SIZES, SIZES, (0, 1, 2, 8, 13))) if k % 3 == 0]


def same_bits(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@dataclass(frozen=True)
class Expected:
    """A definition with arrays of many sizes, what NumPy makes of them, and what the default schedule does."""

    output: ps.Tensor
    runs: list[tuple[tuple[int, int, int], list[Array], Array]]


@cache
def expected(name: str) -> Expected:
    output, arrays, reference = DEFINITIONS[name]()
    default = ps.build(ps.Schedule(output), "native")
    rng = np.random.default_rng(7)
    runs = []
    for n, m, k in sizes_of(name):
        given = arrays(rng, n, m, k)
        result, wanted = default(*given), np.asarray(reference(*given))
        tolerance = TOLERANCE.get(output.dtype.name, 0) * float(np.abs(wanted).max(initial=0))
        assert result.shape == wanted.shape
        assert np.all(np.abs(result.astype(np.float64) - wanted) <= tolerance), f"{name} at n={n}, m={m}, k={k}"
        runs.append(((n, m, k), given, result))
    return Expected(output, runs)


def check(name: str, kernel: ps.Kernel, runs: list[tuple[tuple[int, int, int], list[Array], Array]]) -> None:
    for (n, m, k), given, wanted in runs:
        assert same_bits(kernel(*given), wanted), f"{name} at n={n}, m={m}, k={k}"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_command_on_every_definition(name: str, schedule: str) -> None:
    known = expected(name)
    # Every command meets both factors, and every definition too; all pairs would take twice as long.
    factor = FACTORS[(list(DEFINITIONS).index(name) + list(SCHEDULES).index(schedule)) % 2]
    s = ps.Schedule(known.output)
    SCHEDULES[schedule](s, factor)
    check(f"{name}, {schedule} by {factor}", ps.build(s, "native", check=True), known.runs)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_number_of_threads_changes_nothing(name: str, threads: int) -> None:
    known = expected(name)
    for schedule in (parallel, parallel_collapsed, everything):
        s = ps.Schedule(known.output)
        schedule(s, 3)
        kernel = ps.build(s, ps.Target("native", threads=threads))
        check(f"{name} on {threads} threads", kernel, known.runs[::11])


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("word", ["split", "unroll", "reorder"])
def test_reductions_are_cut_and_moved(name: str, word: str) -> None:
    known = expected(name)
    s = ps.Schedule(known.output)
    s["T"].split("r", 3)
    if word == "unroll":
        s["T"].unroll("r_i")
    if word == "reorder":
        s["T"].split("j", 8)
        s["T"].reorder("r_o", "i", "j_o", "r_i", "j_i")
        s["T"].vectorize("j_i")
    check(f"{name}, {word}", ps.build(s, "native", check=True), known.runs)


@pytest.mark.parametrize("name", ["argmax", "every", "some"])
@pytest.mark.parametrize("word", ["vectorize", "reverse"])
def test_reductions_that_may_be_reordered(name: str, word: str) -> None:
    known = expected(name)
    s = ps.Schedule(known.output)
    s["T"].split("r", 8)
    s["T"].reverse("r_i" if word == "vectorize" else "r_o")
    s["T"].vectorize("r_i")
    check(f"{name}, {word}", ps.build(s, "native", check=True), known.runs)


def test_every_primitive_is_here() -> None:
    elsewhere = {
        "align_storage",
        "block_steps",
        "cache_operand",
        "cache_read",
        "cache_write",
        "compute_at",
        "compute_with",
        "fold_storage",
        "narrow",
        "reorder_storage",
        "rfactor",
        "separate",
        "specialize",
        "store_at",
        "store_streaming",
    }  # tests/schedule/test_storage.py, test_align_storage.py, test_narrow.py, test_specialize.py
    assert set(REGISTRY) <= set(SCHEDULES) | elsewhere
