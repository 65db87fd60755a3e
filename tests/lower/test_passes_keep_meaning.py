"""Random programs, interpreted after every pass: no pass changes a bit."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import polysched as ps

MAX_INSTANCES = 400
BATCHES = 5
BATCH = 20


@pytest.mark.parametrize("first", range(0, BATCHES * BATCH, BATCH))
def test_no_pass_changes_a_result(
    first: int, cases: ModuleType, lowered: Callable[..., Any], run_ir: Callable[..., Any]
) -> None:
    ran = 0
    for seed in range(first, first + BATCH):
        case = cases.make_case(100_000 + seed)
        if case is None:
            continue
        names = case.definition.namespace()
        schedule = ps.Schedule([names[output] for output in case.definition.outputs])
        for command in case.commands:
            exec(command, {**names, "s": schedule})
        sizes = {size.name: max(size.min, (3, 5, 2)[k % 3]) for k, size in enumerate(schedule.program.sizes)}
        if sum(cases._volume(stage, sizes) for stage in schedule.stages) > MAX_INSTANCES:
            continue
        ran += 1
        made = lowered(schedule, case.target if case.target != "native" else "x86-64-v4")
        inputs, _, _ = cases._inputs(case, names, sizes)
        try:
            given = dict(zip(schedule.program.arguments, inputs, strict=True))
            sized = {names[name]: value for name, value in sizes.items()}
            reference = ps.evaluate(list(schedule.outputs), given | sized)
        except ps.BoundsError:
            reference = None
        free = "reassociate=True" in "".join(case.definition.lines)
        before: list[np.ndarray[Any, Any]] | None = None
        for stage, stmt in made.stages.items():
            results = run_ir(made, stmt, schedule.program, inputs, sizes)
            where = f"seed {seed} after {stage}\n{case.text()}"
            assert (results is None) == (reference is None), where
            for result, other in zip(results or (), reference or (), strict=True):
                assert cases.close(result, other), where
            for result, other in zip(results or (), before or results or (), strict=True):
                assert (cases.close if free else cases.same_bits)(result, other), where
            before = results
    assert ran > BATCH // 4
