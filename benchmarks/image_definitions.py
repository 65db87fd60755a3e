"""The pipelines over images and the convolutions that the benchmarks measure, for sizes of any kind."""

from __future__ import annotations

from typing import Any

import polysched as ps


def box_blur(n: Any, m: Any) -> ps.Tensor:
    """The mean of 3 x 3 elements in uint16, first along rows and then along columns, as in Halide's paper."""
    A = ps.placeholder((n + 2, m + 2), "uint16", name="A")
    B = ps.compute((n + 2, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) // 3, name="B")
    return ps.compute((n, m), lambda i, j: (B[i, j] + B[i + 1, j] + B[i + 2, j]) // 3, name="C")


GAUSS = (0.106595, 0.140367, 0.165569, 0.174938)  # the weights 3, 2, 1 and 0 elements away, sigma 1.5... normalised


def unsharp(n: Any, m: Any) -> ps.Tensor:
    """Colours scaled as their grey is sharpened: twice itself less a Gauss filter of 7 x 7 elements."""
    A = ps.placeholder((3, n + 6, m + 6), "float32", name="A")
    grey = ps.compute(
        (n + 6, m + 6), lambda i, j: 0.299 * A[0, i, j] + 0.587 * A[1, i, j] + 0.114 * A[2, i, j], name="grey"
    )

    def filtered(x: list[Any]) -> Any:
        pairs = zip(GAUSS[:3], x[:3], x[:3:-1], strict=True)
        return sum((w * (a + b) for w, a, b in pairs), GAUSS[3] * x[3])

    down = ps.compute((n, m + 6), lambda i, j: filtered([grey[i + k, j] for k in range(7)]), name="down")
    smooth = ps.compute((n, m), lambda i, j: filtered([down[i, j + k] for k in range(7)]), name="smooth")
    ratio = ps.compute((n, m), lambda i, j: (2 * grey[i + 3, j + 3] - smooth[i, j]) / grey[i + 3, j + 3], name="ratio")
    return ps.compute((3, n, m), lambda c, i, j: ratio[i, j] * A[c, i + 3, j + 3], name="out")


def harris(n: Any, m: Any) -> ps.Tensor:
    """Corners: Sobel derivatives, their products summed over 3 x 3 elements, det - 0.04 trace^2."""
    A = ps.placeholder((n + 4, m + 4), "float32", name="A")
    shape = (n + 2, m + 2)
    s = 1 / 12

    def dx(i: Any, j: Any) -> Any:
        return (
            s * (A[i, j + 2] - A[i, j]) + 2 * s * (A[i + 1, j + 2] - A[i + 1, j]) + s * (A[i + 2, j + 2] - A[i + 2, j])
        )

    def dy(i: Any, j: Any) -> Any:
        return (
            s * (A[i + 2, j] - A[i, j]) + 2 * s * (A[i + 2, j + 1] - A[i, j + 1]) + s * (A[i + 2, j + 2] - A[i, j + 2])
        )

    Ix, Iy = ps.compute(shape, dx, name="Ix"), ps.compute(shape, dy, name="Iy")

    def box(left: Any, right: Any, name: str) -> Any:
        product = ps.compute(shape, lambda i, j: left[i, j] * right[i, j], name=f"I{name}")
        window = [(y, x) for y in range(3) for x in range(3)]
        return ps.compute(
            (n, m), lambda i, j: sum((product[i + y, j + x] for y, x in window[1:]), product[i, j]), name=f"S{name}"
        )

    Sxx, Syy, Sxy = box(Ix, Ix, "xx"), box(Iy, Iy, "yy"), box(Ix, Iy, "xy")
    det = ps.compute((n, m), lambda i, j: Sxx[i, j] * Syy[i, j] - Sxy[i, j] * Sxy[i, j], name="det")
    trace = ps.compute((n, m), lambda i, j: Sxx[i, j] + Syy[i, j], name="trace")
    return ps.compute((n, m), lambda i, j: det[i, j] - 0.04 * trace[i, j] * trace[i, j], name="corners")


def conv2d_nhwc(n: Any, h: Any, w: Any, c: Any, k: Any) -> ps.Tensor:
    """3 x 3 of a padded image, channels last."""
    I, W = ps.placeholder((n, h + 2, w + 2, c), name="I"), ps.placeholder((3, 3, c, k), name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))
    return ps.compute((n, h, w, k), lambda b, y, x, o: ps.sum(I[b, y + r, x + q, z] * W[r, q, z, o], axis=(r, q, z)), name="C")


def conv2d_nchw(n: Any, h: Any, w: Any, c: Any, k: Any) -> ps.Tensor:
    I, W = ps.placeholder((n, c, h + 2, w + 2), name="I"), ps.placeholder((k, c, 3, 3), name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))
    return ps.compute((n, k, h, w), lambda b, o, y, x: ps.sum(I[b, z, y + r, x + q] * W[o, z, r, q], axis=(z, r, q)), name="C")


def depthwise_nchw(n: Any, h: Any, w: Any, c: Any) -> ps.Tensor:
    """3 x 3 of a padded image, a filter for each channel."""
    I, W = ps.placeholder((n, c, h + 2, w + 2), name="I"), ps.placeholder((c, 3, 3), name="W")
    r, q = ps.reduce_axis((0, 3), name="r"), ps.reduce_axis((0, 3), name="q")
    return ps.compute((n, c, h, w), lambda b, z, y, x: ps.sum(I[b, z, y + r, x + q] * W[z, r, q], axis=(r, q)), name="C")
