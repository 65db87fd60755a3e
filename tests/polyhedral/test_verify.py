"""The verifiers of the Program and the loop tree: right ones pass, and each broken rule is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

import polysched as ps
from polysched.polyhedral.program import Statement
from polysched.polyhedral.tree import Leaf, LoopNode, Sequence, loops_of
from polysched.polyhedral.verify import verify_program, verify_tree


@pytest.fixture
def schedule() -> ps.Schedule:
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n, m), "float32", name="A")
    r = ps.reduce_axis((0, m), name="r")
    B = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="B")
    C = ps.compute((n,), lambda i: ps.sum(B[i, r], axis=r), name="C")
    s = ps.Schedule(C)
    s[B].split(s[B].fuse("i", "j"), 8)
    return s


def test_what_schedules_make_keeps_the_rules(schedule: ps.Schedule) -> None:
    verify_program(schedule.program)
    verify_tree(schedule.program, schedule.tree())


def test_a_reader_before_its_writer(schedule: ps.Schedule) -> None:
    program = schedule.program
    backwards = replace(program, definitions=replace(program.definitions, stages=program.stages[::-1]))
    with pytest.raises(AssertionError, match="reads B, which is computed later"):
        verify_program(backwards)


def test_statements_out_of_order(schedule: ps.Schedule) -> None:
    program = schedule.program
    with pytest.raises(AssertionError, match="has the number"):
        verify_program(replace(program, statements=program.statements[::-1]))


def test_an_axis_that_the_statement_does_not_have(schedule: ps.Schedule) -> None:
    program = schedule.program
    first, *rest = program.statements
    other = rest[-1].axes[-1]
    wrong = replace(first, value=first.value + ps.cast("float32", other))
    with pytest.raises(AssertionError, match="B uses the axis r"):
        verify_program(replace(program, statements=(wrong, *rest)))


def test_an_inlined_output(schedule: ps.Schedule) -> None:
    program = schedule.program
    inlined = replace(program.definitions, inlined=frozenset({program.outputs[0].uid}))
    with pytest.raises(AssertionError, match="inlined"):
        verify_program(replace(program, definitions=inlined))


@pytest.fixture
def sliding() -> ps.Schedule:
    n = ps.size_var("n")
    B = ps.compute((n + 2,), lambda i: i * 3, name="B")
    C = ps.compute((n,), lambda i: B[i] + B[i + 2], name="C")
    s = ps.Schedule(C)
    s[C].split("i", 4)
    s[B].compute_at(C, "i_i")
    s[B].store_at(C, "i_o")
    return s


def without_first(s: ps.Schedule) -> Statement:
    """The statement of B without its first instance at each point of the loops around."""
    b = s.program.of_stage(s["B"].tensor)[0]
    own = b.frame.axis(b.axes[-1])
    assert own is not None
    return replace(b, domain=b.domain.intersect(own.ge_set(b.frame.const(1))))


def test_an_element_that_is_not_computed_where_it_is_read(sliding: ps.Schedule) -> None:
    program = sliding.program
    verify_program(program)
    with pytest.raises(AssertionError, match="reads elements of B that are not computed"):
        verify_program(replace(program, statements=(without_first(sliding), *program.statements[1:])))


def test_an_element_that_is_computed_later(sliding: ps.Schedule) -> None:
    """It is computed in the same iteration of i_o, but of i_i only in the last one."""
    program = sliding.program
    b = program.statements[0]
    inner = b.frame.axis(b.prefix[1])
    assert inner is not None
    late = replace(b, domain=b.domain.intersect(inner.eq_set(b.frame.const(3))))
    with pytest.raises(AssertionError, match="reads elements of B that are not computed"):
        verify_program(replace(program, statements=(late, *program.statements[1:])))


def test_a_buffer_that_is_too_small(sliding: ps.Schedule) -> None:
    program, uid = sliding.program, sliding["B"].tensor.uid
    placement = program.placements[uid]
    small = replace(placement, stored=replace(placement.stored, shape=(placement.stored.shape[0] - 1,)))
    with pytest.raises(AssertionError, match="B leaves its buffer"):
        verify_program(replace(program, placements={**program.placements, uid: small}))


def test_a_statement_that_is_lost_or_doubled(schedule: ps.Schedule) -> None:
    tree = schedule.tree()
    assert isinstance(tree.root, Sequence)
    first, *rest = tree.root.children
    with pytest.raises(AssertionError, match="B stands 0 times"):
        verify_tree(schedule.program, replace(tree, root=Sequence(tuple(rest))))
    with pytest.raises(AssertionError, match="B stands 2 times"):
        verify_tree(schedule.program, replace(tree, root=Sequence((first, first, *rest))))


def test_a_virtual_axis_that_is_never_resolved(schedule: ps.Schedule) -> None:
    tree = schedule.tree()
    assert isinstance(tree.root, Sequence)
    outer, inner = [loop for loop in loops_of(tree.root.children[0]) if loop.kind == "serial"]
    statement = schedule.program.statements[0]
    shortened: LoopNode = replace(outer, body=replace(inner, body=Leaf(statement)))
    root = Sequence((shortened, *tree.root.children[1:]))
    with pytest.raises(AssertionError, match="is never resolved around B"):
        verify_tree(schedule.program, replace(tree, root=root))


def test_counters_for_other_statements(schedule: ps.Schedule) -> None:
    tree = schedule.tree()
    assert isinstance(tree.root, Sequence)
    first = tree.root.children[0]
    assert isinstance(first, LoopNode)
    wrong = replace(first, values={**first.values, 99: next(iter(first.values.values()))})
    with pytest.raises(AssertionError, match="has counters for"):
        verify_tree(schedule.program, replace(tree, root=Sequence((wrong, *tree.root.children[1:]))))
