# %% [markdown]
# # Measuring honestly
#
# A kernel is as fast as a measurement says, and a measurement is only as good as what it guards against: wrong
# results, cold starts, other programs, and the wish to see an improvement. This tutorial goes from timing one kernel
# to a report on a family of schedules.

# %%
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import polysched as ps

# %% [markdown]
# ## One kernel
#
# `kernel.benchmark` calls a kernel until there are enough samples. The median says how long a call takes, the interval
# how well that is known: with a probability of 95% it holds the true median, whatever the distribution of the samples.

# %%
n = ps.size_var("n")
A = ps.placeholder((n,), "float32", name="A")
B = ps.compute((n,), lambda i: ps.sqrt(A[i]) + 1, name="B")
s = ps.Schedule(B)
s[B].split("i", 16)
s[B].vectorize("i_i")
a = np.random.default_rng(0).random(1 << 16, dtype=np.float32)

timed = ps.build(s).benchmark(a, min_time=0.05)
print(timed)
low, high = timed.interval
print(f"95% interval: {low * 1e6:.2f} to {high * 1e6:.2f} us of {len(timed.samples)} samples, noisy: {timed.noisy}")
assert low <= timed.median <= high

# %% [markdown]
# ## A workload
#
# To compare schedules, put a definition into a `Workload`: a function of its sizes, whose defaults are the sizes that
# are measured. Schedules are functions with tunable parameters.


# %%
@ps.Workload
def product(n=160, m=160, k=160):
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


@product.reference
def reference(A, B):
    return A @ B


@product.schedule
def blocked(s, mr=4, nr=32):
    i_o, j_o, i_i, j_i = s["C"].tile("i", "j", mr, nr)
    s["C"].reorder(j_o, i_o, "r", i_i, j_i)
    s["C"].unroll(i_i)
    s["C"].vectorize(j_i)


@product.schedule
def backwards(s):
    s["C"].reverse("r")


print(product, "has the schedules", *product.recipes)

# %% [markdown]
# What the work is, isl counts on the definition: two operations a multiply-add, and each element of the matrices once.

# %%
print(product.work())
assert product.work().flops == 2 * 160**3
assert product.work().bytes == 4 * 3 * 160**2

# %% [markdown]
# `benchmark` builds all schedules, compares every result bit for bit with the default schedule's, and measures them in
# turns, so that a busy machine is busy for all of them. A schedule that is refused is a row that says why. `~` marks
# medians that are not known well; measure longer (`seconds=`) before you believe them.

# %%
results = product.benchmark(peers=["numpy"], threads=[1], seconds=0.1)
print(results)
rows = {row.name: row for row in results.rows}
assert rows["blocked"].checked.words == "same bits"
assert "LegalityError" in rows["backwards"].failure
assert results.right

# %% [markdown]
# ## How good is that?
#
# Speed-up over a slow schedule says little. The machine's limits say more: they are measured with kernels of
# polysched's own, multiply-adds in registers and reads from each level of the memory.

# %%
peaks = results.peaks[1]
print({dtype: f"{rate / 1e9:.0f} GFLOP/s" for dtype, rate in peaks.operations.items()})
print({level: f"{rate / 1e9:.0f} GB/s" for level, rate in peaks.bandwidth.items()})
roof, level = results.roof(rows["blocked"])
print(f"at {product.work().intensity:.0f} operations a byte from {level}, the roof is {roof / 1e9:.0f} GFLOP/s")
assert set(peaks.bandwidth) == {"L1", "L2", "L3", "memory"}

# %% [markdown]
# ## Sweeps
#
# Parameters and sizes take lists, and every combination is measured. A cold start is a measurement of its own: with
# `caches=["cold"]`, the caches are overwritten before each call.

# %%
sweep = product.benchmark(
    "blocked",
    parameters={"mr": [2, 4], "nr": [32]},
    sizes=[{"n": 97}, {"n": 160}],
    caches=["warm", "cold"],
    threads=[1],
    seconds=0.01,
    peaks=False,
)
best = min((row for row in sweep.rows if row.cache == "warm"), key=lambda row: row.benchmark.median)
print(f"{len(sweep.rows)} rows; the shortest call is {best.title}")
assert len(sweep.rows) == 2 * 2 * 2

# %% [markdown]
# ## From a shell
#
# The same workload in a file is what `polysched` takes. Its commands have an exit status for scripts: 1 means no.

# %%
directory = Path(tempfile.mkdtemp())
file = Path(__file__).resolve().parents[1] / "benchmarks" / "workloads" / "matmul.py"


def shell(*arguments, status=0):
    """Run a command of polysched, and show it."""
    print("$ polysched", *(Path(a).name if a.startswith("/") else a for a in arguments))
    command = [sys.executable, "-m", "polysched", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == status, done.stderr
    print(done.stdout.replace(str(file), file.name))
    return done.stdout


shell("check", f"{file}:blocked", "--text")
shell("show", f"{file}:rows", "--diff", "tile4x32")
bench = ["bench", str(file), "--size", "n=m=k=128", "--schedule", "rows,blocked", "--time", "0.05", "--no-peaks"]
shell(*bench, "--json", str(directory / "before.json"), "--html", str(directory / "report.html"))

# %% [markdown]
# The JSON is in Google Benchmark's format. It has all that is needed to produce the result again: the schedule's text,
# the machine, the versions.

# %%
context = json.loads((directory / "before.json").read_text(encoding="utf-8"))["context"]
print(context["schedules"]["blocked"]["text"])
print({name: context["versions"][name] for name in ("polysched", "llvm")})
assert (directory / "report.html").stat().st_size > 10_000

# %% [markdown]
# `polysched compare` asks whether two runs differ: the ratio of the medians with its interval, and a verdict. Its
# status is 1 when something has become slower, which here is made up: all times are multiplied by 100.

# %%
document = json.loads((directory / "before.json").read_text(encoding="utf-8"))
for entry in document["benchmarks"]:
    entry["real_time"] *= 100
(directory / "after.json").write_text(json.dumps(document), encoding="utf-8")
shell("compare", str(directory / "before.json"), str(directory / "before.json"))
shell("compare", str(directory / "before.json"), str(directory / "after.json"), status=1)

# %% [markdown]
# ## What to remember
#
# - Compare what was measured in one run, in turns; numbers of different days are of different machines.
# - Look at the interval before the ratio, and at the share of the roofline before the speed-up.
# - Keep the JSON: a number without its schedule, machine and versions is a rumour.
