"""narrow: a stage of integers computed and stored in fewer bits, where all values are proven to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from ...compute.dtypes import DTYPES, INDEX, DType
from ...compute.expr import Const, Expr, Op, Read, walk
from ...compute.printing import text
from ...compute.recurrence import Recurrence
from ...compute.tensor import Equation, Tensor
from ...errors import ScheduleError
from ...polyhedral.definitions import Narrowed, as_read
from ...polyhedral.isl import Set
from ...polyhedral.narrowing import Narrowing, holds
from ...polyhedral.pieces import conditions_of, convex_pieces
from ...polyhedral.value_bounds import Fit, fit
from ...polyhedral.value_ranges import Unfit
from ..nest import StageNest
from ..place import Place
from ..suggestion import shown
from .base import Primitive, State, primitive

_MOST = 999_999_999  # the largest number in the text of a condition
_INTEGERS = tuple(name for name, dtype in DTYPES.items() if dtype.is_int)


@primitive
@dataclass(frozen=True, slots=True)
class Narrow(Primitive):
    """Compute and store a stage of integers in an integer type of fewer bits, which all of its values fit into.

    Before::

        H: int32[n + 1, n + 1]
            for i in 1..n + 1:
                for j in 1..n + 1:
                    H[i, j] = max(H[i - 1, j - 1] + select(a[i - 1] == b[j - 1], 3, -3), 0)

    After ``s.specialize("n <= 10922")["H"].narrow("int16")``, for these sizes::

        H: int16[n + 1, n + 1]
            for i in 1..n + 1:
                for j in 1..n + 1:
                    H[i, j] = max(H[i - 1, j - 1] + select(a[i - 1] == b[j - 1], 3, -3), 0)

    What reads the stage converts its elements. A recurrence is narrowed with all of the same type that needs it and
    that it needs, but for outputs. Of an output, whose type is its caller's, a `cache_write` may be narrow.

    Legal when: every value, and all that it is made of in the narrow type where more than the sum of it counts, fits
    for all sizes, and nothing wraps in the type that it had. That is proven with isl, from what inputs hold by their
    types, or by a condition on them, as ``s.specialize("(min(a) >= 0) & (max(a) <= 255)")``, from `min`, `max` and
    masks, the bounds of axes, and for recurrences by induction, with a bound that is affine in axes and sizes, as
    H[i, j] <= 3 i. A refusal names a value that may not fit, and the sizes and inputs for which all do.
    Also called: narrow_data_type (TVM), lossless_cast (Halide), narrowing, bit-width reduction.
    """

    dtype: str
    word: ClassVar[str] = "narrow"

    def apply(self, state: State, stage: Tensor) -> State:
        to, narrow = checked_narrow(state, stage, self.dtype)
        proof = proof_of(state, stage, narrow, to)
        if not proof.misses.is_empty():
            advice = _advice(state, stage, narrow, to, proof)
            raise ScheduleError(f"{stage.name}.{self}: {_refusal(state, proof)}; {advice}")
        return _with_narrow(state, narrow, to)


def checked_narrow(state: State, stage: Tensor, name: object) -> tuple[DType, dict[int, Tensor]]:
    """The type, and the tensors in it that a stage, and those that need it and that it needs, would be stored in; by
    their uids, which are those that the stages have."""
    what = f"{stage.name}.narrow({shown(name)})"
    if not isinstance(name, str) or name not in _INTEGERS:
        raise ScheduleError(f"{what}: narrow takes the name of an integer type, one of {', '.join(_INTEGERS)}")
    to, definitions = DTYPES[name], state.program.definitions
    state.nest(stage)
    if not stage.dtype.is_int or stage.dtype.bits <= to.bits:
        held = "no integers" if not stage.dtype.is_int else "no more bits"
        raise ScheduleError(f"{what}: {stage.name} is of {stage.dtype.name}, which has {held}")
    given = (*state.program.outputs, *state.program.arguments)
    if any(stage is other for other in given):
        raise ScheduleError(
            f"{what}: {stage.name} is an output, whose type is its caller's; {stage.name}.cache_write() makes a buffer "
            "that may be narrow"
        )
    members = [stage]
    if definitions.has_rules(stage):
        circle = (s for s in definitions.circle(stage) if definitions.has_rules(s) and s.dtype == stage.dtype)
        members = [s for s in circle if not any(s is other for other in given)]
    for member in members:
        names = [e.reduce.name for e in _equations(state, member) if e.reduce is not None]
        if any(name.startswith("arg") for name in names):
            raise ScheduleError(f"{what}: {member.name} finds a position, with a value beside it; narrow what it reads")
    narrowing = Narrowing({member.uid: _as(member, to, ()) for member in members}, to)
    return to, {m.uid: _tensor(state, m, narrowing) for m in members}


def _equations(state: State, stage: Tensor) -> tuple[Equation, ...]:
    definitions = state.program.definitions
    return stage.equations if definitions.has_rules(stage) else (definitions.equations[stage.uid],)


def _as(stage: Tensor, dtype: DType, equations: tuple[Equation, ...]) -> Tensor:
    """The tensor in another type, with its uid: the same stage."""
    kind = Recurrence if isinstance(stage, Recurrence) else Tensor
    return kind(stage.name, stage.shape, dtype, stage.uid, equations, location=stage.location)


def _tensor(state: State, stage: Tensor, narrowing: Narrowing) -> Tensor:
    """The narrow tensor of a stage, with its equations in the user's words."""
    tensor, definitions = narrowing.narrow[stage.uid], state.program.definitions
    own = []
    for number, equation in enumerate(_equations(state, stage)):
        if definitions.has_rules(stage):
            body = as_read(state.program.rewrites, definitions, stage, number, equation.body)
            own.append(narrowing.equation(replace(equation, body=body), stage))
        else:
            own.append(narrowing.equation(equation, stage))
    object.__setattr__(tensor, "equations", tuple(own))  # closed already: frozen from here on
    return tensor


