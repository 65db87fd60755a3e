"""The proof of one command: the state after it, but not again what runs in the order that it had before."""

from __future__ import annotations

from ..compute.tensor import Tensor
from ..polyhedral.clobber import overwrites
from ..polyhedral.kept_order import all_runs_alike, runs_alike
from ..polyhedral.legality import Violation, first_violation
from ..polyhedral.tree import Tree
from .primitives import Primitive, State


def first_violation_after(before: State, state: State, stage: Tensor, command: Primitive) -> Violation | None:
    """The smallest violation that a command on `stage` makes of the legal state `before`, or None where `state`, which
    it gives, is legal."""
    step = f"{stage.name}.{command}"
    tree, pairs, folded = state.tree(), state.pairs, None
    kept = _taken_back(before, state, stage, command)
    if kept is not None:
        old = before.tree()
        pairs = tuple(p for p in pairs if not runs_alike(old, kept, p.source, p.sink))
        if state.program.is_folded and all_runs_alike(old.root, kept.root):
            folded = (stage,)  # of the others, no cell is another one
    with state.program.world.budgeted(step):
        pairs = (*pairs, *overwrites(state.program, tree, state.pairs, folded))
    return first_violation(tree, pairs, state.program.world, step)


def _taken_back(before: State, state: State, stage: Tensor, command: Primitive) -> Tree | None:
    """The tree after a command, but for changes of it that keep the order of instances; None where statements or what
    must be in order are others than before."""
    if state.pairs is not before.pairs:
        return None
    members = (stage, *state.companions(stage))
    numbers = frozenset(s.number for member in members for s in state.program.of_stage(member))
    root = command.taken_back(state.tree(), numbers)
    return None if root is None else Tree(root, state.tree().fused)
