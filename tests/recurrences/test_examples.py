"""Every example, under its default schedule, against the reference and against a program in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES, Example


def run(example: Example) -> tuple[Any, Any, Any]:
    """What kernel, reference, and program give for the example's sizes."""
    outputs = example.define()
    given = example.inputs(np.random.default_rng(6), example.sizes)
    schedule = ps.Schedule(outputs)
    kernel = schedule.build()
    tensors = {a.name: a for a in schedule.program.arguments if isinstance(a, ps.Tensor)}
    arrays = [given[name] for name in tensors]
    got = kernel(*arrays, **example.sizes)
    inputs = {tensors[name]: array for name, array in given.items()}
    inputs |= {size: example.sizes[size.name] for size in schedule.program.sizes}
    return got, ps.evaluate(outputs, inputs), example.program(example.sizes, **given)


@pytest.mark.parametrize("name", EXAMPLES)
def test_default_schedule_reference_and_program_agree(name: str) -> None:
    got, reference, program = run(EXAMPLES[name])
    for one, two, three in zip(_several(got), _several(reference), _several(program), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(two, three, rtol=1e-10, atol=1e-10)


def _several(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
