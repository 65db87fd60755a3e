"""`separate`, register tiles of what it cuts off, and recipes.factorization. Verdicts: test_verdicts.py."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

SIZES = (1, 2, 8, 9, 17, 50)


def agrees(s: ps.Schedule, name: str) -> None:
    """The bits of the default schedule."""
    example, default = EXAMPLES[name], ps.Schedule(s.outputs).build()
    kernel = s.build(check=True)
    names = [a.name for a in s.program.arguments if isinstance(a, ps.Tensor)]
    for n in SIZES:
        given = example.inputs(np.random.default_rng(n), {"N": n})
        one, two = (k(*[given[tensor] for tensor in names]) for k in (kernel, default))
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, two)), strict=True):
            assert a.tobytes() == b.tobytes(), n


@pytest.mark.parametrize(("name", "stage"), [("lu", "L"), ("cholesky", "L")])
def test_the_recipe(name: str, stage: str) -> None:
    s = ps.Schedule(EXAMPLES[name].define())
    ps.recipes.factorization(s[stage], ps.Target("x86-64-v3"), block=16)
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    agrees(s, name)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_right_hand_sides(threads: int) -> None:
    """Blocks of columns need nothing of each other: tiles are those of a matrix product, and run on threads."""
    n, m = ps.size_var("n", min=1), ps.size_var("m", min=1)
    L, B = ps.placeholder((n, n), "float64", name="L"), ps.placeholder((n, m), "float64", name="B")
    i, j = ps.axes("i j")
    r = ps.reduce_axis((0, i), name="r")
    X = ps.recurrence((n, m), "float64", name="X")
    X[i, j] = (B[i, j] - ps.sum(L[i, r] * X[r, j], axis=r)) / L[i, i]
    s, target = ps.Schedule(X), ps.Target("x86-64-v3", threads=threads)
    ps.recipes.factorization(s[X], target, block=16)
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    assert ('X_cache.parallel("j_o")' in s.commands) == (threads > 1)
    kernel, default = s.build(target, check=True), ps.Schedule(X).build("x86-64-v3")
    for rows, columns in ((1, 1), (8, 3), (16, 16), (17, 33), (50, 21)):
        random = np.random.default_rng(rows)
        given = random.standard_normal((rows, rows)) + 5 * np.eye(rows), random.standard_normal((rows, columns))
        got = kernel(*given)
        assert got.tobytes() == default(*given).tobytes(), (rows, columns)
        lower = np.tril(given[0])
        np.testing.assert_allclose(lower @ got, given[1], atol=1e-9)


def test_accumulators_stay_in_registers_beside_finished_elements() -> None:
    """The tile is stored after the loop over what it sums, although that loop reads the same buffer."""
    s = ps.Schedule(EXAMPLES["cholesky"].define())
    ps.recipes.factorization(s["L"], ps.Target("x86-64-v3"))
    lines = s.build(target="x86-64-v3").source("loops").splitlines()
    sums = [line for line in lines if line.lstrip().startswith("L_cache_tile") and "= fma(" in line]
    assert len(sums) >= 16


def test_what_is_finished_inside_the_loop_is_not_kept_in_registers() -> None:
    """In one loop over the rows of a column, later cells read earlier ones: the loads see what was stored."""
    s = ps.Schedule(EXAMPLES["triangular_solve"].define())
    s["x"].split("i", 4)
    s["x"].unroll("i_i")
    agrees(s, "triangular_solve")


def test_a_triangular_solve_in_blocks() -> None:
    s = ps.Schedule(EXAMPLES["triangular_solve"].define())
    far = s["x"].equation(0).separate("r", "i", 8)
    assert far.number == 1
    s["x"].split("i", 8)
    far.reorder("i_o", "r", "i_i")
    far.vectorize("i_i")
    assert "for r in 0..N" in str(s)
    assert "# equation 1" in str(s)
    agrees(s, "triangular_solve")


def test_cells_are_cut_and_cut_again() -> None:
    s = ps.Schedule(EXAMPLES["lu"].define())
    off = s["L"].equation(2).separate("j", "i", 8)
    far = off.separate("r", "j", 8)
    assert (off.number, far.number) == (3, 4)
    s["L"].tile("i", "j", 8, 8)
    assert far.loops == ("i_o", "j_o", "i_i", "j_i", "r")
    far.reorder("i_o", "j_o", "r", "i_i", "j_i")
    far.vectorize("j_i")
    refusal = s["L"].equation(2).why_not("parallel", "i_i")
    assert isinstance(refusal, ps.LegalityError)
    assert "L.equation(2).finish[" in str(refusal)
    agrees(s, "lu")
    while s.commands:
        s.undo()
    assert not s.program.cuts


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('L.separate("r", "j", 8)', r"separate is for one equation of a recurrence, as in s\[L\].equation\(0\)"),
        ('L.equation(2).separate("x", "j", 8)', "'x' is no axis of it; there is i, j, r"),
        ('L.equation(2).separate("r", "r", 8)', "'r' is no axis of its cells; there is i, j"),
        ('L.equation(2).separate("j", "j", 8)', "no j is in an earlier block than itself"),
        ('L.equation(2).separate("j", "i", 0)', "separate of j takes a factor that is an integer"),
        ('L.equation(3).separate("j", "i", 2)', "numbered from 0 to 2"),
    ],
)
def test_errors(command: str, said: str) -> None:
    s = ps.Schedule(EXAMPLES["lu"].define())
    with pytest.raises(ps.ScheduleError, match=said):
        s.extend(command)


def test_the_recipe_refuses_and_changes_nothing() -> None:
    said = "factorization is for recurrences over two dimensions"
    for name, stage in (("triangular_solve", "x"), ("jacobi_1d", "u")):
        s = ps.Schedule(EXAMPLES[name].define())
        with pytest.raises(ps.ScheduleError, match=said):
            ps.recipes.factorization(s[stage])
        assert s.commands == ()


INTERVALS = (1, 2, 8, 9, 31, 33, 70)


def nussinov_of_matches(size: ps.Size | int) -> ps.Tensor:
    """As Nussinov's, below the diagonal, of bases that are the same."""
    s = ps.placeholder((size,), "int32", name="s")
    i, j = ps.axes("i j")
    B = ps.recurrence((size, size), "int32", name="B")
    k = ps.reduce_axis((j, i), name="k")
    B.define((i, j), 0, where=i <= j)
    inner = ps.select(i > j + 1, B[i - 1, j + 1] + ps.cast("int32", s[i] == s[j]), 0)
    B.define((i, j), ps.max(inner, ps.max(B[k, j] + B[i, k + 1], axis=k)), where=i > j)
    return B


