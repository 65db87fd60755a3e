# %% [markdown]
# # Exporting to C
#
# A kernel becomes a directory of files that C programs use without Python, and that `ps.load` opens again without
# the definition. Where there is a C compiler, this tutorial compiles a program with the kernel and runs it.

# %%
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import polysched as ps

compiler = shutil.which("cc") or shutil.which("gcc")
place = tempfile.TemporaryDirectory()
directory = Path(place.name)

# %% [markdown]
# ## A kernel
#
# The brightness of a photograph, smoothed over three columns. The kernel needs at least one column.

# %%
n, m = ps.size_var("n"), ps.size_var("m", min=1)
photo = ps.placeholder((n, m + 2), "uint8", name="photo")
smooth = ps.compute(
    (n, m),
    lambda i, j: ps.cast(
        "uint8",
        (ps.cast("uint16", photo[i, j]) + ps.cast("uint16", photo[i, j + 1]) + ps.cast("uint16", photo[i, j + 2])) // 3,
    ),
    name="smooth",
)
s = ps.Schedule(smooth)
s[smooth].vectorize(s[smooth].split("j", 64)[1])
s[smooth].parallel("i")
kernel = ps.build(s)

# %% [markdown]
# ## Its files
#
# Everything is named for the function, `smooth`. What cannot be made here, such as a shared library where there is no C
# compiler, is listed with the reason.

# %%
exported = kernel.export(directory)
for product, path in exported.files.items():
    print(f"{product:10} {path.name:20} {path.stat().st_size:7} bytes")
print(exported.missing or "nothing is missing")

# %% [markdown]
# The header says what the function expects, and how it answers.

# %%
header = exported.files["header"].read_text()
print(header[: header.index("#ifndef")])
assert "m: at least 1" in header

# %% [markdown]
# ## A program
#
# Errors are codes, and `smooth_message` puts them into words. Arguments are checked before anything is written, so a
# wrong call does no harm.

# %%
(directory / "program.c").write_text("""
#include "smooth.h"
#include <stdio.h>

int main(void) {
    uint8_t photo[2 * 6] = {0, 30, 60, 90, 120, 150, 3, 3, 3, 9, 9, 9}, out[2 * 4];
    smooth_context context = SMOOTH_CONTEXT;
    context.threads = 2;
    int32_t code = smooth(photo, out, 2, 4, &context);
    for (int i = 0; i < 8; i++) printf("%d%c", out[i], i % 4 == 3 ? '\\n' : ' ');
    printf("%s\\n", smooth_message(code));
    printf("%s\\n", smooth_message(smooth(photo, out, 2, 0, NULL)));
    printf("%s\\n", smooth_message(smooth(photo, photo, 2, 4, NULL)));
    printf("%s\\n", smooth_message(smooth(NULL, out, 2, 4, NULL)));
    return 0;
}
""")


def run(command: str) -> str:
    """What a command prints, in the directory of the export."""
    print("$", command)
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, cwd=directory).stdout


if compiler:
    run(f"{compiler} -O2 -o program program.c libsmooth.a -lpthread")
    printed = run("./program")
    print(printed)
    assert printed.splitlines()[:2] == ["30 60 90 120", "3 5 7 9"]
    assert "smooth shares memory with photo" in printed

# %% [markdown]
# ## Checked and timed without Python
#
# The driver compares the outputs bit by bit with those of the kernel when it was exported, and times it. It prints what
# Google Benchmark prints, in JSON too.

# %%
if compiler:
    run(f"{compiler} -O2 -o bench smooth_bench.c smooth.o -lpthread")
    print(run("./bench n=480 m=640 --benchmark_min_time=0.05"))

# %% [markdown]
# ## Back to Python
#
# `ps.load` needs neither the definition nor the schedule. The kernel checks its arguments as before; files that were
# changed or cut are refused.

# %%
loaded = ps.load(directory)
image = np.random.default_rng(0).integers(0, 256, (480, 642), np.uint8)
assert loaded(image).tobytes() == kernel(image).tobytes()
try:
    loaded(image[:, :2])
except ps.ArgumentError as error:
    print(error.reason)

code = directory / "smooth.o"
code.write_bytes(code.read_bytes()[:-1])
try:
    ps.load(directory)
except ps.TargetError as error:
    print(error.reason.replace(str(directory), "..."))

# %% [markdown]
# ## Other machines
#
# Object code for other processors needs no compiler for them; a shared library does.

# %%
for target in ("x86-64-v3", "aarch64"):
    made = ps.export(s, directory / target, target)
    assembly = made.files["assembly"].read_text()
    print(f"{made.files['object'].stat().st_size} bytes for {target}; 'ymm' in it: {'ymm' in assembly}")

# %% [markdown]
# ## The cache
#
# Nothing has to be exported for the next run of a program: `ps.build` keeps machine code on the disk, and finds it
# again. A kernel that was found was linked, and not compiled.

# %%
print(ps.cache.info())
print(list(ps.build(s).timings))
place.cleanup()
