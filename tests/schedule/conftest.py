"""Definitions, and random commands for them, that the tests of schedules share."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

import polysched as ps

WORDS = (
    *("split", "split", "tile", "reorder", "fuse", "unroll", "vectorize", "parallel", "reverse", "inline"),
    "compute_root",
)


class Samples:
    """Fresh definitions; all of them have names of their own."""

    def matmul(self, n=None, m=None, k=None, **kwargs) -> ps.Tensor:
        n, m, k = (ps.size_var(name) if size is None else size for name, size in (("n", n), ("m", m), ("k", k)))
        A = ps.placeholder((n, k), "float32", name="A")
        B = ps.placeholder((k, m), "float32", name="B")
        r = ps.reduce_axis((0, k), name="r")
        return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r, **kwargs), name="C")

    def triangle(self) -> ps.Tensor:
        n = ps.size_var("n")
        A = ps.placeholder((n, n), "float32", name="A")

        def row(i):
            r = ps.reduce_axis((0, i + 1), name="r")
            return ps.sum(A[i, r] * A[r, i], axis=r)

        return ps.compute((n,), row, name="T")

    def pipeline(self) -> list[ps.Tensor]:
        n, m = ps.size_var("n"), ps.size_var("m")
        A = ps.placeholder((n, m), "float64", name="A")
        scaled = ps.compute((n, m), lambda i, j: A[i, j] * 3 + 1, name="scaled")
        r = ps.reduce_axis((0, m), name="r")
        most = ps.compute((n,), lambda i: ps.max(scaled[i, r], axis=r), name="most")
        out = ps.compute((n, m), lambda i, j: scaled[i, j] - most[i], name="out")
        return [out, most]

    def all(self) -> list[Callable[[], ps.Tensor | list[ps.Tensor]]]:
        return [self.matmul, self.triangle, self.pipeline]


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture
def randomly() -> Callable[[ps.Schedule, random.Random, int], None]:
    """randomly(schedule, random, count): try so many random commands; those that are refused change nothing."""

    def command(s: ps.Schedule, rng: random.Random) -> None:
        stage = s[rng.choice(s.stages).name]
        word = rng.choice(WORDS)
        if word in ("inline", "compute_root"):
            if rng.random() < 0.3:
                getattr(stage, word)()
            return
        loops = [name for name in stage.loops if name.count("_") < 4] or stage.loops
        match word:
            case "split":
                stage.split(rng.choice(loops), rng.choice((1, 2, 3, 8, 100)))
            case "tile":
                stage.tile(rng.choice(loops), rng.choice(loops), rng.randint(1, 5), rng.randint(1, 5))
            case "reorder":
                stage.reorder(*rng.sample(loops, rng.randint(1, len(loops))))
            case "fuse":
                first = rng.randrange(len(loops))
                stage.fuse(*loops[first : first + rng.randint(2, 3)])
            case "parallel":
                first = rng.randrange(len(loops))
                stage.parallel(*loops[first : first + rng.randint(1, 2)])
            case _:
                getattr(stage, word)(rng.choice(loops))

    def run(s: ps.Schedule, rng: random.Random, count: int) -> None:
        for _ in range(count):
            try:
                command(s, rng)
            except ps.ScheduleError:
                continue

    return run


@pytest.fixture
def run() -> Callable[[ps.Schedule], list[np.ndarray]]:
    """run(schedule): the kernel's outputs for fixed random inputs at odd sizes."""

    def call(s: ps.Schedule) -> list[np.ndarray]:
        rng = np.random.default_rng(7)
        sizes = {"n": 13, "m": 11, "k": 7}
        kernel = s.build(ps.Target("native", threads=2))
        arrays = []
        for tensor in s.program.arguments:
            shape = [int(e.value) if not isinstance(e, ps.Size) else sizes[e.name] for e in tensor.shape]
            arrays.append(rng.standard_normal(shape).astype(tensor.dtype.name))
        result = kernel(*arrays)
        return list(result) if isinstance(result, tuple) else [result]

    return call