def proof_of(
    state: State,
    stage: Tensor,
    narrow: Mapping[int, Tensor],
    to: DType,
    limits: Mapping[int, tuple[int, int]] = MappingProxyType({}),
) -> Fit:
    """At which sizes the values of stages fit, with inputs within the limits that a condition has, and these ones."""
    program = state.program
    with program.world.budgeted(f'{stage.name}.narrow("{to.name}")'):
        known = {**program.limits, **limits}
        proof = fit(program.definitions, narrow, to, program.world, program.context, known)
        return replace(proof, misses=proof.misses.intersect(program.context))


def fitting(state: State, proof: Fit) -> tuple[str, Set] | None:
    """Sizes for which all values fit, of those that the schedule is for: as a condition, and as a set; None if no such
    sizes are known."""
    world, context = state.program.world, state.program.context
    frame, left = world.parameter_frame(), context.subtract(proof.misses)
    limited = left
    for size in state.program.sizes:
        limited = limited.intersect(frame.size(size).le_set(frame.const(_MOST)))
    for whole in (left, limited):
        found = [(conditions_of(part, context, frame), part) for part in convex_pieces(whole)]
        found = [(conditions, part) for conditions, part in found if conditions and _is_text(conditions)]
        if found:
            conditions, part = min(found, key=lambda pair: len(pair[0]))
            words = [text(_size_first(condition)) for condition in conditions]
            return " & ".join(f"({word})" for word in words) if len(words) > 1 else words[0], part
    return None


def _is_text(conditions: tuple[Expr, ...]) -> bool:
    """Whether numbers in conditions are as short as their text may have them."""
    numbers = (node for condition in conditions for node in walk(condition) if isinstance(node, Const))
    return all(number.value <= _MOST for number in numbers)


def _size_first(condition: Expr) -> Expr:
    """number >= size as size <= number."""
    match condition:
        case Op("ge", (Const() as number, size)):
            return Op("le", (size, number), condition.dtype)
    return condition


def _refusal(state: State, proof: Fit) -> str:
    """What does not fit at the smallest sizes."""
    world = state.program.world
    found = []
    for number, one in enumerate(proof.unfit):
        point = world.smallest(one.points.intersect_params(proof.misses))
        if point is not None:
            found.append((point.order, number, one, point))
    _, _, one, point = min(found, key=lambda item: item[:2])
    at = ", ".join(f"{name}={value}" for name, value in point.sizes.items())
    where = ", ".join(f"{axis.name}={v}" for axis, v in zip(one.frame.axes, point.coordinates, strict=True))
    places = " and ".join(part for part in (at, where) if part)
    return (
        f"{text(one.value)} {_bound(one, point.sizes, point.coordinates)}{f' at {places}' if places else ''}, and "
        f"{one.dtype.name} has {one.dtype.lowest} to {one.dtype.highest}"
    )


