"""What each elementary function adds to the build of a kernel: python benchmarks/builds.py [function ...]

Processor time of scheduling and building y = f(x), beside x + 1 (x + z for functions of two arguments) by turns; the
least of five each. Arrays are of a fixed size, and of one that is passed, where the function is written for whole
vectors and for a masked tail as well; in one vector at a time, and in four, as fast kernels have them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from harness import Claim, Report

import polysched as ps

Function = Callable[..., Any]

ONE: dict[str, Function] = {
    name: getattr(ps, name)
    for name in (
        *("exp", "exp2", "expm1", "log", "log2", "log1p", "sqrt", "rsqrt", "cbrt", "sin", "cos", "tan", "tanh"),
        *("sigmoid", "erf", "erfc", "asin", "acos", "atan", "sinh", "cosh", "floor", "ceil", "round", "trunc"),
        *("gelu", "silu", "softplus", "relu"),
    )
}
ONE["gelu by erf"] = lambda x: ps.gelu(x, approximate="erf")
ONE["clip"] = lambda x: ps.clip(x, -1, 1)
TWO: dict[str, Function] = {
    **{name: getattr(ps, name) for name in ("pow", "atan2", "hypot", "fmod")},
    "%": lambda x, y: x % y,
    "//": lambda x, y: x // y,
}
SEVERAL = {"softplus": 2}  # made of so many functions
DTYPES, SIZES, VECTORS = ("float16", "float32", "float64"), {"fixed": 1000, "passed": None}, (1, 4)
ROUNDS = 5
BOUND = 15.0  # milliseconds


def schedule(function: Function, arity: int, dtype: str, size: int | None, vectors: int, target: ps.Target) -> Any:
    n = ps.size_var("n") if size is None else size
    arguments = [ps.placeholder((n,), dtype, name=letter) for letter in "xz"[:arity]]
    y = ps.compute((n,), lambda i: function(*(argument[i] for argument in arguments)), name="y")
    s = ps.Schedule(y)
    _, lane = s[y].split("i", vectors * target.vector_bits // int(dtype.removeprefix("float")))
    s[y].vectorize(lane)
    return s


def added(function: Function, arity: int, dtype: str, size: int | None, vectors: int, target: ps.Target) -> float:
    """Milliseconds of processor time beside an addition."""
    least = [float("inf")] * 2
    for _ in range(ROUNDS):
        for number, built in enumerate((lambda x, *z: x + (z[0] if z else 1), function)):
            start = time.process_time()
            schedule(built, arity, dtype, size, vectors, target).build(target, cache=False)
            least[number] = min(least[number], time.process_time() - start)
    return (least[1] - least[0]) * 1e3


def run(report: Report, target: ps.Target, names: Iterable[str] = ()) -> None:
    functions = {**{name: (f, 1) for name, f in ONE.items()}, **{name: (f, 2) for name, f in TWO.items()}}
    columns = list(product(DTYPES, SIZES, VECTORS))
    print("milliseconds that a function adds to a build, fixed and passed size, one vector and four")
    print(f"{'':12}" + "".join(f"{dtype:>28}" for dtype in DTYPES))
    worst = (0.0, "")
    for name in names or functions:
        function, arity = functions[name]
        cells = []
        for dtype, size, vectors in columns:
            cells.append(added(function, arity, dtype, SIZES[size], vectors, target))
            worst = max(worst, (cells[-1] / SEVERAL.get(name, 1), f"{name} of {dtype}, {size} size, {vectors} vectors"))
        print(f"{name:12}" + "".join(f"{cell:7.1f}" for cell in cells), flush=True)
    text = f"milliseconds that a function adds to a build, at most: {worst[1]}"
    report.claims.append(Claim(text, worst[0], BOUND, at_least=False))


if __name__ == "__main__":
    result = Report()
    run(result, ps.Target("native"), sys.argv[1:])
    print(*result.claims, sep="\n")
