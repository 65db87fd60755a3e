# %% [markdown]
# # Symbolic sizes
#
# A size may be a number, or a symbol whose value is known when the kernel is called. Then one kernel serves all
# shapes, and what is proven about it is proven for all of them. This page shows what that gives, what it costs, and
# how to say more about a size where more is known.

# %%
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import polysched as ps

# %% [markdown]
# ## One kernel, every shape
#
# Extents are made of sizes: `n + 2` rows here. At a call, the sizes are solved from the shapes of the arrays, and
# contradictions are found before anything runs.

# %%
n, m = ps.size_var("n"), ps.size_var("m")
A = ps.placeholder((n + 2, m), "float32", name="A")
B = ps.compute((n, m), lambda i, j: (A[i, j] + A[i + 1, j] + A[i + 2, j]) / 3, name="B")
s = ps.Schedule(B)
_, j_i = s[B].split("j", 16)
s[B].vectorize(j_i)
kernel = ps.build(s)

for shape in ((5, 7), (2, 7), (300, 1000)):
    a = np.ones(shape, np.float32)
    print(shape, "->", kernel(a).shape)
for shape in ((1, 7), (5,)):
    try:
        kernel(np.ones(shape, np.float32))
    except ps.ArgumentError as error:
        print(error.reason)
    else:
        raise AssertionError("accepted")

# %% [markdown]
# A size that no array has, such as a number of steps, is given by name:

# %%
steps = ps.size_var("steps")
x = ps.placeholder((n,), "float64", name="x")
t, i = ps.axes("t i")
u = ps.recurrence((steps + 1, n), "float64", name="u")
u[0, i] = x[i]
u[t + 1, i] = 0.5 * u[t, i]
halved = ps.build(ps.Schedule(u[steps]))
print(halved(np.ones(3), steps=4))
assert halved(np.ones(3), steps=4).tolist() == [1 / 16] * 3

# %% [markdown]
# ## Proven for all sizes
#
# isl does not try sizes out; it shows that none is wrong. So a mistake at one size only is found when the definition
# is written: with `n = 1` there is no second row.

# %%
try:
    ps.compute((n, m), lambda i, j: A[i, j] - A[i + 3, j], name="D")
except ps.BoundsError as error:
    print(error.reason, end="\n\n")
else:
    raise AssertionError("accepted")

# %% [markdown]
# Whether a schedule is legal is asked for all sizes as well. Here it takes 33 columns until a tile reads its
# neighbour:

# %%
v = ps.recurrence((steps + 1, n), "float64", name="v")
v[0, i] = x[i]
v[t + 1, i] = v[t, i] + ps.select(i < n - 1, v[t, i + 1], 0.0)
refusal = ps.Schedule(v)["v"].why_not("tile", "t", "i", 8, 32)
print(refusal)
assert isinstance(refusal, ps.LegalityError)
assert refusal.sizes["n"] == 33

# %% [markdown]
# ## Promises
#
# What is known of a size can be said: `min=`, and `multiple_of=`. Proofs use it, code becomes shorter, and each call
# checks that it holds. The first row of a tensor without rows is out of bounds; with one row at least it is not.

# %%
for size in (ps.size_var("k"), ps.size_var("k", min=1)):
    rows = ps.placeholder((size, m), "float32", name="rows")
    try:
        first = ps.compute((m,), lambda j, rows=rows: rows[0, j], name="first")
    except ps.BoundsError as error:
        print(error.reason, end="\n\n")
print(ps.build(ps.Schedule(first))(np.arange(6, dtype=np.float32).reshape(2, 3)))

even = ps.size_var("even", multiple_of=16)
E = ps.placeholder((even,), "float32", name="E")
doubled = ps.compute((even,), lambda i: 2 * E[i], name="doubled")
s = ps.Schedule(doubled)
s[doubled].vectorize(s[doubled].split("i", 16)[1])
print(ps.build(s).source("loops"))
try:
    ps.build(s)(np.ones(40, np.float32))
except ps.ArgumentError as error:
    print(error.reason)

# %% [markdown]
# ## What it costs
#
# A tile of fixed size needs no bounds, and tails need masks. For symbolic sizes, full tiles are separated from the
# rest: they run in code of their own with literal bounds, as if the size were a multiple.


# %%
def product(n, m, k):
    P, Q = ps.placeholder((n, k), "float32", name="P"), ps.placeholder((k, m), "float32", name="Q")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(P[i, r] * Q[r, j], axis=r), name="C")


target = ps.Target("native", threads=1)
lanes = target.vector_bits // 32
columns = (4 if target.vector_registers >= 32 else 2) * lanes


def tiled(C):
    s = ps.Schedule(C)
    i_o, j_o, i_i, j_i = s[C].tile("i", "j", 6, columns)
    s[C].reorder(j_o, i_o, "r", i_i, j_i)
    s[C].unroll(i_i)
    s[C].vectorize(j_i)
    return s


symbolic = ps.build(tiled(product(n, m, ps.size_var("k"))), target)
loops = symbolic.source("loops-separate_full_tiles").splitlines()
print(*(line for line in loops if "for" in line), sep="\n")

# %% [markdown]
# Measured against kernels that are built for one size each, with their tails known in advance, in turns:

# %%
rng = np.random.default_rng(0)
sizes = (64, 96, 97, 127, 128, 191, 192, 250, 256)
rates = {"symbolic": [], "fixed": []}
for size in sizes:
    p, q = rng.standard_normal((2, size, size), dtype=np.float32)
    fixed = ps.build(tiled(product(size, size, size)), target)
    assert fixed(p, q).tobytes() == symbolic(p, q).tobytes()
    best = {"symbolic": np.inf, "fixed": np.inf}
    for _ in range(5):
        for name, one in {"symbolic": symbolic, "fixed": fixed}.items():
            best[name] = min(best[name], *one.benchmark(p, q, min_time=0.002).samples)
    for name, seconds in best.items():
        rates[name].append(2 * size**3 / seconds / 1e9)
    print(f"{size:4} {rates['symbolic'][-1]:7.1f} GFLOP/s symbolic, {rates['fixed'][-1]:7.1f} fixed")

figure = Figure(figsize=(7, 4), layout="constrained")
axes = figure.subplots()
for name, values in rates.items():
    axes.plot(sizes, values, "o-", label=name)
axes.set_ylim(bottom=0)
axes.set_xlabel("n = m = k")
axes.set_ylabel("GFLOP/s")
axes.legend()
out = Path(__file__).resolve().parent / "out"
out.mkdir(exist_ok=True)
figure.savefig(out / "symbolic_sizes.png", dpi=100)
print("see tutorials/out/symbolic_sizes.png")

# %% [markdown]
# What both lose at sizes that are no multiples is the tile itself: the last one does the work of a full one for a few
# rows and columns. A smaller tile loses less there, and has less reuse; which is better, only measuring says.
#
# Use symbolic sizes unless a number is part of the problem: a filter of 3 x 3, 64 channels. Loops over such axes are
# unrolled and their addresses are constants, and recipes choose tiles by them. The same schedule fits both: commands
# name loops, not sizes.

# %%
commands = tiled(product(n, m, ps.size_var("k"))).to_text()
again = ps.Schedule.from_text(product(48, 64, 300), commands)
print(again)
