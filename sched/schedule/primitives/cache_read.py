"""cache_read and pack: a tensor read through a copy, near its reader and in a layout made for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...compute.dtypes import INDEX
from ...compute.expr import Axis, Const, Read, walk
from ...compute.tensor import Equation, Tensor, new_uid
from ...errors import ScheduleError
from ...polyhedral.definitions import ReadThrough
from ...polyhedral.layout import Layout, Term, meeting, parsed, plain
from ...polyhedral.program import Program
from ..place import Place
from ..suggestion import listed, meant
from .base import Primitive, State, primitive


@primitive
@dataclass(frozen=True, slots=True)
class CacheRead(Primitive):
    """Read a tensor through a copy of what is needed of it, made at the beginning of each iteration of a loop; in a
    layout of its own where one is given.

    Before::

        for j_o in 0..m // 64:
            for i in 0..n:
                for r in 0..k:
                    for j_i in 0..64:
                        C[i, 64 * j_o + j_i] += A[i, r] * B[r, 64 * j_o + j_i]

    After ``s[C].cache_read(B, at="j_o")``::

        for j_o in 0..m // 64:
            for r in 0..k:
                for j in 0..64:
                    B_cache[r, j] = B[r, 64 * j_o + j]
            for i in 0..n:
                for r in 0..k:
                    for j_i in 0..64:
                        C[i, 64 * j_o + j_i] += A[i, r] * B_cache[r, j_i]

    The copy is a stage like others: its loops have the names of the axes that index the tensor (or ax0, ax1, ...), and
    it can be split, vectorized, and computed elsewhere. Without `at`, all of it is copied before. A layout lists terms
    of those names, outermost first: ("j/64", "r", "j%64") stores panels of 64 columns one after the other.

    Legal when: the stage reads the tensor. No copy changes a bit.
    Also called: cache_read (TVM), Func::in with compute_at (Halide), packing (BLIS), data copy (polyhedral compilers).
    """

    tensor: str
    at: str = ""
    name: str = field(kw_only=True)
    layout: tuple[str, ...] = ()
    word: ClassVar[str] = "cache_read"
    named: ClassVar[frozenset[str]] = frozenset({"layout"})

    def apply(self, state: State, stage: Tensor) -> State:
        state.nest(stage)
        tensor = _read_by(state, stage, self.tensor)
        check_new(state, self.name)
        copy = _copy(state, stage, tensor, self.name)
        place = None
        if self.at:
            state.nest(stage).position(self.at)
            place = Place(stage, self.at, stage, self.at)
        terms = storage_terms(self.layout, copy, state.program, f"cache_read of {self.tensor}")
        program = replace(state.program, layouts={**state.program.layouts, copy.uid: Layout(terms)})
        places = state.places if place is None else {**state.places, copy.uid: place}
        rewrites = (*program.rewrites, ReadThrough(stage, tensor, copy))
        return replace(state, program=program, places=places).with_rewrites(rewrites)


def storage_terms(layout: tuple[str, ...], stage: Tensor, program: Program, what: str) -> tuple[Term, ...]:
    """The terms of a layout, in the names of the stage's axes, if they tell all elements apart."""
    if not layout:
        return ()
    axes = stage.equations[0].axes
    try:
        terms = parsed(layout, tuple(axis.name for axis in axes))
    except ValueError as error:
        raise ScheduleError(f"{what}: {error}") from None
    if any(term.form != plain(term.form[0][0]) for term in terms):
        with program.world.budgeted(what):
            same = program.world.smallest(meeting(Layout(terms), axes, program.world, program.context))
        if same is not None:
            at = ", ".join(f"{name}={value}" for name, value in same.sizes.items())
            one, two = same.coordinates[: len(axes)], same.coordinates[len(axes) :]
            elements = (f"{stage.name}[{', '.join(map(str, element))}]" for element in (one, two))
            raise ScheduleError(
                f"{what}: {f'at {at} ' if at else ''}{' and '.join(elements)} would be in one place; each dimension "
                "must follow from the terms, as i and j do from i+j and i"
            )
    return terms


def check_new(state: State, name: str) -> None:
    """Refuse the name of a stage that there is already."""
    taken = [s.name for s in state.program.stages] + [a.name for a in state.program.arguments]
    if name in taken:
        raise ScheduleError(f"there is a {name} already; choose another name for the new stage with name=")


def _read_by(state: State, stage: Tensor, name: str) -> Tensor:
    reads = [node.tensor for node in walk(state.program.definitions.values[stage.uid]) if isinstance(node, Read)]
    others = {tensor.name: tensor for tensor in reads if tensor is not stage}
    if name not in others:
        raise ScheduleError(f"{stage.name} does not read {name}; it reads {listed(others)}{meant(name, list(others))}")
    return others[name]


def _copy(state: State, stage: Tensor, tensor: Tensor, name: str) -> Tensor:
    """A stage with the elements of a tensor."""
    names = _axis_names(state, stage, tensor)
    axes = tuple(
        Axis(axis, Const(0, INDEX, weak=True), extent, location=tensor.location)
        for axis, extent in zip(names, tensor.shape, strict=True)
    )
    equation = Equation(axes, axes, Read(tensor, axes))
    return Tensor(name, tensor.shape, tensor.dtype, new_uid(), (equation,), location=tensor.location)


def _axis_names(state: State, stage: Tensor, tensor: Tensor) -> Iterator[str]:
    """For each dimension the axis that indexes it, where there is one and it indexes no other."""
    reads = [node for node in walk(state.program.definitions.values[stage.uid]) if isinstance(node, Read)]
    first = next(read for read in reads if read.tensor is tensor)
    named = [index.name if isinstance(index, Axis) else "" for index in first.indices]
    return (name if name and named.count(name) == 1 else f"ax{dimension}" for dimension, name in enumerate(named))
