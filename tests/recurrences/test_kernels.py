"""Kernels of random recurrences with vectors anywhere in their loops, against those of the default schedule.

The brute force of test_verdicts shares its idea of vector loops with the checker: all lanes at once, in the loops
inside. Whether the code does so is seen here alone. POLYSCHED_FUZZ_CASES and POLYSCHED_FUZZ_SEED say how many systems
are tried, and from where.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np

import polysched as ps

from ..fuzz.random_recurrences import random_recurrences
from .test_verdicts import LITERALS, random_command, refused

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "150"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))
SIZES = (3, 5, 6, 9)
TARGETS = ps.Target("native", threads=1), ps.Target("native", threads=2)


def vectors_anywhere(s: ps.Schedule, rng: random.Random) -> str | None:
    """A command that makes a vector, moves loops around, or any other."""
    stage = s[rng.choice([stage.name for stage in s.program.live_stages()])]
    loops, name = list(stage.loops), stage.tensor.name
    chance = rng.random()
    if chance < 0.3 and loops:
        nest = s.state.nests[stage.tensor.uid]
        short = [loop for loop in loops if loop in nest.names and nest.loop(loop).most is not None]
        if short:
            return f'{name}.vectorize("{rng.choice(short)}")'
        loop = rng.choice(loops)
        return f'{name}.split("{loop}", {rng.choice((2, 4))}, outer="{loop}o", inner="{loop}i")'
    if chance < 0.6 and 1 < len(loops) < 7:
        moved = '", "'.join(rng.sample(loops, rng.randint(2, min(4, len(loops)))))
        return f'{name}.reorder("{moved}")'
    return random_command(s, rng)


def values(tensor: ps.Tensor, sizes: dict[str, int], rng: np.random.Generator) -> Any:
    shape = [eval(str(extent), {"__builtins__": {}}, dict(sizes)) for extent in tensor.shape]
    return rng.integers(0 if tensor.dtype.name.startswith("u") else -9, 9, shape).astype(tensor.dtype.name)


def run_case(seed: int) -> bool:
    """Whether a kernel with a vector loop was run; what is re-associable is left out."""
    rng = random.Random(seed)
    made = random_recurrences(rng, LITERALS)
    names: dict[str, Any] = {"ps": ps}
    if any("reassociate" in line for line in made.lines):
        return False
    for line in made.lines:
        exec(line, names)
    outputs = [names[output] for output in made.outputs]
    try:
        s = ps.Schedule(outputs)
    except (ps.DefinitionError, ps.BudgetError):
        return False
    s.advises = False
    for _ in range(rng.randint(3, 8)):
        if (command := vectors_anywhere(s, rng)) is not None:
            refused(s, command)
    if "vectorize" not in s.to_text():
        return False
    sizes = {size.name: max(size.min, rng.choice(SIZES)) for size in s.program.sizes}
    given = [values(a, sizes, np.random.default_rng(seed)) for a in s.program.arguments if not a.equations]
    try:
        kernel = s.build(TARGETS[1], cache=False)
    except ps.BudgetError:
        return False
    wanted, found = ps.Schedule(outputs).build(TARGETS[0], cache=False)(*given, **sizes), kernel(*given, **sizes)
    pairs = zip(wanted, found, strict=True) if len(outputs) > 1 else [(wanted, found)]
    same = all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
    program = "\n".join([*made.lines, s.to_text()])
    assert same, f"seed {seed}: other bits than the default schedule at {sizes}\n\n{program}"
    return True


def test_random_kernels() -> None:
    run = sum(run_case(seed) for seed in range(FIRST, FIRST + CASES))
    assert run >= CASES // 6
