"""Schedules as values: copies, equality, hashes, undo, two schedules of one definition, stages."""

from __future__ import annotations

import random

import numpy as np
import pytest

import polysched as ps


def tiled(outputs: ps.Tensor) -> ps.Schedule:
    s = ps.Schedule(outputs)
    s["C"].tile("i", "j", 4, 8)
    s["C"].unroll("i_i")
    return s


def test_equal_by_their_commands(samples):
    C = samples.matmul()
    s, t = tiled(C), ps.Schedule(C)
    assert s != t
    t["C"].tile("i", "j", np.int64(4), 8, outers=("i_o", "j_o"), inners=["i_i", "j_i"])
    t["C"].unroll("i_i")
    assert s == t
    assert hash(s) == hash(t)
    assert len({s, t}) == 1
    assert s != tiled(samples.matmul())
    assert s != "C"


def test_equal_only_with_the_same_arguments_and_outputs(samples):
    out, most = samples.pipeline()
    assert ps.Schedule(out) == ps.Schedule([out])
    assert ps.Schedule([out, most]) != ps.Schedule([most, out])
    assert ps.Schedule(out) != ps.Schedule([out, most])
    (A,) = ps.Schedule(out).program.arguments
    assert ps.Schedule(out, args=[A]) == ps.Schedule(out)
    assert ps.Schedule(out, args=[A, out]) != ps.Schedule(out)


def test_a_copy_goes_its_own_way(samples):
    s = tiled(samples.matmul())
    t = s.copy()
    assert t == s
    assert hash(t) == hash(s)
    t["C"].parallel("i_o")
    assert t != s
    assert s.commands == t.commands[:-1]
    s["C"].reorder("j_o", "i_o")
    assert "parallel" not in str(s)
    t.undo()
    t["C"].reorder("j_o", "i_o")
    assert t == s


def test_undo_takes_back_one_command(samples, randomly):
    for seed in range(6):
        rng = random.Random(seed)
        s = ps.Schedule(rng.choice(samples.all())())
        seen = [(s.commands, str(s), s.to_text(), hash(s))]
        while len(seen) < 8:
            before = len(s.log)
            randomly(s, rng, 1)
            if len(s.log) > before:
                seen.append((s.commands, str(s), s.to_text(), hash(s)))
        for earlier in reversed(seen[:-1]):
            last = s.commands[-1]
            assert s.undo() == last
            assert (s.commands, str(s), s.to_text(), hash(s)) == earlier


def test_after_undo_and_other_commands_nothing_is_left_over(run):
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    B = ps.compute((n, n), lambda i, j: A[i, j] + A[j, i], name="B")
    s = ps.Schedule(B)
    s[B].fuse("i", "j", name="f")
    s.undo()
    s[B].split("i", 4)
    s[B].fuse("i_i", "j", name="f")
    t = ps.Schedule.from_text(B, s.to_text())
    assert str(s) == str(t)
    assert np.array_equal(run(s)[0], run(t)[0])


def test_two_schedules_of_one_definition_side_by_side(samples, run):
    C = samples.matmul()
    s, t = tiled(C), ps.Schedule(C)
    before = str(t)
    t["C"].reorder("r", "j", "i")
    s["C"].parallel("i_o")
    t["C"].parallel("j")
    assert str(ps.Schedule(C)) == before
    results = [run(schedule)[0] for schedule in (s, t, ps.Schedule(C))]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_stages_by_name_and_by_tensor(samples):
    outputs = samples.pipeline()
    s, t = ps.Schedule(outputs), ps.Schedule(outputs)
    assert [stage.name for stage in s.stages] == ["scaled", "most", "out"]
    for stage in s.stages:
        s[stage].split("i", 4)
        t[stage.name].split("i", 4)
        assert s[stage] == s[stage.name]
        assert s[stage].loops[:2] == ("i_o", "i_i")
    assert s == t


def test_commands_return_the_loops_they_make(samples):
    c = ps.Schedule(samples.matmul())["C"]
    assert c.split("r", 8, inner="rest") == ("r_o", "rest")
    assert c.tile("i", "j", 2, 4, outers=["a", "b"]) == ("a", "b", "i_i", "j_i")
    assert c.fuse("i_i", "j_i") == "i_i_j_i"
    assert c.parallel("a", "b") == "a_b"
    assert c.parallel("i_i_j_i") == "i_i_j_i"
    assert c.loops == ("a_b", "i_i_j_i", "r_o", "rest")


def test_a_schedule_never_touches_its_definition(samples, randomly):
    out, most = samples.pipeline()
    before = [(repr(stage), str(stage.equations[0].body)) for stage in (out, most)]
    for seed in range(5):
        randomly(ps.Schedule([out, most]), random.Random(seed), 10)
    assert [(repr(stage), str(stage.equations[0].body)) for stage in (out, most)] == before


@pytest.mark.parametrize("word", ["parallel", "inline"])
def test_repr_and_log(samples, word):
    s = ps.Schedule(samples.pipeline())
    getattr(s["scaled"], word)(*(["i"] if word == "parallel" else []))
    assert repr(s) == "<Schedule of out, most, 1 commands>"
    ((stage, command),) = s.log
    assert (stage, command.word) == ("scaled", word)
