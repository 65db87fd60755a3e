"""Functions of two floats: pow, hypot, fmod, % and //, against longdouble or exactly, on edges and at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

Array = np.ndarray[Any, Any]
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "pow": ps.pow, "hypot": ps.hypot, "fmod": ps.fmod, "mod": lambda x, y: x % y, "floordiv": lambda x, y: x // y,
}  # fmt: skip
NUMPY: dict[str, Any] = {
    "pow": np.power, "hypot": np.hypot, "fmod": np.fmod, "mod": np.remainder, "floordiv": np.floor_divide,
}  # fmt: skip
LIMITS = {("pow", "float32"): 0.51, ("pow", "float64"): 1.05, ("hypot", "float32"): 1.25, ("hypot", "float64"): 1.25}
ALL = pytest.mark.parametrize("name", FUNCTIONS)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def kernel(lab: Any, name: str, dtype: str, lanes: int = 16, target: str = "native") -> ps.Kernel:
    n = ps.size_var("n")
    x, y = (ps.placeholder((n,), dtype, name=letter) for letter in "xy")
    z = ps.compute((n,), lambda i: FUNCTIONS[name](x[i], y[i]), name="z")
    schedule = ps.Schedule(z)
    if lanes > 1:
        schedule[z].split("i", lanes)
        schedule[z].vectorize("i_i")
    return ps.build(schedule, lab.TARGETS[target])


def edges(dtype: str) -> Array:
    info = np.finfo(dtype)
    plain = [0, 1, 2, 3, 0.5, 1.5, 2.5, 7, 0.1, 1e10, 2.0**24 + 1, 2.0**53, 1e-30, np.inf, np.nan, float(info.max)]
    small = [info.tiny, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg, info.tiny / 8]
    positive = np.concatenate([plain, small]).astype(dtype)
    return np.concatenate([positive, -positive])


def pairs(name: str, dtype: str, count: int) -> tuple[Array, Array]:
    """All pairs of edges; any bits; and values for which the results are usual ones."""
    random = np.random.default_rng(11)
    bits, wide = (32, 126) if dtype == "float32" else (64, 1022)
    x, y = (side.ravel() for side in np.meshgrid(edges(dtype), edges(dtype)))
    anything = [random.integers(0, 1 << bits, count, dtype=f"u{bits // 8}").view(dtype) for _ in "xy"]
    if name == "pow":
        far = np.exp2(random.uniform(-wide, wide, count)).astype(dtype)
        near = (1 + random.normal(0, 1e-3, count)).astype(dtype)
        base = np.concatenate([far, near])
        with np.errstate(all="ignore"):
            exponent = random.uniform(-1.15 * wide, 1.15 * wide, 2 * count) / np.log2(base.astype(np.float64))
        usual = [base, exponent.astype(dtype)]
        usual[0] = np.concatenate([usual[0], random.uniform(-10, 10, count).astype(dtype)])
        usual[1] = np.concatenate([usual[1], random.integers(-20, 20, count).astype(dtype)])
    else:
        usual = [random.normal(0, 3, count).astype(dtype) for _ in "xy"]
        usual[0] = (usual[0] * 2.0 ** random.integers(-30, 30, count)).astype(dtype)
    return np.concatenate([x, anything[0], usual[0]]), np.concatenate([y, anything[1], usual[1]])


@ALL
@DTYPES
def test_a_million(lab: Any, name: str, dtype: str) -> None:
    x, y = pairs(name, dtype, 250_000 if name == "pow" else 500_000)
    found = kernel(lab, name, dtype)(x, y)
    with np.errstate(all="ignore"):
        if name not in ("pow", "hypot"):
            assert np.array_equal(lab.bits(found), lab.bits(NUMPY[name](x, y)))
            return
        wide = np.longdouble if dtype == "float64" else np.float64
        exact = NUMPY[name](x.astype(wide), y.astype(wide))
        rounded = exact.astype(dtype)
        _, exponent = np.frexp(exact)
        digits, least = (24, -149) if dtype == "float32" else (53, -1074)
        error = np.abs(found - exact) / np.ldexp(wide(1), np.maximum(exponent - digits, least))
    special = ~np.isfinite(rounded) | (exact == 0)
    assert np.array_equal(lab.bits(found)[special], lab.bits(rounded)[special])
    worst = error[~special].argmax()
    assert error[~special][worst] <= LIMITS[name, dtype], (x[~special][worst], y[~special][worst])


@ALL
def test_float16_is_the_rounded_float32(lab: Any, name: str) -> None:
    random = np.random.default_rng(14)
    x, y = (side.ravel() for side in np.meshgrid(lab.edges("float16"), lab.edges("float16")[::7]))
    anything = [random.integers(0, 1 << 16, 100_000, dtype=np.uint16).view(np.float16) for _ in "xy"]
    x, y = np.concatenate([x, anything[0]]), np.concatenate([y, anything[1]])
    with np.errstate(all="ignore"):
        expected = kernel(lab, name, "float32")(*(side.astype(np.float32) for side in (x, y))).astype(np.float16)
    assert np.array_equal(lab.bits(kernel(lab, name, "float16")(x, y)), lab.bits(expected))


@pytest.mark.parametrize("target", ["native", "128"])
def test_remainders_of_numbers_far_apart(lab: Any, target: str) -> None:
    """As many turns of the division as there can be, in one lane and in all."""
    random = np.random.default_rng(12)
    for dtype, low, high in (("float32", -149, 127), ("float64", -1074, 1023)):
        x = np.ldexp(random.uniform(1, 2, 4000), random.integers(high - 40, high, 4000)).astype(dtype)
        y = np.ldexp(random.uniform(1, 2, 4000), random.integers(low, low + 60, 4000)).astype(dtype)
        y[::3] = 3
        assert np.array_equal(kernel(lab, "fmod", dtype, 16, target)(x, y), np.fmod(x, y), equal_nan=True)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_fmod_of_integers(dtype: str) -> None:
    info = np.iinfo(dtype)
    values = np.array([0, 1, 2, 7, info.min, info.max, info.max - 1, info.max // 2], dtype)
    values = np.concatenate([values, (0 - values).astype(dtype)])
    x, y = (side.ravel().copy() for side in np.meshgrid(values, values))
    n = ps.size_var("n")
    X, Y = (ps.placeholder((n,), dtype, name=letter) for letter in "XY")
    found = ps.build(ps.Schedule(ps.compute((n,), lambda i: ps.fmod(X[i], Y[i]), name="Z")))(x, y)
    with np.errstate(all="ignore"):
        assert np.array_equal(found, np.fmod(x, y))
