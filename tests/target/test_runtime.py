"""What runs parallel loops."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from polysched.errors import TargetError
from polysched.target import runtime
from polysched.target.machine import Target


def run(script: str, **environment: str) -> str:
    """The output of a script in a process of its own, which must end by itself."""
    done = subprocess.run(
        [sys.executable, "-c", SQUARES + textwrap.dedent(script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SQUARES = f"""
import importlib.util, os, sys, threading
import numpy as np
spec = importlib.util.spec_from_file_location("kernels", {os.path.join(os.path.dirname(__file__), "conftest.py")!r})
kernels = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernels)
from polysched.target import runtime
n = kernels.size_var("n")
output = kernels.ArrayParameter("C", kernels.I64, (n,), output=True)
squares = kernels.make("squares", kernels.Signature((), (output,), (n,)), kernels.PARALLEL)
expected = np.arange(10_000) ** 2
def right():
    return np.array_equal(squares(n=10_000), expected)
"""


@pytest.mark.parametrize("kind", ["threads", "serial"])
def test_our_own(kind):
    script = "print(runtime.runtime_name(), all(right() for _ in range(50)))"
    assert run(script, POLYSCHED_PARALLEL=kind) == f"{kind} True\n"


def test_default_is_openmp_where_there_is_one():
    kind, result = run("print(runtime.runtime_name().split()[0], right())").split()
    assert kind in ("openmp", "threads")
    assert result == "True"


def test_an_openmp_runtime_that_is_loaded_is_used():
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("there is no libgomp here")
    assert any("libgomp" in path for path in runtime._mapped_openmp())


def test_unknown_kinds_are_refused(monkeypatch):
    monkeypatch.setenv("POLYSCHED_PARALLEL", "fast")
    monkeypatch.setattr(runtime, "_choice", runtime._Choice())
    with pytest.raises(TargetError, match="POLYSCHED_PARALLEL is 'fast'; accepted are openmp, threads, serial"):
        runtime.parallel_address()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["", "threads", "serial"])
def test_a_forked_child_runs_in_parallel_and_does_not_hang(kind):
    script = """
    assert right()
    child = os.fork()
    if child == 0:
        os._exit(0 if right() and not runtime.runtime_name().startswith("openmp") else 1)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), right())
    """
    assert run(script, POLYSCHED_PARALLEL=kind) == "0 True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_another_thread_compiles():
    script = """
    stop = threading.Event()
    def compile():
        while not stop.is_set():
            kernels.make("add", kernels.add_signature(), kernels.ADD)
    thread = threading.Thread(target=compile)
    thread.start()
    codes = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            kernel = kernels.make("add", kernels.add_signature(), kernels.ADD)
            os._exit(0 if right() else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    thread.join()
    print(codes)
    """
    assert run(script) == "[0, 0, 0, 0, 0]\n"


def test_the_cell_holds_the_address():
    assert ctypes.c_void_p.from_address(runtime.parallel_cell()).value == runtime.parallel_address()


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_any_number_of_threads(squares_for, threads):
    kernel = squares_for(Target(threads=threads))
    assert np.array_equal(kernel(n=1000), np.arange(1000) ** 2)
    assert kernel(n=0).shape == (0,)
