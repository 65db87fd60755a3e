# %% [markdown]
# # How it works inside
#
# This page follows one small definition from the mathematics to machine code, and looks at everything on the way. It
# is for the curious, and for those who want to change polysched; [architecture.md](../docs/architecture.md) is the
# map. What is used here besides `polysched` itself are its own rooms, which may change from version to version.
#
# definitions → Program → Schedule → isl schedule tree → isl AST → loop IR → LLVM IR → kernel

# %%
import re

import numpy as np

import polysched as ps
from polysched.compute.expr import Read, walk
from polysched.polyhedral.order import violations
from polysched.schedule.primitives import REGISTRY

# %% [markdown]
# ## The definition: expressions
#
# A running mean over three elements, and then its row sums. Indexing a tensor makes a node of an expression; nothing
# is computed. The meaning of the whole is what `ps.evaluate` does with NumPy, without any of what follows.

# %%
n, m = ps.size_var("n"), ps.size_var("m")
A = ps.placeholder((n, m + 2), "float32", name="A")
mean = ps.compute((n, m), lambda i, j: (A[i, j] + A[i, j + 1] + A[i, j + 2]) / 3, name="mean")
r = ps.reduce_axis((0, m), name="r")
total = ps.compute((n,), lambda i: ps.sum(mean[i, r], axis=r), name="total")

body = mean.equations[0].body
print(type(body).__name__, body.dtype, "|", body)
print([str(node) for node in walk(body) if isinstance(node, Read)])
a = np.arange(12, dtype=np.float32).reshape(2, 6)
print(ps.evaluate(total, {A: a}))

# %% [markdown]
# ## The Program: statements over sets
#
# A schedule begins with the Program, in which every stage has become statements. A statement is executed once for
# each point of its domain, a set of integer points that isl can calculate with; its accesses are maps from points to
# elements. A reduction is two statements: one that sets the element to zero, and one that adds.

# %%
s = ps.Schedule(total)
for statement in s.program.statements:
    print(statement.label)
    print("  domain", statement.domain)
    print("  writes", statement.writes())

# %% [markdown]
# The domains are symbolic: `p0_n` and `p1_m` are the sizes. Names of yours are never part of a text that isl reads,
# only numbered ones; a name that looks like isl's syntax does no harm.
#
# ## Requirements: what must come first
#
# From accesses alone follows which instance must run before which: what is read must have been written. These
# relations are exact, and hold for all sizes. Everything else may be done in any order; this is all the freedom that
# schedules have.

# %%
for pair in s.state.pairs:
    print(f"{pair.kind}: {pair.source.label} before {pair.sink.label}")
    print("  ", pair.relation)

# %% [markdown]
# ## The schedule: a loop tree
#
# Commands are small records. Each one rewrites the loops of a stage, and the loops are written as functions of the
# statements' axes: after `split("r", 4)` they are `r // 4` and `r % 4`, and nothing else has changed.

# %%
s[total].split("r", 4)
for nest in s.state.nests.values():
    print(nest.stage.name, [(loop.name, str(loop.value)) for loop in nest.loops])
print("the log:", *s.commands)
print("commands:", *REGISTRY)

# %% [markdown]
# ## The proof
#
# A command is legal if no required pair runs in the wrong order. The order of the tree is compared loop by loop, and
# what is left over is a set of pairs, the violations. That it is empty is the proof, for all sizes at once.
# Exchanging `r_o` and `r_i` adds the elements of a row in another order. The set is not empty then, and its smallest
# element, sizes first, is the witness that the error shows.

# %%
(accumulate,) = (pair for pair in s.state.pairs if pair.kind == "accumulate")
print("as it is: ", violations(s.tree(), accumulate).reversed)

unproven = REGISTRY["reorder"](("r_i", "r_o")).apply(s.state, total)  # a record alone proves nothing
print("exchanged:", violations(unproven.tree(), accumulate).reversed)
print(s[total].why_not("reorder", "r_i", "r_o").reason)
assert violations(s.tree(), accumulate).reversed.is_empty()
assert not violations(unproven.tree(), accumulate).reversed.is_empty()

