"""What is not proven again: only commands after which everything runs in the order that it had."""

from __future__ import annotations

import pytest

import polysched as ps
from polysched.polyhedral.kept_order import all_runs_alike, runs_alike, without_skew
from polysched.polyhedral.tree import Sequence, Tree
from polysched.schedule.text import HEADER, parse_schedule


def two_fields() -> ps.Schedule:
    T, n = ps.size_var("T"), ps.size_var("n", min=2)
    A, B = (ps.placeholder((n, 8), "float64", name=name) for name in "AB")
    t, i, j = ps.axes("t i j")
    e, h = (ps.recurrence((T + 1, n, 8), "float64", name=name) for name in "eh")
    e[0, i, j], h[0, i, j] = A[i, j], B[i, j]
    e[t + 1, i, j] = e[t, i, j] + ps.select(i > 0, h[t, i - 1, j], 0.0) - h[t, i, j]
    h[t + 1, i, j] = h[t, i, j] + ps.select(i < n - 1, e[t + 1, i + 1, j], 0.0) - e[t + 1, i, j]
    return ps.Schedule([e[T], h[T]])


def anew(s: ps.Schedule, text: str) -> set[str]:
    """The statements that a command runs in another order, as far as that is known without a proof."""
    ((_, name, command),) = parse_schedule(f"{HEADER}\n{text}")
    stage = s[name].tensor
    state = command.apply(s.state, stage)
    of = frozenset(x.number for member in (stage, *state.companions(stage)) for x in s.program.of_stage(member))
    root = command.taken_back(state.tree(), of)
    before = None if root is None else Tree(root, state.tree().fused)
    assert before is not None
    pairs = [p for p in state.pairs if not runs_alike(s.tree(), before, p.source, p.sink)]
    assert all_runs_alike(s.tree().root, before.root) == (not pairs)
    return {statement.label for pair in pairs for statement in (pair.source, pair.sink)}


def after(given: tuple[str, ...], text: str) -> set[str]:
    s = two_fields()
    s.extend(given)
    return anew(s, text)


TOGETHER = (
    'h.shift("i", 1)',
    'e.skew("i", 1, by="t")',
    'e.tile("t", "i", 4, 4, outers=("t_o", "i_o"), inners=("t_i", "i_i"))',
)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ((), 'e.split("i", 4, outer="io", inner="ii")'),
        ((), 'e.split("t", 3, outer="to", inner="ti")'),
        ((), 'e.skew("j", -2, by="i")'),
        ((), 'h.shift("i", 1)'),
        (TOGETHER, 'e.skew("j", 1, by="i_i")'),
        (TOGETHER, 'e.split("i_i", 2, outer="io", inner="ii")'),
    ],
)
def test_the_order_stays(given: tuple[str, ...], command: str) -> None:
    assert not after(given, command)


@pytest.mark.parametrize(
    "command",
    ['h.shift("i_o", 1)', 'e.reverse("i_o")', 'e.reorder("i_o", "t_o")', 'h.reverse("j")', 'e.reorder("j", "i_i")'],
)
def test_the_order_may_be_another(command: str) -> None:
    assert after(TOGETHER, command)


def test_marks_are_proven_for_what_is_in_their_loops() -> None:
    of_h = after((), 'h.vectorize("j")')
    assert of_h and all(label.startswith("h") for label in of_h)
    assert after((), 'e.parallel("t")')
    assert not after((*TOGETHER, 'e.split("j", 4, outer="jo", inner="ji")'), 'e.unroll("ji")')


def sums() -> ps.Schedule:
    n, m, k = (ps.size_var(name) for name in "nmk")
    A = ps.placeholder((n, m, k), "float32", name="A")
    r = ps.reduce_axis((0, k), name="r")
    return ps.Schedule(ps.compute((n, m), lambda i, j: ps.sum(A[i, j, r], axis=r), name="C"))


@pytest.mark.parametrize(
    ("given", "command", "labels"),
    [
        ((), 'C.fuse("i", "j", name="p")', set()),
        (('C.fuse("i", "j", name="p")',), 'C.split("p", 5, outer="po", inner="pi")', set()),
        # the init is before all sums then, and runs where only it did before; the sums run as they did
        ((), 'C.fuse("i", "j", "r", name="p")', {"C.init", "C.update"}),
    ],
)
def test_positions_run_as_their_components(given: tuple[str, ...], command: str, labels: set[str]) -> None:
    s = sums()
    s.extend(given)
    assert anew(s, command) == labels


FUSED = ('C.fuse("i", "j", name="p")', 'C.split("p", 4, outer="po", inner="pi")')


@pytest.mark.parametrize("given", [FUSED, ('C.fuse("i", "j", "r", name="p")', FUSED[1])])
def test_pieces_of_a_position_can_be_fused(given: tuple[str, ...]) -> None:
    """Nothing is known of a position but its components, so that sums in order could not be proven anew."""
    s = sums()
    s.extend(given)
    s["C"].fuse("po", "pi")


def test_what_is_skewed_by_lanes_is_proven() -> None:
    s = two_fields()
    s["e"].reorder("j", "i")
    of_e = frozenset(statement.number for statement in s.program.of_stage(s["e"].tensor))
    assert without_skew(s.tree().root, "i", 1, "j", of_e) is not None
    s["e"].vectorize("j")
    assert without_skew(s.tree().root, "i", 1, "j", of_e) is None


def test_what_comes_first_is_part_of_the_order() -> None:
    s = two_fields()
    tree, ends = s.tree(), [s.program.of_stage(s[name].tensor)[-1] for name in ("e", "e_T")]
    assert isinstance(tree.root, Sequence)
    other = Tree(Sequence(tree.root.children[::-1]))
    assert runs_alike(tree, tree, *ends) and not runs_alike(tree, other, *ends)


def test_cells_of_what_shares_the_loops_are_proven() -> None:
    """Backwards, h[t + 1, i + 1] would be written over h[t, i + 1] before that is read; no value is needed earlier."""
    T, n = ps.size_var("T"), ps.size_var("n", min=2)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    e, h = (ps.recurrence((T + 1, n), "float64", name=name) for name in "eh")
    e[0, i], h[0, i] = A[i], A[i]
    e[t + 1, i] = e[t, i] + h[t, i]
    h[t + 1, i] = h[t, i] + ps.select(i < n - 1, h[t, i + 1], 0.0) - e[t, i]
    s = ps.Schedule([e[T], h[T]])
    s["e"].reverse("i")
    s.undo()
    s["h"].fold_storage("t", 1)
    with pytest.raises(ps.LegalityError, match="into the cell"):
        s["e"].reverse("i")
