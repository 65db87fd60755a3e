"""A 3x3 box blur of 8-bit pixels in two stages, with a border of one pixel around the picture."""

import numpy as np

import polysched as ps

LANES = ps.Target("native").vector_bits // 8


def three(a, b, c):
    return ps.cast("uint16", a) + b + c


@ps.Workload
def blur(n=1024, m=1536):
    P = ps.placeholder((n + 2, m + 2), "uint8", name="P")
    row = ps.compute((n + 2, m), lambda i, j: three(P[i, j], P[i, j + 1], P[i, j + 2]), name="row")
    return ps.compute(
        (n, m), lambda i, j: ps.cast("uint8", three(row[i, j], row[i + 1, j], row[i + 2, j]) // 9), name="out"
    )


@blur.inputs
def inputs(rng, n, m):
    return {"P": rng.integers(0, 256, (n + 2, m + 2), np.uint8)}


@blur.reference
def reference(P):
    sums = P[:, :-2].astype(np.uint16) + P[:, 1:-1] + P[:, 2:]
    return ((sums[:-2] + sums[1:-1] + sums[2:]) // 9).astype(np.uint8)


@blur.schedule
def stored(s, lanes=LANES):
    """Both stages as vectors, the sums of rows in memory between them."""
    for stage in ("row", "out"):
        _, j_i = s[stage].split("j", lanes)
        s[stage].vectorize(j_i)


@blur.schedule
def inlined(s, lanes=LANES):
    """Sums of rows are computed anew for each of the three rows that need them."""
    s["row"].inline()
    _, j_i = s["out"].split("j", lanes)
    s["out"].vectorize(j_i)


@blur.schedule
def strips(s, rows=32, lanes=LANES):
    """Strips of rows on threads, each with its sums of rows in the cache."""
    i_o, _ = s["out"].split("i", rows)
    _, j_i = s["out"].split("j", lanes)
    s["out"].vectorize(j_i)
    s["row"].compute_at(s["out"].tensor, i_o)
    _, j_i = s["row"].split("j", lanes)
    s["row"].vectorize(j_i)
    s["out"].parallel(i_o)


@blur.peer
def numba(P):
    import numba

    @numba.njit(parallel=False)
    def box(p, out):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                total = np.uint16(0)
                for h in range(3):
                    for w in range(3):
                        total += np.uint16(p[i + h, j + w])
                out[i, j] = total // 9

    result = np.empty((P.shape[0] - 2, P.shape[1] - 2), np.uint8)

    def call():
        box(P, result)
        return result

    return call


@blur.peer
def torch(P, threads):
    """Slices added in 16 bits, one operation after the other."""
    import torch

    p = torch.from_numpy(P)

    def call():
        torch.set_num_threads(threads)
        q = p.to(torch.int16)
        row = q[:, :-2] + q[:, 1:-1] + q[:, 2:]
        return torch.div(row[:-2] + row[1:-1] + row[2:], 9, rounding_mode="floor").to(torch.uint8)

    return call


@blur.peer
def halide(P, threads):
    """Eight rows of the output at a time, with their sums of rows in registers; strips of rows on threads. The picture
    is padded to whole tiles beforehand: borders in the schedule take Halide ten seconds to compile."""
    import halide as hl

    (n, m), height, width = (extent - 2 for extent in P.shape), 8, 2 * LANES
    padded = np.pad(P, ((0, -n % height), (0, -m % width)))
    x, y, xi, yi = (hl.Var(name) for name in ("x", "y", "xi", "yi"))
    p = hl.Buffer(padded)
    row, out = hl.Func("row"), hl.Func("out")
    row[x, y] = hl.u16(p[x, y]) + hl.u16(p[x + 1, y]) + hl.u16(p[x + 2, y])
    out[x, y] = hl.u8((row[x, y] + row[x, y + 1] + row[x, y + 2]) // hl.u16(9))
    out.tile(x, y, xi, yi, width, height).vectorize(xi, LANES).unroll(yi)
    row.compute_at(out, x).vectorize(x, LANES).unroll(y)
    if threads > 1:
        out.parallel(y)
    result = np.empty((padded.shape[0] - 2, padded.shape[1] - 2), np.uint8)
    target = hl.Buffer(result)
    out.compile_jit()

    def call():
        out.realize(target)
        return result[:n, :m]

    call.padded = padded  # lives as long: Halide's buffer is a view of it
    return call
