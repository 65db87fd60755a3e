# %% [markdown]
# # Several stages: compute_at, store_at, sliding windows
#
# A pipeline of stages can be computed in many orders: all of a stage before the next one, each element when it is
# needed, a tile at a time, a window that slides. They differ in what is computed twice, in how far a value travels
# before it is used, and in what can run at the same time. This page smooths a photograph in each of these ways. It
# needs the extras `demo` and `viz`, for the photograph and the pictures: `pip install 'polysched[demo,viz]'`.

# %%
from pathlib import Path

import numpy as np
import pywt
from matplotlib.figure import Figure

import polysched as ps

OUT = Path(__file__).resolve().parent / "out"
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## Two stages
#
# A smoothing filter of 3 x 3 pixels, with the weights 1, 2, 1 in both directions, is one along the rows and then one
# down the columns. `P` is the picture with a border of one pixel. The first stage is four times too bright, and has
# 16 bits for it.

# %%
n, m = ps.size_var("n"), ps.size_var("m")
P = ps.placeholder((n + 2, m + 2), "uint8", name="P")


def wide(pixel):
    return ps.cast("uint16", pixel)


rows = ps.compute((n + 2, m), lambda i, j: wide(P[i, j]) + 2 * wide(P[i, j + 1]) + wide(P[i, j + 2]), name="rows")
smooth = ps.compute(
    (n, m), lambda i, j: ps.cast("uint8", (rows[i, j] + 2 * rows[i + 1, j] + rows[i + 2, j]) // 16), name="smooth"
)

photo = pywt.data.camera()
image = np.pad(np.tile(photo, (6, 6)), 1, mode="edge")
height, width = (extent - 2 for extent in image.shape)
print(f"{height} x {width} pixels")

# %% [markdown]
# ## Whole stages
#
# By default, the first stage is computed as a whole and stored, and then the second one. Nothing is computed twice.
# But when a row of `rows` is read, a whole picture has been written since: it comes back from a cache far out, or
# from memory.

# %%
schedules = {}


def vectors(s, *stages):
    """Vectors along the rows of these stages."""
    for stage in stages:
        _, j_i = s[stage].split("j", 64)
        s[stage].vectorize(j_i)


s = ps.Schedule(smooth)
vectors(s, rows, smooth)
print(s)
schedules["whole stages"] = s

# %% [markdown]
# ## inline
#
# The other extreme stores nothing, and computes an element of `rows` wherever it is read: three times, since three
# rows of `smooth` read it.

# %%
s = ps.Schedule(smooth)
s[rows].inline()
vectors(s, smooth)
print(s)
schedules["inline"] = s

# %% [markdown]
# ## compute_at
#
# Between them, `rows` is computed in a loop of `smooth`: as much of it as one iteration of that loop needs. isl
# derives how much that is. For strips of 32 rows, it is 34 rows. The comment says what the next strip computes again.

# %%
s = ps.Schedule(smooth)
i_o, i_i = s[smooth].split("i", 32)
s[rows].compute_at(smooth, i_o)
vectors(s, rows, smooth)
print(s)
schedules["strips of 32 rows"] = s

# %% [markdown]
# `explain` counts before anything is run: `recomputation` is the number of elements that are computed for each one of
# the definition.

# %%
strips = s.explain(n=height, m=width).stages["rows"]
print(f"{strips.computed} elements are computed for {strips.needed}: {float(strips.recomputation):.3f} for each one")
assert strips.recomputation > 1

# %% [markdown]
# ## store_at: a window that slides
#
# Computed in the loop over rows, three rows of `rows` are needed for each row of `smooth`, and two of them have been
# there before. `store_at` keeps them. Where a stage is stored outside of a loop and computed inside of it, each
# iteration computes only what is new. Nothing is computed twice, and a row is used while it is in the first-level
# cache.

# %%
s = ps.Schedule(smooth)
s[rows].compute_at(smooth, "i")
vectors(s, rows, smooth)
print(f"without store_at: {float(s.explain(n=height, m=width).stages['rows'].recomputation):.3f} for each one")
s[rows].store_at()
print(s)
window = s.explain(n=height, m=width).stages["rows"]
print(f"with store_at: {float(window.recomputation):.3f} for each one")
assert window.recomputation == 1

# %% [markdown]
# The nest has the loop over one footprint, three rows; the comment beside `stored at the root` says that two of them
# are kept from one iteration to the next. In the loop IR that is a bound: three rows in the first iteration, and one
# in each of the others.

# %%
loops = ps.build(s).source("loops").splitlines()
print(*(line for line in loops if "for i" in line), sep="\n")

# %% [markdown]
# ## fold_storage
#
# All of `rows` still has memory of its own. Since three rows are alive at a time, places for three are enough, used
# in turns; for four the remainder is cheap. A fold that would overwrite what is still needed is refused.

# %%
refusal = s[rows].why_not("fold_storage", "i", 2)
print(refusal, end="\n\n")
assert isinstance(refusal, ps.LegalityError)
s[rows].fold_storage("i", 4)
print(str(s).splitlines()[2].strip())
schedules["sliding window"] = s

# %% [markdown]
# A window slides along a loop that runs in order. On threads nobody knows what is there already:

# %%
refusal = s[smooth].why_not("parallel", "i")
print(refusal, end="\n\n")
assert isinstance(refusal, ps.ScheduleError)

# %% [markdown]
# The way out is a window for each strip, and threads for strips. Two rows at the seams are computed twice.

# %%
s = ps.Schedule(smooth)
i_o, i_i = s[smooth].split("i", 128)
s[rows].compute_at(smooth, i_i)
s[rows].store_at(smooth, i_o)
s[rows].fold_storage("i", 4)
vectors(s, rows, smooth)
s[smooth].parallel(i_o)
print(s)
threaded = s

# %% [markdown]
# ## What they cost
#
# The bits are the same; the times are those of one thread of the machine that runs this. The larger the picture, the
# more it is worth that a value is used soon after it was computed.

# %%
kernels = {name: ps.build(s) for name, s in schedules.items()}
results = {name: kernel(image) for name, kernel in kernels.items()}
results["threads"] = ps.build(threaded)(image)
assert len({result.tobytes() for result in results.values()}) == 1

milliseconds, recomputed = {}, {}
for name, s in schedules.items():
    milliseconds[name] = kernels[name].benchmark(image, min_time=0.05).median * 1e3
    stages = s.explain(n=height, m=width).stages
    recomputed[name] = float(stages["rows"].recomputation) if "rows" in stages else 3.0  # inlined, for three readers
    print(f"{name:18}{milliseconds[name]:7.2f} ms, each element of rows is computed {recomputed[name]:.2f} times")

# %% [markdown]
# ## A recipe
#
# Edges are where neighbours differ: three stages now. `stencil2d` knows what to do with pipelines over images. What
# is needed of a stage in the same column stays in registers, others are computed in tiles, and tiles run on threads.
# A recipe is a function that gives the commands of this page; `print` shows them.


# %%
def slope(a, b):
    """How much two neighbouring pixels differ."""
    return ps.abs(ps.cast("int16", a) - ps.cast("int16", b))


edges = ps.compute(
    (n - 2, m - 2),
    lambda i, j: ps.saturating_cast(
        "uint8", 6 * (slope(smooth[i, j + 1], smooth[i + 2, j + 1]) + slope(smooth[i + 1, j], smooth[i + 1, j + 2]))
    ),
    name="edges",
)
s = ps.Schedule(edges)
ps.recipes.stencil2d(s[edges])
print(*s.commands, sep="\n")

# %% [markdown]
# The photograph, a part of it smoothed, and its edges:

# %%
bordered = np.pad(photo, 1, mode="edge")
smoothed, found = kernels["sliding window"](bordered), ps.build(s)(bordered)
assert found.tobytes() == ps.build(ps.Schedule(edges))(bordered).tobytes()

figure = Figure(figsize=(11, 6.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(3, 2))
part = slice(80, 180), slice(190, 290)
for axes, (title, picture) in zip(
    top.subplots(1, 4),
    {"photo": photo, "a part of it": photo[part], "smooth": smoothed[part], "edges": found}.items(),
    strict=True,
):
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()

axes = bottom.subplots()
names = list(schedules)[::-1]
bars = axes.barh(names, [milliseconds[name] for name in names], color="#4c78a8")
axes.bar_label(bars, [f" rows computed {recomputed[name]:.2f} times" for name in names])
axes.set_xlabel(f"milliseconds for {height} x {width} pixels")
axes.margins(x=0.25)
figure.savefig(OUT / "several_stages.png", dpi=100)
print("see tutorials/out/several_stages.png")
