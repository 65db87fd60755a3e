"""What random recurrences found (tests/fuzz, tests/recurrences/test_verdicts.py), each smaller than it was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.primitives import Fuse, Vectorize

from .definitions import EXAMPLES
from .oracle import violations

n = ps.size_var("n", min=1)


def test_the_reference_waits_for_reads_beside_an_empty_sum() -> None:
    """Nothing is summed for the last cell of a line; that the one before is still missing was lost with it."""
    i, j = ps.axes("i j")
    r = ps.reduce_axis((j + 1, n), name="r")
    u = ps.recurrence((n, n), "int64", name="u")
    u.define((i, j), 1, where=j < n - 1)
    u.define((i, j), ps.select(i > 0, u[i - 1, j], 5) + ps.sum(u[i, r], axis=r), where=j == n - 1)
    expected = np.array([[1, 1, 5]] * 3)
    assert np.array_equal(ps.evaluate(u, {n: 3}), expected)
    assert np.array_equal(ps.build(ps.Schedule(u))(n=3), expected)


def bits(s: ps.Schedule, *arrays: Any, **sizes: int) -> None:
    """The schedule's kernel gives what the reference says; of integers, and of floats that are exact."""
    given = dict(zip(s.program.arguments, arrays, strict=True)) | {
        size: sizes[size.name] for size in s.program.sizes if size.name in sizes
    }
    results = ps.build(s)(*arrays, **sizes)
    for result, output in zip(results if len(s.outputs) > 1 else [results], s.outputs, strict=True):
        assert np.array_equal(result, ps.evaluate(output, given))


def test_fusing_loops_that_not_all_statements_have_may_change_the_order() -> None:
    """What has no loop over r left the loop that all of them were in."""
    i, j = ps.axes("i j")
    r = ps.reduce_axis((0, n), name="r")
    u = ps.recurrence((n, n), "int64", name="u")
    u.define((i, j), ps.min(ps.select(j > 0, u[r, j - 1], 1), axis=r), where=j == i)
    u.define((i, j), ps.select(i > 0, u[i - 1, j], 1), where=j != i)
    s = ps.Schedule(u)
    refusal = s["u"].why_not("fuse", "j", "i", "r")
    assert isinstance(refusal, ps.LegalityError)
    state = Fuse(("j", "i", "r"), "f").apply(s.state, u)
    assert (refusal.source, refusal.sink) in [(a.name, b.name) for a, b in violations(state, refusal.sizes)]
    s["u"].fuse("j", "i")
    bits(s, n=5)


def test_a_fused_loop_inside_one_that_is_fused() -> None:
    i, j, k = ps.axes("i j k")
    r = ps.reduce_axis((0, i), name="r")
    u = ps.recurrence((n, n, 3), "int64", name="u")
    u[i, j, k] = 1 + ps.sum(u[r, j, k], axis=r)
    s = ps.Schedule(u)
    s["u"].reorder("i", "j", "r", "k")
    s["u"].fuse("i", "j", name="f")
    s["u"].fuse("r", "k", name="g")
    bits(s, n=4)


def test_a_vector_of_which_one_piece_is_a_single_element() -> None:
    """The last lanes of 27 are two of one line, of which one is there: not a vector of elements."""
    i, j, k = ps.axes("i j k")
    A = ps.placeholder((3, 3, 3), "int32", name="A")
    B = ps.placeholder((3, 3), "int32", name="B")
    u = ps.recurrence((3, 3, 3), "int32", name="u")
    u[i, j, 0] = A[i, j, 0]
    u[i, j, k + 1] = B[i, k]
    s = ps.Schedule(u)
    s["u"].vectorize(s["u"].fuse("i", "j", "k"))
    for target in ("native", "x86-64-v3", "x86-64-v4"):
        a, b = np.arange(27, dtype=np.int32).reshape(3, 3, 3), np.arange(9, dtype=np.int32).reshape(3, 3)
        assert np.array_equal(ps.build(s, target, check=True)(a, b), ps.evaluate(u, {A: a, B: b}))


def test_a_piece_at_a_single_element_whose_lanes_depend_on_a_size() -> None:
    i, j, k = ps.axes("i j k")
    m = ps.size_var("m")
    B = ps.placeholder((3, 3), "int32", name="B")
    u = ps.recurrence((3, 3, 3), "int32", name="u")
    u.define((i, j, 0), B[i, j], where=i + j < m)
    u.define((i, j, 0), B[j, i], where=i + j >= m)
    u[i, j, k + 1] = B[i, k]
    s = ps.Schedule(u)
    s["u"].vectorize(s["u"].fuse("i", "j", "k"))
    kernel, b = ps.build(s, check=True), np.arange(9, dtype=np.int32).reshape(3, 3)
    for size in range(6):
        assert np.array_equal(kernel(b, m=size), ps.evaluate(u, {B: b, m: size}))


