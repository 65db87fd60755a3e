"""Whether what loops are to fetch ahead is there to be fetched; asked after every command, as loops come and go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..compute.expr import Read, walk
from ..errors import ScheduleError
from ..polyhedral.prefetching import fixed_bytes, furthest, moves_with, paths_of, region
from ..polyhedral.program import Program
from ..polyhedral.tree import Ahead, LoopNode, Tree, loops_of, statements_below
from .nest import StageNest
from .suggestion import listed, meant

MOST_BYTES = 1 << 16  # of one prefetch: more would push out what the iteration itself works on


def check_ahead(program: Program, tree: Tree, nests: Mapping[int, StageNest], prefetches: tuple[Ahead, ...]) -> None:
    """Refuse prefetches whose loops or reads are not there, or that fetch nothing new, or too much."""
    for ahead in prefetches:
        asked = f"prefetch of {ahead.tensor.name} at {ahead.at} of {ahead.stage.name}"
        with program.world.budgeted(asked):
            _check(program, tree, nests, ahead, asked)


def _check(program: Program, tree: Tree, nests: Mapping[int, StageNest], ahead: Ahead, asked: str) -> None:
    if ahead.stage.uid not in nests:
        raise ScheduleError(f"{asked}: {ahead.stage.name} is inlined and has no loops; take the prefetch back first")
    nest = nests[ahead.stage.uid]
    place, by = (_position(nest, name, asked) for name in (ahead.at, ahead.by))
    if by > place:
        raise ScheduleError(
            f"{asked}: {ahead.by} is inside {ahead.at}, and what is fetched is that of a later iteration of the loop "
            f"itself or of one around it: by= may be {listed(nest.names[: place + 1])}"
        )
    paths = list(paths_of(tree, ahead))
    if not paths:
        raise ScheduleError(_nothing_read(tree, nest, ahead, asked))
    for path in paths:
        lanes = [loop.name for loop in path if loop.kind == "vectorize"]
        if lanes:
            raise ScheduleError(
                f"{asked}: {lanes[-1]} is vectorized, and lanes run at one time; loops outside of it are "
                f"{listed(nest.names[: nest.names.index(lanes[-1])] if lanes[-1] in nest.names else ())}"
            )
        _check_region(program, tree, nest, ahead, path, asked)


def _position(nest: StageNest, name: str, asked: str) -> int:
    if name not in nest.names:
        raise ScheduleError(
            f"{asked}: {nest.stage.name} has no loop {name}; its loops are {listed(nest.names)}"
            f"{meant(name, nest.names)}. A command that takes away a loop of a prefetch is given before it"
        )
    return nest.names.index(name)


def _nothing_read(tree: Tree, nest: StageNest, ahead: Ahead, asked: str) -> str:
    """Why no loop fetches: it is another stage's, or the tensor is not read in it."""
    inside = [s for loop in loops_of(tree.root) if _is_at(loop, ahead) for s in statements_below(loop)]
    if not inside:
        return (
            f"{asked}: the loop is one that {nest.stage.name} shares with another stage; give the prefetch to the "
            "stage whose loop it is"
        )
    names = {node.tensor.name for s in inside for node in walk(s.value) if isinstance(node, Read)}
    return f"{asked}: {ahead.tensor.name} is not read in that loop; what is read there is {listed(sorted(names))}"


def _is_at(loop: LoopNode, ahead: Ahead) -> bool:
    stages = [s.stage for s in statements_below(loop)] if loop.stage is None else [loop.stage]
    return loop.name == ahead.at and any(stage is ahead.stage for stage in stages)


def _check_region(
    program: Program, tree: Tree, nest: StageNest, ahead: Ahead, path: tuple[LoopNode, ...], asked: str
) -> None:
    found = region(program, tree, ahead, path, path)
    if found is None:
        raise ScheduleError(
            f"{asked}: {ahead.by} is made of fused loops of symbolic extents, so what a later iteration reads is not "
            "affine in its counter; leave these loops apart, or choose another loop with by="
        )
    moving = moves_with(found)
    _check_distance(program, tree, nest, ahead, path, moving, asked)
    if ahead.by not in moving:
        others = [name for name in nest.names[: nest.names.index(ahead.at) + 1] if name in moving]
        instead = f"what is read differs with {listed(others)}: choose one of these with by=" if others else (
            f"which elements of {ahead.tensor.name} are read follows from none of the loops around, or from data"
        )  # fmt: skip
        raise ScheduleError(
            f"{asked}: every iteration of {ahead.by} reads the same elements, as far as is known, so there is nothing "
            f"to fetch ahead; {instead}"
        )
    size = fixed_bytes(found, ahead.tensor)
    if size is not None and size > MOST_BYTES:
        inner = nest.names[nest.names.index(ahead.at) + 1 :]
        further = f"; in a loop further in ({listed(inner)}) with by={ahead.by} it is less" if inner else ""
        raise ScheduleError(
            f"{asked} would fetch {size} bytes in each iteration, and at most {MOST_BYTES} are fetched, as more would "
            f"push out what the iteration itself works on{further}; or split {ahead.at} into smaller pieces"
        )


def _check_distance(
    program: Program,
    tree: Tree,
    nest: StageNest,
    ahead: Ahead,
    path: tuple[LoopNode, ...],
    moving: tuple[str, ...],
    asked: str,
) -> None:
    """Refuse what no iteration reads, as the loop never has that many."""
    most = furthest(program, tree, ahead, path)
    if most is None or most >= ahead.distance:
        return
    accepted = [f"distance= may be at most {most}"] if most and ahead.by in moving else []
    others = []
    for name in nest.names[: nest.names.index(ahead.at) + 1]:
        further = furthest(program, tree, replace(ahead, by=name), path) if name in moving and name != ahead.by else 0
        if further is None or further >= ahead.distance:
            others.append(name)
    if others:
        accepted.append(f"what is read differs with {listed(others)}: choose one of these with by=")
    around = [loop for loop in path if loop.stage is not None and loop.stage is not nest.stage]
    if around and around[-1].stage is not None:
        outer = around[-1].stage.name
        names = listed([loop.name for loop in around if loop.stage is around[-1].stage])
        accepted.append(f"give the prefetch to {outer}, in whose loops {nest.stage.name} is: it has {names} there")
    iterations = "one iteration" if most == 0 else f"at most {most + 1} iterations"
    raise ScheduleError(
        f"{asked}: {ahead.by} has {iterations} in each iteration of the loops around it, at all sizes, so none is "
        f"{ahead.distance} further on; {', or '.join(accepted) or 'no loop around reads more further on'}"
    )
