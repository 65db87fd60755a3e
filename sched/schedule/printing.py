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

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from textwrap import indent

from ..compute.expr import Axis, substitute
from ..compute.printing import text
from ..compute.simplify import constant_value, difference, simplify
from ..compute.tensor import Equation, Tensor
from ..polyhedral.placement import Box
from ..polyhedral.statement import Statement
from ..polyhedral.systems import is_system, systems
from .binding import Bindings
from .forest import begun, init_position
from .nest import StageNest
from .primitives.base import State
from .printing_lines import Substitution, assignment, comment, fetched, guard_of, header, init, layout_text, primed
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
        elif is_system(group := groups.get(stage.uid, ())):
            shown.append(system_text(state, group))
        elif group and stage.uid not in state.places:
            shown += _stage(state, state.nests[stage.uid], 0)
    return "\n".join(shown)


def grade(statement: Statement) -> str:
    """How free the order of a reduction's updates is."""
    reduce = statement.reduce
    if reduce is None:
        return ""
    return "re-associable" if reduce.reassociate else "in order"


def _stage(state: State, nest: StageNest, outside: int, shared: int = 0) -> list[str]:
    """The lines of a stage that stands in so many loops, of which so many are its own outermost ones too."""
    statements = state.program.of_stage(nest.stage)
    lines = ["    " * outside + _title(state, nest.stage, statements[-1])]
    bindings, open_guards = Bindings(nest), list[str]()
    names = _short_names(statements[-1], nest)
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
    return f"{init(statement, _short_names(update, nest))}{over}{_first_iterations(nest, first)}"


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


def _short_names(statement: Statement, nest: StageNest) -> Substitution:
    """Counters of loops around by the loops' names alone, where nothing else is called so."""
    loops = {axis: axis.name.rpartition(".")[2] for axis in statement.prefix}
    taken = Counter([*loops.values(), *nest.names, *(axis.name for axis in nest.axes)])
    return {axis: replace(axis, name=name) for axis, name in loops.items() if taken[name] == 1}


def _title(state: State, stage: Tensor, statement: Statement) -> str:
    """What a stage is, and where and how it is stored in loops of others."""
    reduce, place = statement.reduce, state.places.get(stage.uid)
    summed = "" if reduce is None else f", {reduce.name} {grade(statement)}"
    layout = layout_text(state, stage)
    sharing = f", in the loops of {place.host.name}" if place is not None and place.shared else ""
    place = None if place is None else place.own
    if place is None:
        return f"{stage}{layout}{summed}{sharing}"
    extents = ", ".join(map(text, state.program.placements[stage.uid].stored.shape))
    here = place.is_at(place.store_host, place.store_loop) if place.store_host is not None else False
    where = " here" if here else " at the root" if place.store_host is None else f" at {place.store_loop}"
    placement = state.program.placements[stage.uid]
    again = _shared(placement.stored, placement.kept, placement.equation, "again", "in")
    sliding = placement.prefix[len(placement.kept) :]
    kept = _shared(placement.computed, sliding, placement.equation, "kept", "for")
    return f"{stage.name}: {stage.dtype}[{extents}] stored{where}{layout}{summed}{sharing}{comment([again, kept])}"


def _shared(box: Box, loops: Sequence[Axis], equation: Equation, word: str, where: str) -> str:
    """What of the elements of an iteration is in the box of the next one, too, for each of these loops around."""
    found = []
    for axis in loops:
        parts, common = [], True
        for own, origin, extent in zip(equation.axes, box.origin, box.shape, strict=True):
            step = difference(substitute(origin, {axis: axis + 1}), origin)
            left = None if step is None else simplify(extent - abs(step))
            size = None if left is None else constant_value(left)
            common = common and left is not None and (size is None or size > 0)
            if step and left is not None:
                parts.append(f"{text(left)} of {text(extent)} {own.name}")
        if common:
            found.append(f"{' and '.join(parts) or 'all'} {where} the next {axis.name.rpartition('.')[2]}")
    return f"{word}: {', '.join(found)}" if found else ""
