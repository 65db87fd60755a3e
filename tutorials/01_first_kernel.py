# %% [markdown]
# # A first kernel
#
# A computation is defined once, as mathematics, and has a meaning without any schedule. This page defines one,
# evaluates it, compiles it, and calls it. The files of this folder are plain Python in cells (`# %%`): run them
# as they are, or open them as notebooks with an editor that knows the form, or with jupytext.

# %%
import numpy as np

import polysched as ps

# %% [markdown]
# ## Define
#
# `size_var` is an extent that is known when the kernel is called. A `placeholder` is an input. `compute` takes
# a shape and a function of the axes; the names of its parameters become the names of the loops.

# %%
n, m = ps.size_var("n"), ps.size_var("m")
X = ps.placeholder((n, m), "float32", name="X")
scale = ps.scalar("scale", "float32")

Y = ps.compute((n, m), lambda i, j: scale * X[i, j] + 1, name="Y")
print(Y)

# %% [markdown]
# Nothing runs yet, but everything that can be known is checked: types, scopes, and that every access is inside
# its tensor, for all sizes.

# %%
try:
    ps.compute((n, m), lambda i, j: X[i, j + 1] - X[i, j], name="difference")
except ps.BoundsError as error:
    message = str(error)
print(message)
assert "at n=1, m=1" in message

# %% [markdown]
# At `n=1, m=1` already, `X[0, 1]` is outside. A guard makes it right: where the condition of `select` does not
# hold, the access is not needed.

# %%
difference = ps.compute((n, m), lambda i, j: ps.select(j + 1 < m, X[i, j + 1] - X[i, j], 0), name="difference")

# %% [markdown]
# ## Evaluate
#
# `evaluate` is the reference: NumPy, with no compiler in it.

# %%
x = np.arange(6, dtype=np.float32).reshape(2, 3) ** 2
print(ps.evaluate(difference, {X: x}))

# %% [markdown]
# ## Schedule, build, call
#
# A `Schedule` says how a definition is computed. Without commands it is the default: the loops of the
# definition, in its order.

# %%
s = ps.Schedule(difference)
print(s)
kernel = ps.build(s)
print(kernel(x))
assert np.array_equal(kernel(x), ps.evaluate(difference, {X: x}))

# %% [markdown]
# Sizes are read from the arrays and checked against each other, so one kernel serves every shape, empty ones
# too. `out=` gives the memory for the result; arguments may be passed by name.

# %%
result = np.empty((100, 7), np.float32)
kernel(np.ones((100, 7), np.float32), out=result)
assert not result.any()
assert kernel(np.ones((0, 7), np.float32)).shape == (0, 7)

affine = ps.build(ps.Schedule(Y))
print(affine(X=x, scale=2.0))
assert np.array_equal(affine(x, 2.0), affine(X=x, scale=2.0))

# %% [markdown]
# What does not fit is refused by name:

# %%
for wrong in (x.astype(np.float64), x.T, x[0]):
    try:
        kernel(wrong)
    except ps.ArgumentError as error:
        print(error.reason)
    else:
        raise AssertionError("accepted")

# %% [markdown]
# ## Reductions, several stages, several outputs
#
# A reduction is the whole of a definition; what is done with its result is a stage of its own. Stages are
# computed in one kernel, and only the outputs are returned.

# %%
r = ps.reduce_axis((0, m), name="r")
total = ps.compute((n,), lambda i: ps.sum(X[i, r], axis=r), name="total")
largest = ps.compute((n,), lambda i: ps.max(X[i, r], axis=r), name="largest")
share = ps.compute((n,), lambda i: largest[i] / total[i], name="share")

shares = ps.build(ps.Schedule([share, total]))
print(shares(x))
assert np.allclose(shares(x)[0], x.max(axis=1) / x.sum(axis=1))

# %% [markdown]
# ## Look inside
#
# Every step from the definition to machine code can be read, and says how long it took.

# %%
print(kernel.source("loops"))
print({stage: round(milliseconds, 2) for stage, milliseconds in kernel.timings.items()})
assert "define" in kernel.source("llvm")
assert kernel.source("asm")
