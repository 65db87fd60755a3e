"""What a schedule primitive is: a frozen record of its arguments that rewrites a state.

The registry of records serves the methods of a stage, the text form's loader (as its allow-list), the tests and the
reference page. A record's fields are exactly what is printed and loaded, with every default already filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...polyhedral.program import Program
from ...polyhedral.requirements import Requirement, requirements
from ..nest import StageNest, default_nest
from ..suggestion import shown


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a log of commands amounts to: the rewritten Program, its requirements, and the loops of each stage."""

    program: Program
    pairs: tuple[Requirement, ...]
    nests: Mapping[int, StageNest]

    @staticmethod
    def initial(program: Program) -> State:
        nests = {stage.uid: default_nest(stage) for stage in program.live_stages()}
        return State(program, requirements(program), nests)

    def with_program(self, program: Program) -> State:
        """The state with another Program; stages that come back have their default loops."""
        live = {stage.uid: self.nests.get(stage.uid) or default_nest(stage) for stage in program.live_stages()}
        return State(program, requirements(program), live)

    def with_nest(self, nest: StageNest) -> State:
        return replace(self, nests={**self.nests, nest.stage.uid: nest})

    def nest(self, stage: Tensor) -> StageNest:
        """The loops of a stage, which an inlined one has not."""
        if stage.uid not in self.nests:
            raise ScheduleError(
                f"{stage.name} is inlined and has no loops; {stage.name}.compute_root() gives it loops again"
            )
        return self.nests[stage.uid]


@dataclass(frozen=True, slots=True)
class Primitive:
    """Base of all primitives. `word` is the method's name; `reorders` says that the order of instances may change."""

    word: ClassVar[str]
    reorders: ClassVar[bool] = True

    def apply(self, state: State, stage: Tensor) -> State:
        """The state after the command, or a ScheduleError that says what would be accepted."""
        return state.with_nest(self.rewrite(state.nest(stage)))

    def rewrite(self, nest: StageNest) -> StageNest:
        """The loops after the command, for primitives that touch nothing else."""
        raise AssertionError(f"{self.word} rewrites the state as a whole")

    @property
    def arguments(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        parts = []
        for name, value in self.arguments.items():
            if value == "":  # an option that was not used
                continue
            items = [f'"{item}"' if isinstance(item, str) else str(item) for item in _items(value)]
            shown = ", ".join(items)
            if name in KEYWORDS:
                shown = f"{name}=({shown})" if isinstance(value, tuple) else f"{name}={shown}"
            parts.append(shown)
        return f"{self.word}({', '.join(part for part in parts if part)})"


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


# Fields that are written with their names, as keyword-only arguments are; the others are positional, in the order of
# the record.
KEYWORDS = frozenset({"outer", "inner", "name", "outers", "inners"})

REGISTRY: dict[str, type[Primitive]] = {}


def primitive(record: type[Primitive]) -> type[Primitive]:
    """Register a record under its word."""
    assert record.word not in REGISTRY
    REGISTRY[record.word] = record
    return record


MAX_FACTOR = 2**31 - 1


def checked_factor(factor: Any, what: str) -> int:
    """`factor` if it is an integer from 1 to MAX_FACTOR, so that sums of extents and factors stay within 64 bits."""
    if isinstance(factor, bool) or not isinstance(factor, int) or not 1 <= factor <= MAX_FACTOR:
        raise ScheduleError(f"{what} takes a factor that is an integer from 1 to {MAX_FACTOR}, not {shown(factor)}")
    return factor
