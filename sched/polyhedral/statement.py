"""A statement: one assignment, at every instance of an isl set over named axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..compute.expr import Axis, Expr, Read, Reduce, walk
from ..compute.tensor import Equation, Tensor
from .affine import affine
from .isl import Frame, Map, Set

StatementKind = Literal["define", "init", "update", "finish"]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of an equation: what it computes there in the user's words, and where that is."""

    number: int
    written: Expr
    region: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Of the instances of an equation, those with `axis` in an earlier block of `factor` positions than `other` and
    `ahead` more; with `later`, those in a later one as well.

    Where `axis` is the reduction's, they are updates alone. `equation` may be the number of another cut.
    """

    equation: int
    axis: str
    other: str
    factor: int
    ahead: int = 0
    later: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """stage[indices] = value for every instance in `domain`, whose dimensions are `axes`.

    `prefix` are the first of the axes, the counters of loops of other stages that the stage is computed in (see
    `placement`); the first `kept` of them tell apart elements of the same indices.
    `equation` is which of the stage's equations it is made of, `rule` that equation, where they are a recurrence's, and
    `piece` which part of it, where it has been cut. `apart` is the number of the cut that it is (`Cut`), if any.
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
    rule: Equation | None = None
    apart: int | None = None

    @property
    def label(self) -> str:
        """What the statement is called in messages and dumps."""
        name = f"{self.stage.name}.equation({self.loops_of})" if self.numbered else self.stage.name
        return name if self.kind == "define" else f"{name}.{self.kind}"

    @property
    def loops_of(self) -> int:
        """The number of the equation whose loops these are: its own, or that of a cut."""
        return self.equation if self.apart is None else self.apart

    @property
    def numbered(self) -> bool:
        """Whether the stage has other equations."""
        return self.rule is not None and (len(self.stage.equations) > 1 or self.apart is not None)

    def is_like(self, other: Statement) -> bool:
        """Whether the two, of one number and at the root, are made of the same objects and have the same instances. The
        value of an init follows from the reduction."""
        same = (self.stage, self.reduce, self.rule, *self.axes, *self.indices)
        like = (other.stage, other.reduce, other.rule, *other.axes, *other.indices)
        pieces = [None if s.piece is None else (s.piece.number, id(s.piece.written)) for s in (self, other)]
        return (
            len(same) == len(like)
            and all(a is b for a, b in zip(same, like, strict=True))
            and (self.value is other.value or self.kind == "init")
            and (self.kind, self.equation, self.apart) == (other.kind, other.equation, other.apart)
            and pieces[0] == pieces[1]
            and not self.prefix
            and not other.prefix
            and self.domain.is_equal(other.domain)
        )

    def writes(self) -> Map:
        """From an instance to the element it writes: the kept prefix, then the indices."""

        def found() -> Map:
            values = [affine(index, self.frame) for index in (*self.prefix[: self.kept], *self.indices)]
            assert all(value is not None for value in values), "left-hand sides are affine by construction"
            return self.frame.map_to([v for v in values if v is not None]).intersect_domain(self.domain)

        return self.frame.world.once("writes", (self,), found)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The reads of other elements than the accumulator."""

        def found() -> tuple[Read, ...]:
            reads = (node for node in walk(self.value) if isinstance(node, Read))
            return tuple(read for read in reads if not self.accumulates(read))

        return self.frame.world.once("reads of", (self,), found)

    def accumulates(self, read: Read) -> bool:
        """Whether a read is of the accumulator: of the element that the statement writes."""
        if read.tensor is not self.stage or self.kind == "define":
            return False
        return all(a is b for a, b in zip(read.indices, self.indices, strict=True))
