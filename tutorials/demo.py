"""One definition, several schedules: a matrix product and the blur of a photograph, timed, and compared bit for bit.

Run it with `make demo`. `--markdown` prints the tables in Markdown, `--update README.md` puts them between the two
`measured` marks of that file, `--quick` runs small sizes once.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.pop("OPENBLAS_CORETYPE", None)  # the peer chooses its own code for this processor

import numpy as np
import pywt
from PIL import Image

import polysched as ps

OUT = Path(__file__).resolve().parent / "out"
TARGET = ps.Target("native")
WIDTH = 100
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


# ---------------------------------------------------------------------------------------------- the matrix product
def matmul() -> ps.Tensor:
    """The definition; it says nothing about loops, tiles, vectors or threads."""
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A = ps.placeholder((n, k), "float32", name="A")
    B = ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def register_tile() -> tuple[int, int]:
    """Rows and columns whose accumulators, one row of B and one element of A fit into the vector registers."""
    rows = 6
    return rows, (TARGET.vector_registers - 1) // (rows + 1) * TARGET.vector_bits // 32


def matmul_schedules(C: ps.Tensor) -> dict[str, ps.Schedule]:
    default = ps.Schedule(C)

    rowwise = ps.Schedule(C)
    c = rowwise[C]
    j_o, j_i = c.split("j", TARGET.vector_bits // 32)
    c.reorder("i", "r", j_o, j_i)
    c.vectorize(j_i)

    tiled = ps.Schedule(C)
    c = tiled[C]
    rows, columns = register_tile()
    i_o, j_o, i_i, j_i = c.tile("i", "j", rows, columns)
    c.reorder(j_o, i_o, "r", i_i, j_i)
    c.unroll(i_i)
    c.vectorize(j_i)

    threaded = tiled.copy()
    threaded[C].parallel(j_o, i_o)

    return {
        "default (i, j, r)": default,
        "reorder (i, r, j), vectorize": rowwise,
        f"tile {rows}x{columns}, unroll, vectorize": tiled,
        "the same, parallel": threaded,
    }


# ---------------------------------------------------------------------------------------------- the blur
def blur() -> tuple[ps.Tensor, ps.Tensor]:
    """Sums of three along rows, then of three rows, in uint16; P is the picture with a border of one pixel."""
    n, m = ps.size_var("n"), ps.size_var("m")
    P = ps.placeholder((n + 2, m + 2), "uint8", name="P")

    def three(a: Any, b: Any, c: Any) -> Any:
        return ps.cast("uint16", a) + b + c

    row = ps.compute((n + 2, m), lambda i, j: three(P[i, j], P[i, j + 1], P[i, j + 2]), name="row")
    out = ps.compute(
        (n, m), lambda i, j: ps.cast("uint8", three(row[i, j], row[i + 1, j], row[i + 2, j]) // 9), name="out"
    )
    return row, out


def blur_schedules(row: ps.Tensor, out: ps.Tensor) -> dict[str, ps.Schedule]:
    default = ps.Schedule(out)
    lanes = TARGET.vector_bits // 8

    stored = ps.Schedule(out)
    for stage in (row, out):
        _, j_i = stored[stage].split("j", lanes)
        stored[stage].vectorize(j_i)
        stored[stage].parallel("i")

    inlined = ps.Schedule(out)
    inlined[row].inline()
    _, j_i = inlined[out].split("j", lanes)
    inlined[out].vectorize(j_i)

    threaded = inlined.copy()
    threaded[out].parallel("i")

    return {
        "default (row stored, then out)": default,
        "vectorize, parallel, both stages": stored,
        "inline row, vectorize": inlined,
        "the same, parallel": threaded,
    }


def numpy_blur(picture: np.ndarray, result: np.ndarray, rows: int = 32) -> np.ndarray:
    """The blur in NumPy: in blocks of rows that stay in the cache, and without new arrays in the loop."""
    n, m = result.shape
    sums, total = np.empty((rows + 2, m), np.uint16), np.empty((rows, m), np.uint16)
    for i in range(0, n, rows):
        count = min(rows, n - i)
        block, s, t = picture[i : i + count + 2], sums[: count + 2], total[:count]
        np.add(block[:, :-2], block[:, 1:-1], out=s, dtype=np.uint16)
        np.add(s, block[:, 2:], out=s)
        np.add(s[:-2], s[1:-1], out=t)
        np.add(t, s[2:], out=t)
        np.floor_divide(t, 9, out=t)
        result[i : i + count] = t
    return result


# ---------------------------------------------------------------------------------------------- measuring
@dataclass(slots=True)
class Row:
    """One line of a table. `call` computes into memory of its own and returns it."""

    name: str
    threads: int
    call: Callable[[], np.ndarray]
    same_bits: str = "-"
    seconds: float = 0.0


def kernel_rows(schedules: dict[str, ps.Schedule], *arrays: np.ndarray) -> list[Row]:
    """A row a schedule, with its result compared with that of the first, the default schedule."""
    rows: list[Row] = []
    expected = None
    for name, schedule in schedules.items():
        kernel = schedule.build(TARGET)
        result = kernel(*arrays)
        expected = result if expected is None else expected
        same = result.tobytes() == expected.tobytes()
        threads = kernel.threads if "parallel" in schedule.to_text() else 1
        call = _call(kernel, arrays, np.empty_like(result))
        rows.append(Row(name, threads, call, "yes" if same else "NO"))
    return rows


def _call(kernel: ps.Kernel, arrays: tuple[np.ndarray, ...], result: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: kernel(*arrays, out=result)


def measure(rows: list[Row], rounds: int) -> int:
    """Medians of interleaved rounds: whatever else the machine does meets all rows alike. Returns how many rounds
    there were; a slow machine has fewer, so that the whole takes less than a minute."""
    samples: list[list[float]] = [[] for _ in rows]
    end = time.perf_counter() + 12
    while len(samples[0]) < min(rounds, 3) or (len(samples[0]) < rounds and time.perf_counter() < end):
        for row, times in zip(rows, samples, strict=True):
            calls, begin = 0, time.perf_counter()
            row.call()
            first = time.perf_counter() - begin
            if first > 0.1:
                times.append(first)
                continue
            begin = time.perf_counter()
            while (elapsed := time.perf_counter() - begin) < 0.03:
                row.call()
                calls += 1
            times.append(elapsed / calls)
    for row, times in zip(rows, samples, strict=True):
        row.seconds = statistics.median(times)
    return len(samples[0])


def openblas_threads() -> Callable[[int], object] | None:
    """How to tell NumPy's OpenBLAS the number of its threads, where NumPy comes with one."""
    package = Path(np.__file__).parent
    for library in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        for name in ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads"):
            function = getattr(ctypes.CDLL(str(library)), name, None)
            if function is not None:
                return function
    return None


