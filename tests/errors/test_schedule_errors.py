"""Every way in which a schedule command is refused: the text, the user's line, and nothing changed."""

from __future__ import annotations

import inspect
import re
from functools import cache

import pytest

import polysched as ps
from polysched.errors import PolyschedError

from . import legality_cases, loop_cases, place_cases, stage_cases
from .definitions import CASES, Case, matmul

MODULES = (loop_cases, stage_cases, place_cases, legality_cases)
assert all(any(vars(module).get(name) is c for module in MODULES) for name, c in CASES.items())


@cache
def refused(make: Case) -> tuple[ps.Schedule, PolyschedError]:
    steps = make()
    s = next(steps)
    before, twin = snapshot(s), s.copy()
    with pytest.raises(PolyschedError) as caught:
        next(steps)
    assert snapshot(s) == before
    assert s == twin
    return s, caught.value


def snapshot(s: ps.Schedule):
    return s.log, s.commands, str(s), s.to_text(), hash(s), id(s.state), {t.name: loops(s, t) for t in s.stages}


def loops(s: ps.Schedule, stage: ps.Tensor):
    return s[stage].loops if stage.uid in s.state.nests else None


def test_texts(expect):
    shown = []
    for name, make in CASES.items():
        _, error = refused(make)
        text = re.sub(r" \(\w+_cases\.py:\d+\)$", "", str(error))
        assert text != str(error), f"{name}: no location"
        shown.append(f"{name}\n    {type(error).__name__}: {text}\n")
    expect("schedule_errors.txt", "\n".join(shown))


OF_THE_DEFINITION = {"two_stages_of_one_name"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in OF_THE_DEFINITION])
def test_location_is_the_line_that_asked(name):
    make = CASES[name]
    _, error = refused(make)
    last = max(line for *_, line in make.__code__.co_lines() if line is not None)
    assert error.location is not None
    assert (error.location.file, error.location.line) == (inspect.getfile(make), last)


@pytest.mark.parametrize("name", [name for name in CASES if "_float_" in name or name.startswith("parallel_over")])
def test_witness_is_also_there_for_programs(name):
    _, error = refused(CASES[name])
    assert isinstance(error, ps.LegalityError)
    for statement, values in (error.source, error.sink):
        assert statement in {"C", "S"}
        assert set(values) <= {"i", "j", "r", "p", "q"}
    assert error.source != error.sink
    tensor, indices = error.cell
    assert tensor == error.source[0]
    assert len(indices) == (2 if tensor == "C" else 1)
    assert all(value >= 1 for value in error.sizes.values())


def test_a_refused_schedule_goes_on():
    s, c = matmul()
    with pytest.raises(ps.LegalityError):
        c.parallel("r")
    with pytest.raises(ps.ScheduleError):
        c.split("i", 4, outer="j")
    c.parallel("i")
    assert s.commands == ('C.parallel("i")',)
