"""Matrix products under a schedule of split, reorder, unroll and vectorize alone, against NumPy's OpenBLAS."""

from __future__ import annotations

import numpy as np
from harness import Claim, Report, interleaved, table

import polysched as ps


def definition(n: object, m: object, k: object) -> ps.Tensor:
    """C = A B in float32."""
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def tiled(C: ps.Tensor, target: ps.Target) -> ps.Schedule:
    """A register tile of 6 rows and four vectors, the accumulators in registers over all of r.

    The panel of B that a column of tiles reads stays in the caches while the rows go by, so the loop over columns of
    tiles is outside.
    """
    lanes = target.vector_bits // 32
    rows, vectors = (6, 4) if target.vector_registers >= 32 else (6, 2)
    s = ps.Schedule(C)
    c = s[C]
    i_o, i_i = c.split("i", rows)
    j_o, j_i = c.split("j", vectors * lanes)
    c.reorder(j_o, i_o, "r", i_i, j_i)
    c.unroll(i_i)
    c.vectorize(j_i)
    return s


def arrays(n: int, m: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n * 7919 + m * 31 + k)
    a, b = rng.random((n, k), dtype=np.float32), rng.random((k, m), dtype=np.float32)
    return a, b, np.empty((n, m), np.float32)


def run(report: Report, target: ps.Target) -> None:
    """1024^3 with literal sizes, and 250^3 against 256^3 with symbolic ones."""
    size = 1024
    C = definition(size, size, size)
    kernel, plain = tiled(C, target).build(target), ps.Schedule(C).build(target)
    a, b, c = arrays(size, size, size)
    kernel(a, b, out=c)
    np.testing.assert_array_equal(c[:64], plain(a, b)[:64])
    np.testing.assert_allclose(c, a @ b, rtol=size * 2.0**-23)
    d = np.empty_like(c)
    measured = interleaved(
        f"matmul {size}^3 float32",
        {"polysched": lambda: kernel(a, b, out=c), "numpy (OpenBLAS)": lambda: np.matmul(a, b, out=d)},
        work=2e-9 * size**3,
        unit="GFLOP",
    )
    report.measurements += measured.values()
    print(f"matmul {size}^3 float32, one thread\n{table(measured, 'numpy (OpenBLAS)')}")
    ratio = measured["numpy (OpenBLAS)"].median / measured["polysched"].median
    report.claims.append(Claim("matmul 1024^3: speed relative to OpenBLAS", ratio, 0.6))
    _symbolic(report, target)


def _symbolic(report: Report, target: ps.Target) -> None:
    C = definition(ps.size_var("n"), ps.size_var("m"), ps.size_var("k"))
    kernel = tiled(C, target).build(target)
    rates = {}
    for size in (256, 250):
        a, b, c = arrays(size, size, size)
        kernel(a, b, out=c)
        np.testing.assert_allclose(c, a @ b, rtol=size * 2.0**-23)
        rates[size] = (a, b, c)
    contenders = {f"n = {size}": (lambda v=values: kernel(v[0], v[1], out=v[2])) for size, values in rates.items()}
    measured = interleaved("matmul symbolic", contenders, rounds=25)
    flops = {f"n = {size}": 2e-9 * size**3 / measured[f"n = {size}"].median for size in rates}
    print(
        "matmul with symbolic sizes, one thread\n" + "\n".join(f"  {k:28s} {v:9.2f} GFLOP/s" for k, v in flops.items())
    )
    report.measurements += measured.values()
    report.claims.append(Claim("symbolic sizes: GFLOP/s at 250 over 256", flops["n = 250"] / flops["n = 256"], 0.85))