# %% [markdown]
# ## isl makes loops of it
#
# The tree becomes an isl schedule tree, and isl generates the loops: their bounds, and conditions where they are
# needed. Marks (`// L2_i`) tell which loop of the tree each one is. Here the mean is computed in the loop over rows.

# %%
s = ps.Schedule(total)
s[mean].compute_at(total, "i")
s[mean].split("j", 8)
s[mean].vectorize("j_i")
kernel = ps.build(s, "x86-64-v3", cache=False)
print(s)
schedule, _, ast = kernel.source("isl").partition("\n\n")
print(f"a schedule tree of {len(schedule)} characters, and its loops:\n{ast}")

# %% [markdown]
# ## Loop IR, pass by pass
#
# What isl derived is translated to loop IR: loops, stores, and the expressions of the definition. Then small passes
# rewrite it, each of them a function in a file of its own. `kernel.timings` lists them with their milliseconds, and
# every one of them can be looked at: `source("loops-PASS")`.

# %%
before = None
for stage, milliseconds in kernel.timings.items():
    try:
        text = kernel.source(f"loops-{stage}")
    except ps.PolyschedError:
        print(f"{stage:24} {milliseconds:7.2f} ms")
        continue
    changed = "" if before is None else "no change" if text == before else "changed the loops"
    print(f"{stage:24} {milliseconds:7.2f} ms  {changed}")
    before = text

# %% [markdown]
# `vectorize` turns the loop over lanes into a ramp of eight indices, and `separate_full_tiles` has made two loops
# before: one for whole vectors, and one whose loads and stores have a mask.

# %%
print(kernel.source("loops-hoist_allocations"), end="\n\n")
print(kernel.source("loops"))

# %% [markdown]
# ## LLVM IR, and machine code
#
# The code generator writes LLVM IR as text: one function, whose arguments do not alias, without any flag that would
# allow LLVM to change floating-point results. LLVM's own vectoriser and unroller are switched off, since the schedule
# has decided that; what LLVM does is to choose registers and instructions.

# %%
llvm = kernel.source("llvm-raw")
print(*[line for line in llvm.splitlines() if "<8 x float>" in line][:6], sep="\n")
assembly = kernel.source("asm")
print(*[line for line in assembly.splitlines() if re.search(r"\bv(add|div|mov|maskmov)\w+.*ymm", line)][:6], sep="\n")
assert "fast" not in re.findall(r"f(?:add|mul|div) (\w+)", llvm)

# %% [markdown]
# The same schedule for another kind of processor is the same up to loop IR, where vectors are cut to registers:

# %%
other = ps.build(s, "aarch64").source("asm")
print(*[line for line in other.splitlines() if re.search(r"\bf(add|div)\s+v", line)][:4], sep="\n")

# %% [markdown]
# ## The kernel, and the cache
#
# The object code is linked into the process, with an entry that Python calls directly: it checks the arguments
# (shapes, types, strides, overlaps), lets go of Python's lock, and calls. A second build of the same definition,
# schedule and target finds the code on the disk: what is left is to link it.

# %%
native = ps.build(s)
print(native(a), native.rounding)
assert native(a).tobytes() == ps.evaluate(total, {A: a}).tobytes()
again = ps.build(s)
print({stage: round(milliseconds, 2) for stage, milliseconds in again.timings.items()})

# %% [markdown]
# ## Where to read on
#
# Every file begins with what it holds. A primitive is one file in `sched/schedule/primitives`, a pass one in
# `sched/lower`; `sched/lower/pipeline.py` reads like a table of contents. The tests do to all of this what this page
# did to one example: `tests/oracle` compares verdicts with brute force over small sizes, `tests/fuzz` compares random
# schedules bit for bit, and `tests/mutants` checks that faults are noticed.
