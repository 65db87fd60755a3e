"""softmax over the rows of a matrix: maximum, exponentials, sum, division."""

import numpy as np

import polysched as ps

LANES = ps.Target("native").vector_bits // 32


@ps.Workload
def softmax(n=512, m=1000):
    A = ps.placeholder((n, m), "float32", name="A")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    top = ps.compute((n,), lambda i: ps.max(A[i, r], axis=r), name="top")
    e = ps.compute((n, m), lambda i, j: ps.exp(A[i, j] - top[i]), name="e")
    total = ps.compute((n,), lambda i: ps.sum(e[i, q], axis=q), name="total")
    return ps.compute((n, m), lambda i, j: e[i, j] / total[i], name="S")


@softmax.reference
def reference(A):
    e = np.exp(A - A.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@softmax.schedule
def vectors(s, lanes=LANES):
    """Exponentials and divisions as vectors; the sum stays in order, which is part of the definition."""
    for stage in ("e", "S"):
        _, j_i = s[stage].split("j", lanes)
        s[stage].vectorize(j_i)


@softmax.schedule
def rows_as_lanes(s, lanes=LANES):
    """Maxima and sums of several rows at the same time, one a lane, each in its order."""
    vectors(s, lanes)
    for stage, over in (("top", "r"), ("total", "q")):
        i_o, i_i = s[stage].split("i", lanes)
        s[stage].reorder(i_o, over, i_i)
        s[stage].vectorize(i_i)


@softmax.schedule
def threads(s, lanes=LANES):
    """The same on threads."""
    rows_as_lanes(s, lanes)
    for stage in ("e", "S"):
        s[stage].parallel("i")
    for stage in ("top", "total"):
        s[stage].parallel("i_o")


@softmax.peer
def torch(A, threads):
    import torch

    a = torch.from_numpy(A)

    def call():
        torch.set_num_threads(threads)
        return torch.softmax(a, dim=1)

    return call
