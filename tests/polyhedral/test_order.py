"""Requirements and the order of loop trees against enumeration at given sizes."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import polysched as ps
from polysched.polyhedral.counters import at_sizes
from polysched.polyhedral.order import violations
from polysched.polyhedral.requirements import requirements

from ..oracle.cases import MOST_INSTANCES, assignments, instances, random_command
from ..oracle.definitions import random_definition
from ..oracle.oracle import Oracle
from ..oracle.runs import Run
from .enumerated import points

Pairs = Counter[tuple[int, ...]]


def coordinates(run: Run, row: int) -> tuple[int, ...]:
    return tuple(int(column[row]) for column in run.columns.values())


def some_sizes(schedule: ps.Schedule, rng: random.Random) -> dict[str, int]:
    return min(assignments(schedule, rng), key=lambda sizes: sum(sizes.values()))


@pytest.mark.parametrize("seed", range(30))
def test_requirements_are_the_conflicting_pairs(seed: int) -> None:
    rng = random.Random(seed)
    s = ps.Schedule(random_definition(rng).make())
    sizes = max(assignments(s, rng), key=lambda values: sum(values.values()))
    oracle = Oracle(s.state, sizes)
    for source in oracle.runs:
        for sink in oracle.runs:
            expected = {
                (*coordinates(source, a), *coordinates(sink, b))
                for mine, theirs in oracle._conflicts(source, sink)
                for a, b in zip(mine, theirs, strict=True)
            }
            found = set()
            for requirement in requirements(s.program):
                named = requirement.source.label, requirement.sink.label
                if named == (label(source), label(sink)):
                    found |= points(requirement.relation, s.program.world, sizes)
            assert found == expected


def label(run: Run) -> str:
    if run.stage.equations[0].reduce is None:
        return run.stage.name
    return f"{run.stage.name}.{'update' if run.update else 'init'}"


@pytest.mark.parametrize("seed", range(60))
def test_violations_are_those_of_the_enumerated_order(seed: int) -> None:
    """Sound everywhere; exact unless a position is not affine, and always exact at given sizes."""
    rng = random.Random(500 + seed)
    s = ps.Schedule(random_definition(rng).make())
    sizes = some_sizes(s, rng)
    state = s.state
    for _ in range(6):  # illegal trees are wanted here
        command = random_command(s, rng)
        if command is not None:
            try:
                changed = command[1].apply(state, s[command[0]].tensor)
            except ps.ScheduleError:
                continue
            if instances(changed, sizes) <= MOST_INSTANCES:  # stages in loops are computed anew in each iteration
                s._states[-1] = state = changed
    oracle = Oracle(state, sizes)
    expected: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    for source, mine, sink, theirs in oracle.violations():
        pairs = {(*coordinates(source, a), *coordinates(sink, b)) for a, b in zip(mine, theirs, strict=True)}
        expected.setdefault((label(source), label(sink)), set()).update(pairs)
    tree = state.tree()
    for name in {(r.source.label, r.sink.label) for r in state.pairs} | set(expected):
        sound, exact, fixed = set(), True, set()
        for requirement in state.pairs:
            if (requirement.source.label, requirement.sink.label) == name:
                bad, at = violations(tree, requirement), violations(at_sizes(tree, sizes), requirement)
                sound |= {p for part in (bad.reversed, bad.together) for p in here(part, state, sizes)}
                fixed |= {p for part in (at.reversed, at.together) for p in here(part, state, sizes)}
                exact = exact and bad.exact
                assert at.exact
        wanted = expected.get(name, set())
        assert fixed == wanted
        assert sound == wanted if exact else sound >= wanted


def here(part, state, sizes):  # type: ignore[no-untyped-def]
    return points(part, state.program.world, sizes)
