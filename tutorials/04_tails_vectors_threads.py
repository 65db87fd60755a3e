# %% [markdown]
# # Tails, vectors, threads
#
# Factors need not divide sizes, vectors may be longer than registers, and loops run on as many threads as there
# are processors. None of it changes a bit.

# %%
import numpy as np

import polysched as ps

target = ps.Target("native")
print(target)
print(f"{target.vector_registers} vector registers of {target.vector_bits} bits, {target.thread_count()} threads")
lanes = target.vector_bits // 32

# %% [markdown]
# ## Tails
#
# A loop of 250 iterations split by 16 has 15 full pieces and a piece of 10. The code for full pieces has no
# bounds in it; the last piece runs with masked loads and stores.

# %%
n = ps.size_var("n")
A = ps.placeholder((n,), "float32", name="A")
B = ps.placeholder((n,), "float32", name="B")
norm = ps.compute((n,), lambda i: ps.sqrt(A[i] * A[i] + B[i] * B[i]), name="norm")

s = ps.Schedule(norm)
i_o, i_i = s[norm].split("i", lanes)
s[norm].vectorize(i_i)
kernel = ps.build(s)
print(kernel.source("loops-separate_full_tiles"))

# %% [markdown]
# After the pass `vectorize` the loop is gone, and its variable has become a ramp of indices. The second loop
# has the mask.

# %%
vectors = kernel.source("loops-vectorize")
print(vectors)
assert f"ramp(0, {lanes})" in vectors

# %%
default = ps.build(ps.Schedule(norm))
rng = np.random.default_rng(0)
for size in (0, 1, lanes - 1, lanes, lanes + 1, 250, 10_007):
    a, b = rng.standard_normal((2, size), dtype=np.float32)
    assert kernel(a, b).tobytes() == default(a, b).tobytes()

# %% [markdown]
# If the sizes are known to be multiples, say so, and there is no tail. The promise is checked at every call.

# %%
even = ps.size_var("even", multiple_of=16)
E = ps.placeholder((even,), "float32", name="E")
twice = ps.compute((even,), lambda i: E[i] + E[i], name="twice")
s = ps.Schedule(twice)
s[twice].split("i", 16)
s[twice].vectorize("i_i")
kernel = ps.build(s)
print(kernel.source("loops"))
assert kernel(np.ones(32, np.float32)).sum() == 64
try:
    kernel(np.ones(33, np.float32))
except ps.ArgumentError as error:
    print(error.reason)
else:
    raise AssertionError("accepted")

# %% [markdown]
# ## What has no vector form says so
#
# A vector loop over something that has to be done lane by lane gives the right answer, and a numbered warning.

# %%
m = ps.size_var("m")
M = ps.placeholder((n, m), "float32", name="M")
K, L = (ps.placeholder((n,), "int64", name=name) for name in "KL")
ratios = ps.compute((n,), lambda i: K[i] // L[i], name="ratios")
column = ps.compute((n, m), lambda i, j: 2 * M[i, j], name="column")

s = ps.Schedule(ratios)
s[ratios].split("i", lanes)
s[ratios].vectorize("i_i")
without_avx512 = ps.build(s, ps.Target("x86-64-v3"))
print(*without_avx512.warnings, sep="\n")
assert any(warning.startswith("P004") for warning in without_avx512.warnings)

s = ps.Schedule(column)
s[column].split("i", lanes)
s[column].vectorize("i_i")
print(*ps.build(s).warnings, sep="\n")
assert {warning[:4] for warning in ps.build(s).warnings} >= {"P002", "P003"}

# %% [markdown]
# ## Threads
#
# The number of threads is the target's if it has one (`Target("native", threads=4)`), else
# `POLYSCHED_NUM_THREADS`, else the processors that the calling thread may run on. A triangle shows that
# iterations need not be equally long: they are handed out in ranges.


# %%
def up_to(i):
    r = ps.reduce_axis((0, i + 1), name="r")
    return ps.sum(A[r], axis=r)


prefix = ps.compute((n,), up_to, name="prefix")
s = ps.Schedule(prefix)
s[prefix].parallel("i")
print(s)
a = rng.standard_normal(5000, dtype=np.float32)
results = [ps.build(s, ps.Target("native", threads=threads))(a).tobytes() for threads in (1, 2, 3)]
assert results[0] == results[1] == results[2]
assert np.allclose(np.frombuffer(results[0], np.float32), np.cumsum(a, dtype=np.float64), atol=1e-2)

# %% [markdown]
# ## Together
#
# A matrix product: as many accumulators as fit into the registers, beside one row of `B` and one element of
# `A`.

# %%
k = ps.size_var("k")
P, Q = ps.placeholder((n, k), "float32", name="P"), ps.placeholder((k, m), "float32", name="Q")
r = ps.reduce_axis((0, k), name="r")
product = ps.compute((n, m), lambda i, j: ps.sum(P[i, r] * Q[r, j], axis=r), name="product")

rows = 6
columns = (target.vector_registers - 1) // (rows + 1) * lanes
s = ps.Schedule(product)
i_o, j_o, i_i, j_i = s[product].tile("i", "j", rows, columns)
s[product].reorder(j_o, i_o, "r", i_i, j_i)
s[product].unroll(i_i)
s[product].vectorize(j_i)
print(s)

threaded = s.copy()
threaded[product].parallel(j_o, i_o)
kernels = {"default": ps.build(ps.Schedule(product)), "tiled": ps.build(s), "threaded": ps.build(threaded)}
for size in (250, 256):
    p, q = rng.standard_normal((2, size, size), dtype=np.float32)
    for name, kernel in kernels.items():
        seconds = kernel.benchmark(p, q, min_time=0.05).median
        print(f"{size}^3 {name:10} {2 * size**3 / seconds / 1e9:7.1f} GFLOP/s")
    assert len({kernel(p, q).tobytes() for kernel in kernels.values()}) == 1

# %% [markdown]
# The same source for another processor: the kernel cannot be called here, but read.

# %%
assembly = ps.build(s, "aarch64").source("asm")
print(*[line for line in assembly.splitlines() if "fmla" in line][:5], sep="\n")
assert "fmla" in assembly
