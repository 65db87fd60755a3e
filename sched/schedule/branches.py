"""The schedules that conditions on sizes have, as values: a command on one makes another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..compute.expr import Expr
from ..compute.printing import text
from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.affine import condition_sets
from .condition import parsed_condition
from .primitives import Primitive, Specialize, Specialized
from .suggestion import listed

if TYPE_CHECKING:
    from .schedule import Schedule


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """Where `condition` holds, whose text is `words`, `schedule` runs. Nobody changes it."""

    words: str
    condition: Expr
    schedule: Schedule


def condition_of(whole: Schedule, condition: object) -> tuple[str, Expr]:
    """A condition on the sizes and inputs of a schedule, and its text, by which it is known."""
    for branch in whole.branches if isinstance(condition, str) else ():
        if branch.words == condition:
            return branch.words, branch.condition
    program = whole.program
    sizes = {size.name: size for size in program.sizes}
    parsed = parsed_condition(condition, sizes, {tensor.name: tensor for tensor in program.inputs})
    return text(parsed), parsed


def branch_of(whole: Schedule, words: str) -> Branch:
    """The branch of a condition."""
    for branch in whole.branches:
        if branch.words == words:
            return branch
    known = listed(branch.words for branch in whole.branches)
    raise ScheduleError(f'there is no schedule for "{words}", which specialize makes; there are some for: {known}')


def with_command(
    whole: Schedule, stage: Tensor, command: Specialize | Specialized
) -> tuple[Primitive, tuple[Branch, ...]]:
    """The branches of a schedule after a command that makes one, or is for one; and the command with the text by which
    its condition is known."""
    words, condition = condition_of(whole, command.condition)
    if isinstance(command, Specialize):
        _check_is_new(whole, words, condition)
        return Specialize(words), (*whole.branches, Branch(words, condition, whole.narrowed(condition)))
    if isinstance(command.command, (Specialize, Specialized)):
        raise _within(command.condition)
    branch = branch_of(whole, words)
    changed = branch.schedule.copy()
    changed.opened = whole.opened
    changed.apply(stage, command.command)
    changed.opened = 0
    made = Branch(words, branch.condition, changed)
    return Specialized(words, command.command), tuple(made if b is branch else b for b in whole.branches)


def _check_is_new(whole: Schedule, words: str, condition: Expr) -> None:
    """Refuse a condition that no sizes, or all, decide."""
    if whole.condition is not None:
        raise _within(text(whole.condition))
    program = whole.program
    with program.world.budgeted(f'specialize("{words}")'):
        frame = program.world.parameter_frame()
        holds, fails = condition_sets(condition, frame)
        left = program.context
        for earlier in whole.branches:
            left = left.intersect(condition_sets(earlier.condition, frame)[1])
        never, always = left.intersect(holds).is_empty(), left.intersect(fails).is_empty()
    if never or always:
        besides = " that earlier conditions leave" if whole.branches else ""
        raise ScheduleError(
            f"{words} {'never' if never else 'always'} holds for the sizes{besides}, so that there is nothing to choose"
        )


def _within(condition: str) -> ScheduleError:
    return ScheduleError(
        f"a schedule for {condition} is specialized already; join conditions by & in one, on the whole schedule"
    )
