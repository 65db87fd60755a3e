# %% [markdown]
# # Recurrences and time tiling
#
# A tensor may be defined by several equations that read the tensor itself, or each other's. isl proves that they mean
# something, and schedules may then tile over time, run wavefronts, and keep two planes, or one, instead of all:
# stencils, sweeps in place, dynamic programming, factorizations.

# %%
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import polysched as ps

T, n = ps.size_var("T"), ps.size_var("n", min=1)
A = ps.placeholder((n, n), "float64", name="A")
t, i, j = ps.axes("t i j")

u = ps.recurrence((T + 1, n, n), "float64", name="u")
inside = (i > 0) & (i < n - 1) & (j > 0) & (j < n - 1)
u[0, i, j] = A[i, j]
u[t + 1, i, j] = ps.select(
    inside, 0.2 * (u[t, i, j] + u[t, i, j - 1] + u[t, i, j + 1] + u[t, i + 1, j] + u[t, i - 1, j]), u[t, i, j]
)
final = u[T]  # fewer indices than dimensions: the last plane, a tensor of its own

# %% [markdown]
# Axes are non-negative integers, and an equation covers the cells that its left side describes: `u[t + 1, i, j]` all
# planes but the first. `u.define(indices, value, where=condition)` limits it to a region.
#
# The default schedule follows from what needs what. It always works.

# %%
s = ps.Schedule(final)
print(s)
kernel = s.build()
start = np.random.default_rng(0).standard_normal((100, 100))
result = kernel(start, T=20)
assert np.allclose(result, ps.evaluate(final, {A: start, T: 20}), rtol=1e-12)

# %% [markdown]
# ## What means nothing is refused
#
# Every cell has one value, and there is an order to compute them in. The error names a cell, or a circle of cells, at
# the smallest sizes where that fails.

# %%
for equations in (
    lambda v: v.define((t + 1, i), 0.0),
    lambda v: [v.define((t, i), 0.0), v.define((0, i), 1.0)],
    lambda v: v.define((t, i), ps.select(i > 0, v[t, i - 1], 0.0) + ps.select(i < n - 1, v[t, i + 1], 0.0)),
):
    v = ps.recurrence((T + 1, n), "float64", name="v")
    equations(v)
    try:
        ps.Schedule(v)
    except ps.DefinitionError as error:
        print(error, end="\n\n")
    else:
        raise AssertionError("this means something")

# %% [markdown]
# ## Two planes
#
# Only the last plane is asked for, and each step reads the one before, so two planes are enough. One is not: a cell
# would be overwritten before its neighbour has read it.

# %%
s[u].fold_storage("t", 2)
assert isinstance(s[u].why_not("fold_storage", "t", 1), ps.LegalityError)
print(s[u].why_not("fold_storage", "t", 1))

# %% [markdown]
# ## Tiles over time need a skew
#
# Large planes go through memory once a step. Tiles that hold several steps read them once a tile; but a tile needs
# its neighbours' values, and so the tile to the right would have to come first. The error says what makes it legal:

# %%
refusal = s[u].why_not("tile", "t", "i", 8, 32)
print(refusal)
assert 'u.skew("i", 1, by="t")' in refusal.reason

# %% [markdown]
# `skew` adds a multiple of an outer counter to a loop's: the tiles lean. `suggest` finds the smallest skews that make
# all loops tilable, and what may run in parallel; `extend` carries out commands in text form, and `auto_polyhedral`
# what is suggested.

# %%
print(s.suggest())
s[u].skew("i", by="t")
s[u].skew("j", by="t")
s[u].split("t", 8)
s[u].split("i", 32)
s[u].split("j", 64)
s[u].reorder("t_o", "i_o", "j_o", "t_i", "i_i", "j_i")
s[u].vectorize("j_i")
print(s)
assert np.array_equal(s.build()(start, T=20), result)

# %% [markdown]
# In one dimension of space it can be drawn: each square is a cell `u[t, i]`, its colour is the tile that computes it,
# and arrows are needs between two tiles of the same steps. Upright tiles need each other. Leaning ones need those to
# their left alone, which come first.