def test_rfactor_of_a_recurrence_is_refused() -> None:
    i, j = ps.axes("i j")
    r = ps.reduce_axis((0, i), name="r")
    u = ps.recurrence((n, n), "int64", name="u")
    u[i, j] = ps.sum(u[r, j], axis=r)
    s = ps.Schedule(u)
    assert "is a recurrence" in str(s["u"].why_not("rfactor", "r"))


def test_a_cell_that_either_branch_writes_is_stored_after_both() -> None:
    """A register that one branch of a condition began was stored under the condition, and lost by the other branch."""
    i, j = ps.axes("i j")
    r = ps.reduce_axis((0, i), name="r")
    u, v = (ps.recurrence((n + 1, n + 1), "int64", name=name) for name in "uv")
    u.define((i, j), ps.select(j > 0, v[i, j - 1], 1), where=j <= i)
    u.define((i, j), ps.min(v[r, j], axis=r), where=j > i)
    v[0, j] = 1
    v[i + 1, j] = 2 + u[i + 1, j]
    bits(ps.Schedule(v), n=4)


def test_a_read_that_is_safe_in_one_piece_of_an_equation_may_not_be_in_another() -> None:
    """Right of the diagonal j is at least 1; left of it, the column before the first was read, and not used."""
    i, j = ps.axes("i j")
    u = ps.recurrence((n, n), "int64", name="u")
    u.define((i, j), 1, where=i == j)
    u.define((i, j), 1 + ps.select(j > 0, u[i, j - 1], 0), where=i != j)
    s = ps.Schedule(u)
    loops = s.build().source("loops")
    assert "select(j > 0, u[i, j - 1], 0)" in loops, "right of the diagonal"
    assert "select(j > 0, u[i, j - 1 if j > 0], 0)" in loops, "left of it"
    bits(s, n=4)


def test_updates_have_the_condition_of_their_init() -> None:
    """Steps of two may begin one outside, where nothing is summed; but the element was loaded and stored there."""
    (i,) = ps.axes("i")
    A = ps.placeholder((n + 1,), "int64", name="A")
    r, q = ps.reduce_axis((i + 1, n + 1), name="r"), ps.reduce_axis((i + 1, n + 1), name="q")
    v = ps.recurrence((n + 1,), "int64", name="v")
    later = ps.select(i < n, v[i + 1], 1)
    v.define((i,), later + ps.sum(A[r], axis=r), where=i % 2 == 0)
    v.define((i,), later + ps.max(v[q], axis=q), where=i % 2 == 1)
    for command in ("", 'v.parallel("r")'):
        s = ps.Schedule(v)
        s.extend(command)
        lines = s.build(check=True).source("loops").splitlines()
        depth = next(len(line) - len(line.lstrip()) for line in lines if line.strip().startswith("v_tile0 = v["))
        before = lines[: lines.index(next(x for x in lines if "v_tile0 = v[" in x))]
        around = next(line for line in reversed(before) if len(line) - len(line.lstrip()) < depth)
        assert around.strip().startswith("if "), "\n".join(lines)
        for size in (1, 2, 5, 6):
            bits(s, np.arange(size + 1), n=size)


def test_equations_of_either_parity_in_a_fused_loop() -> None:
    """isl takes steps of two, with both parities in the body; the odd columns ran beside the even ones' components."""
    i, j = ps.axes("i j")
    A = ps.placeholder((n, n), "int64", name="A")
    r, q = ps.reduce_axis((0, 2 * j), name="r"), ps.reduce_axis((0, n), name="q")
    u = ps.recurrence((n, n), "int64", name="u")
    u[i, 2 * j] = ps.select(j > 0, u[i, 2 * j - 1], 1) + ps.sum(u[i, r] * A[i, 2 * j], axis=r)
    u[i, 2 * j + 1] = ps.sum(u[q, 2 * j] * A[i, 2 * j + 1], axis=q)
    s = ps.Schedule(u)
    s[u].fuse("j", "i")
    for size in (1, 2, 4, 5):
        bits(s, np.random.default_rng(size).integers(0, 5, (size, size)))


