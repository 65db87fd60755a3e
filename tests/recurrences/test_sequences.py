"""Sequences of commands on the examples, as somebody would try them: kernels against those of the default schedule.

A recipe, or skews, shifts and slabs, then tiles, marks and folds, with any other commands in between; what is refused
is left out. Kernels run between guard pages, on threads, at small sizes. POLYSCHED_FUZZ_CASES and POLYSCHED_FUZZ_SEED
say how many sequences are tried, and from where.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import polysched as ps
from polysched.compute.recurrence import Recurrence

from ..fuzz.guarded import Pool
from .definitions import EXAMPLES, Example
from .test_kernels import vectors_anywhere
from .test_verdicts import random_command

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "15"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))
BUDGET = 400_000  # isl operations: some sequences make loops that take minutes
MOST_COPIES = 512  # of a statement that is written out
TARGETS = ("native", "native", "x86-64-v3")
POOL = Pool()


class Author:
    """Gives commands to a schedule; those that are refused are forgotten."""

    def __init__(self, schedule: ps.Schedule, rng: random.Random) -> None:
        self.s, self.rng = schedule, rng

    def give(self, command: Callable[[], Any]) -> bool:
        count = len(self.s.commands)
        try:
            command()
        except ps.ScheduleError:
            return False
        if self._copies() > MOST_COPIES:
            while len(self.s.commands) > count:
                self.s.undo()
        return True

    def text(self, stage: str, command: str) -> bool:
        return self.give(lambda: self.s.extend(f"{stage}.{command}"))

    def _copies(self) -> int:
        most = 1
        for nest in self.s.state.nests.values():
            copies = 1
            for loop in nest.loops:
                copies *= (loop.most or 1) if loop.kind in ("unroll", "vectorize") else 1
            most = max(most, copies)
        return most

    def recurrence(self) -> str:
        return self.rng.choice([x.name for x in self.s.program.live_stages() if isinstance(x, Recurrence)])

    def recipe(self) -> None:
        rng, s = self.rng, self.s
        target, stage = ps.Target("native", threads=rng.choice((1, 2))), s[self.recurrence()]
        shape, steps = rng.choice((None, None, "diamond", "wavefront", "overlapped")), rng.choice((None, 2, 3, 4))
        recipes: list[Callable[[], Any]] = [
            *[lambda: ps.recipes.time_tile(stage, target, time=steps, shape=shape)] * 2,
            lambda: ps.recipes.wavefront(stage, target, diagonals=rng.choice((1, 4, 64))),
            lambda: ps.recipes.sweep(stage, target, width=rng.choice((None, 2, 8))),
            lambda: ps.recipes.factorization(stage, target, block=rng.choice((2, 4, 8))),
            lambda: ps.recipes.closure(stage, target, block=rng.choice((2, 4, 8))),
            s.auto_polyhedral,
        ]
        for recipe in rng.sample(recipes, 3):
            if self.give(recipe):
                return

    def lean(self) -> None:
        """Skews, shifts, and slabs."""
        rng, stage = self.rng, self.recurrence()
        for k in range(1, len(self.s[stage].loops)):
            loops = self.s[stage].loops
            if rng.random() < 0.6 and k < len(loops):
                factor, by = rng.choice((1, 1, 1, 2, 3, -1)), loops[rng.randrange(k)]
                self.give(lambda: self.s[stage].skew(loops[k], factor, by=by))  # noqa: B023
        if rng.random() < 0.3:
            other = self.recurrence()
            self.give(lambda: self.s[other].shift(rng.choice(self.s[other].loops), rng.choice((1, -1, 2, 3))))
        loops = self.s[stage].loops
        if rng.random() < 0.25 and len(loops) > 1:
            a, b = rng.sample(loops, 2)
            self.text(stage, f'partition("{a}{rng.choice("+-")}{b}", {rng.choice((2, 3, 4, 8))}, name="slab")')

    def tiles(self) -> None:
        """Splits, an order of all loops, perhaps a wavefront of tiles, and marks."""
        rng, stage = self.rng, self.s[self.recurrence()]
        for loop in stage.loops:
            if rng.random() < 0.6 and len(stage.loops) < 7:
                offset = rng.choice((0, 0, 0, 1))
                self.give(lambda: stage.split(loop, rng.choice((2, 3, 4, 4, 8, 16)), offset=offset))  # noqa: B023
        outer = [loop for loop in stage.loops if loop.endswith("_o")]
        inner = [loop for loop in stage.loops if loop not in outer]
        whole = list(stage.loops)
        order = rng.choice(([*outer, *inner], [*outer, *rng.sample(inner, len(inner))], rng.sample(whole, len(whole))))
        if len(order) > 1:
            self.give(lambda: stage.reorder(*order))
        if (
            len(outer) > 1
            and rng.random() < 0.4
            and self.give(lambda: stage.skew(outer[1], rng.choice((1, 2)), by=outer[0]))
        ):
            self.give(lambda: stage.reorder(outer[1], outer[0]))
        if rng.random() < 0.4:
            self.give(lambda: stage.parallel(rng.choice(stage.loops)))
        for loop in rng.sample(stage.loops, min(3, len(stage.loops))):
            word = rng.choice(("vectorize", "vectorize", "unroll", "peel"))
            ends = f", first={rng.choice((0, 1, 2))}, last={rng.choice((0, 1))}" if word == "peel" else ""
            self.text(stage.tensor.name, f'{word}("{loop}"{ends})')

    def fold(self) -> None:
        for stage in self.s.program.live_stages():
            if stage.ndim and self.rng.random() < 0.5 and not any(stage is output for output in self.s.outputs):
                axis = self.rng.choice(stage.equations[0].axes[:2]).name
                self.text(stage.name, f'fold_storage("{axis}", {self.rng.choice((1, 2, 2, 3, 4))})')

    def anything(self) -> None:
        make = self.rng.choice((random_command, vectors_anywhere))
        self.give(lambda: self.s.extend(make(self.s, self.rng) or ""))


def sizes_of(example: Example, s: ps.Schedule, rng: random.Random) -> dict[str, int]:
    pool = (0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 17) if example.name != "heat_3d" else (1, 2, 3, 5, 8)
    return {
        size.name: max(size.min, rng.choice((0, 1, 2, 3, 5, 6) if size.name == "T" else pool))
        for size in s.program.sizes
    }


def run_case(seed: int) -> bool:
    """Whether a kernel was run."""
    rng = random.Random(seed)
    example = rng.choice(list(EXAMPLES.values()))
    outputs = example.define()
    s = ps.Schedule(outputs, budget=BUDGET)
    s.advises = False
    author = Author(s, rng)
    for step in rng.choice(
        (
            (author.recipe, author.anything),
            (author.lean, author.tiles, author.fold),
            (author.lean, author.fold, author.tiles, author.anything, author.anything),
            (author.anything, author.lean, author.tiles, author.fold),
            (author.anything,) * 6,
        )
    ):
        step()
    if not s.commands:
        return False
    target = rng.choice(TARGETS)
    try:
        kernel = s.build(ps.Target(target, threads=2), cache=False)
    except ps.BudgetError:
        return False
    default = ps.Schedule(outputs).build(ps.Target(target, threads=1))
    for _ in range(2):
        sizes = sizes_of(example, s, rng)
        given = example.inputs(np.random.default_rng(seed), sizes)
        arrays = [given[a.name] for a in s.program.arguments]
        wanted = default(*arrays, **sizes)
        wanted = wanted if len(outputs) > 1 else (wanted,)
        flush = rng.choice(("left", "right"))
        here = [POOL.array(a, flush=flush) for a in arrays]
        found = tuple(POOL.array(np.empty_like(w), flush=flush, fill=0xFF) for w in wanted)
        kernel(*here, out=found if len(outputs) > 1 else found[0], **sizes)
        same = all(a.tobytes() == b.tobytes() for a, b in zip(wanted, found, strict=True))
        POOL.release()
        assert same, f"seed {seed}: {example.name} has other bits than by default at {sizes}, {target}\n{s.to_text()}"
    return True


def test_random_sequences() -> None:
    run = sum(run_case(seed) for seed in range(FIRST, FIRST + CASES))
    assert run >= CASES // 3