def numpy_matmul_rows(a: np.ndarray, b: np.ndarray) -> list[Row]:
    """np.matmul on one thread and on as many as our kernels use."""
    result = np.empty((a.shape[0], b.shape[1]), np.float32)
    limit = openblas_threads()
    if limit is None:
        return [Row("NumPy, threads as it likes", 0, lambda: np.matmul(a, b, out=result))]

    def on(threads: int) -> Callable[[], np.ndarray]:
        def call() -> np.ndarray:
            limit(threads)
            return np.matmul(a, b, out=result)

        return call

    counts = sorted({1, TARGET.thread_count()})
    return [Row("NumPy (OpenBLAS)", threads, on(threads)) for threads in counts]


# ---------------------------------------------------------------------------------------------- tables
@dataclass(frozen=True, slots=True)
class Table:
    """Measured rows; `work` is the number of operations or pixels of one call, in billions or millions of `unit`."""

    title: str
    unit: str
    work: float
    rows: list[Row]
    note: str

    def cells(self) -> list[list[str]]:
        default = self.rows[0].seconds
        return [
            [
                row.name,
                str(row.threads or "?"),
                f"{row.seconds * 1e3:.2f} ms",
                f"{self.work / row.seconds:,.1f}" if self.unit == "GFLOP/s" else f"{self.work / row.seconds:,.0f}",
                f"{default / row.seconds:.1f}",
                f"{self._numpy(row) / row.seconds:.2f}",
                row.same_bits,
            ]
            for row in self.rows
        ]

    def _numpy(self, row: Row) -> float:
        """Seconds of the NumPy row to compare with: the fastest one on no more threads."""
        peers = [r for r in self.rows if r.name.startswith("NumPy")]
        fair = [r for r in peers if r.threads <= row.threads] or peers
        return min(r.seconds for r in fair)

    @property
    def header(self) -> list[str]:
        return ["schedule", "threads", "time", self.unit, "x default", "x NumPy", "same bits"]

    def text(self) -> str:
        lines = [self.header, *self.cells()]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.header))]
        rule = "  ".join("-" * width for width in widths)
        shown = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
        return "\n".join([*textwrap.wrap(self.title, WIDTH), "", shown[0], rule, *shown[1:], "", self.note])

    def markdown(self) -> str:
        rows = [self.header, ["---", *["---:"] * (len(self.header) - 2), ":---:"], *self.cells()]
        return "\n".join([self.title, "", *(f"| {' | '.join(row)} |" for row in rows), "", self.note])


