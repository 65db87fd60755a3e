"""Long elementary functions stand in a module once, whatever calls them, and give the bits of single elements."""

from __future__ import annotations

import re

import numpy as np
import pytest

import polysched as ps
from polysched.lower.llvm.called import in_pairs
from polysched.lower.llvm.emitter import Emitter
from polysched.lower.llvm.expressions import written_out
from polysched.lower.llvm.module import Module

NATIVE, WIDE = ps.Target("native"), ps.Target("x86-64-v4")


def power(lanes: int, dtype: str = "float64") -> ps.Schedule:
    n = ps.size_var("n")
    A, B = (ps.placeholder((n,), dtype, name=name) for name in "AB")
    C = ps.compute((n,), lambda i: ps.pow(A[i], B[i]), name="C")
    schedule = ps.Schedule(C)
    schedule[C].split("i", lanes, inner="lane")
    schedule[C].vectorize("lane")
    return schedule


def test_one_copy_for_whole_vectors_and_tails_and_one_for_pairs() -> None:
    text = power(32).build(WIDE).source("llvm-raw")
    assert re.findall(r"^define internal .*? @(\w+)\(", text, re.MULTILINE) == ["pow_v8f64", "pow_v8f64_2"]
    kernel = text[text.index("define i32 @kernel") :]
    assert re.findall(r"call .*? @(pow\w+)\(", kernel) == ["pow_v8f64_2"] * 2 + ["pow_v8f64"] * 4
    assert "@llvm.fma" not in kernel


def test_vectors_that_are_two_of_the_target_are_not_paired() -> None:
    text = power(64, "float16").build(WIDE).source("llvm-raw")
    assert re.findall(r"^define internal .*? @(\w+)\(", text, re.MULTILINE) == ["pow_v32f32"]


def test_short_functions_are_written_out() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    for function, called in ((ps.exp, False), (ps.gelu, False), (ps.erf, True), (ps.sin, True), (ps.cbrt, True)):
        B = ps.compute((n,), lambda i, f=function: f(A[i]), name="B")
        assert ("noinline speculatable" in ps.Schedule(B).build().source("llvm-raw")) == called, function


def test_shorter_ones_are_called_in_tails_and_where_they_are_many() -> None:
    """Four vectors of an exp stand in step, and one is called in their masked tail; of an exp and a log1p all are."""
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")
    for function, pairs, single in ((ps.exp, 0, 4), (ps.softplus, 4, 8)):
        B = ps.compute((n,), lambda i, f=function: f(A[i]), name="B")
        schedule = ps.Schedule(B)
        schedule[B].split("i", 64, inner="lane")
        schedule[B].vectorize("lane")
        calls = re.findall(r" = call .*? @(\w+_v16f32(?:_2)?)\(", schedule.build(WIDE).source("llvm-raw"))
        assert [sum(name.endswith("_2") == pair for name in calls) for pair in (True, False)] == [pairs, single]


@pytest.mark.parametrize(("second", "calls"), [("%v2", ["pow_v8f64_2"]), ("%v3", ["pow_v8f64"] * 2)])
def test_a_call_of_what_another_gives_is_not_paired_with_it(second: str, calls: list[str]) -> None:
    e = Emitter(Module(WIDE.triple, ""), WIDE)
    vector = "<8 x double>"
    lines = [
        f"  {result} = call {vector} @pow_v8f64({vector} {x}, {vector} %v2)"
        for result, x in (("%v3", "%v1"), ("%v4", second))
    ]
    found = re.findall(r"call .*? @(\w+)\(", "\n".join(in_pairs(e, lines, written_out)))
    assert found == calls


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["pow", "sin", "erf", "fmod", "atan2", "%", "//"])
def test_pairs_give_the_same_bits(name: str, dtype: str) -> None:
    functions = {"%": lambda x, y: x % y, "//": lambda x, y: x // y}
    unary = {"sin": ps.sin, "erf": ps.erf}
    function = functions.get(name) or (lambda x, y: unary[name](x) if name in unary else getattr(ps, name)(x, y))
    n = ps.size_var("n")
    A, B = (ps.placeholder((n,), dtype, name=letter) for letter in "AB")
    C = ps.compute((n,), lambda i: function(A[i], B[i]) + B[i], name="C")
    plain, fast = ps.Schedule(C), ps.Schedule(C)
    fast[C].split("i", 4 * NATIVE.vector_bits // (8 * np.dtype(dtype).itemsize), inner="lane")
    fast[C].vectorize("lane")
    random = np.random.default_rng(4)
    a, b = ((random.normal(0, 20, 1003) * 10.0 ** random.integers(-6, 6, 1003)).astype(dtype) for _ in "ab")
    assert np.array_equal(fast.build(NATIVE)(a, b), plain.build(NATIVE)(a, b), equal_nan=True)
