"""Random commands on random recurrences and on the examples: the checker's verdicts against brute force, and the bits
of what is accepted against those of the default schedule."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES
from .oracle import instances, violations

CASES = 24
MOST = 260  # instances


def stencil(rng: random.Random) -> list[ps.Tensor]:
    """One or two fields over time and a line, with random reads of what was computed before."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    fields = [ps.recurrence((T + 1, n), "float64", name=name) for name in ("u", "v")[: rng.choice((1, 1, 2))]]
    backwards = rng.random() < 0.3
    for place, field in enumerate(fields):
        field[0, i] = A[i] + float(place)
        total: Any = A[i]
        for _ in range(rng.randint(1, 3)):
            other = rng.choice(fields)
            now = rng.random() < 0.4
            earlier = fields.index(other) < place
            offset = rng.randint(-2, 2) if not now or earlier else rng.choice((-2, -1))
            if now and backwards and not earlier:
                offset = -offset
            at = t + 1 if now else t
            inside = (i + offset >= 0) & (i + offset < n)
            total = total + ps.select(inside, other[at, i + offset], 0.5)
        if rng.random() < 0.4:
            field.define((t + 1, i), field[t, i], where=i == 0)
            field.define((t + 1, i), total, where=i > 0)
        else:
            field[t + 1, i] = total
    return fields


def random_command(s: ps.Schedule, rng: random.Random) -> str | None:
    """A command on a stage, in text form."""
    stage = rng.choice([stage.name for stage in s.stages])
    loops = list(s[stage].loops)
    if not loops or len(loops) > 6:
        return None
    loop = rng.choice(loops)
    match rng.choice(
        ("split", "tile", "reorder", "reorder", "skew", "skew", "shift", "parallel", "vectorize", "reverse")
    ):
        case "split":
            return f'{stage}.split("{loop}", {rng.choice((2, 3))}, outer="{loop}o", inner="{loop}i")'
        case "tile" if len(loops) > 1:
            a, b = rng.sample(loops, 2)
            names = f'outers=("{a}o", "{b}o"), inners=("{a}i", "{b}i")'
            return f'{stage}.tile("{a}", "{b}", {rng.choice((1, 2, 3))}, {rng.choice((2, 3, 4))}, {names})'
        case "reorder" if len(loops) > 1:
            chosen = rng.sample(loops, rng.randint(2, min(3, len(loops))))
            names = '", "'.join(chosen)
            return f'{stage}.reorder("{names}")'
        case "skew" if loops.index(loop):
            return f'{stage}.skew("{loop}", {rng.choice((1, 1, 2, -1))}, by="{rng.choice(loops[: loops.index(loop)])}")'
        case "shift":
            return f'{stage}.shift("{loop}", {rng.choice((1, -1, 2))})'
        case "parallel" | "vectorize" | "reverse" as word:
            return f'{stage}.{word}("{loop}")'
    return None


def sizes_for(s: ps.Schedule, rng: random.Random) -> dict[str, int]:
    while True:
        sizes = {size.name: max(size.min, rng.randint(1, 5)) for size in s.program.sizes}
        if len(instances(s.state, sizes)) <= MOST:
            return sizes


def check(s: ps.Schedule, command: str, rng: random.Random) -> str:
    """Give the command, and compare the verdict with brute force."""
    before, refusal = s.state, refused(s, command)
    if refusal is not None and not isinstance(refusal, ps.LegalityError):
        return "undecided" if isinstance(refusal, ps.BudgetError) else "invalid"
    if refusal is not None:
        name, record = _parsed(command)
        state = record.apply(before, s[name].tensor)
        pairs = [(a.name, b.name) for a, b in violations(state, refusal.sizes)]
        assert (refusal.source, refusal.sink) in pairs, f"{s.to_text()}{command}: {refusal}"
        return "refused"
    sizes = sizes_for(s, rng)
    wrong = next(violations(s.state, sizes), None)
    assert wrong is None, f"{s.to_text()}accepted, but at {sizes} {wrong[0].name} must be before {wrong[1].name}"
    return "accepted"


def refused(s: ps.Schedule, command: str) -> ps.ScheduleError | None:
    """Carry a command out; the error where it is refused."""
    try:
        s.extend(command)
    except ps.ScheduleError as refusal:
        return refusal
    return None


def _parsed(command: str) -> tuple[str, Any]:
    from polysched.schedule.text import HEADER, parse_schedule

    ((_, name, record),) = parse_schedule(f"{HEADER}\n{command}")
    return name, record


def test_random_recurrences() -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(CASES):
        rng = random.Random(seed)
        try:
            s = ps.Schedule(stencil(rng))
        except ps.DefinitionError:
            verdicts["no order"] += 1
            continue
        s.advises = False
        for _ in range(6):
            command = random_command(s, rng)
            if command is not None:
                verdicts[check(s, command, rng)] += 1
        if seed % 4 == 0:
            same_bits(s, rng)
    assert verdicts["accepted"] > CASES
    assert verdicts["refused"] > CASES // 2
    assert verdicts["undecided"] == 0


@pytest.mark.parametrize("name", ["lu", "cholesky", "nussinov", "smith_waterman", "deriche", "adi", "floyd_warshall"])
def test_random_commands_on_examples(name: str) -> None:
    for seed in range(1):
        rng = random.Random(seed)
        s = ps.Schedule(EXAMPLES[name].define())
        s.advises = False
        for _ in range(5):
            command = random_command(s, rng)
            if command is not None:
                check(s, command, rng)


def same_bits(s: ps.Schedule, rng: random.Random) -> None:
    sizes = {"T": rng.randint(0, 5), "n": rng.randint(1, 9)}
    a = np.random.default_rng(3).standard_normal(sizes["n"])
    default = ps.Schedule(s.outputs).build()
    for one, two in zip(_several(s.build()(a, T=sizes["T"])), _several(default(a, T=sizes["T"])), strict=True):
        np.testing.assert_array_equal(one, two)


def _several(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
