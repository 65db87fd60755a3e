"""All functions in one kernel: the same bits in scalar code, vectors of any length, masked tails, on all targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

UNARY = (
    *("exp", "exp2", "expm1", "log1p", "tanh", "rsqrt", "cbrt", "erf", "erfc", "sigmoid", "silu", "gelu", "gelu_erf"),
    "softplus",
)
BINARY: dict[str, Any] = {
    "pow": ps.pow, "hypot": ps.hypot, "fmod": ps.fmod, "mod": lambda x, y: x % y, "floordiv": lambda x, y: x // y,
}  # fmt: skip
EXACT = ("fmod", "mod", "floordiv")  # also without fma


def kernel(lab: Any, dtype: str, lanes: int, target: ps.Target) -> ps.Kernel:
    n = ps.size_var("n")
    x, y = (ps.placeholder((n,), dtype, name=letter) for letter in "xy")
    outputs = [ps.compute((n,), lambda i, f=lab.FUNCTIONS[name]: f(x[i]), name=name) for name in UNARY]
    outputs += [ps.compute((n,), lambda i, f=f: f(x[i], y[i]), name=name) for name, f in BINARY.items()]
    schedule = ps.Schedule(outputs)
    for output in outputs if lanes > 1 else ():
        schedule[output].split("i", lanes)
        schedule[output].vectorize("i_i")
    return ps.build(schedule, target)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_all_functions_at_all_widths(lab: Any, dtype: str) -> None:
    random = np.random.default_rng(13)
    bits = np.dtype(dtype).itemsize * 8
    anything = random.integers(0, 1 << bits, 4_001, dtype=f"u{bits // 8}").view(dtype)
    x = np.concatenate([lab.edges(dtype), random.normal(0, 8, 4_000).astype(dtype), anything])
    y = random.permutation(x)
    names = (*UNARY, *BINARY)
    with_fma = []
    for target, machine in lab.TARGETS.items():
        if not machine.can_run():
            continue
        scalar = [lab.bits(found) for found in kernel(lab, dtype, 1, machine)(x, y)]
        for lanes in () if target == "native" and len(with_fma) > 1 else (3, 2 * machine.vector_bits // max(32, bits)):
            vectors = kernel(lab, dtype, lanes, machine)
            assert vectors.warnings == ()
            for length in (len(x), 1, 7, 23):
                found = vectors(x[-length:], y[-length:])
                for name, plain, vector in zip(names, scalar, found, strict=True):
                    assert np.array_equal(lab.bits(vector), plain[-length:]), (name, target, lanes, length)
        with_fma.append((machine.has_fma, scalar))
    reference = next((found for fma, found in with_fma if fma), with_fma[0][1])
    for fma, found in with_fma:
        for name, a, b in zip(names, found, reference, strict=True):
            assert np.array_equal(a, b) or not (fma or name in EXACT), name
