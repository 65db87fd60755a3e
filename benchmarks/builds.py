"""What builds take: kernels that are claimed to be quick, stage by stage, and what each elementary function adds.

    python benchmarks/builds.py [function ...]

Kernels are scheduled, which proves their commands, and built in a warm process, without the cache; medians of five.
Of functions: processor time of scheduling and building y = f(x), beside x + 1 (x + z for functions of two arguments) by
turns; the least of five each. Arrays are of a fixed size, and of one that is passed, where the function is written for
whole vectors and for a masked tail as well; in one vector at a time, and in four, as fast kernels have them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import dynamic
import images
import matmul
import rowwise
import stencils
from harness import STAGES, Claim, Report, stages

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


def _product(symbolic: bool, gelu: bool) -> ps.Tensor:
    sizes = (ps.size_var("n"), ps.size_var("m"), ps.size_var("k")) if symbolic else (1024, 1024, 1024)
    C = matmul.definition(*sizes)
    if not gelu:
        return C
    bias = ps.placeholder((sizes[1],), "float32", name="bias")
    return ps.compute(C.shape, lambda i, j: ps.gelu(C[i, j] + bias[j], "tanh"), name="D")


def _by_gemm(*, symbolic: bool, gelu: bool = False) -> Callable[[ps.Target], ps.Schedule]:
    def make(target: ps.Target) -> ps.Schedule:
        output = _product(symbolic, gelu)
        s = ps.Schedule(output)
        ps.recipes.gemm(s[output], target)
        return s

    return make


def _of_dynamic(name: str) -> Callable[[ps.Target], ps.Schedule]:
    return lambda target: dynamic.schedule(name, target)


def _of_stencils(case: stencils.Case) -> Callable[[ps.Target], ps.Schedule]:
    return lambda target: stencils.scheduled(case, target)


def _softmax(target: ps.Target) -> ps.Schedule:
    return rowwise.by_recipe(rowwise.softmax(ps.size_var("n"), ps.size_var("m")), target)


# A name, what schedules it, and the milliseconds that a build may take; those of recurrences with their scheduling.
KERNELS: tuple[tuple[str, Callable[[ps.Target], ps.Schedule], float | None, bool], ...] = (
    ("gemm 1024^3", _by_gemm(symbolic=False), 250, False),
    ("gemm, symbolic sizes", _by_gemm(symbolic=True), 250, False),
    ("gemm + bias + gelu", _by_gemm(symbolic=False, gelu=True), 250, False),
    ("gemm + bias + gelu, symbolic sizes", _by_gemm(symbolic=True, gelu=True), 250, False),
    ("softmax, symbolic sizes", _softmax, None, False),
    ("harris", lambda target: images.by_recipe(images.harris(1536, 2560), target), 400, False),
    *((case.name, _of_stencils(case), 1000.0, True) for case in stencils.CASES),
    *((name, _of_dynamic(name), 1000.0, True) for name in ("score", "matrix", "lu", "floyd_warshall")),
)


def _kernels(report: Report, target: ps.Target) -> None:
    print(f"milliseconds of builds, medians of {ROUNDS}")
    print(f"{'':36}{'scheduling':>12}{'build':>12}" + "".join(f"{stage:>12}" for stage in STAGES))
    for name, make, bound, together in KERNELS:
        rows = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            s = make(target)
            scheduled = time.perf_counter()
            kernel = s.build(target, cache=False)
            built = time.perf_counter()
            rows.append(((scheduled - start) * 1e3, (built - scheduled) * 1e3, *stages(kernel).values()))
        columns = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{name:36}" + "".join(f"{column:12.1f}" for column in columns), flush=True)
        if bound is not None:
            text = f"{name}: milliseconds to {'schedule and ' * together}build"
            taken = columns[0] * together + columns[1]
            report.claims.append(Claim(text, taken, bound, at_least=False))


def run(report: Report, target: ps.Target, names: Iterable[str] = ()) -> None:
    if not names:
        _kernels(report, target)
    _functions(report, target, names)


def _functions(report: Report, target: ps.Target, names: Iterable[str]) -> None:
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