# %%
figure = Figure(figsize=(10, 3.4), layout="constrained")
steps, cells = 12, 32
step, cell = np.mgrid[0:steps, 0:cells]
for axes, title, lean in zip(figure.subplots(1, 2), ("tile: refused", "skew, then tile"), (0, 1), strict=True):
    row, column = step // 4, (cell + lean * step) // 8
    axes.imshow((3 * row + 7 * column) % 10, origin="lower", cmap="Pastel1", aspect="auto", interpolation="nearest")
    for at in np.argwhere(step > 0):
        for there in (at + np.array((-1, offset)) for offset in (-1, 0, 1) if 0 <= at[1] + offset < cells):
            if row[*at] == row[*there] and column[*at] != column[*there]:
                axes.annotate("", there[::-1], at[::-1], arrowprops={"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0})
    axes.set(title=title, xlabel="i", ylabel="t")
out = Path(__file__).resolve().parent / "out"
out.mkdir(exist_ok=True)
figure.savefig(out / "time_tiles.png", dpi=100)
print("see tutorials/out/time_tiles.png")

# %% [markdown]
# ## What it is worth
#
# `recipes.time_tile` finds the skews, and gives these commands with tiles for the caches. Against steps one after the
# other, with the same vectors and the same two planes, on planes that are larger than a cache:

# %%
target = ps.Target("native", threads=1)
swept, tiled = ps.Schedule(final), ps.Schedule(final)
_, j_i = swept[u].split("j", 64)
swept[u].vectorize(j_i)
swept[u].fold_storage("t", 2)
ps.recipes.time_tile(tiled[u], target, time=16)
print(tiled.to_text())

# %% [markdown]
# On threads, the recipe cuts steps and rows into slabs that lean both ways. `partition` is the command: with the slabs
# of `t + i` and of `t - i` tiles are diamonds, half of which can start at once, with one wait before the other half.

# %%
threaded = ps.Schedule(final)
ps.recipes.time_tile(threaded[u], ps.Target("native", threads=2), time=16)
print([command for command in threaded.commands if "partition" in command or "parallel" in command])

# %%
large = np.random.default_rng(1).standard_normal((1200, 1200))
kernels = {"steps": ps.build(swept, target), "tiles over time": ps.build(tiled, target)}
assert len({kernel(large, T=16).tobytes() for kernel in kernels.values()}) == 1
for name, kernel in kernels.items():
    seconds = min(kernel.benchmark(large, T=16, min_time=0.05).samples)
    print(f"{name:16} {16 * large.size / seconds / 1e9:.2f} billion points a second")

# %% [markdown]
# ## In place, and a wavefront
#
# A sweep that reads what it has just written needs one plane. No loop of it is parallel as it stands; skewed by twice
# the step, lines of different steps are.

# %%
g = ps.recurrence((T + 1, n), "float64", name="g")
B = ps.placeholder((n,), "float64", name="B")
g[0, i] = B[i]
g[t + 1, i] = (ps.select(i > 0, g[t + 1, i - 1], 0.0) + g[t, i] + ps.select(i < n - 1, g[t, i + 1], 0.0)) / 3.0
s = ps.Schedule(g[T])
assert s.parallel_loops()["g"] == ()
line = start[0]
swept = s.build()(line, T=9)

s[g].fold_storage("t", 1)
s[g].skew("i", 2, by="t")
s[g].reorder("i", "t")
s[g].parallel("t")
print(s)
assert np.array_equal(s.build()(line, T=9), swept)

# %% [markdown]
# ## Dynamic programming
#
# The table of an edit distance: a cell needs those above, to the left, and both. Its equations are its definition,
# the border included. Cells of one diagonal do not need each other: skewed, they are the lanes of a vector.

# %%
m = ps.size_var("m", min=1)
left, right = ps.placeholder((n,), "int32", name="left"), ps.placeholder((m,), "int32", name="right")
d = ps.recurrence((n + 1, m + 1), "int32", name="d")
d[0, j] = ps.cast("int32", j)
d[i + 1, 0] = ps.cast("int32", i + 1)
d[i + 1, j + 1] = ps.minimum(ps.minimum(d[i, j + 1], d[i + 1, j]) + 1, d[i, j] + ps.cast("int32", left[i] != right[j]))
s = ps.Schedule(d)
print("as it is, threads may share:", s.parallel_loops()["d"])
s[d].skew("j", by="i")
s[d].reorder("j", "i")
_, lane = s[d].split("i", 16)
s[d].vectorize(lane)
print(s)
words = [np.frombuffer(word.encode("utf-32-le"), np.int32) for word in ("schedule", "skeletal")]
table = s.build()(*words)
print("edit distance of schedule and skeletal:", table[-1, -1])
assert table.tobytes() == ps.Schedule(d).build()(*words).tobytes()

# %% [markdown]
# ## Systems, and reductions inside
#
# Tensors may need each other, and an equation may hold a reduction with affine bounds, accumulated in the cell that
# it is for. A factorization without pivoting:

# %%
M = ps.placeholder((n, n), "float64", name="M")
L, U = (ps.recurrence((n, n), "float64", name=name) for name in "LU")
r, q = ps.reduce_axis((0, j), name="r"), ps.reduce_axis((0, i), name="q")
L[i, i] = 1.0
L.define((i, j), 0.0, where=j > i)
L.define((i, j), (M[i, j] - ps.sum(L[i, r] * U[r, j], axis=r)) / U[j, j], where=j < i)
U.define((i, j), 0.0, where=j < i)
U.define((i, j), M[i, j] - ps.sum(L[i, q] * U[q, j], axis=q), where=j >= i)
s = ps.Schedule([L, U])
print(s)
matrix = start + 100 * np.eye(100)
lower, upper = s.build()(matrix)
assert np.allclose(lower @ upper, matrix)

# %% [markdown]
# Stages that need each other share their outer loops, and a command on one of them is carried out for all that have
# the loops; `shift` alone moves one against the others. What must be shared follows from the definitions.
