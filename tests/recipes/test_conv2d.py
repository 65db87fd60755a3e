"""conv2d: convolutions of any layout, stride, dilation, size and type, padded and not, alone or with an epilogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .agreement import agrees, some


def recipe(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.conv2d(s[s.stages[-1]], target)


def packed(s: ps.Schedule, target: ps.Target) -> None:
    ps.recipes.conv2d(s[s.stages[-1]], target, unrolled=3, vectors=1, pack=True)


NARROW = ("int8", "uint8", "int16")


def nhwc(h: Any, w: Any, c: Any, k: Any, *, stride: int = 1, dilation: int = 1, dtype: str = "float32") -> ps.Tensor:
    """2 x 3 filters over an image that is padded already."""
    image = (2, stride * (h - 1) + dilation + 1, stride * (w - 1) + 2 * dilation + 1, c)
    I, W = ps.placeholder(image, dtype, name="I"), ps.placeholder((2, 3, c, k), dtype, name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((2, "r"), (3, "q"), (c, "z")))

    def term(n: Any, y: Any, x: Any, o: Any) -> Any:
        a, b = I[n, stride * y + dilation * r, stride * x + dilation * q, z], W[r, q, z, o]
        return ps.cast("int32", a) * ps.cast("int32", b) if dtype in NARROW else a * b

    return ps.compute((2, h, w, k), lambda *at: ps.sum(term(*at), axis=(r, q, z)), name="C")


def nchw(h: Any, w: Any, c: Any, k: Any, *, stride: int = 1) -> ps.Tensor:
    I = ps.placeholder((1, c, stride * (h - 1) + 3, stride * (w - 1) + 3), "float32", name="I")
    W = ps.placeholder((k, c, 3, 3), "float32", name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))

    def term(n: Any, o: Any, y: Any, x: Any) -> Any:
        return I[n, z, stride * y + r, stride * x + q] * W[o, z, r, q]

    return ps.compute((1, k, h, w), lambda *at: ps.sum(term(*at), axis=(z, r, q)), name="C")


def depthwise(h: Any, w: Any, c: Any, *, last: bool) -> ps.Tensor:
    """Guards in the definition instead of a padded image."""
    I = ps.placeholder((1, h, w, c) if last else (1, c, h, w), "float32", name="I")
    W = ps.placeholder((3, 3, c) if last else (c, 3, 3), "float32", name="W")
    r, q = ps.reduce_axis((0, 3), name="r"), ps.reduce_axis((0, 3), name="q")

    def term(n: Any, y: Any, x: Any, z: Any) -> Any:
        inside = (y + r >= 1) & (y + r <= h) & (x + q >= 1) & (x + q <= w)
        a = I[n, y + r - 1, x + q - 1, z] if last else I[n, z, y + r - 1, x + q - 1]
        return ps.select(inside, a, 0) * (W[r, q, z] if last else W[z, r, q])

    if last:
        return ps.compute((1, h, w, c), lambda n, y, x, z: ps.sum(term(n, y, x, z), axis=(r, q)), name="C")
    return ps.compute((1, c, h, w), lambda n, z, y, x: ps.sum(term(n, y, x, z), axis=(r, q)), name="C")


SIZES = [(1, 1, 1, 1), (3, 5, 2, 33), (2, 17, 3, 16)]


def sizes() -> Any:
    return tuple(ps.size_var(name, min=1) for name in "hwck")


@pytest.mark.parametrize("schedule", [recipe, packed])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_channels_last(stride: int, dilation: int, schedule: Any) -> None:
    calls = [
        (
            some(1, (2, stride * (h - 1) + dilation + 1, stride * (w - 1) + 2 * dilation + 1, c), "float32"),
            some(2, (2, 3, c, k), "float32"),
        )
        for h, w, c, k in SIZES
    ]
    agrees(nhwc(*sizes(), stride=stride, dilation=dilation), schedule, calls)


@pytest.mark.parametrize("schedule", [recipe, packed])
@pytest.mark.parametrize("stride", [1, 2])
def test_channels_first(stride: int, schedule: Any) -> None:
    calls = [
        (some(3, (1, c, stride * (h - 1) + 3, stride * (w - 1) + 3), "float32"), some(4, (k, c, 3, 3), "float32"))
        for h, w, c, k in SIZES
    ]
    agrees(nchw(*sizes(), stride=stride), schedule, calls)


def short_rows(h: int, w: int, c: int, k: int, *, stride: int = 1, window: int = 3, last: bool = False) -> ps.Tensor:
    """Two groups of two images, with 7 x 3, 3 x 3 or 1 x 1 filters."""
    sides = (7, 3) if window == 7 else (window, window)
    image = (2, 2, c, stride * (h - 1) + sides[0], stride * (w - 1) + sides[1])
    filters = (2, c, *sides, k) if last else (2, k, c, *sides)
    I, W = ps.placeholder(image, "float32", name="I"), ps.placeholder(filters, "float32", name="W")
    r, q, z = (ps.reduce_axis((0, n), name=name) for n, name in ((sides[0], "r"), (sides[1], "q"), (c, "z")))

    def term(n: Any, g: Any, o: Any, y: Any, x: Any) -> Any:
        return I[n, g, z, stride * y + r, stride * x + q] * (W[g, z, r, q, o] if last else W[g, o, z, r, q])

    return ps.compute((2, 2, k, h, w), lambda n, g, o, y, x: ps.sum(term(n, g, o, y, x), axis=(z, r, q)), name="C")


@pytest.mark.parametrize(
    ("sizes", "stride", "window", "last"),
    [
        ((3, 7, 18, 40), 1, 3, False),
        ((2, 6, 5, 70), 2, 3, True),
        ((2, 5, 33, 33), 2, 1, False),
        ((1, 3, 2, 17), 1, 7, False),
    ],
)
def test_rows_shorter_than_vectors(sizes: Any, stride: int, window: int, last: bool) -> None:
    """Vectors along channels, from panels of filters that are transposed or not, and a tail of each."""
    C = short_rows(*sizes, stride=stride, window=window, last=last)
    I, W = ps.Schedule(C).program.arguments[:2]
    shapes = [[int(str(n)) for n in a.shape] for a in (I, W)]
    call = some(3, shapes[0], "float32"), some(4, shapes[1], "float32")
    agrees(C, recipe, [call], threads=2)
    recipe(s := ps.Schedule(C), ps.Target("x86-64-v4", threads=1))
    assert s["C_cache"].loops[-1] == "o"
    assert s["C"].loops[0] == "o_o"


def test_short_rows_of_few_sums() -> None:
    """Storing channels across rows would take longer than lanes without work."""
    recipe(s := ps.Schedule(short_rows(56, 56, 64, 64, window=1)), ps.Target("x86-64-v4", threads=1))
    assert [stage.name for stage in s.stages] == ["C"]


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_short_rows_of_narrow_elements(dtype: str) -> None:
    """Squares of a window and as many channels as vectors of bytes have are too large to be written out."""
    I, W = ps.placeholder((1, 5, 4, 9), dtype, name="I"), ps.placeholder((70, 5, 3, 3), dtype, name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (5, "z")))

    def term(n: Any, o: Any, y: Any, x: Any) -> Any:
        return ps.cast("float32" if dtype == "float16" else "int32", I[n, z, y + r, x + q]) * W[o, z, r, q]

    C = ps.compute((1, 70, 2, 7), lambda n, o, y, x: ps.sum(term(n, o, y, x), axis=(z, r, q)), name="C")
    s = agrees(C, recipe, [(some(3, (1, 5, 4, 9), dtype), some(4, (70, 5, 3, 3), dtype))])
    assert any(stage.name == "C_cache" for stage in s.stages)


def test_short_rows_without_copies_of_filters() -> None:
    """Which the caller may want: vectors stay along rows, where filters are read one by one."""
    s = ps.Schedule(C := short_rows(3, 7, 18, 40))
    ps.recipes.conv2d(s[C], ps.Target("x86-64-v4", threads=1), pack=False)
    assert [stage.name for stage in s.stages] == ["C"]
    assert s[C].loops[-1] == "x_i"


def test_short_rows_with_an_epilogue_and_padding() -> None:
    I, W = ps.placeholder((1, 9, 7, 7), "float32", name="I"), ps.placeholder((33, 9, 3, 3), "float32", name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (9, "z")))

    def term(n: Any, o: Any, y: Any, x: Any) -> Any:
        inside = (y + r >= 1) & (y + r <= 7) & (x + q >= 1) & (x + q <= 7)
        return ps.select(inside, I[n, z, y + r - 1, x + q - 1], 0) * W[o, z, r, q]

    C = ps.compute((1, 33, 7, 7), lambda *at: ps.sum(term(*at), axis=(z, r, q)), name="C")
    D = ps.compute((1, 33, 7, 7), lambda n, k, y, x: ps.maximum(C[n, k, y, x] + 1, 0), name="D")
    agrees(D, recipe, [(some(3, (1, 9, 7, 7), "float32"), some(4, (33, 9, 3, 3), "float32"))])


@pytest.mark.parametrize("last", [True, False])
def test_depthwise_with_guards(last: bool) -> None:
    h, w, c, _ = sizes()
    calls = [
        (
            some(5, (1, h, w, c) if last else (1, c, h, w), "float32"),
            some(6, (3, 3, c) if last else (c, 3, 3), "float32"),
        )
        for h, w, c in [(1, 1, 1), (5, 18, 3), (3, 4, 35)]
    ]
    agrees(depthwise(h, w, c, last=last), recipe, calls, threads=2)


@pytest.mark.parametrize("schedule", [recipe, packed])
@pytest.mark.parametrize("dtype", NARROW)
def test_narrow_integers_of_any_size(dtype: str, schedule: Any) -> None:
    """Groups of input channels are partial, or of one that begins in the middle of a row."""
    calls = [(some(3, (2, h + 1, w + 2, c), dtype), some(4, (2, 3, c, k), dtype)) for h, w, c, k in SIZES]
    agrees(nhwc(*sizes(), dtype=dtype), schedule, calls)


@pytest.mark.parametrize(("dtype", "instruction"), [("int8", "vpdpbusd"), ("uint8", "vpdpwssd"), ("int16", "vpdpwssd")])
def test_narrow_integers_use_dot_products(dtype: str, instruction: str) -> None:
    target = ps.Target("x86-64-v4", features="+avx512vnni", threads=1)
    s = ps.Schedule(nhwc(3, 11, 8, 40, dtype=dtype))
    recipe(s, target)
    kernel = ps.build(s, target)
    assert instruction in kernel.source("asm")
    assert "vpmulld" not in kernel.source("asm")
    assert kernel.warnings == ()


@pytest.mark.parametrize("dtype", ["int8", "float64", "float16"])
def test_types_and_fixed_sizes(dtype: str) -> None:
    operands = some(7, (2, 4, 13, 5), dtype), some(8, (2, 3, 5, 40), dtype)
    agrees(nhwc(3, 11, 5, 40, dtype=dtype), recipe, [operands], threads=2)


def test_a_stage_that_pads_and_an_epilogue() -> None:
    h, w, c, k = sizes()
    I, W = ps.placeholder((1, h, w, c), name="I"), ps.placeholder((3, 3, c, k), name="W")
    bias = ps.placeholder((k,), name="bias")

    def padded(n: Any, y: Any, x: Any, z: Any) -> Any:
        return ps.select((y >= 1) & (y <= h) & (x >= 1) & (x <= w), I[n, y - 1, x - 1, z], 0)

    P = ps.compute((1, h + 2, w + 2, c), padded, name="P")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))
    C = ps.compute(
        (1, h, w, k), lambda n, y, x, o: ps.sum(P[n, y + r, x + q, z] * W[r, q, z, o], axis=(r, q, z)), name="C"
    )
    B = ps.compute((1, h, w, k), lambda n, y, x, o: C[n, y, x, o] + bias[o], name="B")
    out = ps.compute((1, h, w, k), lambda n, y, x, o: ps.maximum(B[n, y, x, o], 0), name="out")
    calls = [
        (some(9, (1, a, b, d), "float32"), some(10, (3, 3, d, e), "float32"), some(11, e, "float32"))
        for a, b, d, e in SIZES
    ]
    s = agrees(out, recipe, calls, threads=2)
    assert "B.inline()" in s.commands
    assert any(command.startswith("C.compute_at") for command in s.commands)


def test_the_convolution_is_one() -> None:
    i, w = some(12, (1, 5, 9, 11), "float32"), some(13, (7, 5, 3, 3), "float32")
    s = ps.Schedule(nchw(7, 9, 5, 7))
    ps.recipes.conv2d(s["C"])
    windows = np.lib.stride_tricks.sliding_window_view(i.astype("float64"), (3, 3), axis=(2, 3))
    np.testing.assert_allclose(ps.build(s)(i, w), np.einsum("nzyxrq,ozrq->noyx", windows, w), rtol=1e-4, atol=1e-5)


def test_what_is_no_convolution_is_refused() -> None:
    A, r = ps.placeholder((8, 9), "float32", name="A"), ps.reduce_axis((0, 8), name="r")
    s = ps.Schedule(ps.compute((8, 9), lambda i, j: ps.sum(A[i, r] * A[r, j], axis=r), name="B"))
    with pytest.raises(ps.ScheduleError, match=r"see recipes\.gemm for matrix products"):
        ps.recipes.conv2d(s["B"])
    t = ps.Schedule(ps.compute((8, 9), lambda i, j: A[i, j] + 1, name="B"))
    with pytest.raises(ps.ScheduleError, match="one convolution; B is or reads 0"):
        ps.recipes.conv2d(t["B"])
    assert s.commands == t.commands == ()
