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
    """Halide with register tiles over panels of both operands, copied out first, and columns of tiles on threads."""
    import halide as hl

    lanes = hl.get_host_target().natural_vector_size(hl.Float(32))
    height, width = (12, 2 * lanes) if lanes == 16 else (6, 2 * lanes)
    i, j, p, q, i_o, j_o, i_i, j_i = (hl.Var(name) for name in ("i", "j", "p", "q", "i_o", "j_o", "i_i", "j_i"))
    rows, columns, product, out = (hl.Func(name) for name in ("rows", "columns", "product", "out"))
    a, b = (hl.BoundaryConditions.repeat_edge(hl.Buffer(array)) for array in (A, B))
    r = hl.RDom([(0, A.shape[1])])
    rows[i, j, p] = a[j, p * height + i]
    columns[j, i, p] = b[p * width + j, i]
    product[j, i, p, q] = hl.f32(0)
    product[j, i, p, q] += rows[i, r.x, q] * columns[j, r.x, p]
    out[j, i] = product[j % width, i % height, j // width, i // height]
    out.tile(j, i, j_o, i_o, j_i, i_i, width, height, hl.TailStrategy.GuardWithIf)
    out.reorder(j_i, i_i, i_o, j_o).vectorize(j_i, lanes)
    product.compute_at(out, i_o).bound_extent(j, width).bound_extent(i, height)
    product.vectorize(j, lanes).unroll(j).unroll(i)
    product.update().reorder(j, i, r.x, p, q).vectorize(j, lanes).unroll(j).unroll(i)
    rows.compute_root().bound_extent(i, height).reorder(i, j, p).unroll(i)
    columns.compute_root().bound_extent(j, width).vectorize(j, lanes).unroll(j)
    if threads > 1:
        out.parallel(j_o)
        columns.parallel(p)
    result = np.empty((A.shape[0], B.shape[1]), np.float32)
    target = hl.Buffer(result)
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
