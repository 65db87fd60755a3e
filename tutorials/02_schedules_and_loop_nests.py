# %% [markdown]
# # Schedules and loop nests
#
# A schedule is a log of commands. Each one rewrites the loops of a stage, and `print` shows them. The answer
# stays the same, to the last bit: this page checks that after every step.

# %%
import numpy as np

import polysched as ps

n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
A = ps.placeholder((n, k), "float32", name="A")
B = ps.placeholder((k, m), "float32", name="B")
r = ps.reduce_axis((0, k), name="r")
C = ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")

rng = np.random.default_rng(0)
a, b = rng.standard_normal((150, 170), dtype=np.float32), rng.standard_normal((170, 130), dtype=np.float32)
expected = ps.build(ps.Schedule(C))(a, b)


def same_bits(schedule: ps.Schedule) -> bool:
    return ps.build(schedule)(a, b).tobytes() == expected.tobytes()


# %% [markdown]
# ## The default
#
# The loops of the definition, the reduction's innermost. `C[i, j] = 0` stands before the reduction's loop.

# %%
s = ps.Schedule(C)
print(s)

# %% [markdown]
# ## reorder
#
# With `r` outside `j`, the inner loop walks along rows of `B` and `C`. The initialisation follows by itself: it
# is now a loop over `j` before the loop over `r`.

# %%
c = s[C]
c.reorder("i", "r", "j")
print(s)
assert c.loops == ("i", "r", "j")
assert same_bits(s)

# %% [markdown]
# ## split and vectorize
#
# `split` returns the names of the new loops. A vectorised loop needs a literal length, any length: more lanes
# than a register has become several registers.

# %%
j_o, j_i = c.split("j", 16)
c.vectorize(j_i)
print(s)
assert (j_o, j_i) == ("j_o", "j_i")
assert same_bits(s)

# %% [markdown]
# ## A register tile
#
# Another schedule of the same definition; the first one lives on. A tile of 4 x 32 elements stays in registers
# while `r` runs: both inner loops are written out, as vectors and as copies.

# %%
tiled = ps.Schedule(C)
c = tiled[C]
i_o, j_o, i_i, j_i = c.tile("i", "j", 4, 32)
c.reorder(i_o, j_o, "r", i_i, j_i)
c.unroll(i_i)
c.vectorize(j_i)
print(tiled)
assert same_bits(tiled)
assert tiled != s

# %% [markdown]
# The loop IR after the pass `promote_accumulators` has the tile in a buffer of its own:

# %%
promoted = ps.build(tiled).source("loops-promote_accumulators")
print(promoted)
assert "register" in promoted

# %% [markdown]
# ## fuse and parallel
#
# Two loops over tiles become one loop, which is run by several threads. `parallel` with several loops does
# both.

# %%
c.parallel(i_o, j_o, name="tiles")
print(tiled)
assert same_bits(tiled)

# %% [markdown]
# ## Several stages, and inline
#
# Stages run one after the other. An inlined stage is computed where it is read, and stored nowhere.

# %%
X = ps.placeholder((n + 2,), "float32", name="X")
pairs = ps.compute((n + 1,), lambda i: X[i] + X[i + 1], name="pairs")
smooth = ps.compute((n,), lambda i: (pairs[i] + pairs[i + 1]) / 4, name="smooth")
stored = ps.Schedule(smooth)
print(stored)

inlined = stored.copy()
inlined[pairs].inline()
print(inlined)
x = rng.standard_normal(1002, dtype=np.float32)
assert ps.build(stored)(x).tobytes() == ps.build(inlined)(x).tobytes()

# %% [markdown]
# ## The log
#
# Commands can be listed, undone, copied, saved as text, and replayed on another definition with loops of these
# names. Loading a text executes nothing of it.

# %%
print(tiled.to_text())
again = ps.Schedule.from_text(C, tiled.to_text())
assert again == tiled and hash(again) == hash(tiled)

undone = again.undo()
print("undone:", undone)
assert again != tiled

P = ps.placeholder((64, k), "float64", name="P")
Q = ps.placeholder((k, 96), "float64", name="Q")
D = ps.compute((64, 96), lambda i, j: ps.sum(P[i, r] * Q[r, j], axis=r), name="C")
print(ps.Schedule.from_text(D, tiled.to_text()))

# %% [markdown]
# A step that does not hold there is named:

# %%
try:
    ps.Schedule.from_text(smooth, "# polysched schedule, version 1\nsmooth.split('i', 4)\n")
except ps.ScheduleError as error:
    print(error.reason)
try:
    ps.Schedule.from_text(smooth, '# polysched schedule, version 1\nsmooth.vectorize("i")\n')
except ps.ScheduleError as error:
    print(error)
