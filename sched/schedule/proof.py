"""The proof of a command: the state after it, but not again what runs in the order that it had before."""

from __future__ import annotations

from itertools import chain

from ..compute.tensor import Tensor
from ..polyhedral.clobber import overwrites
from ..polyhedral.kept_order import all_runs_alike, runs_alike
from ..polyhedral.legality import Violation, first_violation
from ..polyhedral.tree import Tree
from .primitives import Primitive, State


def first_violation_after(
    before: State, state: State, stage: Tensor, command: Primitive, *, any_of_them: bool = False
) -> Violation | None:
    """The smallest violation that a command on `stage` makes of the state `before`, or None where `state`, which it
    gives, is legal; with `any_of_them`, the first one that is found. Where `before` is not proven, all of `state` is
    looked at."""
    step = f"{stage.name}.{command}"
    tree, pairs, folded = state.tree(), state.pairs, None
    kept = _taken_back(before, state, stage, command) if before.is_proven else None
    if kept is not None:
        old = before.tree()
        pairs = tuple(p for p in pairs if not runs_alike(old, kept, p.source, p.sink))
        if state.program.is_folded and all_runs_alike(old.root, kept.root):
            folded = (stage,)  # of the others, no cell is another one
    clobbers = overwrites(state.program, tree, state.pairs, folded)
    return first_violation(tree, chain(pairs, clobbers), state.program.world, step, any_of_them=any_of_them)


def _taken_back(before: State, state: State, stage: Tensor, command: Primitive) -> Tree | None:
    """The tree after a command, but for changes of it that keep the order of instances; None where statements or what
    must be in order are others than before."""
    if state.pairs is not before.pairs:
        return None
    members = (stage, *state.companions(stage))
    numbers = frozenset(s.number for member in members for s in state.program.of_stage(member))
    root = command.taken_back(state.tree(), numbers)
    return None if root is None else Tree(root, state.tree().fused)
