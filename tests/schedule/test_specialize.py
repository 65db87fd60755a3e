"""specialize: which schedule runs is decided by the sizes of a call; all of them are one kernel, one text, one log."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import polysched as ps
from polysched.target.cache import key_of

n, m, k = ps.size_var("n"), ps.size_var("m"), ps.size_var("k")


def product() -> ps.Tensor:
    A, B = ps.placeholder((n, k), "float32", name="A"), ps.placeholder((k, m), "float32", name="B")
    r = ps.reduce_axis((0, k), name="r")
    return ps.compute((n, m), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")


def added() -> ps.Tensor:
    A = ps.placeholder((n, m), "float32", name="A")
    return ps.compute((n, m), lambda i, j: A[i, j] + 1, name="B")


def specialized() -> ps.Schedule:
    """Two conditions, of which both hold for some sizes, and copies of one name on the heap in each schedule."""
    s = ps.Schedule(product())
    few = s.specialize(n <= 4)
    few["C"].split("j", 32)
    few["C"].reorder("j_o", "r", "i", "j_i")
    few["C"].vectorize("j_i")
    few["C"].store_streaming()
    few["C"].pack("B", layout=("j/32", "r", "j%32"))
    even = s["C"].specialize("(m % 2 == 0) & (m < k)")
    even.split("j", 2)
    even.unroll("j_i")
    even.parallel("i")
    s["C"].pack("B", layout=("j", "r"))
    return s


def test_the_same_bits_whatever_is_chosen() -> None:
    s = specialized()
    kernel, default = s.build(ps.Target("native", threads=2), check=True), ps.Schedule(s.outputs).build()
    rng = np.random.default_rng(0)
    for rows, columns, terms in itertools.product((0, 1, 4, 5, 9), (1, 2, 33, 40), (0, 3, 41)):
        a, b = rng.random((rows, terms), np.float32), rng.random((terms, columns), np.float32)
        np.testing.assert_array_equal(kernel(a, b), default(a, b))


def test_what_is_chosen() -> None:
    """Which of several wrong indices is found first says which schedule ran: of two conditions that hold, the first."""
    at, X = ps.placeholder((n,), "int64", name="at"), ps.placeholder((8,), "float32", name="X")
    B = ps.compute((n,), lambda i: X[ps.checked(at[i])], name="B")
    s = ps.Schedule(B)
    s.specialize("n < 3")["B"].reverse("i")
    s.specialize("n < 5")["B"].split("i", 2)
    kernel = s.build()
    found = {}
    for size in (2, 3, 4, 6):
        with pytest.raises(ps.BoundsError) as wrong:
            kernel(np.arange(100, 100 + size), np.ones(8, np.float32))
        found[size] = str(wrong.value)
    assert "101" in found[2] and all("100" in found[size] for size in (3, 4, 6))
    np.testing.assert_array_equal(kernel(np.arange(4), np.arange(8, dtype=np.float32)), np.arange(4))


def test_as_text_and_as_values() -> None:
    s = specialized()
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert (again, hash(again), str(again), again.commands) == (s, hash(s), str(s), s.commands)
    other = ps.Schedule(s.outputs)
    other.extend(s.commands)
    assert other == s
    for command in reversed(s.commands):
        assert other.undo() == command
    assert other == ps.Schedule(s.outputs) and not other.branches and "if" not in str(other)
    copied = s.copy()
    copied.specialize(n <= 4)["C"].reverse("i")
    assert copied != s and s == again
    assert s.specialize("n<=4") == s.specialize(n <= 4) != s.specialize("(m%2==0) & (m<k)")
    assert len(s.log) == len(again.log)  # asking for a schedule that is there is no command


def test_it_begins_with_the_commands_so_far() -> None:
    s = ps.Schedule(added())
    s["B"].split("j", 8)
    few = s.specialize(n < 3)
    few["B"].vectorize("j_i")
    s["B"].parallel("i")
    assert few.commands == ('B.split("j", 8, outer="j_o", inner="j_i")', 'B.vectorize("j_i")')
    assert few["B"].loops == s["B"].loops == ("i", "j_o", "j_i")
    assert "parallel" not in str(few) and "vectorized" not in str(s).partition("else:")[2]
    s.undo()
    few.extend(['B.reorder("j_o", "i")'])
    assert few["B"].loops == ("j_o", "i", "j_i") and s["B"].loops == ("i", "j_o", "j_i")
    assert few.undo() == 'B.reorder("j_o", "i")'
    s["B"].parallel("i")
    with pytest.raises(ps.ScheduleError, match="the last command was not one for n < 3"):
        few.undo()
    assert few["B"].why_not("vectorize", "j_o") is not None and few["B"].why_not("reverse", "j_o") is None


def test_proofs_know_the_condition() -> None:
    steps = ps.size_var("steps", min=1)
    A = ps.placeholder((m,), "float32", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((steps, m), "float32", name="u")
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i] * 2
    s = ps.Schedule(u)
    s.specialize(steps <= 1)["u"].parallel("t")
    with pytest.raises(ps.LegalityError):
        s["u"].parallel("t")
    with pytest.raises(ps.LegalityError) as refusal:
        s.specialize("(steps > 4) & (m > 6)")["u"].parallel("t")
    assert refusal.value.sizes == {"steps": 5, "m": 7}
    a = np.arange(5, dtype=np.float32)
    kernel = s.build(check=True)
    for count in (1, 2, 6):
        np.testing.assert_array_equal(kernel(a, steps=count)[-1], a * 2 ** (count - 1))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (3, "takes a condition on sizes"),
        (n + 1, "is a number and no condition"),
        (n * m <= 3, r"\* in the condition .* is by an integer"),
        (n // m <= 3, "is by a positive integer"),
        ("n % 0 == 0", "is by a positive integer"),
        ("q <= 3", "q in the condition is no size; the sizes are"),
        ("n <= 3 & m > 2", "& in the condition .* is between conditions"),
        ("1 <= n <= 3", "expected one comparison"),
        ("(n <= 3", r"expected '\)'"),
        ("n <= 3)", "expected the end"),
        ("n <=", "expected a size or an integer"),
        ("", "expected a size or an integer"),
        ("n ? 3", "expected a size, an integer or an operator"),
        ("n <= 1234567890", "at most 9 digits"),
        ("(" * 300, "at most 200 characters"),
        ("(" * 100, "at most 20 others"),
        ("~n == 3", "wrong kind of operand"),
        ("n >= 0", "always holds"),
        ("n < 0", "never holds"),
        ("n <= 3", "never holds for the sizes that earlier conditions leave"),
        ("__import__('os')", "no size|expected"),
    ],
)
def test_conditions_that_are_refused(condition: object, said: str) -> None:
    s = ps.Schedule(added())
    s.specialize("n <= 4")
    before = s.copy()
    with pytest.raises(ps.ScheduleError, match=said):
        s.specialize(condition)  # type: ignore[arg-type]
    assert s == before


def test_parts_are_not_built_nor_specialized_again() -> None:
    s = ps.Schedule(added())
    few = s.specialize(n <= 4)
    for part in (few, few.copy()):
        with pytest.raises(ps.TargetError, match="for n <= 4 alone; build the schedule"):
            part.build()
        with pytest.raises(ps.ScheduleError, match="for n <= 4 is specialized already"):
            part.specialize(m <= 4)
    with pytest.raises(ps.ScheduleError, match="specialized already"):
        ps.Schedule.from_text(s.outputs, s.to_text() + 'B.specialize("n <= 4").specialize("m <= 4")\n')
    with pytest.raises(ps.ScheduleError, match=r'line 2.*no schedule for "n <= 4"'):
        ps.Schedule.from_text(s.outputs, '# polysched schedule, version 1\nB.specialize("n <= 4").reverse("i")\n')
    s.undo()
    with pytest.raises(ps.ScheduleError, match='no schedule for "n <= 4"'):
        print(few["B"].loops)


def test_every_operator_comes_back_from_its_text() -> None:
    s = ps.Schedule(added())
    conditions = [
        (n - 2 * m > 3) | (n == 7),
        ~(n % 4 != 1),
        (-n + 3 <= m // 2) & (m >= 5),
        ((n < m) & (m < 9)) | (2 * (n + m) < 5),
    ]
    for condition in conditions:
        s.specialize(condition)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert [branch.words for branch in again.branches] == [str(condition) for condition in conditions]
    assert again == s


def test_explain_is_of_what_runs() -> None:
    s = specialized()
    assert s.explain(n=3, m=40, k=9).where == "where n <= 4"
    assert [level.name for level in s.explain(n=3, m=40, k=9).nests[-1].level.all_below()][1] == "j_o"
    assert s.explain(n=7, m=8, k=9).where == "where (m % 2 == 0) & (m < k)"
    assert s.explain(n=7, m=7, k=9).where.startswith("where none of these holds: n <= 4, ")
    assert s.explain(m=7).where.startswith("where none of these holds")
    assert ps.Schedule(added()).explain().where == ""


def test_a_kernel_keeps_it_in_its_cache_key() -> None:
    C = added()
    plain, few = ps.Schedule(C), ps.Schedule(C)
    few["B"].specialize(n <= 4)
    target = ps.Target("native")
    assert key_of(plain, target) != key_of(few, target)
