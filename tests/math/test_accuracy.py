"""The errors of the elementary functions against references of higher precision, and NumPy's special values."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import polysched as ps

CIRCULAR = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")
NAMES = (
    *("exp", "exp2", "log", "log2", "tanh", "sigmoid", "expm1", "log1p", "rsqrt", "cbrt", "erf", "erfc"),
    *("silu", "gelu", "gelu_erf", "softplus"),
    *CIRCULAR,
)
ALL = pytest.mark.parametrize("name", NAMES)
TARGETS = pytest.mark.parametrize("target", ["native", "128"])


@ALL
def test_float32(lab: Any, name: str) -> None:
    random = np.random.default_rng(4)
    anything = random.integers(0, 1 << 32, 500_000, dtype=np.uint32).view(np.float32)
    usual = random.uniform(-20, 20, 500_000).astype(np.float32)
    compare(lab, name, np.concatenate([lab.edges("float32"), anything, usual]), np.float64)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="longdouble is no wider than float64")
@pytest.mark.parametrize("name", [name for name in NAMES if "erf" not in name])
def test_float64_against_longdouble(lab: Any, name: str) -> None:
    """What NumPy has no wider function for, and ends of ranges where a wider exponential is no better, are left to
    mpmath."""
    random = np.random.default_rng(4)
    anything = random.integers(0, 1 << 64, 400_000, dtype=np.uint64).view(np.float64)
    usual = [random.uniform(-r, r, count) for r, count in ((0.7, 200_000), (20, 300_000), (750, 100_000))]
    x = np.concatenate([lab.edges("float64"), anything, *usual])
    compare(lab, name, np.where(np.abs(x) > 4, np.copysign(4, x), x) if name == "gelu" else x, np.longdouble)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sinh", "tanh", "sin", "tan", "asin", "atan", "log1p"])
def test_the_smallest_numbers_are_their_own_values(lab: Any, name: str, dtype: str) -> None:
    x = (np.arange(-1000, 1000) * np.finfo(dtype).smallest_subnormal).astype(dtype)
    for target in ("native", "128"):
        found = lab.kernel(name, dtype, target=target)(x)
        assert np.array_equal(lab.bits(found)[x != 0], lab.bits(x)[x != 0])


def compare(lab: Any, name: str, x: Any, wide: Any) -> None:
    """A function with the same of NumPy in a wider type, on a target with fused multiply-add and on one without."""
    digits, least = (24, -149) if x.dtype == np.float32 else (53, -1074)
    with np.errstate(all="ignore"):
        exact = lab.NUMPY[name](x.astype(wide))
        rounded = exact.astype(x.dtype)
        _, exponent = np.frexp(exact)
        unit = np.ldexp(wide(1), np.maximum(exponent - digits, least))
    special = ~np.isfinite(rounded) | (exact == 0)
    for target in ("native", "128"):
        found = lab.kernel(name, x.dtype.name, target=target)(x)
        assert found.dtype == x.dtype
        assert np.array_equal(lab.bits(found)[special], lab.bits(rounded)[special])
        with np.errstate(all="ignore"):
            error = (np.abs(found - exact) / unit)[~special]
        assert error.max() <= lab.BOUNDS[name][x.dtype == np.float64], (error.max(), x[~special][error.argmax()])


@ALL
@TARGETS
def test_float64(lab: Any, name: str, target: str) -> None:
    random = np.random.default_rng(5)
    usual = [random.uniform(-r, r, 700) for r in (0.7, 2, 20, 700)]
    anything = random.integers(0, 1 << 64, 300, dtype=np.uint64).view(np.float64)
    x = np.concatenate([*usual, anything, 1 + random.uniform(-1e-3, 1e-3, 300)])
    x = np.abs(x) if "log" in name else x
    found = lab.kernel(name, "float64", target=target)(x)
    largest, where = 0.0, 0.0
    with mp.workprec(200):
        for at, value in zip(x.tolist(), found.tolist(), strict=True):
            if not np.isfinite(at):
                continue
            exact = lab.EXACT[name](mp.mpf(at))
            if isinstance(exact, mp.mpc):
                assert np.isnan(value), at
                continue
            if abs(exact) >= mp.mpf(2) ** 1024:
                assert value == np.copysign(np.inf, float(mp.sign(exact))), at
                continue
            unit = mp.mpf(2) ** max(mp.frexp(exact)[1] - 53, -1074) if exact else mp.mpf(2) ** -1074
            error = float(abs(exact - mp.mpf(value)) / unit)
            largest, where = max((largest, where), (error, at))
    assert largest <= lab.BOUNDS[name][1], (largest, where)


@ALL
@TARGETS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_special_values_are_those_of_numpy(lab: Any, name: str, dtype: str, target: str) -> None:
    x = lab.edges(dtype)
    found = lab.kernel(name, dtype, target=target)(x)
    with np.errstate(all="ignore"):
        wide = np.float64 if dtype != "float64" else np.longdouble
        exact = lab.NUMPY[name](x.astype(wide))
        expected = exact.astype(dtype)
        special = ~np.isfinite(expected) | (exact == 0)
        assert np.array_equal(lab.bits(found)[special], lab.bits(expected)[special])
        assert np.isfinite(found[~special]).all()
        near = np.abs(found - expected)[~special] <= 2 * np.spacing(np.abs(expected[~special]))
    assert near.all(), x[~special][~near]


def test_float16_is_the_rounded_float32(lab: Any) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for name in NAMES:
        with np.errstate(all="ignore"):
            expected = lab.kernel(name, "float32")(x.astype(np.float32)).astype(np.float16)
        assert np.array_equal(lab.bits(lab.kernel(name, "float16")(x)), lab.bits(expected)), name


def test_definitions() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    silu = ps.compute((n,), lambda i: ps.silu(A[i]), name="silu")
    relu = ps.compute((n,), lambda i: ps.relu(A[i]), name="relu")
    x = np.array([-200, -3, -0.0, 0, 2, 50, np.inf, np.nan], np.float32)
    s, r = ps.build(ps.Schedule([silu, relu]))(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(s, wide / (1 + np.exp(-wide)), rtol=3e-7, atol=1e-45)
    assert np.array_equal(r, np.maximum(x, 0), equal_nan=True)


def test_forms_of_gelu() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    with pytest.raises(ps.DefinitionError, match='takes approximate="tanh" or approximate="erf", not \'none\''):
        ps.compute((n,), lambda i: ps.gelu(A[i], "none"), name="gelu")
    assert str(ps.gelu(A[0])) == "gelu_tanh(A[0])"


def test_round_and_clip() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    rounded = ps.compute((n,), lambda i: ps.round(A[i]), name="rounded")
    clipped = ps.compute((n,), lambda i: ps.clip(A[i], -1, 2), name="clipped")
    schedule = ps.Schedule([rounded, clipped])
    for stage in (rounded, clipped):
        schedule[stage].split("i", 8)
        schedule[stage].vectorize("i_i")
    x = np.array([-2.5, -1.5, -0.5, -0.4, -0.0, 0.5, 1.5, 2.5, 8388607.5, 2.0**31, np.inf, -np.inf, np.nan], np.float32)
    r, c = schedule.build()(x)
    assert np.array_equal(r.view(np.int32)[:-1], np.rint(x).view(np.int32)[:-1]) and np.isnan(r[-1])
    assert np.array_equal(c, np.clip(x, -1, 2), equal_nan=True)
