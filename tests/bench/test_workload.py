"""A workload: sizes, schedules with parameters and in files, inputs, reference, work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import polysched as ps
from polysched.target.bench.files import load_workload, split_name
from polysched.target.bench.schedule_files import read_text


def test_a_file_makes_a_workload(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    assert repr(workload) == "<Workload product(n=20, m=19, k=18)>"
    assert list(workload.recipes) == ["default", "tiled", "threads", "illegal", "saved"]
    assert workload.recipes["tiled"].parameters == {"mr": 3, "nr": 8}
    assert list(workload.peers) == ["absent", "einsum", "wrong", "broken"]


def test_schedules_take_parameters(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    assert workload.make("tiled", mr=5).commands[0].startswith('C.tile("i", "j", 5, 8')
    assert workload.make("tiled") == workload.make("tiled", mr=3, nr=8)
    assert workload.make() == workload.make("default")
    assert workload.make("saved").commands[-1] == 'C.vectorize("j_i")'
    with pytest.raises(ps.ScheduleError, match=r"no schedule 'tild'.*did you mean tiled\?"):
        workload.make("tild")
    with pytest.raises(ps.ScheduleError, match=r"tiled of product has no parameter mx; its parameters are mr, nr"):
        workload.make("tiled", mx=1)
    with pytest.raises(ps.LegalityError):
        workload.make("illegal")


def test_schedule_files_anywhere(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    other = workload_file.parent / "other.saved.sched"
    assert workload.make(str(other)) == workload.make("saved")
    with pytest.raises(ps.ScheduleError, match="has no parameter mr; its parameters are none"):
        workload.make(str(other), mr=2)
    with pytest.raises(ps.ScheduleError, match="cannot be read"):
        workload.make("nowhere.sched")


def test_a_name_means_one_schedule(workload_file: Path) -> None:
    (workload_file.parent / "product.tiled.sched").write_text("# polysched schedule, version 1\n")
    with pytest.raises(ps.ScheduleError, match="two schedules 'tiled'"):
        load_workload(workload_file).make("tiled")


@pytest.mark.parametrize(("data", "why"), [(b"x" * (1 << 21), "longer than"), (b"\xff\xfe", "not UTF-8")])
def test_schedule_files_are_read_within_limits(tmp_path: Path, data: bytes, why: str) -> None:
    file = tmp_path / "a.b.sched"
    file.write_bytes(data)
    with pytest.raises(ps.ScheduleError, match=why):
        read_text(file)


def test_inputs_are_made_for_the_sizes_and_repeat() -> None:
    @ps.Workload
    def mixed(n=5):
        A, B = ps.placeholder((n, 2), "float64", name="A"), ps.placeholder((n,), "uint8", name="B")
        x = ps.scalar("x", "float32")
        return ps.compute((n,), lambda i: A[i, 1] * x + B[i], name="C")

    made = mixed.arguments({"n": 7})
    assert list(made) == ["A", "B", "x"]
    assert made["A"].shape == (7, 2) and made["A"].dtype == np.float64
    assert made["B"].dtype == np.uint8 and isinstance(made["x"], np.float32)
    again = mixed.arguments({"n": 7})
    assert all(np.array_equal(made[name], again[name]) for name in made)
    (reference,) = mixed.reference_result({"n": 7}, made)
    assert np.allclose(reference, made["A"][:, 1] * made["x"] + made["B"])
    with pytest.raises(ps.DefinitionError, match="no size m; its sizes are n"):
        mixed.arguments({"m": 7})
    with pytest.raises(ps.DefinitionError, match="integer >= 0"):
        mixed.arguments({"n": -1})


def test_inputs_must_be_the_arguments() -> None:
    @ps.Workload
    def twice(n=5):
        A = ps.placeholder((n,), name="A")
        return ps.compute((n,), lambda i: 2 * A[i], name="B")

    @twice.inputs
    def wrong(rng, n):
        return {"X": rng.random(n)}

    with pytest.raises(ps.DefinitionError, match="a dict of A; its function returned X"):
        twice.arguments()


def test_literal_sizes_and_given_counts() -> None:
    def sums(n=6, m=4):
        A = ps.placeholder((n, m), name="A")
        r = ps.reduce_axis((0, m), name="r")
        return ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="B")

    literal = ps.Workload(sums, symbolic=False)
    assert "in 0..6" in str(literal.make()) and "in 0..9" in str(literal.make("default", {"n": 9}))
    assert literal.work({"n": 9}).flops == 36
    given = ps.Workload(sums, flops=lambda n, m: 10 * n, bytes=lambda m: 100 * m)
    assert (given.work().flops, given.work().operations, given.work().bytes) == (60, 60, 400)


def test_promises_reach_the_definition() -> None:
    def first(n=4):
        A = ps.placeholder((n,), name="A")
        return ps.compute((1,), lambda i: A[i], name="B")

    with pytest.raises(ps.BoundsError):
        ps.Workload(first).make()
    assert ps.Workload(first, promises={"n": {"min": 1}}).make()


def test_what_is_no_workload() -> None:
    with pytest.raises(ps.DefinitionError, match="the parameter n of the workload f is a size"):

        @ps.Workload
        def f(n):
            pass

    with pytest.raises(ps.DefinitionError, match="made of a function of sizes, not of 3"):
        ps.Workload(3)


def test_schedule_parameters_need_defaults() -> None:
    @ps.Workload
    def one(n=4):
        return ps.compute((n,), lambda i: 1.0, name="B")

    with pytest.raises(ps.ScheduleError, match="the parameter nr of the schedule s1 needs a default"):

        @one.schedule
        def s1(s, nr):
            pass

    def default(s):
        pass

    with pytest.raises(ps.ScheduleError, match="has a schedule 'default' already"):
        one.schedule(default)

    def numpy(s):
        pass

    with pytest.raises(ps.ScheduleError, match="'numpy' is the name of a peer"):
        one.schedule(numpy)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1\n", "makes none"),
        ("import polysched as ps\na, b = (ps.Workload(lambda n=1: 0) for _ in '12')\n", "makes 2"),
    ],
)
def test_a_file_makes_one_workload(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "w.py"
    file.write_text(text)
    with pytest.raises(ps.DefinitionError, match=why):
        load_workload(file)
    with pytest.raises(ps.DefinitionError, match="there is no workload file"):
        load_workload(tmp_path / "absent.py")


def test_names_of_schedules() -> None:
    assert split_name("a/b.py:tiled") == ("a/b.py", "tiled")
    assert split_name("a/b.py") == ("a/b.py", "default")
    assert split_name("a/b.py:") == ("a/b.py", "default")
    assert split_name("C:/b.py") == ("C:/b.py", "default")
    assert split_name("b.py:dir/x.sched") == ("b.py", "dir/x.sched")
