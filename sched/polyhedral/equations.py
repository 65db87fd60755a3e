"""From the equations of a recurrence to its statements.

An equation without a reduction is one statement. One that is a reduction is two: an init over the stage's axes, and an
update over those and the reduction's. Where the body is made of the reduction's result, a third one finishes the cell
in which that was accumulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..compute.expr import Axis, Const, Expr, Op, same
from ..compute.recurrence import Recurrence
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Equation, Tensor
from .affine import affine, condition_sets, is_affine_condition
from .bounds import equation_domain, iteration_domain
from .definitions import Several
from .isl import Frame, Set, World, inert
from .pieces import conditions_of, convex_pieces
from .statement import Cut, Piece, Statement, StatementKind


def recurrence_statements(
    stage: Recurrence, values: Expr, first: int, world: World, context: Set, cuts: tuple[Cut, ...] = ()
) -> Iterator[Statement]:
    """The statements of all equations, with numbers from `first`; those that are cut off have none of their own yet."""
    for place, (equation, value) in enumerate(zip(stage.equations, values.children, strict=True)):
        whole = list(_equation(stage, place, equation, value, first, world, context))
        for part in _cut(whole, {len(stage.equations) + k: cut for k, cut in enumerate(cuts)}):
            if part.apart is not None:
                yield part
                continue
            yield numbered(part, first)
            first += 1


def numbered(statement: Statement, number: int) -> Statement:
    """The statement with another number."""
    frame = statement.frame.world.frame(statement.axes, inert("S", number, f"{statement.stage.name}_{statement.kind}"))
    return replace(statement, number=number, frame=frame, domain=frame.named(statement.domain))


def _cut(statements: list[Statement], cuts: Mapping[int, Cut]) -> list[Statement]:
    """The statements of an equation, with those instances apart that are cut off: of all of them, or where the axis is
    the reduction's, of the updates."""
    for number, cut in cuts.items():
        found: list[Statement] = []
        for statement in statements:
            axes = {axis.name: axis for axis in statement.axes}
            if cut.equation != statement.loops_of or cut.axis not in axes:
                found.append(statement)
                continue
            positions = (axes[cut.axis], axes[cut.other] + cut.ahead)
            blocks = (affine(position // cut.factor, statement.frame) for position in positions)
            block, other = (value for value in blocks if value is not None)
            apart = block.ne_set(other) if cut.later else block.lt_set(other)
            early = statement.domain.intersect(apart)
            if not early.is_empty():
                found.append(replace(statement, domain=early, apart=number))
            found.append(replace(statement, domain=statement.domain.subtract(early)))
        statements = found
    return statements


def _equation(
    stage: Tensor, place: int, equation: Equation, value: Expr, first: int, world: World, context: Set
) -> Iterator[Statement]:
    """The statements of one equation, the `place`-th of its stage."""
    reduce = equation.reduce

    def made(number: int, kind: StatementKind, axes: tuple[Axis, ...], value: Expr) -> Statement:
        frame = world.frame(axes, inert("S", number, f"{stage.name}_{kind}"))
        domain = equation_domain(frame, equation, context, reducing=kind == "update")
        reduced = None if kind == "finish" else reduce
        whole = Statement(number, stage, kind, axes, equation.indices, value, reduced, frame, domain)
        return replace(whole, equation=place, rule=equation)

    if reduce is None:
        yield from _in_pieces(made(first, "define", equation.axes, value), equation, context)
        return
    identity = Const(REDUCTIONS[reduce.name].identity(reduce.operand.dtype), reduce.operand.dtype)
    update, finish = value.children if isinstance(value, Several) else (value, None)
    yield made(first, "init", equation.axes, identity)
    yield made(first + 1, "update", equation.loops, update)
    if finish is not None:
        yield made(first + 2, "finish", equation.axes, finish)


MOST_PIECES = 9


def _in_pieces(whole: Statement, equation: Equation, context: Set) -> Iterator[Statement]:
    """A statement cut where an affine select decides what it computes, and into polyhedra: the inside of a domain and
    the parts of its boundary get loops of their own, without conditions in them (index set splitting: Griebl, Feautrier
    and Lengauer 2000). What would be too many is left whole."""
    cut = [
        (part, value, written) for domain, value, written in _choices(whole, equation) for part in convex_pieces(domain)
    ]
    if not 1 < len(cut) <= MOST_PIECES:
        yield whole
        return
    known = iteration_domain(whole.frame, whole.axes, context)
    for number, (part, value, written) in enumerate(cut):
        piece = Piece(number, written, conditions_of(part, known, whole.frame))
        frame = whole.frame.world.frame(whole.axes, inert("S", whole.number + number, f"{whole.stage.name}_define"))
        domain = frame.named(part)
        yield replace(whole, number=whole.number + number, value=value, frame=frame, domain=domain, piece=piece)


def _choices(whole: Statement, equation: Equation) -> Iterator[tuple[Set, Expr, Expr]]:
    """What is computed where, as it is and as it is written; what masks it does so in all of these."""
    value, written = whole.value, equation.value
    if not equation.masked:
        yield from _branches(whole.frame, whole.domain, value, written)
        return
    (mask, yes, no), (condition, own, other) = value.children, written.children
    for domain, taken, taken_written in _branches(whole.frame, whole.domain, yes, own):
        yield domain, _taken(mask, taken, no), _taken(condition, taken_written, other)


def _taken(mask: Expr, value: Expr, otherwise: Expr) -> Expr:
    """What a mask chooses, if that is not the same."""
    return value if same(value, otherwise) else Op("select", (mask, value, otherwise), value.dtype)


def _branches(frame: Frame, domain: Set, value: Expr, written: Expr) -> Iterator[tuple[Set, Expr, Expr]]:
    """What is computed where, by the affine selects around everything else."""
    if domain.is_empty():
        return
    match value, written:
        case Op("select", (_, yes, no)), Op("select", (condition, own, other)) if is_affine_condition(condition, frame):
            holds, fails = condition_sets(condition, frame)
            yield from _branches(frame, domain.intersect(holds), yes, own)
            yield from _branches(frame, domain.intersect(fails), no, other)
        case _:
            yield domain, value, written
