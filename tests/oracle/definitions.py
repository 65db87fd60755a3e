"""Random computations as plain data, so that they print as the program that makes them and can be made smaller."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import polysched as ps

EXTENTS = ("n", "n", "m", "m", "n + 1", "2 * m", "(n + 1) // 2", "2", "3", "5", "8")
REDUCTIONS = (
    'ps.sum({}, axis={})', 'ps.sum({}, axis={})', 'ps.prod({}, axis={})', 'ps.sum({}, axis={}, reassociate=True)',
    'ps.sum(ps.cast("int32", {}), axis={})', 'ps.max({}, axis={})', 'ps.min({}, axis={})', 'ps.argmax({}, axis={})',
)  # fmt: skip


@dataclass(frozen=True)
class Reduction:
    """An axis from `lower` to `upper`; `box` is an extent that its values stay below."""

    name: str
    lower: str
    upper: str
    box: str


@dataclass(frozen=True)
class Stage:
    """One ps.compute: `terms` are summed, `inputs` are the shapes of the placeholders that they read."""

    name: str
    axes: tuple[tuple[str, str], ...]
    reductions: tuple[Reduction, ...]
    operator: str
    terms: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Definition:
    """Some stages, of which the last is the output, with what is promised of the sizes."""

    stages: tuple[Stage, ...]
    promises: str = ""

    def source(self) -> str:
        """The program that makes it."""
        lines = ['n, m = ps.size_var("n"' + self.promises + '), ps.size_var("m")']
        for stage in self.stages:
            lines += [f'{name} = ps.placeholder(({shape}), "float32", name="{name}")' for name, shape in stage.inputs]
            names = ", ".join(name for name, _ in stage.axes)
            lines.append(f"def {stage.name}_({names}):")
            for axis in stage.reductions:
                lines.append(f'    {axis.name} = ps.reduce_axis(({axis.lower}, {axis.upper}), name="{axis.name}")')
            value = " + ".join(stage.terms) or 'ps.cast("float32", 1.0)'
            if stage.reductions:
                value = stage.operator.format(value, f"({', '.join(a.name for a in stage.reductions)},)")
            lines.append(f"    return {value}")
            shape = "".join(f"{extent}, " for _, extent in stage.axes)
            lines.append(f'{stage.name} = ps.compute(({shape}), {stage.name}_, name="{stage.name}")')
        return "\n".join(lines)

    def make(self) -> Any:
        """The output tensor."""
        scope: dict[str, Any] = {"ps": ps}
        exec(self.source(), scope)  # the text is our own
        return scope[self.stages[-1].name]

    def smaller(self) -> Iterator[Definition]:
        """The same with one thing less."""
        for k, stage in enumerate(self.stages):
            changed = [replace(stage, terms=stage.terms[:t] + stage.terms[t + 1 :]) for t in range(len(stage.terms))]
            for r, axis in enumerate(stage.reductions):
                if (axis.lower, axis.upper) != ("0", axis.box):
                    full = replace(axis, lower="0", upper=axis.box)
                    changed.append(replace(stage, reductions=(*stage.reductions[:r], full, *stage.reductions[r + 1 :])))
            for other in changed:
                yield replace(self, stages=(*self.stages[:k], other, *self.stages[k + 1 :]))
            if k < len(self.stages) - 1 and not any(f"{stage.name}[" in t for s in self.stages for t in s.terms):
                yield replace(self, stages=(*self.stages[:k], *self.stages[k + 1 :]))
        if len(self.stages) > 1:
            yield replace(self, stages=self.stages[:-1])
        if self.promises:
            yield replace(self, promises="")


def random_definition(rng: random.Random) -> Definition:
    stages: list[Stage] = []
    for k in range(rng.choice((1, 1, 2, 2, 2, 3, 4))):
        stages.append(_stage(rng, f"S{k}", stages))
    return Definition(tuple(stages), rng.choice(("", "", "", ", min=1", ", multiple_of=2", ", multiple_of=4")))


def _stage(rng: random.Random, name: str, earlier: list[Stage]) -> Stage:
    reductions: list[Reduction] = []
    wanted = rng.choice((0, 1, 1, 1, 2, 2))
    rank = rng.choice((1, 1, 2, 2, 3, 4)) if not wanted else rng.choice((0, 1, 1, 1, 2, 2))
    axes = tuple((f"{'ijkl'[d]}", rng.choice(EXTENTS)) for d in range(rank))
    operator = rng.choice(REDUCTIONS)
    for axis_name in "rq"[:wanted]:
        lower, upper, box = "0", "", rng.choice(EXTENTS)
        outer = [*axes, *((r.name, r.box) for r in reductions)]
        if outer and rng.random() < 0.35 and "arg" not in operator:
            over, box = rng.choice(outer)
            lower, upper = rng.choice((("0", f"{over} + 1"), (over, box), (f"{over} // 2", f"{over} + 1"), ("0", over)))
        elif rng.random() < 0.15 and "arg" not in operator and not box.isdigit():
            lower = "1"
        reductions.append(Reduction(axis_name, lower, upper or box, box))
    inputs: list[tuple[str, str]] = []
    available = [*axes, *((r.name, r.box) for r in reductions)]
    terms = []
    for t in range(rng.choice((1, 1, 1, 2, 3))):
        if earlier and (t == 0 or rng.random() < 0.4):
            terms.append(_read_stage(rng, rng.choice(earlier[-2:]), available))
        else:
            terms.append(_read_input(rng, f"A_{name}_{t}", available, inputs))
    return Stage(name, axes, tuple(reductions), operator, tuple(terms), tuple(inputs))


def _read_input(rng: random.Random, name: str, available: list[tuple[str, str]], inputs: list[tuple[str, str]]) -> str:
    """A read of a new placeholder that is large enough."""
    indices, shape, guards = [], [], []
    for axis, extent in rng.sample(available, rng.randint(0, len(available))):
        match rng.randrange(8):
            case 0:
                indices.append(f"{axis} + 2")
                shape.append(f"{extent} + 2")
            case 1:
                indices.append(f"{axis} - 1")
                shape.append(extent)
                guards.append(f"({axis} >= 1)")
            case 2:
                indices.append(f"{extent} - 1 - {axis}")
                shape.append(extent)
            case 3:
                indices.append(f"{axis} // 2")
                shape.append(extent)
            case 4:
                indices.append(f"ps.clamp({axis} + 1, 0, {extent} - 1)")
                shape.append(extent)
            case _:
                indices.append(axis)
                shape.append(extent)
    inputs.append((name, "".join(f"{extent}, " for extent in shape)))
    return _guarded(guards, f"{name}[{', '.join(indices) or '()'}]")


def _read_stage(rng: random.Random, stage: Stage, available: list[tuple[str, str]]) -> str:
    """A read of an earlier stage, guarded where it might leave it."""
    indices, guards = [], []
    for _, extent in stage.axes:
        if not available:
            indices.append("0")
            guards.append(f"({extent} > 0)" if not extent.isdigit() else "")
            continue
        axis, own = rng.choice(available)
        other = rng.choice(available)[0]
        apart = f"{axis} + 1", f"{axis} - 1", f"{axis} - 3", f"2 * {axis}", f"{axis} + {other}"
        index = rng.choice((*[axis] * 7, f"{own} - 1 - {axis}", f"{axis} // 2", *apart))
        inside = extent == f"{own} + 1" if index == apart[0] else extent == own and index not in apart
        if not inside:
            guards += [f"({index} >= 0)", f"({index} < {extent})"]
        indices.append(index)
    read = f"{stage.name}[{', '.join(indices) or '()'}]"
    return f'ps.cast("float32", {_guarded([g for g in guards if g], read)})'


def _guarded(guards: list[str], read: str) -> str:
    return f"ps.select({' & '.join(guards)}, {read}, 0)" if guards else read
