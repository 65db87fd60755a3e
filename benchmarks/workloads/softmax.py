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


@softmax.peer
def halide(A, threads):
    """Everything in the loop over rows, which runs on threads; partial results in lanes by rfactor."""
    import halide as hl

    j, i, u = hl.Var("j"), hl.Var("i"), hl.Var("u")
    width = 4 * LANES
    a = hl.Buffer(A)

    def reduced(first, combine, value):
        f, r, outer, inner = hl.Func(), hl.RDom([(0, A.shape[1])]), hl.RVar("outer"), hl.RVar("inner")
        f[i] = first
        f[i] = combine(f[i], value(r.x))
        return f, f.update().split(r.x, outer, inner, width).rfactor(inner, u), outer, inner

    e, out = hl.Func("e"), hl.Func("out")
    top = reduced(hl.f32(-np.inf), hl.max, lambda r: a[r, i])
    e[j, i] = hl.exp(a[j, i] - top[0][i])
    total = reduced(hl.f32(0), lambda x, y: x + y, lambda r: e[r, i])
    out[j, i] = e[j, i] / total[0][i]
    for f, partial, outer, inner in (top, total):
        f.compute_at(out, i).update().atomic().vectorize(inner, width)
        partial.compute_at(out, i).vectorize(u, width).update().reorder(u, outer).vectorize(u, width)
    e.compute_at(out, i).vectorize(j, LANES)
    out.vectorize(j, width, hl.TailStrategy.GuardWithIf)
    if threads > 1:
        out.parallel(i)
    result = np.empty_like(A)
    target = hl.Buffer(result)
    out.compile_jit()

    def call():
        out.realize(target)
        return result

    return call


@softmax.peer
def numba(A):
    import numba

    @numba.njit(fastmath=True)
    def rows(a, out):
        for i in range(a.shape[0]):
            top = a[i, 0]
            for j in range(a.shape[1]):
                top = max(top, a[i, j])
            total = np.float32(0)
            for j in range(a.shape[1]):
                out[i, j] = np.exp(a[i, j] - top)
                total += out[i, j]
            for j in range(a.shape[1]):
                out[i, j] /= total

    result = np.empty_like(A)

    def call():
        rows(A, result)
        return result

    return call
