# %% [markdown]
# # Reductions and bits
#
# Floating-point addition rounds, so the order of a sum decides its last bits. Most compilers either never touch that
# order, or change it behind your back with a flag for the whole program. Here the order is a part of each definition:
# every schedule keeps it, unless the definition itself says that it is free.

# %%
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m")
A = ps.placeholder((n, m), "float32", name="A")
r = ps.reduce_axis((0, m), name="r")

# %% [markdown]
# ## Order matters
#
# Three numbers are enough: in one order the 1 is lost, in the other it is not.

# %%
total = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="total")
kernel = ps.build(ps.Schedule(total))
print(kernel(np.array([[1e8, 1, -1e8], [1e8, -1e8, 1]], np.float32)))
print(kernel.rounding)
assert kernel(np.array([[1e8, 1, -1e8], [1e8, -1e8, 1]], np.float32)).tolist() == [0, 1]

# %% [markdown]
# ## The same bits under every schedule
#
# The order of a sum is that of its terms; which sum is advanced next is open. Sixteen rows at a time, one in each
# lane, are legal, and threads over rows. No bit changes.

# %%
rng = np.random.default_rng(0)
a = rng.standard_normal((301, 1000), dtype=np.float32)
expected = kernel(a)

s = ps.Schedule(total)
i_o, i_i = s[total].split("i", 16)
s[total].reorder(i_o, "r", i_i)
s[total].vectorize(i_i)
s[total].parallel(i_o)
print(s)
assert ps.build(s)(a).tobytes() == expected.tobytes()

# %% [markdown]
# What would change the order is refused, as vectors along the row:

# %%
s = ps.Schedule(total)
s[total].split("r", 16)
print(s[total].why_not("vectorize", "r_i"))
assert isinstance(s[total].why_not("vectorize", "r_i"), ps.LegalityError)

# %% [markdown]
# ## A sum whose order is free
#
# `reassociate=True` says that any order will do. Then the lanes of a vector may have partial sums, and threads too;
# they are combined at the end, always in the same way. So a schedule gives the same bits in every run and on any
# number of threads. Other schedules give others, and the kernel says so.

# %%
free = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r, reassociate=True), name="free")
s = ps.Schedule(free)
_, r_i = s[free].split("r", 64)
s[free].vectorize(r_i)
print(s)
lanes = ps.build(s)
print(lanes.rounding)

s = ps.Schedule(free)
s[free].parallel("r")
on_threads = {ps.build(s, ps.Target("native", threads=count))(a).tobytes() for count in (1, 2, 3)}
print("bits on 1, 2 and 3 threads:", len(on_threads), "kind")
assert len(on_threads) == 1

# %% [markdown]
# Free is not worse. A sum in order adds small terms to one large number; 64 partial sums are smaller, and lose less.
# They are also faster, as no addition waits for the one before:

# %%
for name, one in {"in order": kernel, "64 partial sums": lanes}.items():
    error = np.abs(one(a) - a.sum(axis=1, dtype=np.float64)).max()
    microseconds = one.benchmark(a, min_time=0.02).median * 1e6
    print(f"{name:16} {microseconds:6.1f} us, error at most {error:.1e}")

# %% [markdown]
# How the error grows with the number of terms, for numbers between 0 and 1 (the mean of five sums):

# %%
lengths = [2**k for k in range(4, 20)]
errors = {"in order": [], "64 partial sums": []}
for length in lengths:
    x = rng.random((5, length), dtype=np.float32)
    exact = x.sum(axis=1, dtype=np.float64)
    errors["in order"].append(np.mean(np.abs(kernel(x) - exact) / exact))
    errors["64 partial sums"].append(np.mean(np.abs(lanes(x) - exact) / exact))
assert errors["64 partial sums"][-1] < errors["in order"][-1]

figure = Figure(figsize=(7, 4), layout="constrained")
axes = figure.subplots()
for name, values in errors.items():
    axes.loglog(lengths, np.maximum(values, 1e-9), "o-", label=name)
axes.axhline(2.0**-24, color="black", linewidth=1, label="rounding of float32, once")
axes.set_xlabel("terms")
axes.set_ylabel("relative error of a sum")
axes.legend()
out = Path(__file__).resolve().parent / "out"
out.mkdir(exist_ok=True)
figure.savefig(out / "rounding.png", dpi=100)
print("see tutorials/out/rounding.png")

# %% [markdown]
# ## rfactor
#
# `rfactor` makes partial results a stage of their own, which can be scheduled like any other: here one partial sum
# for each piece of a long vector, on threads, with lanes inside.

# %%
x = ps.placeholder((m,), "float32", name="x")
norm = ps.compute((), lambda: ps.sum(x[r] * x[r], axis=r, reassociate=True), name="norm")
s = ps.Schedule(norm)
r_o, _ = s[norm].split("r", 4096)
partial = s[norm].rfactor(r_o)
print(partial.loops)
_, lane = partial.split("r_i", 64)
partial.vectorize(lane)
partial.parallel(r_o)
print(s)
v = rng.standard_normal(100_000, dtype=np.float32)
assert np.isclose(ps.build(s)(v), np.sum(v.astype(np.float64) ** 2))

# %% [markdown]
# ## What is free as it is
#
# Integers wrap, so their sums have one value in every order. `min`, `max`, `any` and `all` too; with NaN among them,
# `min` and `max` are NaN, as in NumPy. `argmin` and `argmax` take the first position of several.

# %%
I = ps.placeholder((m,), "int32", name="I")
count = ps.compute((), lambda: ps.sum(I[r], axis=r), name="count")
largest = ps.compute((), lambda: ps.max(x[r], axis=r), name="largest")
where = ps.compute((), lambda: ps.argmax(x[r], axis=r), name="where")
for stage in (count, largest, where):
    s = ps.Schedule(stage)
    _, r_i = s[stage].split("r", 64)
    s[stage].vectorize(r_i)
    print(f"{stage.name}: {ps.build(s).rounding}")
    values = rng.integers(0, 9, 1000).astype(np.int32 if stage is count else np.float32)
    answer = {"count": np.sum, "largest": np.max, "where": np.argmax}[stage.name](values)
    assert ps.build(s)(values) == answer

# %% [markdown]
# ## Multiply and add
#
# A product that is added is one operation on most processors, `fma`, which rounds once instead of twice. Whether it
# is used would change bits as well, so it is decided by the definition, in each stage on its own, and not by an
# optimiser. A product in a stage of its own is rounded, even when the stage is inlined:

# %%
P, Q = (ps.placeholder((n,), "float32", name=name) for name in "PQ")
together = ps.compute((n,), lambda i: P[i] * P[i] - Q[i], name="together")
square = ps.compute((n,), lambda i: P[i] * P[i], name="square")
apart = ps.compute((n,), lambda i: square[i] - Q[i], name="apart")

p = np.float32(1 + 2**-12) * np.ones(4, np.float32)
q = p * p  # rounded
inlined = ps.Schedule(apart)
inlined[square].inline()
print("together:", ps.build(ps.Schedule(together))(p, q))
print("apart:   ", ps.build(ps.Schedule(apart))(p, q), "inlined:", ps.build(inlined)(p, q))
assert ps.build(ps.Schedule(together))(p, q)[0] == np.float32(2**-24)
assert not ps.build(inlined)(p, q).any()

# %% [markdown]
# So two kernels of one definition can be compared with `==`. A difference is a fault, and never "only rounding": that
# is how `polysched bench` checks what it measures, and how the tests of polysched find their own mistakes.
