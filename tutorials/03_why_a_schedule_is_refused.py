# %% [markdown]
# # Why a schedule is refused
#
# isl knows, for all sizes, which instance of a statement must run before which other one. A command whose loops
# break such a pair raises `LegalityError` when it is called, with the smallest sizes and the two instances. The
# schedule stays as it was.

# %%
import numpy as np

import polysched as ps

n, m = ps.size_var("n"), ps.size_var("m")
X = ps.placeholder((n, m), "float32", name="X")
r = ps.reduce_axis((0, m), name="r")
total = ps.compute((n,), lambda i: ps.sum(X[i, r], axis=r), name="total")


def refused(command, *arguments) -> ps.LegalityError:
    try:
        command(*arguments)
    except ps.LegalityError as error:
        print(error, end="\n\n")
        return error
    raise AssertionError("this command is legal")


# %% [markdown]
# ## A sum has an order
#
# Additions of floats round, so another order gives other bits. Unless the definition says that the order is
# free, it is part of the meaning.

# %%
s = ps.Schedule(total)
error = refused(s[total].reverse, "r")

# %% [markdown]
# How to read it:
#
# - `at n=1, m=2`: the smallest sizes at which something is wrong. With one column, nothing is.
# - `total.update[i=0, r=1] before total.update[i=0, r=0]`: the two instances, in the order in which they would
#   run. A reduction has two statements, `total.init` and `total.update`.
# - `both accumulate into total[0]`: the element between them.
# - then, what would be accepted.
#
# Programs find the same in attributes:

# %%
assert error.sizes == {"n": 1, "m": 2}
assert error.source == ("total", {"i": 0, "r": 0})
assert error.sink == ("total", {"i": 0, "r": 1})
assert error.cell == ("total", (0,))
assert s.commands == ()

# %% [markdown]
# Threads do not run iterations in any order, so they are refused for the same reason, and lanes of vectors too:

# %%
refused(s[total].parallel, "r")
s[total].split("r", 8)
refused(s[total].vectorize, "r_i")

# %% [markdown]
# Splitting the reduction's loop was legal, since the order stays; moving the loop over rows inside it is legal,
# too, since rows do not depend on each other. Exchanging the two pieces of `r` is not: it would add elements 0,
# 8, 16, ... first. The smallest case has a second piece, at `m=9`.

# %%
s[total].reorder("r_o", "i", "r_i")
print(s, end="\n\n")
error = refused(s[total].reorder, "r_i", "i", "r_o")
assert error.sizes["m"] == 9

# %% [markdown]
# ## A sum whose order is free
#
# `reassociate=True` on the reduction allows all of this. Then the last bits may differ between schedules, and
# the kernel says so. Sums of integers, and `min` and `max`, are free as they are.

# %%
free = ps.compute((n,), lambda i: ps.sum(X[i, r], axis=r, reassociate=True), name="free")
s = ps.Schedule(free)
_, r_i = s[free].split("r", 16)
s[free].vectorize(r_i)
print(s, end="\n\n")
kernel = ps.build(s)
print(kernel.rounding)
x = np.random.default_rng(0).standard_normal((3, 1000), dtype=np.float32)
assert np.allclose(kernel(x), x.sum(axis=1), atol=1e-3)

# %% [markdown]
# Threads are accepted, too: each has a partial result of its own, and these are combined at the end.

# %%
s[free].parallel("r_o")
assert np.allclose(ps.build(s)(x), x.sum(axis=1), atol=1e-3)

# %% [markdown]
# ## Between stages
#
# Stages run as wholes, one after the other, so a reader always comes after what it reads; their own loops may
# be put in any order as long as no reduction is in the way.

# %%
image = ps.placeholder((n + 2, m + 2), "uint16", name="image")
rows = ps.compute((n + 2, m), lambda i, j: image[i, j] + image[i, j + 1] + image[i, j + 2], name="rows")
blurred = ps.compute((n, m), lambda i, j: (rows[i, j] + rows[i + 1, j] + rows[i + 2, j]) // 9, name="blurred")
s = ps.Schedule(blurred)
s[rows].reorder("j", "i")
s[rows].reverse("j")
s[blurred].tile("i", "j", 8, 64)
s[blurred].parallel("i_o", "j_o")
print(s)

# %% [markdown]
# ## Ask first
#
# `why_not` gives the error that a command would raise, or None, and changes nothing; `parallel_loops` lists the loops
# that threads may share.

# %%
s = ps.Schedule(total)
print(s.why_not("vectorize", "r"))
assert isinstance(s.why_not("parallel", "r"), ps.LegalityError)
assert s.why_not("parallel", "i") is None
assert s.parallel_loops() == {"total": ("i",)}
s = ps.Schedule(blurred)

# %% [markdown]
# ## Refused for other reasons
#
# `ScheduleError` is for commands that cannot be carried out as they are written; `LegalityError` and
# `BudgetError` are special cases of it. A proof has a budget, counted in operations of isl so that it is the
# same on every machine. What is not decided within it is refused.

# %%
hurried = ps.Schedule(total, budget=100)
for command, *arguments in (
    (s[blurred].split, "k", 4),
    (s[rows].vectorize, "i"),
    (s[blurred].inline,),
    (hurried[total].reorder, "r", "i"),
):
    try:
        command(*arguments)
    except ps.ScheduleError as error:
        print(f"{type(error).__name__}: {error}\n")
    else:
        raise AssertionError("accepted")
