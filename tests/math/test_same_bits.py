"""One algorithm: an element has the same bits in scalar code, in vectors of any length, and in masked tails."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import polysched as ps

CIRCULAR = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")
NAMES = ("exp", "exp2", "log", "log2", "tanh", "sigmoid")
DTYPES = ("float32", "float64")


@pytest.mark.parametrize(
    ("name", "dtype"), [*product(NAMES, ("float16", *DTYPES)), *product(CIRCULAR, DTYPES), ("sin", "float16")]
)
def test_schedules_and_targets(lab: Any, name: str, dtype: str) -> None:
    random = np.random.default_rng(6)
    anything = random.integers(0, 1 << 16, 40_003).astype(np.uint16).view(np.float16).astype(dtype)
    x = np.concatenate([lab.edges(dtype), random.normal(0, 8, 20_000).astype(dtype), anything])
    with_fma = []
    for target, machine in lab.TARGETS.items():
        if not machine.can_run():
            continue
        kernels = [lab.kernel(name, dtype, lanes, target) for lanes in (1, 3, 8, 24)]
        scalar = lab.bits(kernels[0](x))
        for kernel in kernels[1:]:
            assert kernel.warnings == (), kernel.warnings
            assert np.array_equal(lab.bits(kernel(x)), scalar)
            for length in (1, 2, 5, 7, 23, 25):
                assert np.array_equal(lab.bits(kernel(x[:length])), scalar[:length])
        if machine.has_fma:
            with_fma.append(scalar)
    assert all(np.array_equal(found, with_fma[0]) for found in with_fma)


def test_expressions_around_a_function_do_not_change_it(lab: Any) -> None:
    """Sums, products and nesting; the inner function's value is the one that is stored when it is a stage."""
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    inner = ps.compute((n,), lambda i: ps.exp(A[i] * 0.5 + 1), name="inner")
    outer = ps.compute((n,), lambda i: ps.log(inner[i] + ps.exp(ps.exp(ps.tanh(inner[i])))) * inner[i], name="outer")
    x = np.random.default_rng(7).normal(0, 3, 1003).astype(np.float32)
    plain, inlined = ps.Schedule(outer), ps.Schedule(outer)
    inlined[inner].inline()
    inlined[outer].split("i", 16)
    inlined[outer].vectorize("i_i")
    assert np.array_equal(lab.bits(ps.build(plain)(x)), lab.bits(ps.build(inlined)(x)))


def test_parallel_and_constant_operands() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    B = ps.compute((n,), lambda i: ps.exp(ps.cast("float32", 1.25)) + A[i] + ps.exp(A[0]), name="B")
    C = ps.compute((n,), lambda i: ps.exp(A[i]), name="C")
    x = np.full(100, 1.25, np.float32)
    schedule = ps.Schedule([B, C])
    schedule[B].split("i", 8)
    schedule[B].vectorize("i_i")
    schedule[B].parallel("i_o")
    b, c = ps.build(schedule)(x)
    assert np.array_equal(b, (c + x) + c)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_functions_stay_small(dtype: str) -> None:
    """A function of a function is emitted once, not once for each use of its argument."""
    n = ps.size_var("n")
    A = ps.placeholder((n,), dtype, name="A")

    def lines(count: int) -> int:
        def value(i: Any) -> Any:
            x = A[i]
            for _ in range(count):
                x = ps.exp(ps.log(x))
            return x

        return len(ps.build(ps.Schedule(ps.compute((n,), value, name="B"))).source("llvm-raw").splitlines())

    assert lines(16) - lines(8) <= (lines(16) - lines(1)) * 8 // 15 + 8