def test_a_fold_of_a_sum_in_any_order_that_is_cut() -> None:
    """Updates that are in any order are in two statements then: their pairs were put together with those of one."""
    i, j = ps.axes("i j")
    A = ps.placeholder((n, n), "int64", name="A")
    r = ps.reduce_axis((0, n), name="r")
    u = ps.recurrence((n, n), "int64", name="u")
    u[0, j] = A[0, j]
    u[i + 1, j] = ps.max(u[i, r] + A[i + 1, r], axis=r)
    s = ps.Schedule(u[n - 1])
    s[u].equation(1).separate("r", "j", 2)
    s[u].fold_storage("i", 2)
    refusal = s[u].why_not("fold_storage", "i", 1)
    assert isinstance(refusal, ps.LegalityError)
    assert "still reads" in str(refusal)
    for size in (1, 2, 5):
        bits(s, np.random.default_rng(size).integers(0, 5, (size, size)))


def test_equations_of_either_parity_in_a_fused_loop_of_pieces() -> None:
    """Their component is a remainder by the piece, whose distance from isl's counter is no literal."""
    i, j, k = ps.axes("i j k")
    u = ps.recurrence((n, n + 1, n), "int64", name="u")
    u.define((i, j, k), i + j, where=j % 2 == 0)
    u.define((i, j, k), ps.select(i + 2 < n, u[i + 2, j, k], k), where=j % 2 == 1)
    s = ps.Schedule(u)
    s[u].tile("j", "k", 3, 2)
    s[u].fuse("j_i", "k_i", "i")
    for size in (1, 2, 3, 6, 7):
        bits(s, n=size)


def test_equations_whose_fused_loops_are_not_the_same() -> None:
    """They were compared as expressions, which have no truth value."""
    i, j = ps.axes("i j")
    A, B = ps.placeholder((n,), "int64", name="A"), ps.placeholder((n, n), "int64", name="B")
    r, q = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, n), name="q")
    u = ps.recurrence((n, n), "int64", name="u")
    before = ps.min(ps.select(2 * i >= 1, u[2 * i - 1, r], 1) * B[2 * i, j], axis=r)
    u[2 * i, j] = ps.select(j > 1, B[2 * i, j] + u[2 * i, j - 1] + before, B[2 * i, j])
    u[2 * i + 1, j] = A[j] + ps.sum(u[2 * i, q], axis=q)
    s = ps.Schedule(u)
    s[u].equation(0).partition("r", 2, name="slab")
    s[u].split("j", 2, outer="jo", inner="ji")
    assert s[u].why_not("parallel", "jo", "ji", name="both") is not None
    s[u].fuse("jo", "ji", name="both")
    bits(s, np.arange(5), np.arange(25).reshape(5, 5))


def test_cells_that_are_cut_off_have_inits_of_their_own() -> None:
    """The condition of one of the inits was also that of the updates of the other cells."""
    outputs = EXAMPLES["lu"].define()
    s = ps.Schedule(outputs)
    s["L"].tile("i", "j", 2, 2)
    s["L"].equation(2).separate("j", "i", 2)
    s["L"].skew("j_o", 1, by="i_o")
    kernel, default = s.build(check=True), ps.Schedule(outputs).build()
    for n in (1, 2, 3, 4, 7):
        given = EXAMPLES["lu"].inputs(np.random.default_rng(n), {"N": n})
        for one, two in zip(kernel(*given.values()), default(*given.values()), strict=True):
            assert one.tobytes() == two.tobytes(), n


def refused_together(s: ps.Schedule, loop: str) -> None:
    """Vectors are refused, as two instances would run at the same time, which they do by brute force, too."""
    refusal = s["u"].why_not("vectorize", loop)
    assert isinstance(refusal, ps.LegalityError) and "at the same time" in str(refusal)
    record = Vectorize(loop)
    pairs = [(a.name, b.name) for a, b in violations(record.apply(s.state, s["u"].tensor), refusal.sizes)]
    assert (refusal.source, refusal.sink) in pairs


def test_slabs_inside_a_vector_do_not_put_its_lanes_in_order() -> None:
    """Each lane is in one slab alone, so no loop is made of them; and a lane reads what the one two before computes."""
    m = ps.size_var("m", min=1)
    A, (t, i, j) = ps.placeholder((n, m), "int32", name="A"), ps.axes("t i j")
    u = ps.recurrence((3, n, m), "int32", name="u")
    u[0, i, j] = A[i, j]
    u[t + 1, i, j] = ps.select(j >= 2, u[t + 1, i, j - 2], 4) + u[t, i, j]
    s = ps.Schedule(u[2])
    s["u"].partition("j", 2, name="slab")
    s["u"].reorder("j", "i")
    s["u"].split("j", 4)
    refused_together(s, "j_i")
    bits(s, np.arange(35, dtype=np.int32).reshape(5, 7))


