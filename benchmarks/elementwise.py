"""sqrt(a*a + b*b) * c over 4096 x 1024 float32, against numba and a plain copy of the same number of bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from harness import Claim, Report, interleaved, table

import polysched as ps

SHAPE = (4096, 1024)


def kernel(target: ps.Target) -> ps.Kernel:
    a, b, c = (ps.placeholder(SHAPE, "float32", name=name) for name in "abc")
    d = ps.compute(SHAPE, lambda i, j: ps.sqrt(a[i, j] * a[i, j] + b[i, j] * b[i, j]) * c[i, j], name="d")
    s = ps.Schedule(d)
    _, j_i = s[d].split("j", target.vector_bits // 32)
    s[d].vectorize(j_i)
    return s.build(target)


def numba_loop() -> Callable[..., None] | None:
    """The same loop as numba compiles it, or None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(fastmath=True)
    def loop(a, b, c, d):  # type: ignore[no-untyped-def]
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                d[i, j] = np.sqrt(a[i, j] * a[i, j] + b[i, j] * b[i, j]) * c[i, j]

    return loop


def run(report: Report, target: ps.Target) -> None:
    compiled, loop = kernel(target), numba_loop()
    rng = np.random.default_rng(1)
    a, b, c = (rng.random(SHAPE, dtype=np.float32) for _ in range(3))
    d, e = np.empty(SHAPE, np.float32), np.empty(SHAPE, np.float32)
    source = rng.random((2 * SHAPE[0], SHAPE[1]), dtype=np.float32)  # two arrays read, two written: four arrays' bytes
    copy = np.empty_like(source)
    compiled(a, b, c, out=d)
    np.testing.assert_allclose(d, np.sqrt(a * a + b * b) * c, rtol=4e-7)
    contenders: dict[str, Callable[[], object]] = {
        "polysched": lambda: compiled(a, b, c, out=d),
        "copy of the same bytes": lambda: np.copyto(copy, source),
    }
    if loop is not None:
        loop(a, b, c, e)
        np.testing.assert_allclose(e, d, rtol=4e-7)
        contenders["numba fastmath"] = lambda: loop(a, b, c, e)
    measured = interleaved("elementwise chain", contenders, rounds=31, work=d.size * 16e-9, unit="GB")
    print(f"sqrt(a*a + b*b) * c, {SHAPE[0]} x {SHAPE[1]} float32, one thread")
    print(table(measured, "copy of the same bytes"))
    report.measurements += measured.values()
    own = measured["polysched"].median
    if loop is not None:
        ratio = own / measured["numba fastmath"].median
        report.claims.append(Claim("elementwise: time relative to numba", ratio, 1.0, at_least=False))
    ratio = own / measured["copy of the same bytes"].median
    report.claims.append(Claim("elementwise: time relative to a copy", ratio, 1.3, at_least=False))
