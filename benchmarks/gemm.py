"""`recipes.gemm` against NumPy's OpenBLAS: six shapes, symbolic and odd sizes, float64, and a fused epilogue."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from harness import Claim, Report, interleaved, table
from matmul import definition

import polysched as ps

SHAPES = [(512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (1003, 517, 771), (128, 3072, 768), (4096, 4096, 64)]


def run(report: Report, target: ps.Target) -> None:
    """One thread; the kernels have fixed sizes but for the symbolic ones."""
    ratios = [_shape(report, target, shape, "float32") for shape in SHAPES]
    mean = exp(sum(map(log, ratios)) / len(ratios))
    report.claims.append(Claim("gemm float32: speed relative to OpenBLAS, geometric mean of 6 shapes", mean, 1.04))
    report.claims.append(Claim("gemm float32: speed relative to OpenBLAS, the worst of them", min(ratios), 0.97))
    double = _shape(report, target, (1024, 1024, 1024), "float64")
    report.claims.append(Claim("gemm float64 1024^3: speed relative to OpenBLAS", double, 1.0))
    _symbolic(report, target)
    _epilogue(report, target)


def product(shape: tuple[int, int, int], dtype: str) -> ps.Tensor:
    """C = A B with fixed sizes."""
    if dtype == "float32":
        return definition(*shape)
    n, m, k = shape
    A, B = ps.placeholder((n, k), dtype, name="A"), ps.placeholder((k, m), dtype, name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def scheduled(output: ps.Tensor, target: ps.Target) -> ps.Kernel:
    s = ps.Schedule(output)
    ps.recipes.gemm(s[output], target)
    return s.build(target, cache=False)


def arrays(shape: tuple[int, int, int], dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n, m, k = shape
    rng = np.random.default_rng(n * 7919 + m * 31 + k)
    a, b = rng.random((n, k)).astype(dtype), rng.random((k, m)).astype(dtype)
    return a, b, np.empty((n, m), dtype), np.empty((n, m), dtype)


def _shape(report: Report, target: ps.Target, shape: tuple[int, int, int], dtype: str) -> float:
    kernel = scheduled(product(shape, dtype), target)
    a, b, c, d = arrays(shape, dtype)
    kernel(a, b, out=c)
    np.testing.assert_allclose(c, a @ b, rtol=shape[2] * float(np.finfo(dtype).eps))
    name = f"gemm {'x'.join(map(str, shape))} {dtype}"
    contenders = {"polysched": lambda: kernel(a, b, out=c), "numpy (OpenBLAS)": lambda: np.matmul(a, b, out=d)}
    measured = interleaved(name, contenders, work=2e-9 * shape[0] * shape[1] * shape[2], unit="GFLOP", rounds=9)
    report.measurements += measured.values()
    build = sum(kernel.timings.values())
    print(f"{name}, one thread; built in {build:.0f} ms\n{table(measured, 'numpy (OpenBLAS)')}")
    return measured["numpy (OpenBLAS)"].median / measured["polysched"].median


def _symbolic(report: Report, target: ps.Target) -> None:
    sizes = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    one = scheduled(definition(*sizes), target)
    rates = {}
    for shape in ((1024, 1024, 1024), (256, 256, 256), (250, 250, 250)):
        fixed = scheduled(definition(*shape), target)
        a, b, c, d = arrays(shape, "float32")
        one(a, b, out=c)
        fixed(a, b, out=d)
        np.testing.assert_array_equal(c, d)
        contenders = {"symbolic": lambda: one(a, b, out=c), "fixed": lambda: fixed(a, b, out=d)}  # noqa: B023
        measured = interleaved(f"gemm symbolic at {shape[0]}", contenders, rounds=15)
        report.measurements += measured.values()
        rates[shape[0]] = 2e-9 * shape[0] ** 3 / measured["symbolic"].median
        if shape[0] == 1024:
            ratio = measured["fixed"].median / measured["symbolic"].median
            report.claims.append(Claim("gemm 1024^3: symbolic sizes relative to fixed ones", ratio, 0.97))
    report.claims.append(Claim("gemm symbolic: GFLOP/s at 250 over 256", rates[250] / rates[256], 0.92))


def _epilogue(report: Report, target: ps.Target) -> None:
    """gelu(A B + bias), against the same in NumPy, where the product is OpenBLAS's."""
    n, m, k = 128, 3072, 768
    C, bias = definition(n, m, k), ps.placeholder((m,), "float32", name="bias")
    D = ps.compute((n, m), lambda i, j: ps.gelu(C[i, j] + bias[j]), name="D")
    kernel = scheduled(D, target)
    a, b, c, _ = arrays((n, m, k), "float32")
    a, b = a - np.float32(0.5), b - np.float32(0.5)
    shift = np.linspace(-1, 1, m, dtype=np.float32)

    def numpy() -> np.ndarray:
        x = a @ b + shift
        return 0.5 * x * (1 + np.tanh(np.float32(sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)))

    kernel(a, b, shift, out=c)
    np.testing.assert_allclose(c, numpy(), rtol=1e-3, atol=1e-4)
    contenders = {"polysched": lambda: kernel(a, b, shift, out=c), "numpy": numpy}
    measured = interleaved("gemm + bias + gelu 128x3072x768", contenders, work=2e-9 * n * m * k, unit="GFLOP", rounds=9)
    report.measurements += measured.values()
    print(f"gemm + bias + gelu, one thread\n{table(measured, 'numpy')}")
