"""What unroll, vectorize and parallel share: marking one loop, once."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ...compute.expr import Axis, walk
from ...errors import ScheduleError
from ...polyhedral.tree import LoopKind
from ..binding import Bindings
from ..nest import Loop, StageNest
from ..suggestion import listed

_MOST_COPIES = 1 << 14
_MARKED = {"parallel": "parallel", "vectorize": "vectorized", "unroll": "unrolled"}


def unmarked(nest: StageNest, loop: Loop, word: str, then: str) -> None:
    """Refuse `word` for a loop that is marked: what a mark means would be lost."""
    if loop.peel is not None:
        raise ScheduleError(f"{loop.name} of {nest.stage.name} is peeled; {word} first, and then peel what that makes")
    if loop.kind != "serial":
        raise ScheduleError(
            f"{word} takes loops that are not marked yet, and {loop.name} of {nest.label} is "
            f"{_MARKED[loop.kind]}; {word} first, and then {then}"
        )


def marked(nest: StageNest, name: str, kind: LoopKind) -> StageNest:
    """The nest with a serial loop marked."""
    position = nest.position(name)
    loop = nest.loops[position]
    if loop.kind != "serial":
        free = listed(other.name for other in nest.loops if other.kind == "serial")
        raise ScheduleError(
            f"loop {name} of {nest.label} is {_MARKED[loop.kind]} already, and a loop is marked once; loops "
            f"that are not marked are {free}"
        )
    if loop.peel is not None and kind != "parallel":
        raise ScheduleError(
            f"{name} of {nest.stage.name} is peeled, and {_MARKED[kind]} loops are one piece of code; split {name} and "
            f"peel the outer loop instead, or {kind} another one"
        )
    changed = nest.replaced(position, replace(loop, kind=kind))
    _check_copies(changed, loop, kind)
    return changed


def _check_copies(nest: StageNest, loop: Loop, kind: LoopKind) -> None:
    """Refuse what would write a statement out without end: the copies of nested loops multiply."""
    copies = prod(other.most or 1 for other in nest.loops if other.kind in ("unroll", "vectorize"))
    if kind in ("unroll", "vectorize") and copies > _MOST_COPIES:
        raise ScheduleError(
            f"{kind} of {loop.name} would write each statement of {nest.label} out {copies} times in all, lanes "
            f"included, and at most {_MOST_COPIES} are written out; split smaller loops off, or leave some serial"
        )


def constant_extent(nest: StageNest, name: str, word: str, limit: int) -> int:
    """The literal number of iterations that a loop has at most."""
    loop = nest.loop(name)
    most = loop.most
    if most is None:
        raise ScheduleError(
            f"{word} needs a loop with a literal number of iterations, and {name} of {nest.label} has "
            f'{nest.shown(loop.extent)}; split it first, as in split("{name}", 16), and {word} the inner loop'
        )
    if most > limit:
        raise ScheduleError(
            f"{word} writes out at most {limit} iterations, and {name} of {nest.label} has {most}; split it "
            f'first, as in split("{name}", 16), and {word} the inner loop'
        )
    return most


def check_written_out(nest: StageNest) -> None:
    """Refuse vectors and loops written out that begin or end elsewhere in each iteration of a loop further in: over all
    of these they are longer than the literal number that is written out."""
    for own in nest.each():
        marks = [loop for loop in own.loops if loop.kind in ("unroll", "vectorize")]
        if not any(_own_axes(own, loop) for loop in marks):
            continue
        bindings = Bindings(own)
        for loop in own.loops:
            inner = [axis.name for axis in _own_axes(own, loop) if axis not in bindings.bound]
            if loop.kind in ("unroll", "vectorize") and inner:
                raise ScheduleError(
                    f"{loop.name} of {own.label} is {_MARKED[loop.kind]}, and runs over {own.shown(loop.begin)}.."
                    f"{own.shown(loop.end)}: over all of {', '.join(dict.fromkeys(inner))}, which is further in, that "
                    f"is no literal number of iterations; keep it outside, or split {loop.name} where it is and "
                    f"{loop.kind} the inner loop"
                )
            bindings.add(loop)


def _own_axes(nest: StageNest, loop: Loop) -> list[Axis]:
    """The axes of the stage that a loop's bounds depend on."""
    nodes = (*walk(loop.begin), *walk(loop.extent))
    own = {*nest.axes, *nest.fused}
    return [node for node in nodes if isinstance(node, Axis) and node in own]
