"""Where the trigonometric functions and their inverses are hardest: next to multiples of pi / 2 of any size, and at the
edges of atan2."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import polysched as ps

Array = np.ndarray[Any, Any]
MULTIPLES = pytest.mark.parametrize("name", ["sin", "cos", "tan"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
BITS = {"float32": (24, 127), "float64": (53, 1023)}


def next_to_multiples(dtype: str) -> Array:
    """For each power of two, the numbers m 2 ** e that come closest to multiples of pi / 2: m are the largest
    denominators of convergents of the continued fraction of 2 ** (e + 1) / pi."""
    bits, largest = BITS[dtype]
    found = []
    with mp.workprec(2600):
        quarter = mp.pi / 2
        for exponent in range(-bits - 4, largest - bits + 1):
            ratio = mp.ldexp(1 / quarter, exponent)
            whole = Fraction(int(mp.floor(mp.ldexp(ratio, 2500))), 1 << 2500)
            before, denominator = 0, 1
            while denominator < 1 << bits:
                if denominator >= 1 << (bits - 6):
                    found.append(float(denominator * Fraction(2) ** exponent))
                whole -= whole.numerator // whole.denominator
                if not whole:
                    break
                whole = 1 / whole
                before, denominator = denominator, denominator * (whole.numerator // whole.denominator) + before
    x = np.array(found)
    return np.unique(x[x <= np.finfo(dtype).max].astype(dtype))


def ulps(found: Array, exact: list[Any], dtype: str) -> float:
    """The largest error."""
    bits, largest = BITS[dtype]
    worst = 0.0
    for value, wanted in zip(found.tolist(), exact, strict=True):
        unit = mp.ldexp(1, max(mp.frexp(wanted)[1] - bits, 2 - largest - bits))
        worst = max(worst, float(abs(wanted - mp.mpf(value)) / unit))
    return worst


@MULTIPLES
@DTYPES
@pytest.mark.parametrize("target", ["native", "128"])
def test_next_to_multiples_of_a_quarter_turn(lab: Any, name: str, dtype: str, target: str) -> None:
    x = next_to_multiples(dtype)
    found = lab.kernel(name, dtype, target=target)(x)
    with mp.workprec(1300):
        exact = [getattr(mp, name)(mp.mpf(value)) for value in x.tolist()]
        assert min(abs(mp.sin(2 * mp.mpf(value))) for value in x.tolist()) < {"float32": 1e-8, "float64": 1e-17}[dtype]
    assert ulps(found, exact, dtype) <= (2.0 if name == "tan" else 1.0)


def test_the_worst_argument_of_all(lab: Any) -> None:
    """6381956970095103 * 2 ** 797 is closer to a multiple of pi / 2 than all other float64 (Muller)."""
    x = np.array([6381956970095103.0 * 2.0**797])
    assert lab.kernel("cos", "float64")(x)[0] == -4.68716592425462761112e-19


@MULTIPLES
@DTYPES
def test_large_and_moderate_arguments_in_one_vector(lab: Any, name: str, dtype: str) -> None:
    """Each lane has the bits that it has alone, wherever the large ones are."""
    random = np.random.default_rng(9)
    x = random.uniform(-50, 50, 4000).astype(dtype)
    large = random.random(4000) < 0.1
    x[large] *= np.array(1e30 if dtype == "float32" else 1e200, dtype)
    x[::97] = np.inf
    vector, scalar = lab.kernel(name, dtype), lab.kernel(name, dtype, lanes=1)
    found = vector(x)
    assert np.array_equal(lab.bits(found), lab.bits(scalar(x)))
    for keep in (large, ~large):
        assert np.array_equal(lab.bits(vector(x[keep])), lab.bits(found[keep]))


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh"])
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a long double of 64 bits")
def test_a_million_float64(lab: Any, name: str) -> None:
    random = np.random.default_rng(10)
    ranges = {"asin": (1,), "acos": (1,), "sinh": (1, 20, 711), "cosh": (1, 20, 711)}.get(name, (1, 10, 2e6, 1e300))
    x = np.concatenate([random.uniform(-r, r, 1_000_000 // len(ranges)) for r in ranges])
    found = lab.kernel(name, "float64")(x)
    with np.errstate(over="ignore"):
        exact = lab.NUMPY[name](x.astype(np.longdouble))
    finite = np.abs(exact) < np.finfo(np.float64).max
    assert np.isinf(found[~finite]).all()
    unit = np.ldexp(np.longdouble(1), np.frexp(exact[finite])[1] - 53)
    assert (np.abs(found[finite] - exact[finite]) / unit).max() <= lab.BOUNDS[name][1]


def atan2_kernel(dtype: str, lanes: int = 16, target: str = "native") -> ps.Kernel:
    n = ps.size_var("n")
    y, x = (ps.placeholder((n,), dtype, name=name) for name in "yx")
    angle = ps.compute((n,), lambda i: ps.atan2(y[i], x[i]), name="angle")
    schedule = ps.Schedule(angle)
    if lanes > 1:
        schedule[angle].split("i", lanes)
        schedule[angle].vectorize("i_i")
    return ps.build(schedule, target)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_atan2_on_a_grid_of_edges(lab: Any, dtype: str) -> None:
    edges = lab.edges(dtype)
    edges = edges[:: max(1, len(edges) // 200)]
    special = np.array([0, np.inf, np.nan, 1, np.finfo(dtype).max, np.finfo(dtype).tiny], dtype)
    edges = np.concatenate([edges, special, -special, [np.finfo(dtype).smallest_subnormal]]).astype(dtype)
    y, x = (side.ravel().copy() for side in np.meshgrid(edges, edges))
    found = atan2_kernel(dtype)(y, x)
    wide = np.longdouble if dtype == "float64" else np.float64
    exact = np.arctan2(y.astype(wide), x.astype(wide))
    expected = exact.astype(dtype)
    exactly = np.isnan(expected) | (expected == 0)
    assert np.array_equal(lab.bits(found)[exactly], lab.bits(expected)[exactly])
    assert (np.abs(found - exact)[~exactly] <= 2 * np.spacing(np.abs(expected[~exactly]))).all()


@DTYPES
@pytest.mark.parametrize("target", ["native", "x86-64-v2"])
def test_atan2(dtype: str, target: str) -> None:
    if not ps.Target(target).can_run():
        pytest.skip("this machine cannot run it")
    random = np.random.default_rng(11)
    y, x = (random.normal(size=1_000_000).astype(dtype) for _ in range(2))
    y[::2] = x[::2] * (1 + random.normal(0, 1e-3, 500_000)).astype(dtype)
    y[::5] *= 2.0 ** random.integers(-60, 60, 200_000)
    found = atan2_kernel(dtype, target=target)(y, x)
    wide = np.float64 if dtype == "float32" else np.longdouble
    exact = np.arctan2(y.astype(wide), x.astype(wide))
    unit = np.ldexp(wide(1), np.frexp(exact)[1] - BITS[dtype][0])
    assert (np.abs(found - exact) / unit).max() <= 1.9


@DTYPES
def test_atan2_has_the_same_bits_everywhere(lab: Any, dtype: str) -> None:
    random = np.random.default_rng(12)
    bits = [random.integers(0, 1 << 16, 5003).astype(np.uint16).view(np.float16).astype(dtype) for _ in range(2)]
    with_fma = []
    for target, machine in lab.TARGETS.items():
        if machine.can_run():
            scalar = lab.bits(atan2_kernel(dtype, 1, machine)(*bits))
            for lanes in (3, 24):
                kernel = atan2_kernel(dtype, lanes, machine)
                assert kernel.warnings == ()
                assert np.array_equal(lab.bits(kernel(*bits)), scalar), (target, lanes)
            if machine.has_fma:
                with_fma.append(scalar)
    assert all(np.array_equal(found, with_fma[0]) for found in with_fma)


def test_what_is_rarely_needed_is_one_function() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    B = ps.compute((n,), lambda i: ps.sin(ps.sin(A[i])) + ps.sin(A[i] * 2), name="B")
    schedule = ps.Schedule(B)
    _, inner = schedule[B].split("i", 16)
    schedule[B].vectorize(inner)
    text = ps.build(schedule).source("llvm-raw")
    assert text.count("define internal { <16 x i32>, <16 x float>, <16 x float> } @far_turn_v16f32") == 1