def _aligned(cells: list[str], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if k in (0, len(cells) - 1) else cell.rjust(width)
        for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def matmul_table(size: int, rounds: int) -> tuple[Table, ps.Tensor, ps.Schedule]:
    C = matmul()
    schedules = matmul_schedules(C)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    rows = kernel_rows(schedules, a, b)
    assert np.allclose(rows[0].call(), a @ b, rtol=1e-3, atol=1e-3)
    rows += numpy_matmul_rows(a, b)
    rounds = measure(rows, rounds)
    title = f"matmul: C[i, j] = sum over r of A[i, r] * B[r, j], float32, {size} x {size} x {size}, sizes symbolic"
    note = f"Medians of {rounds} interleaved rounds. x NumPy: against NumPy on as many threads."
    return Table(title, "GFLOP/s", 2 * size**3 / 1e9, rows, note), C, list(schedules.values())[2]


def blur_table(pixels: int, rounds: int) -> tuple[Table, np.ndarray]:
    """The measured table, and the blurred photograph."""
    row, out = blur()
    schedules = blur_schedules(row, out)
    photo = pywt.data.camera()
    blurred = [schedule.build(TARGET)(np.pad(photo, 1, mode="edge")) for schedule in schedules.values()]
    assert all(np.array_equal(blurred[0], other) for other in blurred)
    tiled = np.pad(photo, [(0, max(0, pixels - extent)) for extent in photo.shape], mode="symmetric")
    large = np.pad(tiled[:pixels, :pixels], 1, mode="edge")
    rows = kernel_rows(schedules, large)
    result = np.empty((pixels, pixels), np.uint8)
    rows.append(Row("NumPy, in blocks of 32 rows", 1, lambda: numpy_blur(large, result)))
    assert np.array_equal(rows[0].call(), rows[-1].call())
    rounds = measure(rows, rounds)
    title = (
        f"3x3 box blur in two stages, uint8 by way of uint16, {pixels} x {pixels} pixels (the photograph of 512 x 512, "
        "repeated in mirror images), sizes symbolic"
    )
    note = f"Medians of {rounds} interleaved rounds. x NumPy: against NumPy on one thread; it has no more for this."
    return Table(title, "Mpixel/s", pixels**2 / 1e6, rows, note), blurred[0]


def refused(C: ps.Tensor) -> str:
    """What a user sees who asks for a schedule that would change the answer."""
    schedule = ps.Schedule(C)
    try:
        schedule[C].parallel("r")
    except ps.LegalityError as error:
        kind = f"{type(error).__module__}.{type(error).__name__}"
        message = textwrap.fill(f"{kind}: {error}", WIDTH - 4, subsequent_indent="  ")
        facts = f"error.source: {error.source}\nerror.sink:   {error.sink}\nerror.sizes:  {error.sizes}"
        return textwrap.indent(f'>>> schedule[C].parallel("r")\n{message}\n\n{facts}', "    ")
    raise AssertionError("a parallel sum in order was accepted")


def machine() -> str:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{TARGET.triple.split('-')[0]}, {TARGET.vector_bits}-bit vectors, {processors} processors"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown, and nothing else")
    parser.add_argument("--update", type=Path, help="put the tables between the `measured` marks of a Markdown file")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    size, pixels, rounds = (96, 512, 1) if options.quick else (768, 4096, 7)
    begin = time.perf_counter()
    loud = not options.markdown
    if loud:
        print(f"polysched {ps.__version__} on {machine()}\n")
    products, C, tiled = matmul_table(size, rounds)
    if loud:
        print(products.text())
        print(f"\nThe third schedule, as print(schedule) shows it:\n\n{textwrap.indent(str(tiled), '    ')}\n")
    blurs, blurred = blur_table(pixels, rounds)
    markdown = f"{products.markdown()}\n\n{blurs.markdown()}\n\nMeasured on {time.strftime('%Y-%m-%d')}: {machine()}.\n"
    if options.update:
        update(options.update, markdown)
    if not loud:
        print(markdown)
        return
    print(blurs.text())
    OUT.mkdir(exist_ok=True)
    path = OUT / "camera_blurred.png"
    Image.fromarray(blurred).save(path)
    print(f"\nThe blurred photograph (512 x 512, not enlarged): {path}")
    print(f"\nA schedule that would change the answer is refused before any code exists:\n\n{refused(C)}\n")
    print(f"{time.perf_counter() - begin:.0f} s")


def update(file: Path, markdown: str) -> None:
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{file} has no lines {BEGIN.strip()} and {END.strip()}")
    file.write_text(f"{before}{BEGIN}\n{markdown}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
