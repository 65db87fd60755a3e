"""A statement: one assignment, at every instance of an isl set over named axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..compute.expr import Axis, Expr, Read, Reduce, walk
from ..compute.tensor import Tensor
from .affine import affine
from .isl import Frame, Map, Set

StatementKind = Literal["define", "init", "update", "finish"]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of an equation: what it computes there in the user's words, and where that is."""

    number: int
    written: Expr
    region: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """stage[indices] = value for every instance in `domain`, whose dimensions are `axes`.

    `prefix` are the first of the axes, the counters of loops of other stages that the stage is computed in (see
    `placement`); the first `kept` of them tell apart elements of the same indices.
    `equation` is which of the stage's equations it is made of, and `piece` which part of that, where it has been cut.
    The value of an argmin or argmax update is what is compared; the state beside the index is the code generator's.
    """

    number: int
    stage: Tensor
    kind: StatementKind
    axes: tuple[Axis, ...]
    indices: tuple[Expr, ...]
    value: Expr
    reduce: Reduce | None
    frame: Frame
    domain: Set
    prefix: tuple[Axis, ...] = ()
    kept: int = 0
    equation: int = 0
    piece: Piece | None = None

    @property
    def label(self) -> str:
        """What the statement is called in messages and dumps."""
        return self.stage.name if self.kind == "define" else f"{self.stage.name}.{self.kind}"

    def writes(self) -> Map:
        """From an instance to the element it writes: the kept prefix, then the indices."""
        values = [affine(index, self.frame) for index in (*self.prefix[: self.kept], *self.indices)]
        assert all(value is not None for value in values), "left-hand sides are affine by construction"
        return self.frame.map_to([v for v in values if v is not None]).intersect_domain(self.domain)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The reads of other elements than the accumulator."""
        found = [node for node in walk(self.value) if isinstance(node, Read)]
        return tuple(read for read in found if not self.accumulates(read))

    def accumulates(self, read: Read) -> bool:
        """Whether a read is of the accumulator: of the element that the statement writes."""
        if read.tensor is not self.stage or self.kind == "define":
            return False
        return all(a is b for a, b in zip(read.indices, self.indices, strict=True))
