"""What is generated for the integer operations and for conversions: nothing lane by lane but what a warning says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES

TARGETS = pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"])
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "mul": lambda a, b: a * b, "shl": lambda a, b: a << b, "shr": lambda a, b: a >> b, "absd": ps.absd,
    "saturating_add": ps.saturating_add, "saturating_sub": ps.saturating_sub, "halving_add": ps.halving_add,
    "rounding_halving_add": ps.rounding_halving_add, "mul_hi": ps.mul_hi,
}  # fmt: skip
DIVISIONS: dict[str, Callable[[Any, Any], Any]] = {
    "div": lambda a, b: a // b, "mod": lambda a, b: a % b, "fmod": ps.fmod,
}  # fmt: skip
UNARY = {name: getattr(ps, name) for name in ("popcount", "count_leading_zeros", "count_trailing_zeros")}
WIDENING = {name: getattr(ps, name) for name in ("widening_add", "widening_sub", "widening_mul")}
# Instructions for one integer or float, or that take an element out of a vector.
ONE_LANE = re.compile(
    r"^\s+(?:v?pextr[dq]|v?cvtt?s[sdi]\w*2s[sdi]\w*|i?div[bwlq]?|i?mul[bwlq]|popcnt\w*|[lt]zcnt\w*|bs[rf]\w*|[us]mov"
    r"|mov\s+[xw]\d+, v\d+\.|[us]div|fcvtz[us]\s+[xw]\d+|[us]cvtf\s+[sd]\d+|callq?|bl)\b.*$",
    re.MULTILINE,
)


def code(dtype: str, target: str, bits: int, values: dict[str, Callable[[Any, Any], Any]]) -> tuple[list[str], Any]:
    """What is found in the code of a kernel of whole vectors, and the kernel's warnings."""
    machine = ps.Target(target)
    A, B = (ps.placeholder((256,), dtype, name=name) for name in "AB")
    outputs = [ps.compute((256,), lambda i, f=f: f(A[i], B[i]), name=name) for name, f in values.items()]
    schedule = ps.Schedule(outputs)
    for output in outputs:
        _, inner = schedule[output].split("i", machine.vector_bits // bits)
        schedule[output].vectorize(inner)
    kernel = schedule.build(machine)
    return ONE_LANE.findall(kernel.source("asm")), kernel.warnings


@TARGETS
@pytest.mark.parametrize("name", ["int8", "uint16", "int32", "int64", "uint64"])
def test_operations(name: str, target: str) -> None:
    dtype = DTYPES[name]
    values = dict(BINARY)
    values |= {key: lambda a, b, f=f: f(a) for key, f in UNARY.items()}
    values |= dict(WIDENING) if dtype.bits < 64 else {}
    values["shift"] = lambda a, b: ps.rounding_shift_right(a, 3)
    if dtype.bits < 64:
        values["scaled"] = lambda a, b: ps.rounding_mul_shift_right(a, b, dtype.bits - 1)
        values |= DIVISIONS
    for key, divide in DIVISIONS.items():
        for place, divisor in enumerate((7, -3)):
            if divisor >= dtype.lowest:
                values[f"{key}{place}"] = lambda a, b, d=divisor, f=divide: f(a, ps.cast(name, d))
    assert code(name, target, dtype.bits, values) == ([], ())


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "aarch64"])
@pytest.mark.parametrize("name", ["int64", "uint64", "float16", "float32", "float64", "uint8", "int32"])
def test_conversions(name: str, target: str) -> None:
    for bits in (16, 32, 64):
        to = [other for other, t in DTYPES.items() if max(t.bits, DTYPES[name].bits, 16) == bits]
        values: dict[str, Callable[[Any, Any], Any]] = {
            f"{other}_{limited}": lambda a, b, o=other, s=limited: ps.saturating_cast(o, a) if s else ps.cast(o, a)
            for other in to
            for limited in (False, True)
            if other != name
        }
        if values:
            assert code(name, target, bits, values) == ([], ()), bits


@pytest.mark.parametrize("name", ["int64", "uint64"])
def test_divisions_of_64_bits_by_variables(name: str) -> None:
    assert code(name, "x86-64-v4", 64, DIVISIONS) == ([], ())
    for target in ("x86-64-v2", "x86-64-v3", "aarch64"):
        found, warnings = code(name, target, 64, DIVISIONS)
        assert found and [warning.split(" ")[:2] for warning in warnings] == [["P004:", name]]


@pytest.mark.parametrize("name", ["int64", "uint64"])
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_conversions_of_64_bits_round_once(name: str, target: str) -> None:
    """To floats as NumPy does, from floats limited to the type, in vectors of any target that runs here."""
    if not ps.Target(target).can_run():
        pytest.skip("this machine cannot run it")
    dtype, random = DTYPES[name], np.random.default_rng(64)
    low, high = int(dtype.lowest), int(dtype.highest)
    near = [m * (1 << e) + o for e in range(64) for m in (1, -1, 3, 0x1000001, 0x1FFFFFF) for o in (-1, 0, 1)]
    some = random.integers(low, high, 3000, dtype.numpy, endpoint=True)
    some[::2] >>= random.integers(0, 64, 1500).astype(dtype.numpy)
    a = np.concatenate([np.array([x for x in [*near, low, high] if low <= x <= high], dtype.numpy), some])
    n = ps.size_var("n")
    A = ps.placeholder((n,), name, name="A")
    floats = ["float16", "float32", "float64"]
    outputs = [ps.compute((n,), lambda i, to=to: ps.cast(to, A[i]), name=to) for to in floats]
    with np.errstate(over="ignore"):
        for to, found in zip(floats, vectors(outputs, target)(a), strict=True):
            expected = a.astype(to) if to != "float16" else a.astype("float64").astype(to)
            assert np.array_equal(found, expected), to
    for to in floats[1:]:
        X = ps.placeholder((n,), to, name="X")
        x = np.concatenate([a.astype(to), a[:500].astype(to) / 8, [np.nan, np.inf, -np.inf, -0.0, 1e30, -1e30]]).astype(
            to
        )
        found = vectors([ps.compute((n,), lambda i, X=X: ps.cast(name, X[i]), name="whole")], target)(x)
        exact = [0 if np.isnan(v) else low if v < low else high if v > high else int(v) for v in x.tolist()]
        assert found.tolist() == exact, to


def vectors(outputs: list[Any], target: str) -> ps.Kernel:
    schedule = ps.Schedule(outputs)
    for output in outputs:
        schedule[output].split("i", 8)
        schedule[output].vectorize("i_i")
    return schedule.build(ps.Target(target))
