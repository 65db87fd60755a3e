# %% [markdown]
# # A matrix product, from 1% to 90% of peak
#
# A processor core can do a certain number of multiplications and additions a second, and the loops of the definition
# reach about one percent of that. This page takes the schedule to nine tenths in a few steps, measures each of them,
# and says what was in the way. All of it is on one thread.

# %%
from pathlib import Path

from matplotlib.figure import Figure

import polysched as ps

target = ps.Target("native", threads=1)
lanes = target.vector_bits // 32
print(f"{target.vector_registers} vector registers of {lanes} float32 each")


@ps.Workload
def matmul(n=384, m=384, k=384):
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def bound(schedule, **sizes):
    """What `explain` says is in the way, before anything is run."""
    explained = schedule.explain(target, **{**matmul.sizes, **sizes})
    (nest,) = explained.nests
    cycles = ", ".join(f"{what} {count:,.0f}" for what, count in nest.roofline.cycles.items())
    print(f"bound by {nest.roofline.bound}; cycles: {cycles}")
    print(*(note for note in explained.notes if "thread" not in note), sep="\n")


# %% [markdown]
# ## Step 0: the default
#
# Each element of C is summed up on its own. An addition takes four cycles, and the next one of the same sum has to
# wait for it: the order of a float sum is part of the definition, so nobody may add two halves of it at the same
# time. `explain` calls that a chain.

# %%
default = matmul.make("default")
print(default)
bound(default)


# %% [markdown]
# ## Step 1: another order
#
# With the loop over columns innermost, each addition belongs to another sum. None waits for the one before, B is read
# along its rows, and the bits stay the same: the terms of each sum come in their order.


# %%
@matmul.schedule
def reordered(s):
    s["C"].reorder("i", "r", "j")


print(matmul.make("reordered"))
bound(matmul.make("reordered"))


# %% [markdown]
# ## Step 2: vectors
#
# Columns are independent of each other, so they can be the lanes of vectors. Each lane is a sum in its order.


# %%
@matmul.schedule
def vectors(s):
    c = s["C"]
    j_o, j_i = c.split("j", lanes)
    c.reorder("i", "r", j_o, j_i)
    c.vectorize(j_i)


bound(matmul.make("vectors"))

# %% [markdown]
# The arithmetic is no longer what takes longest. For each row of C all of B is read again, and C is read and written
# for every term of a sum. Two operations for three accesses are too few, even where all of them meet a near cache.
#
# ## Step 3: a tile in registers
#
# What is read should be used often while it is in a register. A tile of C, some rows times some vectors, stays in
# registers for the whole sum: each vector of B that is loaded is used for all rows, and each element of A for all
# columns. How large? All accumulators, one row of vectors of B and one element of A must fit into the registers.

# %%
columns = 4 if target.vector_registers >= 32 else 2  # vectors


@matmul.schedule
def tiles(s, mr=6, nr=columns * lanes):
    c = s["C"]
    i_o, j_o, i_i, j_i = c.tile("i", "j", mr, nr)
    c.reorder(j_o, i_o, "r", i_i, j_i)
    c.unroll(i_i)
    c.vectorize(j_i)


print(matmul.make("tiles"))
bound(matmul.make("tiles"))

# %% [markdown]
# ## Measured
#
# `polysched` checks that all schedules give the same bits, and measures them in turns, beside the peak of this
# machine: multiplications and additions in registers, as fast as they go.

# %%
steps = ["default", "reordered", "vectors", "tiles"]
results = matmul.benchmark(*steps, threads=[1], seconds=0.1)
print(results)
assert results.right and all(row.benchmark for row in results.rows)

# %% [markdown]
# ## How large a tile
#
# Two rows use each vector of B only twice, and keep too few additions in flight. Twelve need more accumulators than
# there are registers: some of them live in memory then, and the kernel is slower than with half as many. `explain`
# notes it (P013).

# %%
bound(matmul.make("tiles", mr=12))
sweep = matmul.benchmark("tiles", parameters={"mr": [2, 6, 12]}, threads=[1], seconds=0.04, peaks=False)
print(sweep)

# %% [markdown]
# ## Step 4: packing
#
# 384 is a kind size. With 2048 columns, the rows of B are 8192 bytes apart: the 1024 pieces of rows that a tile walks
# through fall into few sets of the caches, and into as many pages. `pack` copies them side by side before they are
# used, once for all tiles that use them. A copy changes no bit, so it is always legal.


# %%
@matmul.schedule
def packed(s, mr=6, nr=columns * lanes):
    tiles(s, mr, nr)
    panel = s["C"].pack("B", "j_o", layout=("r", "j"))
    panel.vectorize("j")


print(matmul.make("packed"))

# %% [markdown]
# Where operands are larger than the caches, there are more loops around: blocks of the sum, of the rows, of the
# columns, each so large that what is packed for it stays in one level. Goto and van de Geijn have written down which
# (2008), and `recipes.gemm` gives these commands, with sizes for the target.


# %%
@matmul.schedule
def recipe(s):
    ps.recipes.gemm(s["C"], target)


print(matmul.make("recipe").to_text())
wide = {"n": 96, "m": 2048, "k": 1024}
large = matmul.benchmark("tiles", "packed", "recipe", sizes=[wide], threads=[1], seconds=0.06, peaks=False)
print(large)
assert large.right

# %% [markdown]
# Which of these is best depends on the size: packing costs time, and what it saves is little where B fits into a
# cache. So measure your own sizes, and not one alone: [10_measuring_honestly.py](10_measuring_honestly.py) shows how.
#
# ## The way, in a picture

# %%
peak = results.peaks[1].operations["float32"] / 1e9
rates = {row.name: row.rate / 1e9 for row in results.rows}

figure = Figure(figsize=(11, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
bars = left.barh(list(rates)[::-1], list(rates.values())[::-1], color="#4c78a8")
left.bar_label(bars, [f" {100 * rate / peak:.1f}%" for rate in reversed(rates.values())])
left.axvline(peak, color="black", linewidth=1)
left.set_xlabel("GFLOP/s; the line is the measured peak")
left.margins(x=0.12)
left.set_title("384 x 384 x 384")
tiled = {row.name: row.rate / 1e9 for row in sweep.rows}
bars = right.bar(list(tiled), list(tiled.values()), color="#54a24b")
right.bar_label(bars, [f"{100 * rate / peak:.0f}%" for rate in tiled.values()])
right.axhline(peak, color="black", linewidth=1)
right.margins(y=0.12)
right.set_ylabel("GFLOP/s")
right.set_title(f"rows of a register tile, with {columns} vectors of columns")
out = Path(__file__).resolve().parent / "out"
out.mkdir(exist_ok=True)
figure.savefig(out / "matmul_steps.png", dpi=100)
print("see tutorials/out/matmul_steps.png")