def matrix_chain(dtype: str, combine: str) -> ps.Tensor:
    """The least number of multiplications of a product of matrices, or what a sum instead of the minimum gives."""
    n = ps.size_var("n", min=1)
    p = ps.placeholder((n + 1,), dtype, name="p")
    i, j = ps.axes("i j")
    C = ps.recurrence((n, n), dtype, name="C")
    k = ps.reduce_axis((i, j), name="k")
    C.define((i, j), 0, where=i >= j)
    term = C[i, k] + C[k + 1, j] + p[i] * p[k + 1] * p[j + 1]
    found = ps.min(term, axis=k) if combine == "min" else ps.sum(term, axis=k) * 0.01
    C.define((i, j), 1 * found, where=i < j)
    return C


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("block", [8, 20, 32])
def test_over_intervals(target: str, block: int) -> None:
    """Sums between both dimensions: blocks between are register tiles."""
    s = ps.Schedule(EXAMPLES["nussinov"].define())
    ps.recipes.factorization(s["B"], ps.Target(target), block=block)
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s
    cut = f'B.equation(3).separate("k", "i", {block}, blocks="other")'
    assert cut in s.commands
    kernel, default = s.build(check=True), ps.Schedule(EXAMPLES["nussinov"].define()).build()
    for size in INTERVALS:
        letters = np.random.default_rng(size).integers(0, 4, size, np.int32)
        assert kernel(letters).tobytes() == default(letters).tobytes(), size


