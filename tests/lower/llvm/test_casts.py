"""Conversions between all types: integers wrap, floats saturate and round once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES, DType
from polysched.compute.expr import Cast, const
from polysched.compute.operations import apply
from polysched.lower.ir import For, Load, Stmt, Store, Var

LANES = (1, 3, 4, 8, 16, 17)


def samples(lab: Any, dtype: DType) -> Any:
    """Edges, the borders of all integer types, and for floats the ties of float16 and their neighbours."""
    values = np.unique(lab.pairs(dtype)[0])
    powers = [sign * (1 << bits) + d for bits in range(65) for d in (-65, -1, 0, 1, 65) for sign in (-1, 1)]
    powers += [65519, 65520, 65521, 2049, 2051, (1 << 62) + (1 << 38) - 1, (1 << 62) + (1 << 38) + 1]
    with np.errstate(all="ignore"):
        if dtype.is_float:
            halves = np.arange(0, 0x7C00, 37, dtype=np.uint16)
            ties = (halves.view(np.float16).astype(np.float64) + (halves + 1).view(np.float16)) / 2
            ties = np.concatenate(
                [ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf), [2.0**-25 * 1.0001, 1e-300]]
            )
            reals = np.concatenate([ties, -ties, np.array(powers, np.float64), np.array(powers) + 0.5])
            return np.concatenate([values, reals.astype(dtype.numpy)])
    inside = [p for p in powers if dtype.lowest <= p <= dtype.highest]
    return np.concatenate([values, np.array(inside, dtype.numpy)])


def converted(values: Any, to: DType) -> Any:
    """What a cast means, in Python's integers where NumPy's casts are not defined."""
    with np.errstate(all="ignore"):
        if values.dtype.kind == "f" and to.is_int:
            limits = int(to.lowest), int(to.highest)
            whole = [0 if np.isnan(v) else limits[int(v > 0)] if np.isinf(v) else int(v) for v in values]
            return np.array([max(limits[0], min(limits[1], v)) for v in whole], to.numpy)
        return values != 0 if to.kind == "bool" else values.astype(to.numpy)


@pytest.mark.parametrize("machine", ["NATIVE", "AVX2", "BASELINE"])
@pytest.mark.parametrize("name", DTYPES)
def test_cast(lab: Any, name: str, machine: str) -> None:
    values = samples(lab, DTYPES[name])
    count = len(values)
    x = lab.array("x", name, count)
    outputs = [lab.array(to, to, len(LANES), count, output=True) for to in DTYPES]
    body: list[Stmt] = []
    for to, (_, out) in zip(DTYPES.values(), outputs, strict=True):
        for row, lanes in enumerate(LANES):
            i = Var("i")
            at = lab.ramp(apply("mul", i, lanes), lanes)
            store = Store(out, (const(row), at), Cast(Load(x[1], (at,)), to))
            body.append(For(i, const(0), const(count // lanes), store))
    kernel = lab.build(body, (x, *outputs), machine=getattr(lab, machine), level=machine == "NATIVE")
    results = [np.zeros((len(LANES), count), to.numpy) for to in DTYPES.values()]
    assert kernel(values, *results) == 0
    for to, found in zip(DTYPES.values(), results, strict=True):
        expected = converted(values, to)
        for row, lanes in enumerate(LANES):
            filled = count // lanes * lanes
            lab.assert_same_bits(found[row, :filled], expected[:filled], f"{name} to {to} in {lanes} lanes")


def test_no_conversion_of_halves_calls_a_library(lab: Any) -> None:
    x, out = lab.array("x", "float16", 64), lab.array("out", "float16", 64, output=True)
    value = apply("add", Load(x[1], (lab.ramp(0, 16),)), Load(x[1], (lab.ramp(7, 16),)))
    wide = Cast(Cast(value, DTYPES["float64"]), DTYPES["float16"])
    body = [Store(out[1], (lab.ramp(0, 16),), value), Store(out[1], (lab.ramp(16, 16),), wide)]
    for machine in (lab.BASELINE, lab.NATIVE, lab.AARCH64):
        text = lab.assembly(lab.emit(body, (x, out), machine=machine).text, machine)
        assert "call" not in text and "\tbl\t" not in text