def test_a_diagonal_inside_a_vector_does_not_put_its_lanes_in_order() -> None:
    """Of each row one cell is on the diagonal: the loop along rows, inside the lanes, is none for this equation."""
    A, (i, j) = ps.placeholder((n,), "int32", name="A"), ps.axes("i j")
    u = ps.recurrence((n, n), "int32", name="u")
    u.define((i, j), ps.select(i > 0, u[i - 1, j - 1], 1) + A[i], where=i == j)
    u.define((i, j), 0, where=i < j)
    u.define((i, j), 2, where=i > j)
    s = ps.Schedule(u)
    s["u"].split("i", 4)
    refused_together(s, "i_i")
    bits(s, np.arange(9, dtype=np.int32))


def test_strides_inside_a_vector_do_not_put_its_lanes_in_order() -> None:
    """Every other cell of a row, beginning at the first or the second: isl counts from each lane's own begin."""
    A, (i, j) = ps.placeholder((n,), "int32", name="A"), ps.axes("i j")
    u = ps.recurrence((n, n), "int32", name="u")
    before = ps.select((i > 0) & (j > 0), u[i - 1, j - 1], 1)
    u.define((i, j), before + A[i], where=(i + j) % 2 == 0)
    u.define((i, j), before - A[i], where=(i + j) % 2 == 1)
    s = ps.Schedule(u)
    s["u"].split("i", 4)
    refused_together(s, "i_i")
    bits(s, np.arange(9, dtype=np.int32))


def test_lanes_of_two_equations_are_compared_at_the_sizes_at_which_they_need_each_other() -> None:
    """One equation is there for rows of three or more alone, and its lanes are those of the other one then."""
    m = ps.size_var("m", min=1)
    A, (i, j) = ps.placeholder((n, m), "int32", name="A"), ps.axes("i j")
    u, v = (ps.recurrence((n, m), "int32", name=name) for name in "uv")
    v[i, j] = ps.select(i > 0, u[i - 1, j], 3) + ps.select(j > 0, u[i, j - 1], A[i, j])
    u.define((i, j), A[i, j], where=m < 3)
    u.define((i, j), 2 * v[i, j] + ps.select(i > 0, v[i - 1, j], 1), where=m >= 3)
    s = ps.Schedule([u, v])
    s["u"].skew("j", 1, by="i")
    s["u"].split("i", 4)
    s["u"].vectorize("i_i")
    for shape in ((1, 1), (5, 2), (4, 3), (9, 7)):
        bits(s, np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape))


def chains(commands: str) -> ps.Schedule:
    """Chains along rows, after some commands, separated by semicolons."""
    A, (i, j) = ps.placeholder((n, n), "int32", name="A"), ps.axes("i j")
    p = ps.recurrence((n, n), "int32", name="p")
    p[i, 0] = A[i, 0]
    p[i, j + 1] = 3 * p[i, j] + A[i, j + 1]
    s = ps.Schedule(p)
    s.extend(f"p.{command}" for command in commands.split("; "))
    return s


IN_SLABS = 'partition("j-i", 2, name="slab"); split("slab", 16, outer="slabs", inner="lane")'


@pytest.mark.parametrize(
    ("before", "last"),
    [
        (f'{IN_SLABS}; split("j", 3, outer="jo", inner="ji"); unroll("ji")', 'vectorize("lane")'),
        (f'{IN_SLABS}; vectorize("lane"); split("j", 3, outer="jo", inner="ji")', 'unroll("ji")'),
    ],
)
def test_a_split_loop_inside_a_vector_does_not_order_its_lanes_as_one_loop_would(before: str, last: str) -> None:
    """Lanes are in order of one loop over j; written out in threes, they begin apart in each."""
    s = chains(before)
    with pytest.raises(ps.LegalityError, match="at the same time"):
        s.extend(f"p.{last}")
    bits(s, np.arange(81, dtype=np.int32).reshape(9, 9) % 7)


