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
