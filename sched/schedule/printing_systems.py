"""print(schedule) for recurrences: the loop tree of a system, with each equation and its region at a leaf.

    u: float64[T + 1, N]
        for t in 0..T + 1:
            for i in 0..N:
                u[t, i] = A[i]  # equation 0: t == 0
        for t in 0..T + 1:
            for i' in t..N + t:
                i = i' - t
                u[t, i] = u[t - 1, i] + 1.0  # equation 1: t >= 1

A loop whose counter is not the axis that it is named for has a prime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..compute.expr import Expr
from ..compute.printing import text
from ..compute.tensor import Tensor
from ..polyhedral.statement import Statement
from ..polyhedral.tree import Leaf, LoopNode, Node, Sequence, statements_below
from .binding import Binding, Bindings
from .nest import Loop, StageNest, axis_loop
from .primitives.base import State
from .printing_lines import (
    assignment,
    comment,
    fetched,
    guard_of,
    header,
    init,
    layout_text,
    primed,
    short_names,
    title,
)

Key = tuple[int, int | None]  # a stage, by its uid, and the equation that has loops of its own
Loops = Mapping[Key, tuple[Loop, ...]]  # the loops around


def system_text(state: State, group: tuple[Tensor, ...]) -> str:
    """The loops of stages whose loops are made together."""
    whole = [stage for stage in group if stage.uid not in state.places]
    found = system_node(state.tree().root, tuple(whole))
    return "\n".join(
        [", ".join(f"{stage}{layout_text(state, stage)}" for stage in whole), *_lines(state, found, {}, 1)]
    )


def system_node(root: Node, group: tuple[Tensor, ...]) -> Node:
    """The part of the tree that computes these stages, and those in their loops."""
    for child in root.children if isinstance(root, Sequence) else (root,):
        if any(s.stage is stage for s in statements_below(child) for stage in group):
            return child
    raise AssertionError("every system has a node below the root")


def _lines(state: State, node: Node, around: Loops, depth: int) -> Iterator[str]:
    pad = "    " * depth
    match node:
        case Leaf(statement):
            region = comment(_conditions(state, statement, around))
            yield f"{pad}{_statement(state, statement)}{_numbered(statement, region)}"
        case Sequence(children):
            for child in children:
                yield from _lines(state, child, around, depth)
        case LoopNode(kind="position" | "component"):
            yield from _lines(state, node.body, around, depth)
        case LoopNode():
            inside = dict(around)
            below = {_key(state, s): s for s in statements_below(node) if not _is_around(node, s)}
            loops = {key: _loop(state.nest_of(s), s, node) for key, s in below.items()}
            ways = len({loop.reversed for loop in loops.values()})
            for number, (key, loop) in enumerate(loops.items()):
                nest = state.nest_of(below[key])
                shown = _one_way(loop) if ways > 1 else loop
                if number == 0:
                    yield f"{pad}{header(nest, primed(nest, shown), _bound(nest, around.get(key, ()))[0])}"
                inside[key] = (*around.get(key, ()), shown)
            found = dict.fromkeys(
                f"{line}{comment([f'of {state.nest_of(s).label}']) if ways > 1 else ''}"
                for key, s in below.items()
                for line in _binding_lines(state.nest_of(s), inside[key])
            )
            yield from (f"{pad}    {line}" for line in found)
            for stage in _begun(node):
                yield f"{pad}    {title(state, stage, state.program.of_stage(stage)[-1])}"
            ahead = [line for uid in below for line in fetched(state, below[uid].stage, node.name)]
            yield from (f"{pad}    {line}" for line in ahead)
            yield from _lines(state, node.body, inside, depth + 1)


def _one_way(loop: Loop) -> Loop:
    """A loop as one that runs forwards, with a counter that is not the axis, where others in it run the other way."""
    return replace(loop, reversed=False, name=loop.name if loop.reversed else f"{loop.name}'")


def _is_around(node: LoopNode, statement: Statement) -> bool:
    """Whether a loop is one of other stages, that a statement is computed in."""
    return any(node.values[statement.number] is axis for axis in statement.prefix)


def _begun(node: LoopNode) -> Iterator[Tensor]:
    """The stages that are computed in each iteration of a loop, and in no loop of others further in."""
    found = (s.stage for s in statements_below(node) if s.prefix and node.values[s.number] is s.prefix[-1])
    yield from dict.fromkeys(found)


def _key(state: State, statement: Statement) -> Key:
    return statement.stage.uid, state.nest_of(statement).equation


def _loop(nest: StageNest, statement: Statement, node: LoopNode) -> Loop:
    if node.name in nest.names:
        return nest.loop(node.name)
    return next(axis_loop(axis) for axis in statement.axes if axis.name == node.name)


def _bound(nest: StageNest, loops: tuple[Loop, ...]) -> tuple[Bindings, list[Binding]]:
    """The bindings below some loops, and which of them the last one makes."""
    bindings, made = Bindings(nest), list[Binding]()
    for loop in loops:
        made = bindings.add(primed(nest, loop))
    return bindings, made


def _binding_lines(nest: StageNest, loops: tuple[Loop, ...]) -> Iterator[str]:
    for binding in _bound(nest, loops)[1]:
        if not binding.plain:
            yield f"{binding.axis.name} = {nest.shown(binding.value)}{comment([guard_of(nest, binding)])}"


def _conditions(state: State, statement: Statement, around: Loops) -> list[str]:
    """What tails leave out, and the region of the equation."""
    nest = state.nest_of(statement)
    bindings, _ = _bound(nest, around.get(_key(state, statement), ()))
    own = set(statement.axes)
    guards = [guard_of(nest, b) for b in bindings.bound.values() if b.plain and b.axis in own]
    rule, piece = statement.rule, statement.piece
    region: tuple[Expr, ...] = ()
    if piece is not None:
        region = piece.region
    elif rule is not None:
        region = rule.conditions if statement.kind == "update" else tuple(c for c in (rule.where,) if c is not None)
    return [*guards, *map(text, region)]


def _numbered(statement: Statement, region: str) -> str:
    """The comment with which equation it is, of a stage that has several."""
    if not statement.numbered:
        return region
    return f"  # equation {statement.loops_of}{region.replace('  # ', ': ', 1)}"


def _statement(state: State, statement: Statement) -> str:
    names = short_names(statement, state.nest_of(statement))
    return init(statement, names) if statement.kind == "init" else assignment(state.program, statement, names)
