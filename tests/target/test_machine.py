"""Targets."""

from __future__ import annotations

import copy
import os
import pickle

import pytest

from polysched.errors import TargetError
from polysched.target import processors
from polysched.target.machine import Target


@pytest.mark.parametrize(
    ("name", "bits", "registers", "fma", "f16c", "scalef"),
    [
        ("x86-64", 128, 16, False, False, False),
        ("x86-64-v2", 128, 16, False, False, False),
        ("x86-64-v3", 256, 16, True, True, False),
        ("x86-64-v4", 512, 32, True, True, True),
        ("aarch64", 128, 32, True, True, False),
        ("aarch64-apple-darwin", 128, 32, True, True, False),
    ],
)
def test_levels(name, bits, registers, fma, f16c, scalef):
    target = Target(name)
    facts = (target.vector_bits, target.vector_registers, target.has_fma, target.has_f16c, target.has_scalef)
    assert facts == (bits, registers, fma, f16c, scalef)


def test_native_is_the_default_and_runs():
    target = Target()
    assert target == Target("native")
    assert target.is_native_arch
    assert target.can_run()
    assert target.cpu == processors.host_cpu()
    assert 8 << 10 <= target.l1_bytes < target.l2_bytes


def test_processors_by_name():
    assert Target("x86-64", cpu="skylake-avx512").vector_bits == 512
    assert Target("x86-64", cpu="skylake-avx512", features="+prefer-256-bit").vector_bits == 256
    assert not Target("x86-64", cpu="haswell", features="-fma").has_fma


@pytest.mark.skipif(processors.arch(processors.host_triple()) != "x86_64", reason="a question about x86-64")
def test_a_target_says_what_is_missing_here():
    lacking = [f for f, on in processors.host_features().items() if not on and f.startswith("avx")]
    assert Target("x86-64").missing_features() == ()
    for feature in lacking:
        target = Target("native", features=f"+{feature}")
        assert feature in target.missing_features() or feature == "avx512vp2intersect"
    foreign = Target("aarch64")
    assert not foreign.is_native_arch
    assert not foreign.can_run()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"name": "x86"},
            "there is no target 'x86'; accepted are native, x86-64, x86-64-v2, x86-64-v3, x86-64-v4",
        ),
        ({"name": "foo-bar-baz"}, "there is no target 'foo-bar-baz'; accepted are native"),
        ({"name": "x86_64-linux; rm"}, "there is no target 'x86_64-linux; rm'"),
        ({"name": None}, "the target is a NoneType; accepted are native"),
        ({"name": "x86-64", "cpu": "znver9"}, "LLVM knows no processor cpu='znver9' of x86_64"),
        ({"name": "x86-64", "features": "+avx9"}, "LLVM knows no feature '+avx9' of x86_64"),
        ({"features": "avx"}, "features is 'avx'; a string such as \"+avx2,-fma\" is expected"),
        ({"threads": 0}, "threads is 0; an integer from 1 to 4096 or None is expected"),
        ({"threads": 2.5}, "threads is 2.5; an integer"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(TargetError) as error:
        Target(**arguments)
    assert error.value.reason.startswith(words)


def test_near_names_are_offered():
    with pytest.raises(TargetError, match=r"the nearest of .* are znver"):
        Target("x86-64", cpu="znver9")


def test_thread_count(monkeypatch):
    monkeypatch.delenv("POLYSCHED_NUM_THREADS", raising=False)
    if hasattr(os, "sched_getaffinity"):
        assert Target().thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("POLYSCHED_NUM_THREADS", "3")
    assert Target().thread_count() == 3
    assert Target(threads=5).thread_count() == 5
    monkeypatch.setenv("POLYSCHED_NUM_THREADS", "many")
    with pytest.raises(TargetError, match="POLYSCHED_NUM_THREADS is 'many'; an integer from 1 to 4096"):
        Target().thread_count()


def test_targets_are_values():
    target = Target("x86-64-v3", threads=2)
    assert target == Target("x86-64-v3", threads=2) != Target("x86-64-v3")
    assert hash(target) == hash(copy.copy(target))
    assert pickle.loads(pickle.dumps(target)) == target
    assert repr(target) == "Target('x86-64-v3', cpu='x86-64-v3', threads=2)"
    assert "x86-64-v3" in str(target)
    assert "256-bit" in str(target)


def test_a_target_may_be_given_by_its_name() -> None:
    wide = Target("x86-64-v4", threads=2)
    assert Target.of(wide) is wide
    assert Target.of("x86-64-v3") == Target("x86-64-v3")
    assert Target.of(None) == Target("native")


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_levels_are_what_llvm_says(level: str) -> None:
    triple = "x86_64-unknown-linux-gnu"
    names = tuple(name for added in processors._ADDED.values() for name in added)
    if processors.arch(processors.host_triple()) == "x86_64":
        names = tuple(sorted({*names, *processors.host_features()}))
    assert processors.implied(triple, level, "", names) == processors.ask(triple, level, "", names)
