"""The errors of the elementary functions over all float32 numbers: python benchmarks/exhaustive.py [function ...]

Each function is compared with the same of NumPy in float64, whose own error of some 2 ** -52 shows in no digit given.
Special values (NaN, infinities, zeros with their signs) must be the same. Of odd and even functions the negative
numbers are compared with the positive ones, bit for bit, and these with NumPy. All that is done twice, for code with
fused multiply-add and for code without, and goes into the table of docs/math.md, function by function.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import polysched as ps

Array = np.ndarray[Any, Any]
_erf, _erfc = (np.frompyfunc(function, 1, 1) for function in (math.erf, math.erfc))
CHUNK = 1 << 12  # what fits into the caches: twice as fast as 1 << 16, and ten times as 1 << 22
CHUNKS = (1 << 32) // CHUNK
TABLE = Path(__file__).resolve().parents[1] / "docs" / "math.md"
BEGIN, END = "<!-- exhaustive -->\n", "<!-- end -->\n"


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gelu_tanh(x: Array) -> Array:
    scale = 2 * np.sqrt(2 / np.pi)
    return np.maximum(x, -1e3) * sigmoid(scale * (x + 0.044715 * (x * x * x)))


def gelu_erf(x: Array) -> Array:
    return np.maximum(x, -1e3) * erfc(x * -np.sqrt(0.5)) / 2


def erf(x: Array) -> Array:
    return _between(_erf, x, x * (2 / np.sqrt(np.pi)), np.sign(x))


def erfc(x: Array) -> Array:
    return _between(_erfc, x, 1 - x * (2 / np.sqrt(np.pi)), 1 - np.sign(x))


def _between(function: Callable[[Array], Any], x: Array, small: Array, large: Array) -> Array:
    """A slow function of x, which is `small` or `large` where |x| is."""
    magnitude = np.abs(x)
    value = np.where(magnitude > 1, large, small)
    between = (magnitude > 2.0**-28) & (magnitude < 30)
    if between.any():
        value[between] = function(x[between])
    return value


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "exp": (ps.exp, np.exp),
    "exp2": (ps.exp2, np.exp2),
    "log": (ps.log, np.log),
    "log2": (ps.log2, np.log2),
    "tanh": (ps.tanh, np.tanh),
    "sigmoid": (ps.sigmoid, sigmoid),
    "sin": (ps.sin, np.sin),
    "cos": (ps.cos, np.cos),
    "tan": (ps.tan, np.tan),
    "asin": (ps.asin, np.arcsin),
    "acos": (ps.acos, np.arccos),
    "atan": (ps.atan, np.arctan),
    "sinh": (ps.sinh, np.sinh),
    "cosh": (ps.cosh, np.cosh),
    "expm1": (ps.expm1, np.expm1),
    "log1p": (ps.log1p, np.log1p),
    "rsqrt": (ps.rsqrt, lambda x: 1 / np.sqrt(x)),
    "cbrt": (ps.cbrt, np.cbrt),
    "silu": (ps.silu, lambda x: np.maximum(x, -1e3) * sigmoid(x)),
    "gelu": (ps.gelu, gelu_tanh),
    "softplus": (ps.softplus, softplus),
    "erf": (ps.erf, erf),
    "erfc": (ps.erfc, erfc),
    "gelu_erf": (lambda x: ps.gelu(x, approximate="erf"), gelu_erf),
}


TARGETS = (ps.Target("native"), ps.Target("x86-64-v2"))
ODD, EVEN = frozenset({"sin", "tan", "asin", "atan", "sinh", "tanh", "cbrt", "erf"}), frozenset({"cos", "cosh"})


def kernel(function: Callable[[Any], Any], target: ps.Target, dtype: str = "float32") -> ps.Kernel:
    """The function of a whole array, in vectors."""
    n = ps.size_var("n")
    x = ps.placeholder((n,), dtype, name="x")
    y = ps.compute((n,), lambda i: function(x[i]), name="y")
    schedule = ps.Schedule(y)
    schedule[y].split("i", 16)
    schedule[y].vectorize("i_i")
    return ps.build(schedule, target)


def errors(found: Array, exact: Array) -> Array:
    """How far float32 numbers are from float64 ones, in units in the last place of the latter; infinite where they
    differ in being NaN, infinite or zero with a sign."""
    with np.errstate(all="ignore"):
        power = (exact.view(np.uint64) & np.uint64(0x7FF << 52)).view(np.float64)
        unit = np.maximum(power * 2.0**-23, 2.0**-149)
        rounded = exact.astype(np.float32)
        error = np.abs(found.astype(np.float64) - exact) / unit
    special = ~np.isfinite(rounded) | (exact == 0)
    if special.any():
        alike = (rounded == found) & (np.signbit(rounded) == np.signbit(found)) | (np.isnan(rounded) & np.isnan(found))
        error[special] = np.where(alike[special], 0.0, np.inf)
    return error


@dataclass(slots=True)
class Worst:
    """The largest error of a kernel so far, if it is more than 1/2, and where it is."""

    run: ps.Kernel
    error: float = 0.0
    at: float = 0.0

    def compare(self, x: Array, exact: Array, nearest: Array, found: Array) -> None:
        self.run(x, out=found)
        doubtful = nearest != found.view(np.int32)  # others are within 1/2
        if doubtful.any():
            error = errors(found[doubtful], exact[doubtful])
            if error.max() > self.error:
                self.error, self.at = float(error.max()), float(x[doubtful][error.argmax()])

    def compare_opposite(self, x: Array, sign: Any, found: Array, opposite: Array) -> None:
        self.run(-x, out=opposite)
        differ = (opposite.view(np.uint32) ^ sign) != found.view(np.uint32)
        if differ.any() and not np.isnan(found[differ] + opposite[differ]).all():
            self.error, self.at = math.inf, float(x[differ][0])


def measure(name: str) -> list[Worst]:
    """The largest errors on each of `TARGETS`."""
    function, reference = FUNCTIONS[name]
    kernels = [Worst(kernel(function, target)) for target in TARGETS]
    found, opposite, wide = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32), np.empty(CHUNK)
    chunks = CHUNKS // 2 if name in ODD | EVEN else CHUNKS
    sign = np.uint32(1 << 31 if name in ODD else 0)
    for number in range(chunks):
        x = (np.arange(CHUNK, dtype=np.uint32) + np.uint32(number * CHUNK)).view(np.float32)
        wide[...] = x
        exact = reference(wide)
        nearest = exact.astype(np.float32).view(np.int32)
        for worst in kernels:
            worst.compare(x, exact, nearest, found)
            if chunks < CHUNKS:
                worst.compare_opposite(x, sign, found, opposite)
        if number % (1 << 15) == 0:
            largest = ", ".join(f"{worst.error:.4f}" for worst in kernels)
            print(f"\r{name:8} {100 * number / chunks:5.1f} %  largest {largest} ulp", end="", file=sys.stderr)
    print(file=sys.stderr)
    return kernels


def main(names: list[str]) -> None:
    """Each function's row is written when it is measured."""
    if not all(target.can_run() and target.has_fma == fma for target, fma in zip(TARGETS, (True, False), strict=True)):
        sys.exit("this needs an x86-64 with fused multiply-add, which runs code for those without as well")
    for name in names or FUNCTIONS:
        with np.errstate(all="ignore"):
            cells = (f"{worst.error:.4f} | `{worst.at!r}`" for worst in measure(name))
        text = TABLE.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        old, after = rest.split(END)
        rows = {line.split("|")[1].strip(): line for line in old.splitlines()[2:]}
        rows[name] = f"| {name} | {' | '.join(cells)} |"
        ordered = "\n".join(rows[known] for known in FUNCTIONS if known in rows)
        table = f"| function | with fma, ulp | at | without, ulp | at |\n|---|---|---|---|---|\n{ordered}\n"
        TABLE.write_text(before + BEGIN + table + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
