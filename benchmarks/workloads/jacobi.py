"""Five-point Jacobi steps in two dimensions, as a recurrence over time."""

import numpy as np

import polysched as ps

LANES = ps.Target("native").vector_bits // 64


@ps.Workload
def jacobi(steps=8, n=512):
    A = ps.placeholder((n, n), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((steps + 1, n, n), "float64", name="u")
    inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1)
    u[0, i, j] = A[i, j]
    around = u[t, i - 1, j] + u[t, i + 1, j] + u[t, i, j - 1] + u[t, i, j + 1]
    u[t + 1, i, j] = ps.select(inside, 0.25 * around, u[t, i, j])
    return u


@jacobi.reference
def reference(A, steps):
    u = np.stack([A] * (steps + 1))
    for t in range(steps):
        u[t + 1, 1:-1, 1:-1] = 0.25 * (u[t, :-2, 1:-1] + u[t, 2:, 1:-1] + u[t, 1:-1, :-2] + u[t, 1:-1, 2:])
    return u


@jacobi.schedule
def vectors(s, lanes=LANES):
    """Steps one after the other, rows as vectors."""
    _, j_i = s["u"].split("j", lanes)
    s["u"].vectorize(j_i)


@jacobi.schedule
def threads(s, lanes=LANES):
    """The same, with rows on threads."""
    vectors(s, lanes)
    s["u"].parallel("i")


@jacobi.schedule
def skewed(s, steps=4, rows=32, lanes=LANES):
    """Tiles of time steps and rows, with rows skewed over time; a tile's rows stay in the cache over its steps."""
    u = s["u"]
    u.skew("i", by="t", factor=1)
    t_o, t_i = u.split("t", steps)
    i_o, i_i = u.split("i", rows)
    u.reorder(t_o, i_o, t_i, i_i, "j")
    _, j_i = u.split("j", lanes)
    u.vectorize(j_i)


@jacobi.schedule
def tiles(s):
    """Skewed tiles over all loops, with rows of vectors, as the recipe has them; all steps are asked for, and kept."""
    ps.recipes.time_tile(s["u"])


@jacobi.peer
def torch(A, steps, threads):
    import torch

    a = torch.from_numpy(A)

    def call():
        torch.set_num_threads(threads)
        u = a.repeat(steps + 1, 1, 1)
        for t in range(steps):
            u[t + 1, 1:-1, 1:-1] = 0.25 * (u[t, :-2, 1:-1] + u[t, 2:, 1:-1] + u[t, 1:-1, :-2] + u[t, 1:-1, 2:])
        return u

    return call


@jacobi.peer
def halide(A, steps, threads):
    """Step by step into the planes of the output, with rows as vectors and on threads."""
    import halide as hl

    n = A.shape[0]
    x, y, yi, plane = hl.Var("x"), hl.Var("y"), hl.Var("yi"), hl.ImageParam(hl.Float(64), 2)
    u, after = hl.BoundaryConditions.repeat_edge(plane), hl.Func("after")
    around = u[x, y - 1] + u[x, y + 1] + u[x - 1, y] + u[x + 1, y]
    inside = (x > 0) & (x < n - 1) & (y > 0) & (y < n - 1)
    after[x, y] = hl.select(inside, hl.f64(0.25) * around, u[x, y])
    after.split(y, y, yi, 16, hl.TailStrategy.GuardWithIf).vectorize(x, LANES, hl.TailStrategy.GuardWithIf)
    if threads > 1:
        after.parallel(y)
    result = np.empty((steps + 1, *A.shape))
    planes = [hl.Buffer(step) for step in result]
    after.compile_jit()

    def call():
        np.copyto(result[0], A)
        for t in range(steps):
            plane.set(planes[t])
            after.realize(planes[t + 1])
        return result

    return call


@jacobi.peer
def numba(A, steps):
    import numba

    @numba.njit
    def stepped(a, u):
        u[:] = a
        for t in range(u.shape[0] - 1):
            for i in range(1, a.shape[0] - 1):
                for j in range(1, a.shape[1] - 1):
                    u[t + 1, i, j] = 0.25 * (u[t, i - 1, j] + u[t, i + 1, j] + u[t, i, j - 1] + u[t, i, j + 1])

    u = np.empty((steps + 1, *A.shape))

    def call():
        stepped(A, u)
        return u

    return call
