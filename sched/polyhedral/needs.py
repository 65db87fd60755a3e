"""What cells of recurrences need of each other, directly or not: all that must be computed where some of them are.

Each need is a cell further on by a number between two, in each dimension; so what is needed in m steps is further on by
m times as much. That is more than is needed where the numbers of two dimensions depend on each other, as at the corners
of a five-point star, and never less. Where several stages need each other, a chain of needs goes round in circles
between them, and what it reaches in m steps is at most m times the mean of the widest circle, and what the widest way
has more than that (the maximum cycle ratio: Lawler, Combinatorial Optimization, 1976).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..compute.components import components
from .bounds import access_relation, guarded_reads
from .isl import Map, ranges, without
from .statement import Statement

Range = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """Cells of the stage `sink`, by its uid, read some of `source`, further on by what is in these ranges."""

    sink: int
    source: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far chains of needs reach in a dimension in one direction: m steps that end in a stage, by its uid, at most
    m * slope + more."""

    slope: Fraction
    more: Mapping[int, Fraction]


def closures_of(statements: Sequence[Statement], rank: int) -> Mapping[int, Map] | None:
    """For each of the stages of these statements, by its uid, from each position in the first `rank` dimensions to all
    cells that the cells of any of them there may be or need, directly or not; None where they need no others.

    Closed: of what is in these images all that it needs is, too, as far as it is in the tensors."""
    needs = list(_needs(statements, rank))
    if not needs:
        return None
    stages = {statement.stage.uid: len(statement.indices) for statement in statements}
    weights = _weights(needs)
    reaches = [[_reach(needs, weights, k, sign) for sign in (-1, 1)] for k in range(rank)]
    world = statements[0].frame.world
    return {uid: world.from_text(_text(uid, own, reaches)) for uid, own in stages.items()}


def _text(uid: int, own: int, reaches: Sequence[Sequence[Reach | None]]) -> str:
    parts = ["m >= 0"]
    for k, both in enumerate(reaches):
        for sign, reach in zip((-1, 1), both, strict=True):
            if reach is not None:
                slope, more = reach.slope, reach.more[uid]
                scale = slope.denominator * more.denominator
                parts.append(f"{sign * scale}d{k} - {sign * scale}c{k} <= {int(slope * scale)}m + {int(more * scale)}")
    cells, others = (", ".join(f"{n}{k}" for k in range(count)) for n, count in (("c", len(reaches)), ("d", own)))
    return f"{{ [{cells}] -> [{others}] : exists (m : {' and '.join(parts)}) }}"


def _needs(statements: Sequence[Statement], rank: int) -> Iterator[Need]:
    uids = {statement.stage.uid for statement in statements}
    for statement in statements:
        for read, instances in guarded_reads(statement.value, statement.frame, statement.domain):
            if read.tensor.uid in uids and not statement.accumulates(read):
                cells = statement.writes().reverse().apply_range(access_relation(read, statement.frame, instances))
                cells = without(cells, "in", rank, len(statement.indices) - rank)
                cells = without(cells, "out", rank, len(read.indices) - rank)
                if not cells.is_empty():
                    yield Need(statement.stage.uid, read.tensor.uid, tuple(ranges(cells.deltas())))


def _weights(needs: Sequence[Need]) -> Sequence[int]:
    """How many steps each need is: as many as in the first dimension along which all chains go on, and one if there is
    none."""
    nodes = sorted({uid for need in needs for uid in (need.sink, need.source)})
    for k in range(len(needs[0].ranges)):
        for sign in (-1, 1):
            steps = [sign * low for low, high in (n.ranges[k] for n in needs) if low is not None and low == high]
            if len(steps) == len(needs) and min(steps) >= 0:
                still: dict[int, list[int]] = {uid: [] for uid in nodes}
                for need, step in zip(needs, steps, strict=True):
                    still[need.sink] += [need.source] if step == 0 else []
                if len(components(nodes, still.__getitem__)) == len(nodes) and all(n not in still[n] for n in nodes):
                    return steps
    return [1] * len(needs)


def _reach(needs: Sequence[Need], steps: Sequence[int], dimension: int, sign: int) -> Reach | None:
    """How far chains of needs reach, None where some need reaches as far as the tensor does."""
    edges: list[_Edge] = []
    for need, step in zip(needs, steps, strict=True):
        low, high = need.ranges[dimension]
        furthest = high if sign > 0 else low
        if furthest is None:
            return None
        edges.append((need.sink, need.source, sign * furthest, step))
    slope = Fraction(-1 - sum(abs(far) for *_, far, _ in edges))  # less than that of any circle
    while True:
        found = _furthest(edges, slope)
        if isinstance(found, dict):
            return Reach(slope, found)
        slope = found


_Edge = tuple[int, int, int, int]  # from a stage to one that it reads: how much further on, in how many steps


def _furthest(edges: Sequence[_Edge], slope: Fraction) -> dict[int, Fraction] | Fraction:
    """For each stage, how much further than `slope` a step ways that end there reach; if circles do, the slope of one
    (Bellman and Ford)."""
    more = {uid: Fraction(0) for edge in edges for uid in edge[:2]}
    last: dict[int, _Edge] = {}
    changed: int | None = None
    for _ in range(len(more) + 1):
        changed = None
        for edge in edges:
            start, end, far, step = edge
            reached = more[start] + far - slope * step
            if reached > more[end]:
                more[end], last[end], changed = reached, edge, end
        if changed is None:
            return more
    assert changed is not None
    for _ in more:  # back along the way until it certainly is in a circle
        changed = last[changed][0]
    circle, at = [last[changed]], last[changed][0]
    while at != changed:
        circle.append(last[at])
        at = last[at][0]
    return Fraction(sum(far for *_, far, _ in circle), sum(step for *_, step in circle))
