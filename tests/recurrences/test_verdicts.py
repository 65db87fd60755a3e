"""Random commands on random recurrences and on the examples: the checker's verdicts against brute force, both ways.

make test                                              some hundred cases
POLYSCHED_FUZZ_CASES=5000 pytest -s tests/recurrences/test_verdicts.py   that many
POLYSCHED_FUZZ_SEED=41000                              go on at a seed, or repeat one

That what is accepted also has the bits of the default schedule is what tests/fuzz sees to.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest

import polysched as ps
from polysched.compute.recurrence import Recurrence
from polysched.schedule.text import HEADER, parse_schedule

from ..fuzz.random_recurrences import random_recurrences
from ..fuzz.random_stencils import random_stencil
from .definitions import EXAMPLES
from .oracle import instances, violations

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "150"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))
COMMANDS = 5
MOST = 220  # instances
LITERALS = (1, 2, 3, 4)
WORDS = (
    *["split", "reorder", "skew", "parallel", "vectorize", "vectorize", "reverse", "fold_storage"] * 3,
    *["tile", "shift", "partition", "fuse", "fuse", "fuse", "unroll", "inline"] * 2,
    *["compute_at", "compute_with"] * 4,
)


def random_command(s: ps.Schedule, rng: random.Random) -> str | None:
    """A command on a stage, in text form."""
    chosen = s[rng.choice([stage.name for stage in s.program.live_stages()])]
    stage = chosen.tensor.name
    if isinstance(chosen.tensor, Recurrence) and rng.random() < 0.3:
        number = rng.randrange(len(chosen.tensor.equations))
        chosen, stage = chosen.equation(number), f"{stage}.equation({number})"
    axes = [axis.name for axis in chosen.tensor.equations[0].axes]
    if chosen.number is not None and len(axes) > 1 and rng.random() < 0.25:
        other = rng.choice(axes)
        inner = [axis.name for equation in chosen.tensor.equations for axis in equation.loops if axis.name != other]
        if rng.random() < 0.3:
            names = '", "'.join(rng.sample(axes, len(axes) - 1))
            return f'{stage}.cache_operand("{names}", name="kept{len(s.commands)}")'
        where = rng.choice(("", "", ", ahead=-1", ', blocks="other"', ', ahead=1, blocks="other"'))
        return f'{stage}.separate("{rng.choice(inner)}", "{other}", {rng.choice((1, 2, 3))}{where})'
    loops = list(chosen.loops)
    if not loops or len(loops) > 7:
        return None
    loop, first = rng.choice(loops), rng.randrange(len(loops))
    match rng.choice(WORDS):
        case "split":
            factor = rng.choice((1, 2, 2, 3))
            offset = f", offset={rng.randrange(1, factor)}" if factor > 1 and rng.random() < 0.3 else ""
            return f'{stage}.split("{loop}", {factor}, outer="{loop}o", inner="{loop}i"{offset})'
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
        case "partition":
            form = "".join(
                f"{rng.choice('+++-')}{loop}" for loop in rng.sample(loops, rng.randint(1, min(2, len(loops))))
            )
            return f'{stage}.partition("{form}", {rng.choice((1, 2, 3))}, name="s{len(loops)}")'
        case "shift":
            return f'{stage}.shift("{loop}", {rng.choice((1, -1, 2))})'
        case "fuse" | "parallel" as word if first + 1 < len(loops) and rng.random() < 0.6:
            return f'{stage}.{word}("{loops[first]}", "{loops[first + 1]}", name="{loops[first]}{loops[first + 1]}")'
        case "fold_storage" if len(s.program.live_stages()) > len(s.outputs):
            stage = rng.choice([x.name for x in s.program.live_stages() if not _is_output(s, x)])
            axes = [axis.name for axis in s[stage].tensor.equations[0].axes]
            return f'{stage}.fold_storage("{rng.choice(axes)}", {rng.choice((1, 2, 2, 3, 4))})'
        case "inline":
            plain = [x.name for x in s.program.live_stages() if not isinstance(x, Recurrence) and not _is_output(s, x)]
            return f"{rng.choice(plain)}.inline()" if plain else None
        case "compute_at":
            pairs = [(x, y) for x in s.program.live_stages() for y in s.program.definitions.consumers(x)]
            inside = [(x, y) for x, y in pairs if not _is_output(s, x) and s[y].loops]
            if inside:
                stage, host = rng.choice(inside)
                return f'{stage.name}.compute_at("{host.name}", "{rng.choice(s[host].loops)}")'
        case "compute_with":
            others = [x for x in s.program.live_stages() if x.name != chosen.tensor.name and s[x].loops]
            if others:
                host = rng.choice(others)
                return f'{chosen.tensor.name}.compute_with("{host.name}", "{rng.choice(s[host].loops)}")'
        case "unroll" | "vectorize" as word:
            nest = s.state.nests[chosen.tensor.uid]
            short = [name for name in loops if name in nest.names and nest.loop(name).most is not None]
            if short:
                return f'{stage}.{word}("{rng.choice(short)}")'
            return f'{stage}.split("{loop}", {rng.choice((2, 2, 3))}, outer="{loop}o", inner="{loop}i")'
        case "parallel" | "reverse" as word:
            return f'{stage}.{word}("{loop}")'
    return None


def _is_output(s: ps.Schedule, stage: ps.Tensor) -> bool:
    return any(stage is output for output in s.outputs)


def sizes_for(s: ps.Schedule, rng: random.Random) -> dict[str, int] | None:
    """Small sizes with not too many instances, if a few tries find some."""
    for most in (6, 5, 4, 4, 3, 3, 2):
        sizes = {size.name: max(size.min, rng.randint(1, most)) for size in s.program.sizes}
        if len(instances(s.state, sizes)) <= MOST:
            return sizes
    return None


def check(s: ps.Schedule, command: str, rng: random.Random) -> str:
    """Give the command, and compare the verdict with brute force."""
    before, refusal = s.state, refused(s, command)
    if refusal is not None and not isinstance(refusal, ps.LegalityError):
        return "undecided" if isinstance(refusal, ps.BudgetError) else "invalid"
    if refusal is not None:
        name, record = _parsed(command)
        state = record.apply(before, s[name].tensor)
        pairs = [(a.name, b.name) for a, b in violations(state, refusal.sizes)]
        assert (refusal.source, refusal.sink) in pairs, f"no violation: {refusal}"
        return "refused"
    sizes = sizes_for(s, rng)
    wrong = None if sizes is None else next(violations(s.state, sizes), None)
    assert wrong is None, f"accepted, but at {sizes} {wrong[0].name} must be before {wrong[1].name}"
    return "accepted"


def refused(s: ps.Schedule, command: str) -> ps.ScheduleError | None:
    """Carry a command out; the error where it is refused."""
    try:
        s.extend(command)
    except ps.ScheduleError as refusal:
        return refusal
    return None


def _parsed(command: str) -> tuple[str, Any]:
    ((_, name, record),) = parse_schedule(f"{HEADER}\n{command}")
    return name, record


def run_case(seed: int, verdicts: Counter[tuple[str, str]]) -> None:
    rng = random.Random(seed)
    stencil = rng.random() < 0.2
    made = random_stencil(rng, LITERALS) if stencil else random_recurrences(rng, LITERALS)
    names: dict[str, Any] = {"ps": ps}
    for line in made.lines:
        exec(line, names)
    try:
        s = ps.Schedule([names[output] for output in made.outputs])
    except (ps.DefinitionError, ps.BudgetError):
        verdicts["definition", "invalid"] += 1
        return
    s.advises = False
    if rng.random() < 0.2:
        s.auto_polyhedral()
    first = [f'u.block_steps("t", {rng.choice((2, 3, 4))}, name="ub", steps="us")'] if stencil else []
    for _ in range(COMMANDS):
        command = first.pop() if first and rng.random() < 0.7 else random_command(s, rng)
        if command is None:
            continue
        try:
            verdict = check(s, command, rng)
        except Exception as wrong:
            program = "\n".join([*made.lines, f"s = ps.Schedule([{', '.join(made.outputs)}])"])
            raise AssertionError(f"seed {seed}: {wrong}\n\n{program}\n{s.to_text()}{command}") from wrong
        verdicts[command.split(".")[1].split("(")[0], verdict] += 1


def table(verdicts: Counter[tuple[str, str]]) -> str:
    columns = ("accepted", "refused", "undecided", "invalid")
    words = sorted({*WORDS, "block_steps", "definition"})
    rows = [f"{word:14}{''.join(f'{verdicts[word, c]:>11}' for c in columns)}" for word in words]
    return "\n".join([f"{'':14}{''.join(f'{c:>11}' for c in columns)}", *rows])


def test_random_recurrences() -> None:
    verdicts: Counter[tuple[str, str]] = Counter()
    for seed in range(FIRST, FIRST + CASES):
        run_case(seed, verdicts)
    print(table(verdicts))
    if CASES >= 150:  # a generator that makes no illegal commands, or no legal ones, would prove nothing
        for word in ("parallel", "vectorize", "reverse", "reorder", "fold_storage"):
            assert verdicts[word, "refused"] >= CASES // 75, table(verdicts)
        for word in (*WORDS, "block_steps"):
            assert verdicts[word, "accepted"] >= CASES // 75, table(verdicts)
        undecided = sum(count for (_, verdict), count in verdicts.items() if verdict == "undecided")
        assert undecided <= sum(verdicts.values()) // 50, table(verdicts)


@pytest.mark.parametrize("name", ["lu", "cholesky", "nussinov", "smith_waterman", "deriche", "adi", "floyd_warshall"])
def test_random_commands_on_examples(name: str) -> None:
    rng = random.Random(0)
    s = ps.Schedule(EXAMPLES[name].define())
    s.advises = False
    for _ in range(5):
        command = random_command(s, rng)
        if command is not None:
            check(s, command, rng)


@pytest.mark.parametrize("seed", [2000289])
def test_what_the_oracle_once_took_for_something_else(seed: int) -> None:
    """A cut of an equation that has no cells for some lanes at some sizes, at which it needs those of the rest."""
    run_case(seed, Counter())