def _advice(state: State, stage: Tensor, narrow: Mapping[int, Tensor], to: DType, proof: Fit) -> str:
    """For which inputs all values fit, or for which sizes."""
    inputs = [tensor for tensor in _inputs(state, proof) if not holds(to, tensor.dtype)]
    limits: Mapping[int, tuple[int, int]] = {
        t.uid: (int(max(t.dtype.lowest, to.lowest)), int(min(t.dtype.highest, to.highest))) for t in inputs
    }

    def fits(limits: Mapping[int, tuple[int, int]]) -> bool:
        return proof_of(state, stage, narrow, to, limits).misses.is_empty()

    if inputs and fits(limits):
        for tensor in inputs:  # those without which it fits, too, are left out
            fewer = {uid: ends for uid, ends in limits.items() if uid != tensor.uid}
            limits = fewer if fits(fewer) else limits
        condition = " & ".join(limits_text(t, *limits[t.uid]) for t in inputs if t.uid in limits)
    elif (known := fitting(state, proof)) is not None:
        condition = known[0]
    else:
        return "no sizes are known for which all values fit"
    return f'all values are proven to fit for {condition}, which may have it: specialize("{condition}")'


def _inputs(state: State, proof: Fit) -> list[Tensor]:
    """The inputs of integers that values which may not fit are made of."""
    read = {node.tensor.uid for one in proof.unfit for node in walk(one.value) if isinstance(node, Read)}
    return [a for a in state.program.inputs if a.uid in read and a.dtype.is_int and a.dtype.highest <= INDEX.highest]


def limits_text(tensor: Tensor, low: int, high: int) -> str:
    """That all elements of a tensor are between two numbers, as a condition; of an end that all its values have,
    nothing."""
    least = [f"(min({tensor.name}) >= {low})"] if low > tensor.dtype.lowest else []
    most = [f"(max({tensor.name}) <= {high})"] if high < tensor.dtype.highest else []
    return " & ".join([*least, *most])


def _bound(one: Unfit, sizes: Mapping[str, int], coordinates: tuple[int, ...]) -> str:
    """How large, or small, a value may be at an instance."""
    frame = one.frame
    there = frame.universe().intersect_params(frame.world.fixed(sizes))
    for axis, value in zip(frame.axes, coordinates, strict=True):
        own = frame.axis(axis)
        assert own is not None
        there = there.intersect(own.eq_set(frame.const(value)))
    low, high = one.range.lower.intersect_domain(there).min_val(), one.range.upper.intersect_domain(there).max_val()
    if low.is_int() and int(low.to_python()) < one.dtype.lowest:
        return f"is only known to be at least {int(low.to_python())}"
    if high.is_int() and int(high.to_python()) > one.dtype.highest:
        return f"is only known to be at most {int(high.to_python())}"
    return "has no bound that is known"


def _with_narrow(state: State, narrow: Mapping[int, Tensor], to: DType) -> State:
    """The state in which stages are these tensors: with the loops, places and layouts that they had."""

    def moved(tensor: Tensor) -> Tensor:
        return narrow.get(tensor.uid, tensor)

    def nest(own: StageNest) -> StageNest:
        apart = {number: nest(other) for number, other in own.apart.items()}
        return replace(own, stage=moved(own.stage), apart=apart)

    def place(own: Place) -> Place:
        inside = None if own.inside is None else place(own.inside)
        store_host = None if own.store_host is None else moved(own.store_host)
        return replace(own, host=moved(own.host), store_host=store_host, inside=inside)

    joined = {uid: (moved(host), loop) for uid, (host, loop) in state.program.joined.items()}
    changed = replace(
        state,
        program=replace(state.program, joined=joined),
        nests={uid: nest(own) for uid, own in state.nests.items()},
        places={uid: place(own) for uid, own in state.places.items()},
        ahead=tuple(replace(a, stage=moved(a.stage), tensor=moved(a.tensor)) for a in state.ahead),
    )
    return changed.with_rewrites((*state.program.rewrites, Narrowed(narrow, to)))
