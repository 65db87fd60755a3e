"""Kernels as users call them."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

from polysched.errors import ArgumentError, BoundsError, TargetError
from polysched.target.machine import Target


def arrays(n=8):
    return np.arange(n, dtype=np.float32), np.ones(n, np.float32), np.zeros(n, np.float32)


def test_outputs_are_made_or_given(add):
    a, b, c = arrays()
    for _ in range(3):  # the slow way, then the fast one
        made = add(a, b)
        assert np.array_equal(made, a + b)
        assert made.flags.c_contiguous
        assert made.ctypes.data % 64 == 0
        assert made.dtype == np.float32
    assert add(a, b, out=c) is c
    assert add(a, b, out=(c,)) is c
    assert add(*arrays(0)[:2]).shape == (0,)


def test_several_outputs(two_outputs):
    a, d = np.arange(5, dtype=np.int32), np.zeros(5, np.int32)
    s = np.zeros(5, np.int32)
    for _ in range(2):
        results = two_outputs(a, d)
        assert isinstance(results, tuple)
        assert results[1] is d
        assert np.array_equal(results[0], a + 1)
        assert np.array_equal(d, 2 * a)
    assert two_outputs(a, d, out=s)[0] is s


def test_outputs_without_dimensions(scalars_of):
    out = np.zeros((), np.float64)
    result = scalars_of("float64")(2.5, out)
    assert result is out
    assert result.shape == ()
    assert result == 2.5


def test_shapes_that_change_between_calls(add):
    for n in (3, 5, 3, 0, 5):
        a, b, _ = arrays(n)
        assert np.array_equal(add(a, b), a + b)
    with pytest.raises(ArgumentError):
        add(arrays(3)[0], arrays(5)[1])


def test_indices_from_data_are_checked(gather):
    a = np.arange(4.0)
    assert np.array_equal(gather(a, np.array([3, 0, 0])), [3, 0, 0])
    for call in (lambda i: gather(a, i), lambda i: gather(a, I=i), lambda i: gather(a, i, out=np.zeros(2))):
        with pytest.raises(BoundsError) as error:
            call(np.array([1, 17]))
        assert error.value.reason == (
            "gather read the index 17 from its data, but dimension 0 of A has no such element, at gather.py:7; the "
            "outputs are undefined"
        )


def test_a_lack_of_memory_is_a_memory_error(hungry):
    a = np.zeros(3, np.float32)
    with pytest.raises(MemoryError, match="hungry: no memory for the intermediate tensors"):
        hungry(a)
    with pytest.raises(MemoryError):
        hungry(a, out=np.zeros(3, np.float32))


def test_sources(add):
    assert add.source("loops") == "the loops"
    assert add.source("isl") == "the schedule"
    assert "fadd" in add.source("llvm-raw")
    assert "fadd" in add.source("llvm")
    assert "polysched" not in add.source("llvm")
    assert "kernel" in add.source("asm")
    with pytest.raises(ArgumentError) as error:
        add.source("c")
    assert error.value.reason == "there is no source 'c' of add; there are loops, isl, llvm, llvm-raw, asm"


def test_attributes(add):
    assert add.name == "add"
    assert add.warnings == ("P001: none",)
    assert add.rounding == "exact"
    assert add.threads == 4
    assert list(add.timings) == ["lower", "parse", "verify", "optimize", "codegen", "link"]
    assert repr(add).startswith("<Kernel add(A, B) -> C for native")


def test_a_kernel_for_another_machine_can_be_read_but_not_called(add_for):
    kernel = add_for(Target("aarch64-unknown-linux-gnu", cpu="cortex-a53"))
    a, b, _ = arrays()
    if kernel.target.can_run():
        pytest.skip("this is such a machine")
    assert "fadd" in kernel.source("asm")
    with pytest.raises(
        TargetError, match=r"add cannot run here: it was built for aarch64.*; its source\(kind\) can be"
    ):
        kernel(a, b)


def test_it_is_neither_pickled_nor_copied(add):
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is machine code of this process and cannot be pickled or copied"):
            attempt(add)


def test_the_number_of_threads_is_decided_at_each_call(squares_for, add_for, monkeypatch):
    monkeypatch.delenv("POLYSCHED_NUM_THREADS", raising=False)
    kernel = squares_for(Target())
    out = np.zeros(100, np.int64)
    for threads in ("1", "3"):
        monkeypatch.setenv("POLYSCHED_NUM_THREADS", threads)
        assert kernel.threads == int(threads)
        assert np.array_equal(kernel(out=out), np.arange(100) ** 2)
        assert kernel._threads.value == int(threads)
    monkeypatch.setenv("POLYSCHED_NUM_THREADS", "none")
    with pytest.raises(TargetError, match="POLYSCHED_NUM_THREADS"):
        kernel(out=out)
    assert not add_for(Target())._decides_threads


def test_many_threads_may_call(add, squares_for):
    squares = squares_for(Target(threads=2))
    failures = []

    def work(seed: int) -> None:
        a, b, c = np.full(64, seed, np.float32), np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
        try:
            for k in range(1000):
                if not np.array_equal(add(a, b) if k % 2 else add(a, b, out=c), a + b):
                    failures.append(seed)
                if k % 50 == 0 and not np.array_equal(squares(n=300), np.arange(300) ** 2):
                    failures.append(seed)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("by_name", [False, True])
def test_other_threads_run_during_a_call(waiting, by_name):
    a, c = np.zeros((), np.int64), np.zeros((), np.int64)
    timer = threading.Timer(0.05, lambda: a.fill(1))
    timer.start()
    waiting(A=a, out=c) if by_name else waiting(a, out=c)
    timer.join()
    assert c == 1


def test_benchmark(add, two_outputs):
    a, b, _ = arrays()
    result = add.benchmark(a, b, min_time=0.01, rounds=3)
    assert 0 < result.min <= result.median
    assert result.iqr >= 0
    assert result.runs >= 3
    assert "runs" in str(result)
    x = np.arange(5, dtype=np.int32)
    assert two_outputs.benchmark(x, x.copy(), min_time=0.0, rounds=1).runs >= 1
