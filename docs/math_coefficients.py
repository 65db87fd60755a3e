"""Computes sched/lower/math/coefficients.py with mpmath: python docs/math_coefficients.py

A polynomial is Chebyshev's approximation of its function in 60 digits, each coefficient rounded once to the type.
Splits of a constant: the high part has so few bits that its product with an integer is exact, also without fma.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp

TARGET = Path(__file__).resolve().parents[1] / "sched" / "lower" / "math" / "coefficients.py"
PRECISION = {"float32": 24, "float64": 53}
HIGH_BITS = {"float32": 15, "float64": 41}  # beside exponents of up to 9 and 12 bits

mp.mp.dps = 60
LN2 = mp.log(2)
EDGE = LN2 / 2 * mp.mpf("1.0001")
SQUARE = (3 - 2 * mp.sqrt(2)) ** 2 * mp.mpf("1.0001")
HALF = mp.mpf("0.5001")
SQRT_HALF = mp.sqrt(mp.mpf("0.5")) * mp.mpf("0.9999")
CENTRES = {"ERFC_CENTRE": {"float32": 3, "float64": 4}, "GELU_TAIL_CENTRE": {"float32": 4, "float64": 6}}
GELU_CUBE = mp.mpf("0.044715")  # of the approximation by tanh


def exp_tail(r: Any) -> Any:
    """(exp(r) - 1 - r) / r ** 2."""
    return (
        mp.nsum(lambda n: r**n / mp.factorial(n + 2), [0, 40]) if abs(r) < mp.mpf("1e-6") else (mp.expm1(r) - r) / r**2
    )


def exp2_tail(r: Any) -> Any:
    """(2 ** r - 1) / r."""
    return LN2 + r * LN2**2 / 2 if abs(r) < mp.mpf("1e-30") else mp.expm1(r * LN2) / r


def log_tail(z: Any) -> Any:
    """(2 atanh(s) / s - 2) / z at z = s ** 2."""
    z = max(z, mp.mpf("1e-30"))
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def erf_tail(z: Any) -> Any:
    """erf(x) / x - 1 at z = x ** 2."""
    x = mp.sqrt(max(z, mp.mpf("1e-40")))
    return mp.erf(x) / x - 1


def erfc_flat(centre: int) -> Callable[[Any], Any]:
    """((1 + 2 a) exp(a ** 2) erfc(a) - 1) / u, for u = a / (a + K), at t = 2 u - 1."""

    def flat(t: Any) -> Any:
        u = max((1 + t) / 2, mp.mpf("1e-20"))
        a = centre * u / (1 - u)
        return ((1 + 2 * a) * mp.exp(a * a) * mp.erfc(a) - 1) / u

    return flat


def gelu_flat(centre: int) -> Callable[[Any], Any]:
    """((1 + y) exp(y ** 2 / 2) erfc(y / sqrt(2)) - 1) / (2 u), for u = y / (y + K), at t = 2 u - 1."""

    def flat(t: Any) -> Any:
        u = max((1 + t) / 2, mp.mpf("1e-20"))
        y = centre * u / (1 - u)
        return ((1 + y) * mp.exp(y * y / 2) * mp.erfc(y / mp.sqrt(2)) - 1) / (2 * u)

    return flat


def up_to(centre: int, end: str) -> tuple[Any, Any]:
    """The interval of t from 0 to `end`."""
    return mp.mpf(-1), 2 * mp.mpf(end) / (mp.mpf(end) + centre) - 1


def log_tail_2(z: Any) -> Any:
    """((2 atanh(s) / s - 2) / z - 2 / 3) / z at z = s ** 2."""
    return (log_tail(max(z, mp.mpf("1e-20"))) - mp.mpf(2) / 3) / max(z, mp.mpf("1e-20"))


def log2_over(f: Any) -> Any:
    """log2(1 + f) / f."""
    return mp.log1p(f) / f / LN2 if f else 1 / LN2


# The name, the function, its interval, and the number of coefficients for float32 and float64.
POLYNOMIALS: tuple[tuple[str, Callable[[Any], Any], tuple[Any, Any], dict[str, int]], ...] = (
    ("EXP", exp_tail, (-EDGE, EDGE), {"float32": 5, "float64": 11}),
    ("EXP2", exp2_tail, (-HALF, HALF), {"float32": 6, "float64": 12}),
    ("ERF", erf_tail, (mp.mpf(0), mp.mpf("0.88")), {"float32": 7, "float64": 12}),
    ("CBRT", lambda m: m ** (-mp.mpf(1) / 3), (SQRT_HALF, 1 / SQRT_HALF), {"float32": 6, "float64": 6}),
    ("LOG", log_tail, (mp.mpf(0), SQUARE), {"float32": 4, "float64": 7}),
)


# Of these, the roundings of Chebyshev's coefficients add up to a tenth of an ulp.
IN_TURN = {("EXP2", "float64")}


def rounded(value: Any, bits: int) -> float:
    """The nearest number of `bits` bits."""
    with mp.workprec(bits):
        return float(+value)


def split(value: Any, dtype: str) -> tuple[float, float]:
    """A high part with few bits, and the rest."""
    high = rounded(value, HIGH_BITS[dtype])
    return high, rounded(value - mp.mpf(high), PRECISION[dtype])


def halves(value: Any, dtype: str) -> tuple[float, float]:
    """A high part with half of the bits, and the rest."""
    high = rounded(value, PRECISION[dtype] // 2)
    return high, rounded(value - mp.mpf(high), PRECISION[dtype])


def parts(value: Any, dtype: str) -> tuple[float, float]:
    """The nearest number, and the rest."""
    high = rounded(value, PRECISION[dtype])
    return high, rounded(value - mp.mpf(high), PRECISION[dtype])


# The name, how it is cut in two, and the number.
CONSTANTS: tuple[tuple[str, Callable[[Any, str], tuple[float, float]], Any], ...] = (
    ("LN2", split, LN2),
    ("LOG2E", halves, 1 / LN2),
    ("GELU_SCALE", parts, 2 * mp.sqrt(2 / mp.pi) * GELU_CUBE / LN2),
    ("GELU", halves, 1 / GELU_CUBE),
)


# As POLYNOMIALS, for each of the two types in turn.
SEPARATE: tuple[tuple[str, dict[str, tuple[Callable[[Any], Any], tuple[Any, Any], int]]], ...] = (
    ("ERFC", {"float32": (erfc_flat(3), up_to(3, "10.4"), 11), "float64": (erfc_flat(4), up_to(4, "27.5"), 23)}),
    ("GELU_TAIL", {"float32": (gelu_flat(4), up_to(4, "14.7"), 11), "float64": (gelu_flat(6), up_to(6, "39"), 23)}),
)
# For float64 alone.
ALONE: tuple[tuple[str, Callable[[Any], Any], tuple[Any, Any], int], ...] = (
    ("POW_LOG", log_tail_2, (mp.mpf(0), SQUARE), 8),
    ("POW_LOG2", log2_over, (SQRT_HALF - 1, 1 / SQRT_HALF - 1), 14),
    ("POW_EXP2", exp2_tail, (-HALF, HALF), 7),
)


def chebyshev(function: Callable[[Any], Any], interval: tuple[Any, Any], count: int, dtype: str) -> list[str]:
    """The coefficients, lowest power first, as lines."""
    found = mp.chebyfit(function, list(interval), count)[::-1]
    return [f"{rounded(c, PRECISION[dtype])!r}," for c in found]


def rounded_in_turn(function: Callable[[Any], Any], interval: tuple[Any, Any], count: int, dtype: str) -> list[str]:
    """As `chebyshev`, where each coefficient is rounded before the next ones are chosen, which make up for it as well
    as they can (least squares at Chebyshev's nodes)."""
    low, high = interval
    nodes = [(low + high + (high - low) * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / 64)) / 2 for k in range(64)]
    left = [function(node) for node in nodes]
    chosen: list[float] = []
    for degree in range(count):
        basis = mp.matrix([[node**power for power in range(degree, count)] for node in nodes])
        solved = mp.lu_solve(basis, mp.matrix(left))
        chosen.append(rounded(solved[0], PRECISION[dtype]))
        left = [value - chosen[-1] * node**degree for value, node in zip(left, nodes, strict=True)]
    return [f"{number!r}," for number in chosen]