@pytest.mark.parametrize("ends", ["first=1, last=0", "first=0, last=1", "first=2, last=2"])
def test_a_peeled_loop_inside_a_vector_keeps_its_lanes_in_order(ends: str) -> None:
    """Lanes begin and end apart, and each needs what the one before has computed: no lane may begin with its own first
    iteration before the others are there."""
    A, (t, i) = ps.placeholder((n,), "int32", name="A"), ps.axes("t i")
    u = ps.recurrence((9, n), "int32", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] + ps.select(i < n - 1, 2 * u[t, i + 1], 1) - ps.select(i > 0, u[t, i - 1], 3)
    s = ps.Schedule(u)
    s["u"].skew("i", 2, by="t")
    s["u"].split("t", 4)
    s["u"].reorder("t_o", "t_i", "i")
    s.extend(['u.vectorize("t_i")', f'u.peel("i", {ends})'])
    bits(s, np.arange(13, dtype=np.int32))


def test_equations_whose_positions_in_a_fused_loop_differ_have_loops_of_their_own() -> None:
    """One equation runs through the fused loop backwards: of a counter, no one position followed."""
    example = EXAMPLES["seidel_2d"]
    s = ps.Schedule(example.define())
    s["u"].skew("j", 1, by="i")
    s["u"].fuse(*s["u"].split("j", 8), name="f")
    s["u"].equation(2).shift("i", 1)
    s["u"].equation(1).reverse("f")
    (given,) = example.inputs(np.random.default_rng(1), {"N": 7}).values()
    wanted = ps.Schedule(example.define()).build()(given, T=2)
    assert s.build()(given, T=2).tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    ("recipe", "options", "said"),
    [
        ("time_tile", {"time": 0}, r"time_tile of u takes a time= that is an integer from 1 to \d+, not 0"),
        ("time_tile", {"time": 2.5}, "time= that is an integer"),
        ("time_tile", {"space": 8}, "extents of tiles for the loops i, j of u in space=, not 8"),
        ("time_tile", {"space": (8, 0)}, "time_tile of u takes a space= that is an integer"),
        ("sweep", {"width": 0}, "sweep of u takes a width= that is an integer"),
        ("wavefront", {"diagonals": 0}, "wavefront of u takes a diagonals= that is an integer"),
        ("wavefront", {}, "wavefront is for recurrences over two dimensions, and u is none"),
        ("closure", {"block": -1}, "closure of u takes a block= that is an integer"),
        ("factorization", {"block": "8"}, "factorization of u takes a block= that is an integer"),
    ],
)
def test_recipes_refuse_numbers_that_are_none(recipe: str, options: dict[str, object], said: str) -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    with pytest.raises(ps.ScheduleError, match=said):
        getattr(ps.recipes, recipe)(s["u"], "x86-64-v3", **options)
    assert s.commands == ()


def test_the_member_of_a_system_that_is_no_factor_is_named() -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    i, j = ps.axes("i j")
    L, D = ps.recurrence((n, n), "float64", name="L"), ps.recurrence((n,), "float64", name="D")
    r, q = ps.reduce_axis((0, i), name="r"), ps.reduce_axis((0, j), name="q")
    D[i] = A[i, i] - ps.sum(L[i, r] * L[i, r] * D[r], axis=r)
    L[i, i] = 1.0
    L.define((i, j), 0.0, where=j > i)
    L.define((i, j), (A[i, j] - ps.sum(L[i, q] * L[j, q] * D[q], axis=q)) / D[j], where=j < i)
    s = ps.Schedule([L, D])
    with pytest.raises(ps.ScheduleError, match="and D, which L needs and which needs it, is none"):
        ps.recipes.factorization(s[L])


def test_commands_in_text_form_are_counted_from_the_first_line() -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    with pytest.raises(ps.ScheduleError, match=r"line 1: .*'frob' is no command"):
        s.extend("u.frob(3)")
    with pytest.raises(ps.ScheduleError, match=r"line 2: .*'frob' is no command"):
        s.extend(['u.split("i", 4, outer="a", inner="b")', "u.frob(3)"])
    with pytest.raises(ps.ScheduleError, match="commands in text form are lines of text, not 5"):
        s.extend([5])  # type: ignore[list-item]
    assert s.commands == ()


def test_articles_of_types() -> None:
    u = ps.recurrence((4,), "int32", name="u")
    (i,) = ps.axes("i")
    with pytest.raises(ps.DefinitionError, match=r"is given `.*`, an int64: convert it"):
        u[i] = i * 1 + ps.cast("int64", 3)
    with pytest.raises(ps.DefinitionError, match="cannot name an axis"):
        ps.axes("3x")
