"""What the methods of a stage take: integers and names of any kind that mean one, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.primitives.base import MAX_FACTOR

NO_LOOPS = [None, 0, 1.5, b"i", ("i",), ["i"], object(), ps.size_var("n"), np.array(["i"]), True]
NO_FACTORS = [None, 0, -1, -(10**30), 1.0, 0.5, "4", b"4", (4,), float("nan"), float("inf"), True, False, np.float32(4)]
NO_FACTORS += [np.True_, np.array([4, 4]), 2**31, 10**5000, ps.size_var("n"), complex(4), object()]
NO_NAMES = ["", " ", "a b", "1a", "a-b", "a.b", 'a"b', "a\nb", "x" * 201, 3, b"a", ("a",), object(), "a\x00"]


class Index:
    def __index__(self) -> int:
        return 4


@pytest.fixture
def c(samples):
    return ps.Schedule(samples.matmul())["C"]


def refused(c, call) -> None:
    before = (c.schedule.commands, str(c.schedule), c.schedule.state)
    with pytest.raises(ps.ScheduleError) as caught:
        call()
    assert caught.value.location is not None
    assert len(str(caught.value)) < 600
    assert (c.schedule.commands, str(c.schedule), c.schedule.state) == before


@pytest.mark.parametrize("loop", NO_LOOPS, ids=lambda value: type(value).__name__)
def test_what_is_no_loop(c, loop):
    for call in (
        lambda: c.split(loop, 4),
        lambda: c.tile(loop, "j", 4, 4),
        lambda: c.tile("i", loop, 4, 4),
        lambda: c.reorder("i", loop),
        lambda: c.fuse("i", loop),
        lambda: c.fuse(loop, "j", name="f"),
        lambda: c.unroll(loop),
        lambda: c.vectorize(loop),
        lambda: c.parallel(loop),
        lambda: c.parallel("i", loop, name="f"),
        lambda: c.reverse(loop),
    ):
        refused(c, call)


@pytest.mark.parametrize("factor", NO_FACTORS, ids=lambda value: type(value).__name__)
def test_what_is_no_factor(c, factor):
    for call in (
        lambda: c.split("i", factor),
        lambda: c.tile("i", "j", factor, 4),
        lambda: c.tile("i", "j", 4, factor),
    ):
        refused(c, call)


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda value: type(value).__name__)
def test_what_is_no_name(c, name):
    for call in (
        lambda: c.split("i", 4, outer=name),
        lambda: c.split("i", 4, inner=name),
        lambda: c.tile("i", "j", 4, 4, outers=(name, "b")),
        lambda: c.tile("i", "j", 4, 4, inners=("a", name)),
        lambda: c.fuse("i", "j", name=name),
        lambda: c.parallel("i", "j", name=name),
    ):
        refused(c, call)


@pytest.mark.parametrize("names", ["ab", ("a",), ("a", "b", "c"), (), {"a", "b"}, 3, "a"])
def test_what_are_no_two_names(c, names):
    refused(c, lambda: c.tile("i", "j", 4, 4, outers=names))
    refused(c, lambda: c.tile("i", "j", 4, 4, inners=names))


@pytest.mark.parametrize("factor", [4, np.int8(4), np.uint64(4), np.array(4), Index()], ids=lambda v: type(v).__name__)
def test_integers_of_every_kind(c, factor):
    c.split("i", factor)
    c.tile("j", "r", factor, factor)
    assert c.schedule.commands[0] == 'C.split("i", 4, outer="i_o", inner="i_i")'
    assert all(type(command.factor) is int for _, command in c.schedule.log)
    assert ps.Schedule.from_text(c.schedule.outputs, c.schedule.to_text()) == c.schedule


def test_the_largest_factor(samples, run):
    C = samples.matmul()
    s = ps.Schedule(C)
    s["C"].split("i", MAX_FACTOR)
    s["C"].split("i_i", MAX_FACTOR)
    assert run(s)[0].tobytes() == run(ps.Schedule(C))[0].tobytes()


def test_names_of_subclasses_of_str(c):
    class Name(str):
        __slots__ = ()

    c.split(Name("i"), 4, outer=Name("a"))
    assert type(c.loops[0]) is str
    assert c.schedule.commands == ('C.split("i", 4, outer="a", inner="i_i")',)


@pytest.mark.parametrize("name", ["for", "n", "A", "C", "r_", "__import__", "ﬁ", "µ"])
def test_names_are_inert(samples, run, name):
    C = samples.matmul()
    s = ps.Schedule(C)
    s["C"].split("i", 4, outer=name, inner=f"{name}_")
    s["C"].reorder("j", name)
    assert run(s)[0].tobytes() == run(ps.Schedule(C))[0].tobytes()
