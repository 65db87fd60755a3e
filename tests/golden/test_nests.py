"""What users read: the printed schedule, the kernel's loops, and isl's loops, for fixed definitions and schedules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import polysched as ps

TARGET = ps.Target("x86-64-v3", threads=2)
CASES: dict[str, Callable[[], ps.Schedule]] = {}


def case(make: Callable[[], ps.Schedule]) -> Callable[[], ps.Schedule]:
    CASES[make.__name__] = make
    return make


def matmul(n, m, k, dtype="float32"):
    A = ps.placeholder((n, k), dtype, name="A")
    B = ps.placeholder((k, m), dtype, name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def sizes(names: str):
    return [ps.size_var(name) for name in names.split()]


def row_sums(shape):
    A = ps.placeholder(shape, "float32", name="A")

    def row(i):
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(A[i, r], axis=r)

    return ps.compute((shape[0],), row, name="T")


@case
def blur_in_tiles():
    n, m = sizes("n m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 8, 16)
    s[C].vectorize("j_i")
    s[B].compute_at(C, "j_o")
    s[B].vectorize("j")
    return s


@case
def matmul_packed():
    s = ps.Schedule(matmul(*sizes("n m k")))
    c = s["C"]
    c.tile("i", "j", 2, 8)
    c.split("r", 32)
    c.reorder("r_o", "j_o", "i_o", "r_i", "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    b = c.pack("B", at="r_o", layout=("j/8", "r", "j%8"))
    b.vectorize(b.split("j", 8)[1])
    return s


@case
def stages_in_fused_tiles():
    """In each tile of a parallel loop over all of them: buffers are of a tile, and not of a row."""
    n = ps.size_var("n")
    A = ps.placeholder((n + 2, 20), "float32", name="A")
    B = ps.compute((n + 2, 20), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, 20), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 4, 8)
    s[C].vectorize("j_i")
    s[C].parallel("i_o", "j_o", name="p")
    s[B].compute_at(C, "p")
    s[B].vectorize("j")
    return s


@case
def exponentials_and_their_sum_in_one_loop():
    n, m = sizes("n m")
    x = ps.placeholder((n, m), "float32", name="x")
    e = ps.compute((n, m), lambda i, j: ps.exp(x[i, j]), name="e")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    total = ps.compute((n,), lambda i: ps.sum(e[i, r], axis=r, reassociate=True), name="total")
    squares = ps.compute((n,), lambda i: ps.sum(e[i, q] * e[i, q], axis=q, reassociate=True), name="squares")
    y = ps.compute((n, m), lambda i, j: e[i, j] * total[i] - squares[i], name="y")
    s = ps.Schedule(y)
    for stage, loop in ((squares, "q"), (total, "r"), (e, "j")):
        s[stage].compute_at(y, "i")
        s[stage].split(loop, 8)
    s[total].compute_with(squares, "q_i")
    s[e].compute_with(squares, "q_i")
    s[squares].vectorize("q_i")
    s[y].vectorize(s[y].split("j", 8)[1])
    return s


@case
def sums_in_one_nest():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    S = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="S")
    M = ps.compute((n,), lambda i: ps.max(A[i, q], axis=q), name="M")
    s = ps.Schedule([S, M])
    s[M].compute_with(S, "i")
    return s


@case
def transposed_storage():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    B = ps.compute((n, m), lambda i, j: A[i, j] * 2, name="B")
    s = ps.Schedule(ps.compute((m, n), lambda j, i: B[i, j] + 1, name="C"))
    s["B"].reorder_storage("j", "i")
    s["C"].store_streaming()
    return s


@case
def aligned_rows_of_a_window():
    n, m = sizes("n m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 4, 20)
    s[B].compute_at(C, "j_o")
    s[B].align_storage("j", 16, offset=8)
    return s


@case
def borders_apart():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    up = lambda i, j: ps.select(i > 0, A[i - 1, j], 0)  # noqa: E731
    C = ps.compute((n, m), lambda i, j: A[i, j] + up(i, j) + ps.select(j < m - 1, A[i, j + 1], 0), name="C")
    s = ps.Schedule(C)
    s[C].split("j", 8)
    s[C].vectorize("j_i")
    s[C].peel("i")
    s[C].peel("j_o")
    return s


@case
def rows_and_tiles_fetched_ahead():
    n, m = sizes("n m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s[C].split("j", 32)
    s[C].vectorize("j_i")
    s[C].prefetch(B, at="j_o", by="i", distance=2)
    s[B].prefetch(A, at="i")
    return s


@case
def blur_in_a_sliding_window():
    n, m = sizes("n m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s[C].split("i", 8)
    s[B].compute_at(C, "i_i")
    s[B].store_at(C, "i_o")
    s[B].fold_storage("i", 3)
    return s


@case
def three_stages_in_threads():
    n, m = sizes("n m")
    A = ps.placeholder((n + 4, m), "float32", name="A")
    B = ps.compute((n + 4, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n + 2, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    D = ps.compute((n, m), lambda i, j: C[i, j] + C[i + 2, j], name="D")
    s = ps.Schedule(D)
    s[D].split("i", 16)
    s[D].parallel("i_o")
    s[C].compute_at(D, "i_i")
    s[C].store_at(D, "i_o")
    s[B].compute_at(C, "i")
    s[B].store_at(D, "i_o")
    return s


@case
def window_of_symbolic_width():
    n, m = sizes("n m")
    A = ps.placeholder((n + m,), "float32", name="A")
    B = ps.compute((n + m,), lambda i: A[i] * 2, name="B")
    r = ps.reduce_axis((0, m), name="r")
    s = ps.Schedule(ps.compute((n,), lambda i: ps.sum(B[i + r], axis=r), name="C"))
    s["C"].split("i", 8)
    s["B"].compute_at("C", "i_i")
    s["B"].store_at("C", "i_o")
    return s


@case
def triangle_read_in_blocks():
    (n,) = sizes("n")
    B = ps.compute((n, n), lambda i, j: ps.cast("float32", i - j), name="B")

    def row(i):
        r = ps.reduce_axis((0, i + 1), name="r")
        return ps.sum(B[i, r] * B[i, i - r], axis=r)

    s = ps.Schedule(ps.compute((n,), row, name="C"))
    s["C"].split("i", 4)
    s["C"].split("r", 8)
    s["C"].reorder("i_o", "r_o", "i_i", "r_i")
    s["B"].compute_at("C", "r_o")
    return s


@case
def sums_in_two_steps():
    n, k = sizes("n k")
    A = ps.placeholder((n, k), "float32", name="A")
    r = ps.reduce_axis((0, k), name="r")
    C = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r, reassociate=True), name="C")
    s = ps.Schedule(C)
    s[C].split("r", 8)
    partial = s[C].rfactor("r_i")
    partial.compute_at(C, "i")
    partial.reorder("i", "r_o", "r_i")
    partial.vectorize("r_i")
    s[C].cache_write(at="i")
    return s


@case
def matmul_default():
    return ps.Schedule(matmul(*sizes("n m k")))


@case
def matmul_tiled_symbolic():
    s = ps.Schedule(matmul(*sizes("n m k")))
    c = s["C"]
    c.tile("i", "j", 2, 8)
    c.reorder("i_o", "j_o", "r", "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    c.parallel("i_o", "j_o")
    return s


@case
def matmul_tiled_without_tails():
    s = ps.Schedule(matmul(64, 96, 128))
    c = s["C"]
    c.split("r", 4, outer="ro", inner="ri")
    c.tile("i", "j", 2, 16)
    c.reorder("i_o", "j_o", "ro", "ri", "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    c.parallel("i_o")
    return s


@case
def matmul_promised_multiples():
    n = ps.size_var("n", min=1, multiple_of=4)
    s = ps.Schedule(matmul(n, n, n))
    s["C"].split("i", 4)
    s["C"].split("j", 3)
    return s


@case
def reduction_outermost():
    s = ps.Schedule(matmul(*sizes("n m k")))
    c = s["C"]
    c.reorder("r", "i", "j")
    c.split("j", 8)
    c.vectorize("j_i")
    return s


@case
def fuse_data_loop_with_reduction():
    s = ps.Schedule(matmul(*sizes("n m k")))
    s["C"].fuse("j", "r")
    return s


@case
def fuse_symbolic_then_split():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    s = ps.Schedule(ps.compute((n, m), lambda i, j: A[i, j] * 2 + 1, name="B"))
    b = s["B"]
    outer, _ = b.split(b.fuse("i", "j"), 100)
    b.parallel(outer)
    return s


@case
def fuse_of_pieces():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    s = ps.Schedule(ps.compute((n, m), lambda i, j: A[i, j] * 2 + 1, name="B"))
    b = s["B"]
    b.tile("i", "j", 4, 8)
    b.fuse("i_i", "j_i", name="cell")
    b.vectorize("cell")
    return s


@case
def triangle_default():
    (n,) = sizes("n")
    return ps.Schedule(row_sums((n, n)))


@case
def triangle_split_and_reversed():
    (n,) = sizes("n")
    s = ps.Schedule(row_sums((n, n)))
    t = s["T"]
    t.split("r", 4)
    t.split("i", 8)
    t.reverse("i_o")
    return s


@case
def triangle_reduction_outside():
    (n,) = sizes("n")
    s = ps.Schedule(row_sums((n, n)))
    s["T"].reorder("r", "i")
    return s


@case
def triangle_fused_to_a_box():
    (n,) = sizes("n")
    s = ps.Schedule(row_sums((n, n)))
    s["T"].fuse("i", "r")
    return s


@case
def reversed_and_split():
    (n,) = sizes("n")
    A = ps.placeholder((n,), "int32", name="A")
    s = ps.Schedule(ps.compute((n,), lambda i: A[n - 1 - i], name="B"))
    b = s["B"]
    b.reverse("i")
    b.split("i", 4)
    return s


def blur():
    h, w = sizes("h w")
    image = ps.placeholder((h + 2, w + 2), "uint16", name="image")
    across = ps.compute((h + 2, w), lambda y, x: (image[y, x] + image[y, x + 1] + image[y, x + 2]) // 3, name="across")
    return ps.compute((h, w), lambda y, x: (across[y, x] + across[y + 1, x] + across[y + 2, x]) // 3, name="blurred")


@case
def blur_two_stages():
    s = ps.Schedule(blur())
    for stage in ("across", "blurred"):
        s[stage].parallel("y")
        s[stage].split("x", 16)
        s[stage].vectorize("x_i")
    return s


@case
def blur_inlined():
    s = ps.Schedule(blur())
    s["across"].inline()
    s["blurred"].reorder("x", "y")
    return s


@case
def several_outputs():
    (n,) = sizes("n")
    A = ps.placeholder((n,), "float64", name="A")
    alpha = ps.scalar("alpha", "float64")
    doubled = ps.compute((n,), lambda i: A[i] * alpha, name="doubled")
    clipped = ps.compute((n,), lambda i: ps.max(ps.min(doubled[i], 1.0), -1.0), name="clipped")
    s = ps.Schedule([clipped, doubled])
    s["doubled"].split("i", 5)
    s["doubled"].unroll("i_i")
    return s


@case
def argmax_of_an_inlined_stage():
    n, m = sizes("n m")
    A = ps.placeholder((n, m), "float32", name="A")
    squares = ps.compute((n, m), lambda i, j: A[i, j] * A[i, j], name="squares")
    r = ps.reduce_axis((0, m), name="r")
    s = ps.Schedule(ps.compute((n,), lambda i: ps.argmax(squares[i, r], axis=r), name="best"))
    s["squares"].inline()
    return s


@case
def sum_of_all_in_any_order():
    (n,) = sizes("n")
    A = ps.placeholder((n,), "float32", name="A")
    r = ps.reduce_axis((0, n), name="r")
    s = ps.Schedule(ps.compute((), lambda: ps.sum(A[r], axis=r, reassociate=True), name="total"))
    s["total"].split("r", 8)
    s["total"].vectorize("r_i")
    return s


@case
def guard_and_gather():
    n, m = sizes("n m")
    A = ps.placeholder((n,), "float32", name="A")
    at = ps.placeholder((m,), "int32", name="at")
    s = ps.Schedule(
        ps.compute((m,), lambda i: ps.select(i > 0, A[ps.checked(at[i])] + at[i - 1], 0.0), name="picked"),
    )
    s["picked"].split("i", 4)
    return s


def jacobi(T, n):
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u.define((t + 1, i), u[t, i], where=(i == 0) | (i == n - 1))
    u.define((t + 1, i), (u[t, i - 1] + u[t, i] + u[t, i + 1]) / 3.0, where=(i > 0) & (i < n - 1))
    return u[T]


@case
def jacobi_default():
    return ps.Schedule(jacobi(*sizes("T n")))


@case
def jacobi_in_skewed_tiles():
    s = ps.Schedule(jacobi(*sizes("T n")))
    s["u"].skew("i", by="t")
    s["u"].tile("t", "i", 4, 8)
    s["u"].vectorize("i_i")
    return s


@case
def jacobi_in_diamonds():
    """The wave is outside, and tiles side by side need nothing of each other."""
    s = ps.Schedule(jacobi(*sizes("T n")))
    s["u"].partition("t+i", 8, name="wave")
    s["u"].partition("t-i", 8, name="d")
    s["u"].skew("d", by="wave")
    s["u"].reorder("d", "wave")
    s["u"].parallel("wave")
    s["u"].fold_storage("t", 2)
    return s


@case
def two_fields_shifted():
    T, n = sizes("T n")
    A, B = (ps.placeholder((n,), "float64", name=name) for name in "AB")
    t, i = ps.axes("t i")
    e, h = (ps.recurrence((T + 1, n), "float64", name=name) for name in "eh")
    e[0, i], h[0, i] = A[i], B[i]
    e[t + 1, i] = e[t, i] + ps.select(i > 0, h[t, i - 1], 0.0) - h[t, i]
    h[t + 1, i] = h[t, i] + ps.select(i < n - 1, e[t + 1, i + 1], 0.0) - e[t + 1, i]
    s = ps.Schedule([e[T], h[T]])
    s["h"].shift("i", 1)
    s["e"].skew("i", by="t")
    s["e"].tile("t", "i", 4, 8)
    return s


@case
def triangular_factor():
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float64", name="A")
    i, j = ps.axes("i j")
    L = ps.recurrence((n, n), "float64", name="L")
    r, q = ps.reduce_axis((0, j), name="r"), ps.reduce_axis((0, i), name="r")
    L.define((i, j), 0.0, where=j > i)
    L.define((i, j), (A[i, j] - ps.sum(L[i, r] * L[j, r], axis=r)) / L[j, j], where=j < i)
    L[i, i] = ps.sqrt(A[i, i] - ps.sum(L[i, q] * L[i, q], axis=q))
    return ps.Schedule(L)


@case
def triangular_solve_in_blocks():
    n = ps.size_var("n", min=1)
    L, b = ps.placeholder((n, n), "float64", name="L"), ps.placeholder((n,), "float64", name="b")
    (i,) = ps.axes("i")
    x = ps.recurrence((n,), "float64", name="x")
    r = ps.reduce_axis((0, i), name="r")
    x[i] = (b[i] - ps.sum(L[i, r] * x[r], axis=r)) / L[i, i]
    s = ps.Schedule(x)
    s[x].split("i", 8)
    far = s[x].equation(0).separate("r", "i", 8)
    far.reorder("i_o", "r", "i_i")
    return s


@case
def scores_in_fewer_bits():
    n = ps.size_var("n")
    a, b = ps.placeholder((n,), "uint8", name="a"), ps.placeholder((n,), "uint8", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, n + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    H[i + 1, j + 1] = ps.select(a[i] == b[j], H[i, j] + 1, ps.max(H[i, j + 1], H[i + 1, j]))
    s = ps.Schedule(ps.compute((n + 1,), lambda i: H[i, n], name="last"))
    s.specialize("n <= 255")[H].narrow("uint8")
    return s


@case
def shortest_paths_in_blocks():
    n = ps.size_var("n", min=1)
    W = ps.placeholder((n, n), "float32", name="W")
    k, i, j = ps.axes("k i j")
    d = ps.recurrence((n + 1, n, n), "float32", name="d")
    d[0, i, j] = W[i, j]
    d[k + 1, i, j] = ps.min(d[k, i, j], d[k, i, k] + d[k, k, j])
    s = ps.Schedule(d[n])
    s[d].equation(1).cache_operand("k", "i", name="column")
    s[d].equation(1).cache_operand("k", "j", name="row")
    s[d].split("k", 8, offset=7)
    columns = s[d].equation(1).separate("i", "k", 8, ahead=-1, blocks="other")
    far = columns.separate("j", "k", 8, ahead=-1, blocks="other")
    far.reorder("k_o", "i", "j", "k_i")
    s[d].fold_storage("k", 1)
    s["row"].fold_storage("k", 8)
    return s


@case
def few_rows_by_themselves():
    n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    s = ps.Schedule(ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C"))
    few = s.specialize((n <= 4) & (m >= 8))
    few["C"].split("j", 8)
    few["C"].reorder("j_o", "r", "i", "j_i")
    few["C"].vectorize("j_i")
    s["C"].pack(B, layout=("j", "r"))
    return s


@case
def time_tiles_that_overlap():
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0)
    s = ps.Schedule(u[T])
    blocks, steps = s[u].block_steps("t", 4)
    blocks.split("i", 64)
    blocks.parallel("i_o")
    blocks.fold_storage("t", 2)
    steps.compute_at(blocks, "i_o")
    steps.fold_storage("t_s", 2)
    steps.vectorize("i")
    return s


@pytest.mark.parametrize("name", CASES)
def test_nest(name, expect):
    schedule = CASES[name]()
    kernel = schedule.build(TARGET)
    ast = kernel.source("isl").partition("\n\n")[2]
    parts = {
        "commands": schedule.to_text(),
        "print(schedule)": str(schedule),
        'kernel.source("loops")': kernel.source("loops"),
        "isl": ast,
        "rounding": kernel.rounding,
        "warnings": "\n".join(kernel.warnings) or "none",
    }
    expect(f"{name}.txt", "\n\n".join(f"===== {title}\n{text.strip()}" for title, text in parts.items()))


def test_every_primitive_is_in_a_case():
    from polysched.schedule.primitives import REGISTRY

    log = [command for make in CASES.values() for _, command in make().log]
    used = {getattr(command, "command", command).word for command in log}  # of one equation, too
    assert used >= set(REGISTRY) - {"compute_root"}  # it is the default, and prints as nothing


def test_the_text_of_a_case_does_not_depend_on_what_was_made_before():
    make = CASES["fuse_symbolic_then_split"]
    first = make().build(TARGET).source("isl")
    for _ in range(3):
        blur()
    assert make().build(TARGET).source("isl") == first