def test_over_intervals_the_other_way_round() -> None:
    n = ps.size_var("n", min=1)
    s = ps.Schedule(nussinov_of_matches(n))
    ps.recipes.factorization(s["B"], ps.Target("x86-64-v3"))
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for size in INTERVALS:
        letters = np.random.default_rng(size).integers(0, 4, size, np.int32)
        assert kernel(letters).tobytes() == default(letters).tobytes(), size


def test_over_intervals_of_literal_sizes() -> None:
    s = ps.Schedule(nussinov_of_matches(45))
    ps.recipes.factorization(s["B"], ps.Target("x86-64-v3"))
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    letters = np.random.default_rng(1).integers(0, 4, 45, np.int32)
    assert kernel(letters).tobytes() == default(letters).tobytes()


@pytest.mark.parametrize("combine", ["min", "sum"])
def test_over_intervals_of_floats(combine: str) -> None:
    """A minimum is cut at both ends; a sum, which is in order, at one, as that of a factorization."""
    s = ps.Schedule(matrix_chain("float32", combine))
    ps.recipes.factorization(s["C"], ps.Target("x86-64-v3"), block=16)
    cut = any('separate("k", "i", 16, blocks="other")' in command for command in s.commands)
    assert cut == (combine == "min")
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for size in INTERVALS:
        given = np.random.default_rng(size).random(size + 1, np.float32)
        assert kernel(given).tobytes() == default(given).tobytes(), size


def paths_between(low: int, high: int, *, below: bool) -> ps.Tensor:
    """The best way from i to j over a k that is neither, as of a triangulation; `low` and `high` are how far away."""
    n = ps.size_var("n")
    p = ps.placeholder((n, n), "int64", name="p")
    i, j = ps.axes("i j")
    C = ps.recurrence((n, n), "int64", name="C")
    first, last = (j, i) if below else (i, j)
    k = ps.reduce_axis((first + low, last + high), name="k")
    near = last < first + low - high + 1
    C.define((i, j), p[i, j], where=near)
    C.define((i, j), ps.max(C[i, k] - C[k, j], axis=k) + p[i, j], where=~near)
    return C


@pytest.mark.parametrize("target", ["x86-64", "x86-64-v4"])
@pytest.mark.parametrize(("low", "high", "below"), [(1, 0, False), (1, 0, True), (2, -1, False)])
def test_over_intervals_whose_ends_are_further_in(target: str, low: int, high: int, below: bool) -> None:
    """Also with vectors that are shorter than the few cells whose own sums are in order."""
    s = ps.Schedule(paths_between(low, high, below=below))
    ps.recipes.factorization(s["C"], ps.Target(target), block=16)
    assert any('separate("k", "i", 16, blocks="other")' in command for command in s.commands)
    kernel, default = s.build(check=True), ps.Schedule(s.outputs).build()
    for size in (0, *INTERVALS):
        given = np.random.default_rng(size).integers(-99, 99, (size, size))
        assert kernel(given).tobytes() == default(given).tobytes(), size


def test_what_is_not_cut_stays_as_it_was() -> None:
    """Statements of other equations and what they need of each other are the same objects after a cut, and so are
    those of an earlier one; of what is cut, what is left keeps its number."""
    s = ps.Schedule(EXAMPLES["lu"].define())
    before = {statement.label: statement for statement in s.program.statements}
    numbers = {label: statement.number for label, statement in before.items()}
    pairs = set(map(id, s.state.pairs))
    s["U"].equation(1).separate("q", "i", 8)
    first = {statement.label: statement for statement in s.program.statements}
    assert {label for label in before if first[label] is not before[label]} == {"U.equation(1).update"}
    assert {label: first[label].number for label in before} == numbers
    kept = [pair for pair in s.state.pairs if "U.equation(1).update" not in (pair.source.label, pair.sink.label)]
    assert any(pair.source.stage.name == "L" for pair in kept)
    others = [pair for pair in kept if pair.source.apart is None and pair.sink.apart is None]
    assert all(id(pair) in pairs for pair in others)
    s["L"].equation(2).separate("r", "j", 8)
    second = {statement.label: statement for statement in s.program.statements}
    assert {label for label in first if second[label] is not first[label]} == {"L.equation(2).update"}