def text() -> str:
    """The module."""
    lines = [
        '"""Generated by docs/math_coefficients.py. Lowest power first."""',
        "",
        "from __future__ import annotations",
    ]
    for name, function, interval, counts in POLYNOMIALS:
        lines += ["", f"{name} = {{"]
        for dtype, count in counts.items():
            fitted = rounded_in_turn if (name, dtype) in IN_TURN else chebyshev
            numbers = fitted(function, interval, count, dtype)
            lines += [f'    "{dtype}": (', *(f"        {number}" for number in numbers), "    ),"]
        lines += ["}"]
    for name, of_type in SEPARATE:
        lines += ["", f"{name} = {{"]
        for dtype, (function, interval, count) in of_type.items():
            numbers = rounded_in_turn(function, interval, count, dtype)
            lines += [f'    "{dtype}": (', *(f"        {number}" for number in numbers), "    ),"]
        lines += ["}"]
    for name, function, interval, count in ALONE:
        numbers = chebyshev(function, interval, count, "float64")
        lines += ["", f"{name} = (", *(f"    {number}" for number in numbers), ")"]
    for name, centres in CENTRES.items():
        lines += ["", f"{name} = {{" + ", ".join(f'"{dtype}": {float(k)}' for dtype, k in centres.items()) + "}"]
    half = {dtype: rounded(mp.cbrt(mp.mpf("0.5")), bits) for dtype, bits in PRECISION.items()}
    lines += ["", "CBRT_HALF = {" + ", ".join(f'"{dtype}": {value!r}' for dtype, value in half.items()) + "}"]
    lines += ["", f"TWO_THIRDS = {parts(mp.mpf(2) / 3, 'float64')!r}", f"LN2_LONG = {split(LN2, 'float64')!r}"]
    for name, cut, value in CONSTANTS:
        lines += ["", f"# {mp.nstr(value, 20)} in two parts", f"{name} = {{"]
        lines += [f'    "{dtype}": {cut(value, dtype)!r},' for dtype in PRECISION] + ["}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
