"""exp, gelu (by tanh) and sqrt(a*a + b*b) * sigmoid(c) over 4096 x 1024 float32, one thread, and the error of each.

The peers are those of the `peers` extra that are installed, and C with libmvec where there is a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from function_peers import PEERS, Array, Runner
from harness import Claim, Report, aligned, interleaved, table

import polysched as ps

SHAPE = (4096, 1024)
LIMIT = 2.0  # ulp: peers within it are those to be matched


def definition(name: str, a: ps.Tensor, b: ps.Tensor, c: ps.Tensor) -> Callable[[Any, Any], Any]:
    """The element of each workload."""
    return {
        "exp": lambda i, j: ps.exp(a[i, j]),
        "gelu": lambda i, j: ps.gelu(a[i, j]),
        "fused": lambda i, j: ps.sqrt(a[i, j] * a[i, j] + b[i, j] * b[i, j]) * ps.sigmoid(c[i, j]),
    }[name]


def exact(name: str, a: Array, b: Array, c: Array) -> Array:
    """The workload in longdouble, or in float64 where that is no wider, from the same inputs."""
    x, y, z = (array.astype(np.longdouble) for array in (a, b, c))
    match name:
        case "exp":
            return np.exp(x)
        case "gelu":
            u = np.sqrt(2 / np.longdouble(np.pi)) * (x + np.longdouble(44715) / 1000000 * x**3)
            return x / (1 + np.exp(-2 * u))
        case _:
            return np.sqrt(x * x + y * y) / (1 + np.exp(-z))


def kernel(name: str, target: ps.Target) -> ps.Kernel:
    """Four vectors side by side; what is bound by memory (gelu is not) is stored past the caches."""
    a, b, c = (ps.placeholder(SHAPE, "float32", name=letter) for letter in "abc")
    out = ps.compute(SHAPE, definition(name, a, b, c), name=name)
    s = ps.Schedule(out)
    _, j_i = s[out].split("j", 4 * target.vector_bits // 32)
    s[out].vectorize(j_i)
    if name != "gelu":
        s[out].store_streaming()
    return s.build(target)


def largest_error(found: Array, reference: Array) -> float:
    """In units in the last place of float32."""
    _, exponent = np.frexp(reference)
    unit = np.ldexp(np.longdouble(1), np.maximum(exponent - 24, -149))
    return float(np.max(np.abs(found - reference) / unit))


def run(report: Report, target: ps.Target) -> None:
    for name in ("exp", "gelu", "fused"):
        measure(name, report, target)
        print()


def measure(name: str, report: Report, target: ps.Target) -> None:
    rng = np.random.default_rng(4)
    a, b, c = (aligned(rng.normal(0, 3, SHAPE)) for _ in "abc")
    arrays = {"exp": (a,), "gelu": (a,), "fused": (a, b, c)}[name]
    rows = slice(0, 256)
    reference = exact(name, *(array[rows] for array in (a, b, c)))
    compiled = kernel(name, target)
    results = {"polysched": aligned(a)}
    contenders: dict[str, Runner] = {"polysched": lambda: compiled(*arrays, out=results["polysched"])}
    for peer, make in PEERS.items():
        results[peer] = aligned(a)
        runner = make(name, arrays, results[peer])
        if runner is not None:
            contenders[peer] = runner
    errors = {}
    for contender, runner in contenders.items():
        runner()
        errors[contender] = largest_error(results[contender][rows], reference)
    measured = interleaved(
        f"functions {name}", contenders, rounds=31, work=arrays[0].size * 4e-9 * (len(arrays) + 1), unit="GB"
    )
    print(f"{name}, {SHAPE[0]} x {SHAPE[1]} float32, one thread")
    for line, error in zip(table(measured, "polysched").splitlines(), errors.values(), strict=True):
        print(f"{line}  {error:9.2f} ulp")
    report.measurements += measured.values()
    report.notes += [f"{name}: {contender} is up to {error:.2f} ulp away" for contender, error in errors.items()]
    claims(name, {key: m.median for key, m in measured.items()}, errors, report)


def claims(name: str, medians: Mapping[str, float], errors: Mapping[str, float], report: Report) -> None:
    """No slower than the best peer that is as exact, and not much slower than any.

    Where the formula itself, each of its functions rounded, is further away than the limit, that is the limit.
    """
    own, peers = medians["polysched"], [peer for peer in medians if peer != "polysched"]
    limit = max(LIMIT, errors["polysched"])
    close = [medians[peer] for peer in peers if errors[peer] <= limit]
    if close:
        text = f"{name}: time relative to the best peer within {limit:.2g} ulp"
        report.claims.append(Claim(text, own / min(close), 1.0, at_least=False))
    if peers:
        fastest = min(medians[peer] for peer in peers)
        report.claims.append(Claim(f"{name}: time relative to the fastest peer", own / fastest, 1.25, at_least=False))
