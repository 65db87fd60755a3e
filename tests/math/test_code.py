"""What is generated for each kind of processor: no call of a library, and no function lane by lane."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

ROUNDING: dict[str, Any] = {"round": ps.round, "floor": ps.floor, "ceil": ps.ceil, "trunc": ps.trunc}
NUMPY = {"round": np.rint, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "pow": ps.pow, "atan2": ps.atan2, "hypot": ps.hypot, "fmod": ps.fmod, "mod": lambda x, y: x % y,
    "floordiv": lambda x, y: x // y,
}  # fmt: skip
TARGETS = pytest.mark.parametrize("target", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"])
# Names of functions that are called; and operations on one float, or on one element of a vector.
CALL = re.compile(r"^\s+(?:callq?|bl|jmp|b)\s+([A-Za-z_]\w*)", re.MULTILINE)
DEFINED = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
ONE_LANE = re.compile(
    r"^\s+(?:v?(?:add|sub|mul|div|sqrt|round|rndscale|cvt\w*)s[sd]|v?cvt\w*2s[sd]\w*|v?pextr[dq]|v?extractps|i?divq?|imulq"
    r"|umov"
    r"|mov\s+[xw]\d+, v\d+\.[sd]\[[1-3]\]"
    r"|f(?:add|sub|mul|div|madd|sqrt|rint\w)\s+[hsd]\d+)\b.*$",
    re.MULTILINE,
)


def kernel(lab: Any, dtype: str, target: str) -> ps.Kernel:
    machine = ps.Target(target)
    x, y = (ps.placeholder((64,), dtype, name=letter) for letter in "xy")
    unary = {**lab.FUNCTIONS, **ROUNDING, "sqrt": ps.sqrt}
    values = {name: (lambda i, f=f: f(x[i])) for name, f in unary.items()}
    values |= {name: (lambda i, f=f: f(x[i], y[i])) for name, f in BINARY.items()}
    values["as float32"] = lambda i: ps.cast(dtype, ps.floor(ps.cast("float32", x[i])))
    outputs = [ps.compute((64,), value, name=f"f{number}") for number, value in enumerate(values.values())]
    schedule = ps.Schedule(outputs)
    for output in outputs:
        _, inner = schedule[output].split("i", machine.vector_bits // (8 * np.dtype(dtype).itemsize))
        schedule[output].vectorize(inner)
    return schedule.build(machine)


@TARGETS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_neither_calls_nor_single_lanes(lab: Any, dtype: str, target: str) -> None:
    built = kernel(lab, dtype, target)
    code = built.source("asm")
    assert set(CALL.findall(code)) <= set(DEFINED.findall(code)), "long functions and rare parts stand in the code"
    assert ONE_LANE.findall(code) == []
    assert built.warnings == ()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_without_an_instruction_for_it(lab: Any, dtype: str) -> None:
    oldest = ps.Target("x86-64")
    if not oldest.can_run():
        pytest.skip("needs an x86-64")
    random = np.random.default_rng(2)
    size = np.dtype(dtype).itemsize
    halves = np.arange(-40, 40) / 2
    large = (random.integers(1 << 20, 1 << 25, 5_000) + random.integers(0, 8, 5_000) / 8).astype(dtype)
    edges = lab.edges(dtype)
    anything = random.integers(0, 1 << (8 * size), 50_000, dtype=f"u{size}").view(dtype)
    usual = random.normal(0, 3, 5_000)
    with np.errstate(all="ignore"):
        x = np.concatenate([edges, halves, large, -large, np.nextafter(large, 0), usual, anything]).astype(dtype)
        expected = {name: function(x) for name, function in NUMPY.items()}
    n = ps.size_var("n")
    A = ps.placeholder((n,), dtype, name="A")
    outputs = [ps.compute((n,), lambda i, f=f: f(A[i]), name=name) for name, f in ROUNDING.items()]
    schedule = ps.Schedule(outputs)
    for output in outputs:
        schedule[output].split("i", 4)
        schedule[output].vectorize("i_i")
    for name, found in zip(ROUNDING, schedule.build(oldest)(x), strict=True):
        assert np.array_equal(lab.bits(found), lab.bits(expected[name])), name
