"""Random recurrences, as the lines of Python that a user would write.

A hidden order of the dimensions, each forwards or backwards, makes most of them mean something: what a cell reads of
the system lies before it in that order. The cells of a tensor are cut into regions, each with an equation of its own:
by a first or last plane, by a triangle, by parity, by a small number. A system has one tensor or two, the second
perhaps with the first dimension alone; reductions run over what is before, or over a whole plane of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

DTYPES = ("float32", "float32", "float64", "int32", "int32", "int64", "uint8")
AXES = ("i", "j", "k")
LITERALS = (1, 2, 3, 5, 8, 16)


@dataclass
class Lines:
    """The lines that define everything, the outputs, and what the elements of each placeholder are like."""

    lines: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Field:
    """A tensor of the system: the names of its dimensions, and their extents."""

    name: str
    axes: tuple[str, ...]
    extents: tuple[str, ...]


@dataclass(frozen=True)
class _Region:
    """Some of a tensor's cells: where each index is `cell`, a function of the axis written there, and the rest holds.

    `low` and `high` say how many cells there are at least before and after along each dimension.
    """

    cell: tuple[str, ...]
    axes: tuple[str, ...]
    where: tuple[str, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


class RecurrenceGenerator:
    """One random system of recurrences, with what it reads and what reads it."""

    def __init__(self, rng: random.Random, literals: tuple[int, ...]) -> None:
        self.rng, self.literals = rng, literals
        self.made = Lines()
        self.count = 0
        self.dtype = self.given = rng.choice(DTYPES)
        self.data = "exact"
        self.floats = self.dtype.startswith("float")
        self.free = self.floats and rng.random() < 0.25

    def generate(self) -> Lines:
        rng = self.rng
        sizes = ("n", "m")[: rng.choice((1, 1, 2))]
        for name in sizes:
            least = rng.choice(("", ", min=1", ", min=1", ", min=2"))
            self.made.lines.append(f'{name} = ps.size_var("{name}"{least})')
        rank = rng.choice((1, 2, 2, 2, 3))
        pool = [*sizes, *sizes, f"{sizes[0]} + 1", str(rng.choice(self.literals))]
        extents = tuple(rng.choice(pool) for _ in range(rank))
        if rng.random() < 0.4:
            extents = (extents[0],) * rank
        axes = AXES[:rank]
        self.order = rng.sample(range(rank), rank) if rng.random() < 0.4 else list(range(rank))
        self.signs = [rng.choice((1, 1, 1, -1)) for _ in range(rank)]
        names = " ".join(axes)
        self.made.lines.append(f'({", ".join(axes)},) = ps.axes("{names}")')
        self.inputs = self._inputs(axes, extents)
        self.fields = [_Field("u", axes, extents)]
        if rng.random() < 0.45:
            first = self.order[0]
            short = _Field("v", (axes[first],), (extents[first],))
            self.fields.append(short if rank > 1 and rng.random() < 0.4 else replace(self.fields[0], name="v"))
        for known in self.fields:
            shape = ", ".join(known.extents) + ("," if len(known.extents) == 1 else "")
            self.made.lines.append(f'{known.name} = ps.recurrence(({shape}), "{self.dtype}", name="{known.name}")')
        for known in self.fields:
            for region in self._regions(known):
                self._equation(known, region)
        self._readers()
        return self.made

    # What is read, and what reads.

    def _inputs(self, axes: tuple[str, ...], extents: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
        """Names of tensors that are there before, with the axes that index them: placeholders, or a stage of one."""
        found = []
        for _ in range(self.rng.choice((1, 1, 2))):
            chosen = sorted(self.rng.sample(range(len(axes)), self.rng.randint(1, len(axes))))
            name, of = f"A{len(found)}", tuple(axes[d] for d in chosen)
            shape = "".join(f"{extents[d]}, " for d in chosen)
            self.made.lines.append(f'{name} = ps.placeholder(({shape}), "{self.given}", name="{name}")')
            self.made.data[name] = self.data
            if self.rng.random() < 0.25:
                inner = ", ".join(of)
                body = f"{self._given(f'{name}[{inner}]')} * {self._constant(2)}"
                self.made.lines.append(
                    f'B{len(found)} = ps.compute(({shape}), lambda {inner}: {body}, name="B{len(found)}")'
                )
                name = f"B{len(found)}"
            found.append((name, of))
        return found

    def _readers(self) -> None:
        """The outputs: the tensors, a plane of one, or a stage that reads one."""
        rng, made = self.rng, self.made
        made.outputs = [known.name for known in self.fields if known is self.fields[-1] or rng.random() < 0.6]
        first = self.fields[0]
        chance = rng.random()
        if chance < 0.25 and len(first.axes) > 1:
            extent = first.extents[0]
            last = f"{extent} - 1" if extent.endswith("+ 1") or extent.isdigit() else None
            if last is not None:
                made.lines.append(f"w = u[{last}]")
                made.outputs = [*(name for name in made.outputs if name != "u"), "w"]
        elif chance < 0.45:
            names = ", ".join(first.axes)
            guard, index = self._index(first.extents[0], first.axes[0], rng.choice((-1, 1)))
            read = f"u[{', '.join((index, *first.axes[1:]))}]"
            value = f"ps.select({guard}, {read}, {self._constant(1)}) + u[{names}]"
            shape = "".join(f"{extent}, " for extent in first.extents)
            made.lines.append(f'D = ps.compute(({shape}), lambda {names}: {value}, name="D")')
            made.outputs = [*(name for name in made.outputs if name != "u"), "D"]

    def _constant(self, value: object) -> str:
        return f'ps.cast("{self.dtype}", {value})'

    # Which cells have which equation.

    def _regions(self, known: _Field) -> list[_Region]:
        rank = len(known.axes)
        regions = [_Region(known.axes, known.axes, (), (0,) * rank, (0,) * rank)]
        for _ in range(self.rng.choice((0, 1, 1, 1, 2, 2))):
            cut = self.rng.randrange(len(regions))
            regions[cut : cut + 1] = self._cut(known, regions[cut])
        return regions

    def _cut(self, known: _Field, region: _Region) -> list[_Region]:
        rng = self.rng
        d = (
            rng.randrange(len(known.axes))
            if rng.random() < 0.3 or len(known.axes) == 1
            else self.order[0] % len(known.axes)
        )
        axis, extent = known.axes[d], known.extents[d]
        plain = region.cell[d] == axis and not any(axis in condition.split() for condition in region.where)
        others = [e for e in range(len(known.axes)) if e != d and region.cell[e] == known.axes[e]]
        match rng.choice(("plane", "plane", "plane", "where", "triangle", "triangle", "parity", "coefficient")):
            case "plane" if plain and self.signs[d] > 0:
                count = rng.choice((1, 1, 1, 2))
                low = replace(region, where=(*region.where, f"{axis} < {count}"))
                if count == 1 and len(known.axes) > 1:
                    low = self._with(region, d, "0", "")
                high = self._with(region, d, f"{axis} + {count}", axis)
                return [low, replace(high, low=_at(high.low, d, count))]
            case "plane" if plain:
                last = self._with(region, d, f"{extent} - 1", "")
                rest = replace(region, where=(*region.where, f"{axis} < {extent} - 1"), high=_at(region.high, d, 1))
                return [last, rest]
            case "triangle" if plain and others:
                other = known.axes[rng.choice(others)]
                how, negated = rng.choice((("<", ">="), ("<=", ">"), ("==", "!=")))
                return [replace(region, where=(*region.where, f"{axis} {word} {other}")) for word in (how, negated)]
            case "parity" if plain:
                return [replace(region, where=(*region.where, f"{axis} % 2 == {k}")) for k in (0, 1)]
            case "coefficient" if plain:
                return [self._with(region, d, f"2 * {axis}{' + 1' if k else ''}", axis) for k in (0, 1)]
            case _ if plain:
                bound = rng.choice((1, 2, 3, 5))
                below = replace(region, where=(*region.where, f"{axis} < {bound}"))
                above = replace(region, where=(*region.where, f"{axis} >= {bound}"), low=_at(region.low, d, bound))
                return [below, above]
        return [region]

    def _with(self, region: _Region, d: int, cell: str, axis: str) -> _Region:
        return replace(region, cell=_at(region.cell, d, cell), axes=_at(region.axes, d, axis))

    # What an equation says.

    def _equation(self, known: _Field, region: _Region) -> None:
        rng = self.rng
        terms = [self._input(known, region)]
        terms += [self._own(known, region) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
        total = self._total(terms)
        reduction = self._reduction(known, region) if rng.random() < 0.35 else None
        if reduction is not None:
            total = reduction if rng.random() < 0.3 else self._reduced(total, reduction)
        if rng.random() < 0.15 and (axis := rng.choice(region.axes)):
            total = f"ps.select({axis} > {rng.choice((1, 3))}, {total}, {terms[0]})"
        left = ", ".join(region.cell)
        if region.where:
            where = " & ".join(f"({condition})" for condition in region.where)
            comma = "," if len(region.cell) == 1 else ""
            self.made.lines.append(f"{known.name}.define(({left}{comma}), {total}, where={where})")
        else:
            self.made.lines.append(f"{known.name}[{left}] = {total}")

    def _total(self, terms: list[str]) -> str:
        """What is made of the terms of an equation."""
        if self.rng.random() < 0.3 and len(terms) > 1:
            return f"ps.{self.rng.choice(('minimum', 'maximum'))}({terms[0]}, {' + '.join(terms[1:])})"
        return " + ".join(terms)

    def _reduced(self, total: str, reduction: str) -> str:
        """What is made of that and a reduction."""
        return f"{total} + {self._scaled(reduction, 0.0625)}"

    def _scaled(self, term: str, factor: float) -> str:
        """A term made small, so that values of floats do not grow without end."""
        return f"{factor} * {term}" if self.floats else term

    def _input(self, known: _Field, region: _Region) -> str:
        choices = [(name, of) for name, of in self.inputs if set(of) <= set(known.axes)]
        if not choices or self.rng.random() < 0.1:
            return self._constant(self.rng.choice((1, 2)))
        name, of = self.rng.choice(choices)
        read = f"{name}[{', '.join(region.cell[known.axes.index(axis)] for axis in of)}]"
        return self._given(read) if name.startswith("A") else read

    def _given(self, read: str) -> str:
        """An element of an input, in the type of the system."""
        return read if self.given == self.dtype else f'ps.cast("{self.dtype}", {read})'

    def _own(self, known: _Field, region: _Region) -> str:
        """A read of the system, of a cell that comes before in the hidden order."""
        other = self.rng.choice(self.fields)
        here = dict(zip(known.axes, region.cell, strict=True))
        short = min(len(known.axes), len(other.axes)) < len(self.order)
        level = 0 if short else self.rng.randrange(len(self.order))
        earlier = self.fields.index(other) < self.fields.index(known)
        guards, indices = [], []
        offsets = self._offsets(level, strict=not earlier or self.rng.random() < 0.5)
        for axis, extent in zip(other.axes, other.extents, strict=True):
            d = AXES.index(axis)
            if axis not in here:
                indices.append(self._anywhere(extent, guards))
                continue
            guard, index = self._index(extent, here[axis], offsets.get(d, 0), region, known.axes.index(axis))
            first = d == self.order[0]
            if not first and offsets.get(self.order[0]) and self.rng.random() < 0.15:
                guard, index = self._oblique(extent, here, axis)
            guards.append(guard)
            indices.append(index)
        return self._scaled(self._guarded(guards, f"{other.name}[{', '.join(indices)}]"), 0.25)

    def _offsets(self, level: int, *, strict: bool) -> dict[int, int]:
        """Steps along the dimensions that lead to an earlier cell; to an equal one, or any other of the outermost
        level's, if not strict."""
        found = dict.fromkeys(self.order, 0)
        for depth, d in enumerate(self.order):
            if depth == level and strict:
                found[d] = -self.signs[d] * self.rng.choice((1, 1, 2))
            elif depth > level and self.rng.random() < 0.6:
                found[d] = self.rng.choice((-2, -1, 1, 2))
        return found

    def _oblique(self, extent: str, here: dict[str, str], axis: str) -> tuple[str, str]:
        """An index that is no step away: mirrored, halved, of another dimension, or one and the same."""
        index = self.rng.choice(
            (f"{extent} - 1 - ({here[axis]})", f"({here[axis]}) // 2", "0", self.rng.choice(list(here.values())))
        )
        return f"({index} >= 0) & ({index} < {extent})", index

    def _anywhere(self, extent: str, guards: list[str]) -> str:
        index = self.rng.choice(("0", "1", f"{extent} - 1"))
        guards.append(f"({extent} > {index})" if index != f"{extent} - 1" else f"({extent} > 0)")
        guards[-1] = "" if extent.isdigit() and int(extent) > 1 else guards[-1]
        if extent.isdigit() and int(extent) <= 1:
            guards[-1], index = "", "0"
        return index

    def _index(self, extent: str, cell: str, step: int, region: _Region | None = None, d: int = 0) -> tuple[str, str]:
        """A guard, where one is needed, and the index of a cell some steps away."""
        if not step:
            return "", cell
        index = f"{cell} {'+' if step > 0 else '-'} {abs(step)}"
        if region is not None and (step < 0 <= region.low[d] + step or step > 0 <= region.high[d] - step):
            return "", index
        return (f"({index} >= 0)" if step < 0 else f"({index} < {extent})"), index

    def _guarded(self, guards: list[str], read: str) -> str:
        real = [guard for guard in guards if guard]
        return f"ps.select({' & '.join(real)}, {read}, {self._constant(1)})" if real else read

    def _reduction(self, known: _Field, region: _Region) -> str | None:
        """Over the cells before this one along the first dimension, or over a plane that is before."""
        rng, first = self.rng, self.order[0]
        axis = AXES[first]
        if axis not in known.axes:
            return None
        at = known.axes.index(axis)
        cell, extent = region.cell[at], known.extents[at]
        name = f"r{self.count}"
        self.count += 1
        other = rng.choice(self.fields)
        here, guards, indices = dict(zip(known.axes, region.cell, strict=True)), [], []
        inner = [a for a in other.axes if a != axis]
        if inner and rng.random() < 0.5:  # a whole line of an earlier plane
            line = rng.choice(inner)
            bounds = f"0, {other.extents[other.axes.index(line)]}"
            where = {line: name, axis: None}
        elif self.signs[first] > 0:
            bounds, where = f"0, {cell}", {axis: name}
        else:
            bounds, where = f"{cell} + 1, {extent}", {axis: name}
        if bounds.split(", ")[1] == "0":
            return None
        for a, e in zip(other.axes, other.extents, strict=True):
            chosen = where.get(a, here.get(a, ""))
            if chosen is None:
                guard, chosen = self._index(e, cell, -self.signs[first], region, at)
                guards.append(guard)
            elif not chosen:
                chosen = self._anywhere(e, guards)
            indices.append(chosen)
        operand = self._guarded(guards, f"{other.name}[{', '.join(indices)}]")
        if rng.random() < 0.4:
            operand = f"{operand} * {self._input(known, region)}" if not self.floats else f"{operand} * 0.5"
        kind = rng.choice(("sum", "sum", "min", "max"))
        free = ", reassociate=True" if kind == "sum" and self.free else ""
        self.made.lines.append(f'{name} = ps.reduce_axis(({bounds}), name="{name}")')
        return f"ps.{kind}({operand}, axis={name}{free})"


def _at(values: tuple, place: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:place], value, *values[place + 1 :])


def random_recurrences(rng: random.Random, literals: tuple[int, ...] = LITERALS) -> Lines:
    """Lines that may still mean nothing: whoever makes a Schedule of them finds out. Extents are sizes or literals."""
    return RecurrenceGenerator(rng, literals).generate()
