"""A matrix product. `polysched bench benchmarks/workloads/matmul.py --peer numpy`"""

import numpy as np

import polysched as ps

TARGET = ps.Target("native")
LANES = TARGET.vector_bits // 32


@ps.Workload
def matmul(n=512, m=512, k=512):
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


@matmul.inputs
def inputs(rng, n, m, k):
    return {"A": rng.random((n, k), dtype=np.float32), "B": rng.random((k, m), dtype=np.float32)}


@matmul.reference
def reference(A, B):
    return A @ B


@matmul.schedule
def rows(s):
    """The loop over columns innermost, as vectors."""
    c = s["C"]
    j_o, j_i = c.split("j", LANES)
    c.reorder("i", "r", j_o, j_i)
    c.vectorize(j_i)


@matmul.schedule
def blocked(s, mr=6, vectors=4 if TARGET.vector_registers >= 32 else 2):
    """A tile of mr rows and some vectors, whose accumulators stay in registers over all of r."""
    c = s["C"]
    i_o, j_o, i_i, j_i = c.tile("i", "j", mr, vectors * LANES)
    c.reorder(j_o, i_o, "r", i_i, j_i)
    c.unroll(i_i)
    c.vectorize(j_i)


@matmul.schedule
def threads(s, mr=6, vectors=4 if TARGET.vector_registers >= 32 else 2):
    """The same, with the tiles on threads."""
    blocked(s, mr, vectors)
    s["C"].parallel("j_o", "i_o")


@matmul.schedule
def recipe(s):
    """The recipe that comes with polysched."""
    ps.recipes.gemm(s["C"], TARGET)


@matmul.peer
def torch(A, B, threads):
    import torch

    a, b = torch.from_numpy(A), torch.from_numpy(B)

    def call():
        torch.set_num_threads(threads)
        return torch.matmul(a, b)

    return call


@matmul.peer
def halide(A, B, threads):
    """Halide with the register tile of `blocked`, its columns of tiles on threads."""
    import halide as hl

    (n, k), m = A.shape, B.shape[1]
    rows, columns = 6, 4 * LANES
    a, b = hl.Buffer(A, name="a"), hl.Buffer(B, name="b")
    x, y, xi, yi = hl.Var("x"), hl.Var("y"), hl.Var("xi"), hl.Var("yi")
    r = hl.RDom([(0, k)], "r")
    product, out = hl.Func("product"), hl.Func("out")
    product[x, y] = hl.f32(0)
    product[x, y] += a[r.x, y] * b[x, r.x]
    out[x, y] = product[x, y]
    tail = hl.TailStrategy.GuardWithIf
    out.tile(x, y, xi, yi, columns, rows, tail).reorder(xi, yi, y, x).vectorize(xi, LANES).unroll(yi)
    product.compute_at(out, y).bound_extent(x, columns).bound_extent(y, rows).vectorize(x, LANES).unroll(x).unroll(y)
    product.update().reorder(x, y, r.x).vectorize(x, LANES).unroll(x).unroll(y)
    if threads > 1:
        out.parallel(x)
    result = np.empty((n, m), np.float32)
    target = hl.Buffer(result, name="result")
    out.compile_jit()

    def call():
        out.realize(target)
        return result

    return call


@matmul.peer
def numba(A, B):
    import numba

    @numba.njit(fastmath=False, error_model="numpy")
    def product(a, b, c):
        for i in range(a.shape[0]):
            for r in range(a.shape[1]):
                x = a[i, r]
                for j in range(b.shape[1]):
                    c[i, j] += x * b[r, j]

    def call():
        c = np.zeros((A.shape[0], B.shape[1]), np.float32)
        product(A, B, c)
        return c

    return call
