"""Pipelines over images: a box blur of uint16, an unsharp mask, Harris corners, and a transposed matrix.

Schedules are those of `recipes.stencil2d` and `recipes.transpose`. Peers where they are installed: Halide (its Python
package) with schedules written by hand as in its own applications and, for the blur, found by Adams2019; OpenCV; torch;
NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Claim, Report, interleaved, on, scaling, table

import polysched as ps

Contenders = dict[str, Callable[[], object]]


def box_blur(n: Any, m: Any) -> ps.Tensor:
    """The mean of 3 x 3 elements in uint16, first along rows and then along columns, as in Halide's paper."""
    A = ps.placeholder((n + 2, m + 2), "uint16", name="A")
    B = ps.compute((n + 2, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) // 3, name="B")
    return ps.compute((n, m), lambda i, j: (B[i, j] + B[i + 1, j] + B[i + 2, j]) // 3, name="C")


GAUSS = (0.029905, 0.105480, 0.225214, 0.278801)  # of elements 3, 2, 1 and 0 away


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


def transposed(n: Any, m: Any) -> ps.Tensor:
    A = ps.placeholder((m, n), "float32", name="A")
    return ps.compute((n, m), lambda i, j: A[j, i], name="transposed")


def by_recipe(output: ps.Tensor, target: ps.Target) -> ps.Schedule:
    s = ps.Schedule(output)
    recipe = ps.recipes.transpose if output.name == "transposed" else ps.recipes.stencil2d
    recipe(s[output], target)
    return s


def expected(name: str, a: Any) -> Any:
    """What NumPy makes of it, in float64 where the elements are floats."""
    if name == "box_blur":
        rows = (a[:, :-2] + a[:, 1:-1] + a[:, 2:]) // 3
        return (rows[:-2] + rows[1:-1] + rows[2:]) // 3
    if name == "transposed":
        return a.T
    a = a.astype(np.float64)
    if name == "unsharp":
        grey, weights = 0.299 * a[0] + 0.587 * a[1] + 0.114 * a[2], (*GAUSS, *GAUSS[2::-1])
        n, m = grey.shape[0] - 6, grey.shape[1] - 6
        down = sum(w * grey[k : k + n] for k, w in enumerate(weights))
        smooth = sum(w * down[:, k : k + m] for k, w in enumerate(weights))
        centre = grey[3:-3, 3:-3]
        return (2 * centre - smooth) / centre * a[:, 3:-3, 3:-3]
    down, right = a[2:] - a[:-2], a[:, 2:] - a[:, :-2]
    dx, dy = (right[:-2] + 2 * right[1:-1] + right[2:]) / 12, (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 12

    def box(x: Any) -> Any:
        n, m = x.shape[0] - 2, x.shape[1] - 2
        return sum(x[i : i + n, j : j + m] for i in range(3) for j in range(3))

    xx, yy, xy = box(dx * dx), box(dy * dy), box(dx * dy)
    return xx * yy - xy * xy - 0.04 * (xx + yy) ** 2


def halide_peer(name: str, a: Any, out: Any, threads: int) -> Callable[[], object] | None:
    """Schedules written by hand: eight rows in registers, or windows that slide along strips of rows."""
    try:
        import halide as hl
    except ImportError:
        return None
    x, y, c, xi, yi = (hl.Var(v) for v in ("x", "y", "c", "xi", "yi"))
    image, result = hl.Buffer(a), hl.Buffer(out)
    if name == "box_blur":
        across, down = hl.Func("across"), hl.Func("down")
        three = hl.u16(3)
        across[x, y] = (image[x, y] + image[x + 1, y] + image[x + 2, y]) // three
        down[x, y] = (across[x, y] + across[x, y + 1] + across[x, y + 2]) // three
        down.tile(x, y, xi, yi, 64, 8).vectorize(xi, 32).unroll(xi).unroll(yi)
        across.compute_at(down, x).vectorize(x, 32).unroll(x).unroll(y)
        output = down
    elif name == "unsharp":
        grey, down, smooth, ratio, output = (hl.Func(f) for f in ("grey", "down", "smooth", "ratio", "output"))
        weights = [hl.f32(w) for w in GAUSS]
        grey[x, y] = hl.f32(0.299) * image[x, y, 0] + hl.f32(0.587) * image[x, y, 1] + hl.f32(0.114) * image[x, y, 2]

        def filtered(at: Callable[[int], Any]) -> Any:
            return weights[3] * at(3) + sum(
                (weights[k] * (at(k) + at(6 - k)) for k in (1, 2)), weights[0] * (at(0) + at(6))
            )

        down[x, y] = filtered(lambda k: grey[x, y + k])
        smooth[x, y] = filtered(lambda k: down[x + k, y])
        ratio[x, y] = (hl.f32(2) * grey[x + 3, y + 3] - smooth[x, y]) / grey[x + 3, y + 3]
        output[x, y, c] = ratio[x, y] * image[x + 3, y + 3, c]
        output.bound(c, 0, 3).reorder(x, c, y).split(y, y, yi, 32).reorder(x, c, yi, y).vectorize(x, 16).unroll(c)
        ratio.compute_at(output, yi).vectorize(x, 16)
        down.compute_at(output, yi).vectorize(x, 16)
        grey.store_at(output, y).compute_at(output, yi).vectorize(x, 16)
    elif name == "harris":
        dx, dy, output = hl.Func("dx"), hl.Func("dy"), hl.Func("output")
        s = hl.f32(1 / 12)
        two = hl.f32(2 / 12)
        dx[x, y] = (
            s * (image[x + 2, y] - image[x, y])
            + two * (image[x + 2, y + 1] - image[x, y + 1])
            + s * (image[x + 2, y + 2] - image[x, y + 2])
        )
        dy[x, y] = (
            s * (image[x, y + 2] - image[x, y])
            + two * (image[x + 1, y + 2] - image[x + 1, y])
            + s * (image[x + 2, y + 2] - image[x + 2, y])
        )

        def box(left: Any, right: Any) -> Any:
            near = [(x + k, y + q) for q in range(3) for k in range(3)]
            products = [left[at] * right[at] for at in near]
            return sum(products[1:], products[0])

        xx, yy, xy = box(dx, dx), box(dy, dy), box(dx, dy)
        output[x, y] = xx * yy - xy * xy - hl.f32(0.04) * (xx + yy) * (xx + yy)
        output.split(y, y, yi, 32).vectorize(x, 16)
        dx.store_at(output, y).compute_at(output, yi).vectorize(x, 16)
        dy.store_at(output, y).compute_at(output, yi).vectorize(x, 16)
        dx.compute_with(dy, x)
    else:
        return None
    if threads > 1:
        output.parallel(y)
    output.compile_jit()
    return lambda: output.realize(result)


def adams2019_peer(a: Any, out: Any, threads: int) -> Callable[[], object] | None:
    """The box blur as Halide's own search schedules it for so many threads (Adams et al., SIGGRAPH 2019)."""
    try:
        import halide as hl
    except ImportError:
        return None
    plugin = Path(hl.__file__).parent / "lib64" / "libautoschedule_adams2019.so"
    if not plugin.exists():
        return None
    hl.load_plugin(str(plugin))
    x, y, image = hl.Var("x"), hl.Var("y"), hl.ImageParam(hl.UInt(16), 2, "image")
    across, down, three = hl.Func("across"), hl.Func("down"), hl.u16(3)
    across[x, y] = (image[x, y] + image[x + 1, y] + image[x + 2, y]) // three
    down[x, y] = (across[x, y] + across[x, y + 1] + across[x, y + 2]) // three
    image.set_estimates([(0, size) for size in a.shape[::-1]])
    down.set_estimates([(0, size) for size in out.shape[::-1]])
    pipeline = hl.Pipeline(down)
    pipeline.apply_autoscheduler(
        hl.get_jit_target_from_environment(), hl.AutoschedulerParams("Adams2019", {"parallelism": str(threads)})
    )
    image.set(hl.Buffer(a))
    pipeline.compile_jit()
    result = hl.Buffer(out)
    return lambda: pipeline.realize(result)


def transposing_peers(a: Any, out: Any, threads: int) -> Contenders:
    found: Contenders = {}
    try:
        import cv2

        cv2.setNumThreads(threads)
        found["opencv"] = lambda: cv2.transpose(a, out)
    except ImportError:
        pass
    try:
        import torch

        torch.set_num_threads(threads)
        x, y = torch.from_numpy(a), torch.from_numpy(out)
        found["torch"] = lambda: y.copy_(x.T)
    except ImportError:
        pass
    return found


# Each with the shape and type of its image, the shape of its output, and what it is to reach against the best peer.
CASES = (
    (box_blur, (4800, 6400), (4802, 6402), "uint16", 1.3),
    (unsharp, (1536, 2560), (3, 1542, 2566), "float32", 1.1),
    (harris, (1536, 2560), (1540, 2564), "float32", 1.1),
    (transposed, (4096, 4096), (4096, 4096), "float32", 1.2),
)


def run(report: Report, target: ps.Target) -> None:
    random = np.random.default_rng(5)
    for definition, sizes, shape, dtype, bound in CASES:
        name = definition.__name__
        a = (random.random(shape) * 999 + 1).astype(dtype)
        tensor = definition(*sizes)
        kernel = by_recipe(tensor, target).build(target)
        out = kernel(a)
        peer = np.zeros_like(out)
        contenders: Contenders = {"polysched": lambda k=kernel, a=a, out=out: k(a, out=out)}
        if definition is transposed:
            contenders |= transposing_peers(a, peer, target.threads)
        elif (halide := halide_peer(name, a, peer, target.threads)) is not None:
            contenders["halide"] = halide
        if definition is box_blur and (searched := adams2019_peer(a, peer, target.threads)) is not None:
            contenders["halide, Adams2019"] = searched
        wanted = expected(name, a)
        scale = float(np.abs(wanted).max())
        for contender, call in contenders.items():
            peer[...] = 0
            call()
            found = out if contender == "polysched" else peer
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6 * scale, err_msg=contender)
        work = (a.nbytes + out.nbytes) * 1e-9
        measured = interleaved(name, contenders, rounds=15, work=work, unit="GB", threads=target.threads)
        print(f"{name}, {' x '.join(map(str, sizes))} {dtype}, {on(target.threads)}\n{table(measured, 'polysched')}")
        report.measurements += measured.values()
        others = [m.median for contender, m in measured.items() if contender != "polysched"]
        if others and target.threads == 1:
            ratio = min(others) / measured["polysched"].median
            report.claims.append(Claim(f"{name}: speed relative to the best peer", ratio, bound))
    if target.threads == 1:
        scaling(report, "harris", _corners, 1.6)


def _corners(target: ps.Target) -> Callable[[], object]:
    sizes = (1536, 2560)
    kernel = by_recipe(harris(*sizes), target).build(target)
    a = np.random.default_rng(5).random((sizes[0] + 4, sizes[1] + 4), np.float32)
    out = kernel(a)
    return lambda: kernel(a, out=out)
