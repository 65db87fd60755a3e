"""`recipes.gemm` against OpenBLAS and what else is installed: six shapes, symbolic and odd sizes, float64, bytes, a
fused epilogue, the multiply-adds that a core can do, and two threads."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt
from typing import Any

import gemm_peers
import numpy as np
from harness import Claim, Report, interleaved, on, scaling, table
from matmul import definition

import polysched as ps
from polysched.target.bench.peaks import measure_peaks

SHAPES = [(512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (1003, 517, 771), (128, 3072, 768), (4096, 4096, 64)]


def run(report: Report, target: ps.Target) -> None:
    """On the target's threads; what is claimed, on one, but where two are compared with one.

    The kernels have fixed sizes but for the symbolic ones.
    """
    if target.threads > 1:
        for shape in SHAPES:
            _shape(report, target, shape, "float32")
        _shape(report, target, (1024, 1024, 1024), "float64")
        _epilogue(report, target)
        _bytes(report, target)
        return
    shapes = [_shape(report, target, shape, "float32") for shape in SHAPES]
    for against, bound in (("numpy (OpenBLAS)", 1.04), ("the best peer", 1.02)):
        mean = exp(sum(log(ratios[against]) for ratios in shapes) / len(shapes))
        text = f"gemm float32: speed relative to {against}, geometric mean of 6 shapes"
        report.claims.append(Claim(text, mean, bound))
    worst = min(ratios["numpy (OpenBLAS)"] for ratios in shapes)
    report.claims.append(Claim("gemm float32: speed relative to OpenBLAS, the worst of them", worst, 0.97))
    double = _shape(report, target, (1024, 1024, 1024), "float64")["numpy (OpenBLAS)"]
    report.claims.append(Claim("gemm float64 1024^3: speed relative to OpenBLAS", double, 1.0))
    _peak(report, target)
    _symbolic(report, target)
    _epilogue(report, target)
    _bytes(report, target)
    scaling(report, "gemm 2048^3", _large, 1.8)


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


def _shape(report: Report, target: ps.Target, shape: tuple[int, int, int], dtype: str) -> dict[str, float]:
    """The speed relative to each peer and the best of them."""
    kernel = scheduled(product(shape, dtype), target)
    a, b, c, d = arrays(shape, dtype)
    peers = gemm_peers.products(a, b, d, target.threads)
    kernel(a, b, out=c)
    for peer in peers.values():
        d.fill(0)
        peer()
        np.testing.assert_allclose(c, d, rtol=shape[2] * float(np.finfo(dtype).eps))
    name = f"gemm {'x'.join(map(str, shape))} {dtype}"
    contenders = {"polysched": lambda: kernel(a, b, out=c), **peers}
    work = 2e-9 * shape[0] * shape[1] * shape[2]
    measured = interleaved(name, contenders, work=work, unit="GFLOP", rounds=9, threads=target.threads)
    report.measurements += measured.values()
    build = sum(kernel.timings.values())
    print(f"{name}, {on(target.threads)}; built in {build:.0f} ms\n{table(measured, 'numpy (OpenBLAS)')}")
    medians = {contender: m.median / measured["polysched"].median for contender, m in measured.items()}
    return {**medians, "the best peer": min(medians[peer] for peer in peers)}


def _peak(report: Report, target: ps.Target) -> None:
    """1024^3 against the multiply-adds that the core does in registers, measured beside it; each at its best."""
    shape = (1024, 1024, 1024)
    kernel = scheduled(product(shape, "float32"), target)
    a, b, c, _ = arrays(shape, "float32")
    shares = []
    for _ in range(5):
        measured = interleaved("gemm 1024^3", {"polysched": lambda: kernel(a, b, out=c)}, rounds=9)["polysched"]
        peak = measure_peaks(("float32",), levels=(), seconds=0.1).operations["float32"]
        shares.append(2 * 1024**3 / min(measured.seconds) / peak)
    report.claims.append(Claim("gemm float32 1024^3: share of the measured multiply-adds", max(shares), 0.94))


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
    D = ps.compute((n, m), lambda i, j: ps.gelu(C[i, j] + bias[j], "tanh"), name="D")
    kernel = scheduled(D, target)
    a, b, c, _ = arrays((n, m, k), "float32")
    a, b = a - np.float32(0.5), b - np.float32(0.5)
    shift = np.linspace(-1, 1, m, dtype=np.float32)

    def numpy() -> np.ndarray:
        x = a @ b + shift
        return 0.5 * x * (1 + np.tanh(np.float32(sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)))

    kernel(a, b, shift, out=c)
    np.testing.assert_allclose(c, numpy(), rtol=1e-3, atol=1e-4)
    peers = gemm_peers.with_gelu(a, b, shift, target.threads)
    contenders = {"polysched": lambda: kernel(a, b, shift, out=c), "numpy": numpy, **peers}
    name, work = "gemm + bias + gelu 128x3072x768", 2e-9 * n * m * k
    measured = interleaved(name, contenders, work=work, unit="GFLOP", rounds=9, threads=target.threads)
    report.measurements += measured.values()
    if peers and target.threads == 1:
        ratio = measured["torch"].median / measured["polysched"].median
        report.claims.append(Claim(f"{name}: speed relative to torch", ratio, 1.15))
    print(f"{name}, {on(target.threads)}\n{table(measured, 'numpy')}")


def _bytes(report: Report, target: ps.Target) -> None:
    """int8 x int8 -> int32."""
    n = 1024
    A, B = ps.placeholder((n, n), "int8", name="A"), ps.placeholder((n, n), "int8", name="B")
    r = ps.reduce_axis((0, n), name="r")

    def term(i: Any, j: Any) -> Any:
        return ps.cast("int32", A[i, r]) * ps.cast("int32", B[r, j])

    kernel = scheduled(ps.compute((n, n), lambda i, j: ps.sum(term(i, j), axis=r), name="C"), target)
    a, b = np.random.default_rng(8).integers(-128, 128, (2, n, n), dtype=np.int8)
    c = kernel(a, b)
    np.testing.assert_array_equal(c, np.rint(a.astype(np.float64) @ b))
    contenders = {"polysched": lambda: kernel(a, b, out=c), **gemm_peers.bytes_product(a, b, target.threads)}
    name, work = "gemm 1024x1024x1024 int8", 2e-9 * n**3
    measured = interleaved(name, contenders, work=work, unit="GOP", rounds=9, threads=target.threads)
    report.measurements += measured.values()
    print(f"{name} -> int32, {on(target.threads)}\n{table(measured, 'polysched')}")
    if "torch" in measured and target.threads == 1:
        ratio = measured["torch"].median / measured["polysched"].median
        report.claims.append(Claim("gemm int8 1024^3: speed relative to torch._int_mm", ratio, 0.9))


def _large(target: ps.Target) -> Callable[[], object]:
    """2048^3."""
    n = 2048
    a, b, c, _ = arrays((n, n, n), "float32")
    kernel = scheduled(product((n, n, n), "float32"), target)
    return lambda: kernel(a, b, out=c)
