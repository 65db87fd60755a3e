"""Random stencils iterated in time, as the lines of Python that a user would write: what has its steps in blocks.

A step is made of the one before, at cells up to two away, guarded or with regions of their own at the boundary; some
are sweeps in place, which also read what is before in the step. It may read an input, a stage, or the number of the
step. The last plane is the output, or what reads it. There may be a second field, of as many planes or of one less,
each read by the other: that one's planes also in the step that makes them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

DTYPES = ("float32", "float64", "float64", "int32", "uint8")
AXES = ("i", "j", "k")
LITERALS = (1, 2, 3, 5, 8)


@dataclass
class Stencil:
    """The lines that define everything, the outputs, and what the elements of each placeholder are like."""

    lines: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)


def random_stencil(rng: random.Random, literals: tuple[int, ...] = LITERALS) -> Stencil:
    """A stencil over one to three dimensions, mostly few; each extent is a size or a literal."""
    made, rank, dtype = Stencil(), rng.choice((1, 1, 2, 2, 2, 3)), rng.choice(DTYPES)
    axes = AXES[:rank]
    steps = rng.choice(("T", "T", str(rng.choice(literals))))
    extents = tuple(rng.choice(("n", "n", "n", "m", str(rng.choice(literals)))) for _ in axes)
    made.lines += [f'{size} = ps.size_var("{size}", min={rng.choice((0, 1, 1, 2))})' for size in ("T", "n", "m")]
    names = ", ".join(axes)
    made.lines.append(f't, {names} = ps.axes("t {" ".join(axes)}")')
    shape = "".join(f"{extent}, " for extent in extents)
    for name in ("A0", "A1"):
        made.lines.append(f'{name} = ps.placeholder(({shape}), "{dtype}", name="{name}")')
        made.data[name] = "exact"
    one = f'ps.cast("{dtype}", 1)'
    read = rng.choice((f"A1[{names}]", f"B0[{names}]", one))
    if read.startswith("B0"):
        made.lines.append(f'B0 = ps.compute(({shape}), lambda {names}: A1[{names}] * {one}, name="B0")')
    made.lines.append(f'u = ps.recurrence(({steps} + 1, {shape}), "{dtype}", name="u")')
    made.lines.append(f"u[0, {names}] = A0[{names}]")
    scale = "0.25 * " if dtype.startswith("float") else ""
    terms = [read, f"{scale}u[t, {names}]"] if rng.random() < 0.8 else [read]
    terms += [f"{scale}{_tap(rng, axes, extents, one)}" for _ in range(rng.choice((1, 2, 2, 3)))]
    if rng.random() < 0.25:  # a sweep in place
        terms += [f"{scale}{_swept(rng, axes, extents, one)}" for _ in range(rng.choice((1, 1, 2)))]
    second = rng.choice(("", "", "", "whole", "short"))
    if second:
        planes = f"{steps} + 1" if second == "whole" else steps
        made.lines.append(f'v = ps.recurrence(({planes}, {shape}), "{dtype}", name="v")')
        terms.append(f"{scale}{_tap(rng, axes, extents, one, 'v[t')}")
    body = " + ".join(terms)
    if rng.random() < 0.5:
        inside = " & ".join(
            f"({axis} > 0) & ({axis} < {extent} - 1)" for axis, extent in zip(axes, extents, strict=True)
        )
        body = f"ps.select({inside}, {body}, u[t, {names}])"
    if rng.random() < 0.2:
        body = f"ps.select(t < {rng.choice((1, 2, 3))}, {body}, {read})"
    if rng.random() < 0.3:
        made.lines.append(f"u.define((t + 1, {names}), {read}, where=i < 1)")
        made.lines.append(f"u.define((t + 1, {names}), {body}, where=i >= 1)")
    else:
        made.lines.append(f"u[t + 1, {names}] = {body}")
    made.lines.append(f"w = u[{steps}]")
    made.outputs = ["w"]
    if second == "short":
        made.lines.append(f"v[t, {names}] = {scale}{_tap(rng, axes, extents, one)} + {one}")
    if second == "whole":
        at = rng.choice(("u[t + 1", "u[t + 1", "u[t"))
        made.lines.append(f"v[0, {names}] = A1[{names}]")
        made.lines.append(f"v[t + 1, {names}] = {scale}{_tap(rng, axes, extents, one, at)} + {scale}v[t, {names}]")
        if rng.random() < 0.3:
            made.lines.append(f"x = v[{steps}]")
            made.outputs = ["w", "x"]
    if len(made.outputs) == 1 and rng.random() < 0.3:
        value = f"w[{names}] + {one}"
        made.lines.append(f'D = ps.compute(({shape}), lambda {names}: {value}, name="D")')
        made.outputs = ["D"]
    return made


def _tap(rng: random.Random, axes: tuple[str, ...], extents: tuple[str, ...], one: str, plane: str = "u[t") -> str:
    """A cell of a plane, by default of the step before, near this one, where it is inside."""
    steps = [rng.choice((-2, -1, 0, 0, 1, 2)) if rng.random() < 0.7 else 0 for _ in axes]
    return _cell(axes, extents, steps, one, plane)


def _swept(rng: random.Random, axes: tuple[str, ...], extents: tuple[str, ...], one: str) -> str:
    """A cell of the same step that is before this one, where it is inside."""
    first = rng.randrange(len(axes))
    after = [rng.choice((-1, 0, 0, 1)) for _ in axes[first + 1 :]]
    return _cell(axes, extents, [0] * first + [-rng.choice((1, 1, 2)), *after], one, "u[t + 1")


def _cell(axes: tuple[str, ...], extents: tuple[str, ...], steps: list[int], one: str, plane: str) -> str:
    guards, indices = [], []
    for axis, extent, step in zip(axes, extents, steps, strict=True):
        index = f"{axis} {'+' if step > 0 else '-'} {abs(step)}" if step else axis
        indices.append(index)
        guards += [f"({index} >= 0)"] if step < 0 else [f"({index} < {extent})"] if step > 0 else []
    tap = f"{plane}, {', '.join(indices)}]"
    return f"ps.select({' & '.join(guards)}, {tap}, {one})" if guards else tap
