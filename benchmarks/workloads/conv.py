"""A 3x3 convolution of an image in NHWC order with many channels in and out, without a border."""

import numpy as np

import polysched as ps

TARGET = ps.Target("native")
LANES = TARGET.vector_bits // 32
VECTORS = 4 if TARGET.vector_registers >= 32 else 2


@ps.Workload
def conv(h=56, w=56, ci=64, co=64):
    X = ps.placeholder((h + 2, w + 2, ci), "float32", name="X")
    K = ps.placeholder((3, 3, ci, co), "float32", name="K")
    a, b, c = (ps.reduce_axis((0, extent), name=name) for extent, name in ((3, "a"), (3, "b"), (ci, "c")))
    return ps.compute(
        (h, w, co),
        lambda y, x, o: ps.sum(X[y + a, x + b, c] * K[a, b, c, o], axis=(a, b, c)),
        name="Y",
    )


@conv.reference
def reference(X, K):
    h, w = X.shape[0] - 2, X.shape[1] - 2
    return sum(X[a : a + h, b : b + w] @ K[a, b] for a in range(3) for b in range(3))


@conv.schedule
def channels(s, lanes=LANES):
    """Output channels as vectors, inside all sums."""
    o_o, o_i = s["Y"].split("o", lanes)
    s["Y"].reorder("y", "x", o_o, "a", "b", "c", o_i)
    s["Y"].vectorize(o_i)


@conv.schedule
def blocked(s, xr=6, vectors=VECTORS):
    """A tile of xr pixels and some vectors of output channels, in registers over all sums."""
    y = s["Y"]
    x_o, x_i = y.split("x", xr)
    o_o, o_i = y.split("o", vectors * LANES)
    y.reorder("y", o_o, x_o, "a", "b", "c", x_i, o_i)
    y.unroll(x_i)
    y.vectorize(o_i)


@conv.schedule
def threads(s, xr=6, vectors=VECTORS):
    """The same, with rows of the image on threads."""
    blocked(s, xr, vectors)
    s["Y"].parallel("y")


@conv.peer
def torch(X, K, threads):
    import torch

    x = torch.from_numpy(np.ascontiguousarray(X.transpose(2, 0, 1)))[None].to(memory_format=torch.channels_last)
    k = torch.from_numpy(np.ascontiguousarray(K.transpose(3, 2, 0, 1))).to(memory_format=torch.channels_last)

    def call():
        torch.set_num_threads(threads)
        return torch.nn.functional.conv2d(x, k)[0].permute(1, 2, 0)

    return call


@conv.peer
def halide(X, K, threads):
    """The tile of `blocked`, with rows of the image on threads."""
    import halide as hl

    width, lanes = VECTORS * LANES, LANES
    o, x, y, o_i, x_i = (hl.Var(name) for name in ("o", "x", "y", "o_i", "x_i"))
    image, weights = hl.BoundaryConditions.repeat_edge(hl.Buffer(X)), hl.BoundaryConditions.repeat_edge(hl.Buffer(K))
    r = hl.RDom([(0, X.shape[2]), (0, 3), (0, 3)])
    total, out = hl.Func("total"), hl.Func("out")
    total[o, x, y] = hl.f32(0)
    total[o, x, y] += image[r.x, x + r.y, y + r.z] * weights[o, r.x, r.y, r.z]
    out[o, x, y] = total[o, x, y]
    out.tile(o, x, o_i, x_i, width, 6, hl.TailStrategy.GuardWithIf).reorder(o_i, x_i, x, o, y)
    out.vectorize(o_i, lanes).unroll(x_i)
    total.compute_at(out, x).bound_extent(o, width).bound_extent(x, 6).vectorize(o, lanes).unroll(o).unroll(x)
    total.update().reorder(o, x, r.x, r.y, r.z, y).vectorize(o, lanes).unroll(o).unroll(x)
    if threads > 1:
        out.parallel(y)
    result = np.empty((X.shape[0] - 2, X.shape[1] - 2, K.shape[3]), np.float32)
    target = hl.Buffer(result)
    out.compile_jit()

    def call():
        out.realize(target)
        return result

    return call


@conv.peer
def numba(X, K):
    import numba

    @numba.njit(error_model="numpy")
    def convolved(image, weights, out):
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                out[y, x, :] = 0
                for a in range(3):
                    for b in range(3):
                        for c in range(image.shape[2]):
                            value = image[y + a, x + b, c]
                            for o in range(out.shape[2]):
                                out[y, x, o] += value * weights[a, b, c, o]

    result = np.empty((X.shape[0] - 2, X.shape[1] - 2, K.shape[3]), np.float32)

    def call():
        convolved(X, K, result)
        return result

    return call
