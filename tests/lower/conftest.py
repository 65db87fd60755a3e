"""The interpreter of loop IR, and random programs to run on it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.sizes import evaluate_extent
from polysched.lower.ir import Allocate, Stmt
from polysched.lower.pipeline import Lowered, lower
from polysched.target.machine import Target

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def interpreter() -> ModuleType:
    """tests/lower/interpreter.py."""
    spec = importlib.util.spec_from_file_location("interpreter", HERE / "interpreter.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["interpreter"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cases() -> Iterator[ModuleType]:
    """tests/fuzz/random_cases.py: random definitions, schedules and arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE.parent / "fuzz"))
        import random_cases

        yield random_cases


@pytest.fixture(scope="session")
def lowered() -> Callable[..., Lowered]:
    """A schedule with its loop IR after every pass, each verified."""

    def make(schedule: ps.Schedule, target: str = "x86-64-v3") -> Lowered:
        return lower(schedule.program, schedule.tree(), Target(target), check=True)

    return make


@pytest.fixture(scope="session")
def run_ir(interpreter: ModuleType) -> Callable[..., list[np.ndarray[Any, Any]] | None]:
    """Interprets the IR of a lowered schedule: (lowered, stmt, arguments in order, sizes) to the outputs, or None
    where a run-time check failed. What is fetched and loaded is added to a list of events, if one is given."""

    def run(
        made: Lowered, stmt: Stmt, program: Any, values: list[Any], sizes: dict[str, int], events: Any = None
    ) -> Any:
        machine = interpreter.Machine(sizes=sizes, events=events)
        given = dict(zip((a.uid for a in program.arguments), values, strict=True))
        machine.scalars = {uid: program_type(program, uid)(value) for uid, value in given.items()}
        listed = [a for a in program.arguments if isinstance(a, ps.Tensor)]
        tensors = [*listed, *(o for o in program.outputs if not any(o is t for t in listed))]
        for tensor, buffer in zip(tensors, made.program.buffers, strict=True):
            if tensor.uid in given:
                machine.give(buffer, given[tensor.uid])
            else:
                machine.allocate(buffer)
        outer, body = made.program.body, stmt
        while isinstance(outer, Allocate) and outer.buffer.scope == "heap":
            machine.allocate(outer.buffer)
            outer = outer.body
        strided = ((b, m) for b, m in machine.arrays.items() if b.strides is not None)
        machine.run(
            body, {var: s // m.itemsize for b, m in strided for var, s in zip(b.strides, m.strides, strict=True)}
        )
        if machine.failed:
            return None
        outputs = []
        for output in program.outputs:
            buffer = made.program.buffers[next(k for k, t in enumerate(tensors) if t is output)]
            assert machine.written[buffer].all(), f"{output.name} has elements that nothing wrote"
            assert machine.arrays[buffer].shape == tuple(evaluate_extent(e, sizes) for e in output.shape)
            outputs.append(machine.arrays[buffer])
        return outputs

    return run


def program_type(program: Any, uid: int) -> Any:
    """What makes a NumPy value of an argument."""
    (argument,) = (a for a in program.arguments if a.uid == uid)
    return (lambda value: value) if isinstance(argument, ps.Tensor) else argument.dtype.numpy.type
