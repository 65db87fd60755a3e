"""Narrow storage with wide sums, in the recipes for images and rows: the bits of the default schedule on every level
of x86-64, near NumPy, and no element converted by itself where the target converts vectors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .agreement import some

LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4", "native")


def convolution(narrow: str, wide: str) -> ps.Tensor:
    """3 x 3, channels last."""
    I, W = ps.placeholder((1, 5, 12, 8), narrow, name="I"), ps.placeholder((3, 3, 8, 20), narrow, name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (8, "z")))

    def term(n: Any, y: Any, x: Any, o: Any) -> Any:
        return ps.cast(wide, I[n, y + r, x + q, z]) * ps.cast(wide, W[r, q, z, o])

    return ps.compute((1, 3, 10, 20), lambda *at: ps.sum(term(*at), axis=(r, q, z)), name="C")


def smoothed(narrow: str, wide: str) -> ps.Tensor:
    """A 3 x 3 binomial filter; integers round up."""
    A = ps.placeholder((14, 43), narrow, name="A")

    def taps(value: Callable[[int], Any]) -> Any:
        return ps.cast(wide, value(0)) + ps.cast(wide, value(1)) * 2 + ps.cast(wide, value(2))

    across = ps.compute((14, 41), lambda i, j: taps(lambda k: A[i, j + k]), name="across")

    def scaled(total: Any) -> Any:
        return total * 0.0625 if wide == "float32" else (total + 8) >> 4

    return ps.compute((12, 41), lambda i, j: ps.cast(narrow, scaled(taps(lambda k: across[i + k, j]))), name="B")


def softmax(narrow: str, wide: str) -> ps.Tensor:
    x = ps.placeholder((5, 75), narrow, name="x")
    r, q = ps.reduce_axis((0, 75), name="r"), ps.reduce_axis((0, 75), name="q")
    top = ps.compute((5,), lambda i: ps.max(ps.cast(wide, x[i, r]), axis=r), name="top")
    e = ps.compute((5, 75), lambda i, j: ps.exp(ps.cast(wide, x[i, j]) - top[i]), name="e")
    total = ps.compute((5,), lambda i: ps.sum(e[i, q], axis=q, reassociate=True), name="total")
    return ps.compute((5, 75), lambda i, j: ps.cast(narrow, e[i, j] / total[i]), name="y")


CASES = [
    *(
        (convolution, "conv2d", *types)
        for types in (("float16", "float32"), ("bfloat16", "float32"), ("int16", "int32"))
    ),
    *(
        (smoothed, "stencil2d", *types)
        for types in (("uint8", "uint16"), ("uint16", "uint32"), ("bfloat16", "float32"))
    ),
    *((softmax, "rowwise", narrow, "float32") for narrow in ("float16", "bfloat16")),
]


@pytest.mark.parametrize(("definition", "name", "narrow", "wide"), CASES)
def test_narrow_storage(definition: Callable[[str, str], ps.Tensor], name: str, narrow: str, wide: str) -> None:
    if narrow == "bfloat16":
        pytest.importorskip("ml_dtypes")
    output = definition(narrow, wide)
    inputs = [a for a in ps.Schedule(output).program.arguments if not a.equations]
    arrays = [some(k, tuple(int(str(size)) for size in a.shape), narrow) for k, a in enumerate(inputs)]
    found = {}
    for level in LEVELS:
        target = ps.Target(level, threads=1)
        s = ps.Schedule(output)
        getattr(ps.recipes, name)(s[output], target)
        kernel = ps.build(s, target)
        found[level] = kernel(*arrays)
        if name != "rowwise":  # whose sum is declared free
            assert np.array_equal(_bits(found[level]), _bits(ps.build(ps.Schedule(output), target)(*arrays)))
        if level == "x86-64-v4" and not (name == "conv2d" and narrow == "float16"):  # converted where it is broadcast
            assert not re.search(r"vpinsr|vpextr|__extendhf|__trunc", kernel.source("asm"))
    reference = ps.evaluate(output, dict(zip(inputs, arrays, strict=True)))
    for result in found.values():
        np.testing.assert_allclose(result.astype(np.float64), reference.astype(np.float64), rtol=2e-2, atol=2e-2)


def _bits(array: Any) -> Any:
    return array.view(np.uint8)
