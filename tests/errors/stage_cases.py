"""Stages and Schedules that do not exist or cannot be made."""

from __future__ import annotations

import polysched as ps

from .definitions import case, matmul, pipeline


@case
def inline_output():
    s = pipeline()
    yield s
    s["out"].inline()


@case
def inline_reduction():
    s = pipeline()
    yield s
    s["total"].inline()


@case
def inline_only_stage():
    s, c = matmul()
    yield s
    c.inline()


@case
def inlined_stage_has_no_loops():
    s = pipeline()
    s["scaled"].inline()
    yield s
    s["scaled"].split("i", 4)


@case
def inlined_twice():
    s = pipeline()
    s["scaled"].inline()
    yield s
    s["scaled"].inline()


@case
def nothing_to_undo():
    s, _ = matmul()
    yield s
    s.undo()


@case
def no_such_stage():
    s = pipeline()
    yield s
    s["scalde"]


@case
def stage_is_a_placeholder():
    s = pipeline()
    A = ps.placeholder((4,), name="A")
    yield s
    s[A]


@case
def stage_of_another_definition():
    s = pipeline()
    other = pipeline().outputs[0]
    yield s
    s[other]


@case
def stage_by_number():
    s = pipeline()
    yield s
    s[0]


@case
def budget_is_no_number():
    s, _ = matmul()
    yield s
    ps.Schedule(s.outputs, budget=0)


@case
def budget_too_small():
    s, _ = matmul()
    text = 'C.reorder("r", "j", "i")'
    yield s
    ps.Schedule.from_text(s.outputs, f"# polysched schedule, version 1\n{text}\n", budget=5)


@case
def schedule_of_a_placeholder():
    s, _ = matmul()
    A = ps.placeholder((4,), name="A")
    yield s
    ps.Schedule(A)


@case
def schedule_of_nothing():
    s, _ = matmul()
    yield s
    ps.Schedule([])


@case
def schedule_of_one_output_twice():
    s, _ = matmul()
    yield s
    ps.Schedule([*s.outputs, *s.outputs])


@case
def two_stages_of_one_name():
    s, _ = matmul()
    A = ps.placeholder((4,), name="A")
    first = ps.compute((4,), lambda i: A[i] + 1, name="same")
    second, out = (ps.compute((4,), lambda i: first[i] + 1, name=name) for name in ("same", "out"))
    both = ps.compute((4,), lambda i: second[i] + out[i], name="both")
    yield s
    ps.Schedule(both)


@case
def argument_listed_twice():
    s, _ = matmul()
    yield s
    ps.Schedule(s.outputs, args=[*s.program.arguments, s.outputs[0], s.outputs[0]])


@case
def argument_is_a_size():
    s, _ = matmul()
    yield s
    ps.Schedule(s.outputs, args=[ps.size_var("n")])
