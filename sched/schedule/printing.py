"""print(schedule): the loop nests as pseudo-code, with the user's names, extents and kinds.

    C: float32[n, m], sum in order
        parallel for i_o in 0..(n + 5) // 6:
            C[i, j] = 0.0 for i_i, j
            for r in 0..k:
                unrolled for i_i in 0..6:
                    i = 6 * i_o + i_i  # i < n
                    for j in 0..m:
                        C[i, j] += A[i, r] * B[r, j]

A comment behind an axis is what a tail leaves out. How the order of a reduction is fixed stands in the first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from ..compute.tensor import Tensor
from ..polyhedral.systems import systems
from .binding import Bindings
from .forest import begun, init_position, is_made_together
from .nest import StageNest
from .primitives.base import State
from .printing_lines import assignment, comment, fetched, guard_of, header, init, primed, short_names, title
from .printing_systems import system_text


def choice_text(branches: Sequence[tuple[str, State]], otherwise: State) -> str:
    """The loops for each condition, the first of which that holds counts, and those for all other sizes."""
    if not branches:
        return nest_text(otherwise)
    lines: list[str] = []
    for words, state in branches:
        lines += [f"{'elif' if lines else 'if'} {words}:", indent(nest_text(state), "    ")]
    return "\n".join([*lines, "else:", indent(nest_text(otherwise), "    ")])


def nest_text(state: State) -> str:
    """All stages in the order in which they run; inlined ones have no loops."""
    shown = []
    groups = {group[0].uid: group for group in systems(state.program)}
    for stage in state.program.stages:
        if stage.uid in state.program.inlined:
            shown.append(f"{stage}, inlined")
            continue
        group = groups.get(stage.uid, ())
        if group and is_made_together(state.program, state.places, group):
            shown.append(system_text(state, group))
        elif group and stage.uid not in state.places:
            shown += _stage(state, state.nests[stage.uid], 0)
    return "\n".join(shown)


def _stage(state: State, nest: StageNest, outside: int, shared: int = 0) -> list[str]:
    """The lines of a stage that stands in so many loops, of which so many are its own outermost ones too."""
    statements = state.program.of_stage(nest.stage)
    lines = ["    " * outside + title(state, nest.stage, statements[-1])]
    bindings, open_guards = Bindings(nest), list[str]()
    names = short_names(statements[-1], nest)
    first = init_position(nest.stage, state.nests, state.places) if statements[-1].reduce is not None else None
    for number, loop in enumerate(nest.loops):
        displayed = primed(nest, loop)
        pad = "    " * (outside + max(number - shared, -1) + 1)
        if number == first and number >= shared:
            lines.append(pad + _begun(state, nest, first))
        for other in begun(state.program, state.nests, state.places, nest.stage, number):
            lines.append(pad + _begun(state, state.nests[other.uid], number))
        if number >= shared:
            lines.append(pad + header(nest, displayed, bindings))
        for binding in bindings.add(displayed):
            guard = guard_of(nest, binding)
            if binding.plain:
                open_guards += [guard] if guard else []
            else:
                lines.append(f"{pad}    {binding.axis.name} = {nest.shown(binding.value)}{comment([guard])}")
        if number >= shared:
            lines += [f"{pad}    {line}" for line in fetched(state, nest.stage, loop.name)]
        lines += _inside(state, nest.stage, loop.name, outside + number - shared + 2, before=True)
    pad = "    " * (outside + len(nest.loops) - shared + 1)
    lines.append(pad + assignment(state.program, statements[-1], names) + comment(open_guards))
    for number in reversed(range(len(nest.loops))):
        lines += _inside(state, nest.stage, nest.loops[number].name, outside + number - shared + 2, before=False)
    return lines


def _begun(state: State, nest: StageNest, first: int) -> str:
    """The line of an init, which stands before one of its stage's loops."""
    statement, *_, update = state.program.of_stage(nest.stage)
    inner = nest.init_loops(first, statement.axes[len(statement.prefix) :])
    over = f" for {', '.join(other.name for other in inner)}" if inner else ""
    return f"{init(statement, short_names(update, nest))}{over}{_first_iterations(nest, first)}"


def _first_iterations(nest: StageNest, first: int) -> str:
    """In which iterations of the reduction loops outside of an init it is made."""
    outer = [loop for loop in nest.loops[:first] if nest.is_reduction(loop)]
    return f" if {' and '.join(f'{loop.name} == {nest.shown(loop.begin)}' for loop in outer)}" if outer else ""


def _inside(state: State, stage: Tensor, loop: str, depth: int, *, before: bool) -> list[str]:
    """The stages that are computed in a loop of another one, or share it, before or after what that one has there."""
    lines: list[str] = []
    live = state.program.live_stages()
    for place, other in enumerate(live):
        where = state.places.get(other.uid)
        if where is not None and where.is_at(stage, loop) and before:
            lines += _stage(state, state.nests[other.uid], depth)
        elif where is not None and where.shares(stage, loop) and (place < live.index(stage)) == before:
            count = state.nests[stage.uid].names.index(loop) + 1
            lines += _stage(state, state.nests[other.uid], depth, shared=count)
    return lines
