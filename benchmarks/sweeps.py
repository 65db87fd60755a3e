"""Chains along one dimension: decaying sums along columns and rows, a filter along rows in both directions, steps of an
implicit scheme, and a triangular matrix with one right-hand side. They are scheduled by `recipes.sweep`, for all sizes,
and measured against C and Numba."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import sweep_peers
from definitions import EXAMPLES
from harness import Claim, Report, interleaved, table

import polysched as ps

_STEPS = 10  # of the implicit scheme


def _scan(*, rows: bool) -> ps.Tensor:
    n, m = ps.size_var("n", min=1), ps.size_var("m", min=1)
    a = ps.placeholder((n, m), "float32", name="a")
    i, j = ps.axes("i j")
    p = ps.recurrence((n, m), "float32", name="p")
    if rows:
        p[i, 0] = a[i, 0]
        p[i, j + 1] = 0.9 * p[i, j] + a[i, j + 1]
    else:
        p[0, j] = a[0, j]
        p[i + 1, j] = 0.9 * p[i, j] + a[i + 1, j]
    return p


def _implicit() -> ps.Tensor:
    T, n = ps.size_var("T"), ps.size_var("n", min=2)
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    p, q = ps.recurrence((T, n, n), "float64", name="p"), ps.recurrence((T, n, n), "float64", name="q")
    v = ps.recurrence((T + 1, n, n), "float64", name="v")
    p[t, i, 0] = ps.cast("float64", 0.0)
    divided = 1 / (1.6 - 0.3 * p[t, i, j])
    p[t, i, j + 1] = 0.3 * divided
    q[t, i, 0] = v[t, 0, i]
    q[t, i, j + 1] = (v[t, j + 1, i] + 0.3 * q[t, i, j]) * divided
    v[0, i, j] = A[i, j]
    v[t + 1, i, n - 1] = ps.cast("float64", 1.0)
    v[t + 1, i, n - 2 - j] = p[t, i, n - 1 - j] * v[t + 1, i, n - 1 - j] + q[t, i, n - 1 - j]
    return v[T]


def _triangular() -> ps.Tensor:
    n = ps.size_var("n", min=1)
    L = ps.placeholder((n, n), "float64", name="L")
    (i,) = ps.axes("i")
    r = ps.reduce_axis((0, i), name="r")
    x = ps.recurrence((n,), "float64", name="x")
    x[i] = (1.0 - ps.sum(L[i, r] * x[r], axis=r)) / L[i, i]
    return x


def _output(name: str) -> ps.Tensor:
    match name:
        case "filter_rows":
            return EXAMPLES["deriche"].define()[0]
        case "implicit":
            return _implicit()
        case "solve":
            return _triangular()
    return _scan(rows=name == "scan_rows")


CASES = tuple(
    (name, shape)
    for name, shapes in {
        "scan_columns": ((1000, 1000), (2048, 2048)),
        "scan_rows": ((1000, 1000), (2048, 2048)),
        "filter_rows": ((500, 700), (1080, 1920)),
        "implicit": ((500, 500), (1000, 1000)),
        "solve": ((500, 500), (2000, 2000)),
    }.items()
    for shape in shapes
)


def run(report: Report, target: ps.Target, names: tuple[str, ...] = (), rounds: int = 9) -> None:
    """Measure all of CASES, or those named."""
    for name, shape in CASES:
        if names and name not in names:
            continue
        start = time.perf_counter()
        output = _output(name)
        s = ps.Schedule(output)
        ps.recipes.sweep(s[output], target)
        scheduled = time.perf_counter()
        kernel = ps.build(s, target, cache=False)
        built = time.perf_counter()
        x = np.random.default_rng(1).standard_normal(shape).astype("float32" if "scan" in name else "float64")
        if name == "solve":
            x += len(x) * np.eye(len(x))
        sizes = {"T": _STEPS} if name == "implicit" else {}
        own, found = kernel(x, **sizes), sweep_peers.peers(name, x, _STEPS)
        for peer, call in found.items():
            np.testing.assert_allclose(own, call(), rtol=1e-3, atol=1e-4, err_msg=peer)
        contenders = {"polysched": partial(kernel, x, **sizes, out=np.empty_like(own)), **found}
        title = f"{name} {' x '.join(map(str, shape))}"
        measured = interleaved(title, contenders, rounds=rounds)
        print(f"{title}: scheduled in {scheduled - start:.2f} s, built in {built - scheduled:.2f} s")
        print(table(measured, "polysched"))
        report.measurements += measured.values()
        others = [m.median for contender, m in measured.items() if contender != "polysched"]
        if others:
            value = min(others) / measured["polysched"].median
            report.claims.append(Claim(f"{title}: times as fast as the best peer", value, 1.0))
