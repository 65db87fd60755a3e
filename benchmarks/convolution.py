"""Convolutions of images with 3 x 3 filters, channels last, channels first, and depthwise; float32, one image.

Schedules are those of `recipes.conv2d`. The peer is torch (oneDNN) where it is installed, in its own best layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Claim, Report, interleaved, on, table

import polysched as ps


def conv2d_nhwc(n: Any, h: Any, w: Any, c: Any, k: Any) -> ps.Tensor:
    """3 x 3 of a padded image, channels last."""
    I, W = ps.placeholder((n, h + 2, w + 2, c), name="I"), ps.placeholder((3, 3, c, k), name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))
    return ps.compute(
        (n, h, w, k), lambda b, y, x, o: ps.sum(I[b, y + r, x + q, z] * W[r, q, z, o], axis=(r, q, z)), name="C"
    )


def conv2d_nchw(n: Any, h: Any, w: Any, c: Any, k: Any) -> ps.Tensor:
    I, W = ps.placeholder((n, c, h + 2, w + 2), name="I"), ps.placeholder((k, c, 3, 3), name="W")
    r, q, z = (ps.reduce_axis((0, size), name=name) for size, name in ((3, "r"), (3, "q"), (c, "z")))
    return ps.compute(
        (n, k, h, w), lambda b, o, y, x: ps.sum(I[b, z, y + r, x + q] * W[o, z, r, q], axis=(z, r, q)), name="C"
    )


def depthwise_nchw(n: Any, h: Any, w: Any, c: Any) -> ps.Tensor:
    """3 x 3 of a padded image, a filter for each channel."""
    I, W = ps.placeholder((n, c, h + 2, w + 2), name="I"), ps.placeholder((c, 3, 3), name="W")
    r, q = ps.reduce_axis((0, 3), name="r"), ps.reduce_axis((0, 3), name="q")
    return ps.compute(
        (n, c, h, w), lambda b, z, y, x: ps.sum(I[b, z, y + r, x + q] * W[z, r, q], axis=(r, q)), name="C"
    )


def expected(name: str, image: Any, filters: Any) -> Any:
    """In float64."""
    wide = filters.astype(np.float64)
    axes = (1, 2) if name == "conv2d_nhwc" else (2, 3)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=axes)
    terms = {
        "conv2d_nhwc": "nyxzrq,rqzo->nyxo",
        "conv2d_nchw": "nzyxrq,ozrq->noyx",
        "depthwise_nchw": "nzyxrq,zrq->nzyx",
    }
    return np.einsum(terms[name], windows.astype(np.float64), wide, optimize=True)


def torch_peers(image: Any, filters: Any, name: str, threads: int) -> dict[str, Callable[[], object]]:
    """As torch is used: the image contiguous in either layout."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    last = name == "conv2d_nhwc"
    x, w = torch.from_numpy(image), torch.from_numpy(filters)
    x = x.permute(0, 3, 1, 2) if last else x
    w = w.permute(3, 2, 0, 1) if last else w if w.dim() == 4 else w[:, None]
    groups = x.shape[1] // w.shape[1]

    def convolve(x: Any, w: Any) -> Callable[[], object]:
        return lambda: torch.nn.functional.conv2d(x, w, groups=groups)

    layouts = {"torch": torch.contiguous_format}
    if name != "depthwise_nchw":  # which is asked for with channels first
        layouts["torch, channels last"] = torch.channels_last
    made = {k: (x.contiguous(memory_format=f), w.contiguous(memory_format=f)) for k, f in layouts.items()}
    return {key: convolve(*operands) for key, operands in made.items()}


# Sizes are batch, rows, columns, channels and filters; of the convolutions the better of two layouts counts, and
# depthwise channels first is asked for.
CASES: tuple[tuple[Callable[..., ps.Tensor], tuple[int, ...], float | None], ...] = (
    (conv2d_nhwc, (1, 56, 56, 64, 64), 1.0),
    (conv2d_nhwc, (1, 14, 14, 256, 256), 1.0),
    (conv2d_nchw, (1, 56, 56, 64, 64), None),
    (conv2d_nchw, (1, 14, 14, 256, 256), None),
    (conv2d_nchw, (1, 7, 7, 512, 512), None),
    (depthwise_nchw, (1, 112, 112, 96), 2.2),
)


def operands(tensor: ps.Tensor) -> list[Any]:
    random = np.random.default_rng(6)
    found = ps.Schedule(tensor).program.arguments
    return [random.standard_normal([int(str(size)) for size in a.shape], np.float32) for a in found[:2]]


def run(report: Report, target: ps.Target) -> None:
    for definition, sizes, bound in CASES:
        tensor, name = definition(*sizes), definition.__name__
        s = ps.Schedule(tensor)
        ps.recipes.conv2d(s[tensor], target)
        kernel = s.build(target)
        image, filters = operands(tensor)
        out = kernel(image, filters)
        contenders: dict[str, Callable[[], object]] = {
            "polysched": lambda k=kernel, i=image, f=filters, o=out: k(i, f, out=o)
        }
        contenders |= torch_peers(image, filters, name, target.threads)
        wanted = expected(name, image, filters)
        for contender, call in contenders.items():
            result = call()
            found = out if contender == "polysched" else result.numpy()
            found = found.transpose(0, 2, 3, 1) if contender != "polysched" and name == "conv2d_nhwc" else found
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3, err_msg=contender)
        work = 2e-9 * out.size * 9 * (1 if definition is depthwise_nchw else sizes[3])
        label = f"{name} {'x'.join(map(str, sizes))}"
        measured = interleaved(label, contenders, rounds=15, work=work, unit="GFLOP", threads=target.threads)
        print(f"{label} 3 x 3 float32, {on(target.threads)}\n{table(measured, 'polysched')}")
        report.measurements += measured.values()
        others = [m.median for contender, m in measured.items() if contender != "polysched"]
        if others and bound is not None and target.threads == 1:
            ratio = min(others) / measured["polysched"].median
            report.claims.append(Claim(f"{label}: speed relative to torch", ratio, bound))
