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
