"""A stage as the user schedules it: one thin method a primitive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..compute.tensor import Tensor
from ..errors import ScheduleError
from ..polyhedral.layout import names_of
from .given import given_factor as _factor
from .given import given_name as _name
from .given import given_new as _new
from .given import given_pair as _pair
from .given import given_terms as _terms
from .primitives import (
    REGISTRY,
    AlignStorage,
    BlockSteps,
    CacheOperand,
    CacheRead,
    CacheWrite,
    ComputeAt,
    ComputeRoot,
    ComputeWith,
    Equation,
    FoldStorage,
    Fuse,
    Inline,
    Narrow,
    Parallel,
    Partition,
    Peel,
    Prefetch,
    Primitive,
    Reorder,
    ReorderStorage,
    Reverse,
    Rfactor,
    Separate,
    Shift,
    Skew,
    Split,
    StoreAt,
    StoreStreaming,
    Tile,
    Unroll,
    Vectorize,
)
from .primitives.equation import checked_equation
from .primitives.peel import found_border
from .suggestion import listed, shown

if TYPE_CHECKING:
    from ..compute.expr import Expr
    from .nest import StageNest
    from .schedule import Schedule


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a schedule. Loops are given by name; commands return the names of the loops that they make.

    Every command is carried out when it is called, or raises a `ScheduleError` and changes nothing.
    """

    schedule: Schedule
    tensor: Tensor
    number: int | None = None

    @property
    def nest(self) -> StageNest:
        """The loops as they are now."""
        nest = self.schedule.state.nest(self.tensor)
        return nest if self.number is None else nest.with_equation(self.number)

    @property
    def loops(self) -> tuple[str, ...]:
        """The names of the loops, outermost first."""
        return self.nest.names

    def equation(self, number: int) -> Stage:
        """One equation of a recurrence, by its number from 0 on, in the order in which they were written.

        Commands on it change its loops alone. Equations share the loops that have the same name and kind where what
        they need of each other asks for it, and otherwise have loops one after the other; each command is proven for
        the loops that this gives. `s[u]` goes on to schedule all equations that have the loops that are named.

        Raises `ScheduleError` for stages that are no recurrence and for numbers that there are not.

        >>> import polysched as ps
        >>> n = ps.size_var("n", min=1)
        >>> a = ps.placeholder((n, 64), "float32", name="a")
        >>> u = ps.recurrence((n, 64), "float32", name="u")
        >>> i, j = ps.axes("i j")
        >>> u[0, j] = a[0, j]
        >>> u[i + 1, j] = u[i, j] + a[i + 1, j]
        >>> s = ps.Schedule(u)
        >>> s[u].equation(1).vectorize("j")
        >>> print(s)
        u: float32[n, 64]
            for i in 0..n:
                for j in 0..64:
                    u[i, j] = a[0, j]  # equation 0: i == 0
            for i in 0..n:
                vectorized for j in 0..64:
                    u[i, j] = u[i - 1, j] + a[i, j]  # equation 1: i >= 1
        """
        if self.number is not None:
            raise ScheduleError(f"this is equation {self.number} of {self.tensor.name}, and has none in it")
        return replace(self, number=checked_equation(self.tensor, _factor(number), self.schedule.state))

    def specialize(self, condition: Expr | str) -> Stage:
        """This stage in the schedule that `schedule.specialize(condition)` gives. See `Specialize`."""
        return replace(self, schedule=self.schedule.specialize(condition))

    def split(
        self, loop: str, factor: int, *, outer: str | None = None, inner: str | None = None, offset: int = 0
    ) -> tuple[str, str]:
        """Cut a loop into pieces of `factor` iterations; returns the outer and the inner loop. See `Split`."""
        loop = _name(loop)
        names = _new(outer, f"{loop}_o", "outer"), _new(inner, f"{loop}_i", "inner")
        self._apply(Split(loop, _factor(factor), *names, _factor(offset)))
        return names

    def tile(
        self,
        loop: str,
        other: str,
        factor: int,
        other_factor: int,
        *,
        outers: tuple[str, str] | None = None,
        inners: tuple[str, str] | None = None,
    ) -> tuple[str, str, str, str]:
        """Cut two loops into tiles; returns the two loops over tiles and the two within one. See `Tile`."""
        loop, other = _name(loop), _name(other)
        o, i = (
            _pair(outers, f"{loop}_o", f"{other}_o", "outers"),
            _pair(inners, f"{loop}_i", f"{other}_i", "inners"),
        )
        self._apply(Tile(loop, other, _factor(factor), _factor(other_factor), o, i))
        return (*o, *i)

    def reorder(self, *loops: str) -> None:
        """Put loops into this order, outermost first, in the places they have. See `Reorder`."""
        self._apply(Reorder(tuple(map(_name, loops))))

    def fuse(self, *loops: str, name: str | None = None) -> str:
        """Make one loop of adjacent ones, outermost first, and return it. See `Fuse`."""
        loops = tuple(map(_name, loops))
        if len(loops) < 2:
            raise ScheduleError(
                f"fuse takes two or more loops that stand directly inside each other, outermost first; the loops of "
                f"{self.tensor.name} are {listed(self.loops)}"
            )
        fused = _new(name, "_".join(loops), "name")
        self._apply(Fuse(loops, fused))
        return fused

    def unroll(self, loop: str) -> None:
        """Write a loop's iterations out. See `Unroll`."""
        self._apply(Unroll(_name(loop)))

    def vectorize(self, loop: str) -> None:
        """Run a loop's iterations as the lanes of vectors. See `Vectorize`."""
        self._apply(Vectorize(_name(loop)))

    def parallel(self, *loops: str, name: str | None = None) -> str:
        """Run a loop on several threads, or several adjacent ones as one; returns the loop. See `Parallel`."""
        if not loops:
            raise ScheduleError(
                f"parallel takes a loop, or several that stand directly inside each other; the loops of "
                f"{self.tensor.name} are {listed(self.loops)}"
            )
        loops = tuple(map(_name, loops))
        made = _new(name, "_".join(loops), "name")
        self._apply(Parallel(loops, made if len(loops) > 1 or name is not None else ""))
        return made

    def peel(self, loop: str, *, first: int | None = None, last: int | None = None) -> tuple[int, int]:
        """Run the first and the last iterations of a loop in code of their own; returns their numbers. See `Peel`.

        Without numbers, those that decide comparisons in selects; with one, the other is 0.

        >>> import polysched as ps
        >>> n = ps.size_var("n")
        >>> A = ps.placeholder((n,), "float32", name="A")
        >>> B = ps.compute((n,), lambda i: A[i] + ps.select((i > 0) & (i < n - 2), A[i - 1] + A[i + 2], 0.0), name="B")
        >>> s = ps.Schedule(B)
        >>> s[B].peel("i")
        (1, 2)
        >>> print(s)
        B: float32[n]
            for i in 0..n:  # the first 1 and the last 2 apart
                B[i] = A[i] + select((i > 0) & (i < n - 2), A[i - 1] + A[i + 2], 0.0)
        """
        loop = _name(loop)
        if first is None and last is None:
            first, last = found_border(self.schedule.state, self.tensor, loop)
        command = Peel(loop, _factor(0 if first is None else first), _factor(0 if last is None else last))
        self._apply(command)
        return command.first, command.last

    def reverse(self, loop: str) -> None:
        """Run a loop from its end. See `Reverse`."""
        self._apply(Reverse(_name(loop)))

    def skew(self, loop: str, factor: int = 1, *, by: str) -> None:
        """Add `factor` times the counter of the outer loop `by` to a loop's. See `Skew`."""
        self._apply(Skew(_name(loop), _factor(factor), _name(by)))

    def partition(self, form: str, factor: int, *, name: str | None = None) -> str:
        """Run what is computed in slabs of a sum of loops; returns the new outermost loop. See `Partition`."""
        form = "".join(_name(form).split())
        made = _new(name, "_".join(names_of(form)) + "_o", "name")
        self._apply(Partition(form, _factor(factor), made))
        return made

    def separate(self, axis: str, other: str, factor: int, *, ahead: int = 0, blocks: str = "earlier") -> Stage:
        """Give what is in earlier blocks, or others, loops of its own; returns it as an equation. See `Separate`."""
        chosen = "" if blocks == "earlier" else _name(blocks)
        self._apply(Separate(_name(axis), _name(other), _factor(factor), _factor(ahead), chosen))
        cuts = self.schedule.program.cuts[self.tensor.uid]
        return self.schedule[self.tensor].equation(len(self.tensor.equations) + len(cuts) - 1)

    def block_steps(
        self, loop: str, factor: int, *, name: str | None = None, steps: str | None = None
    ) -> tuple[Stage, Stage]:
        """Compute so many steps at a time; returns the stages of blocks and of steps in between. See `BlockSteps`."""
        made = (
            _new(name, f"{self.tensor.name}_blocks", "name"),
            _new(steps, f"{self.tensor.name}_steps", "steps"),
        )
        self._apply(BlockSteps(_name(loop), _factor(factor), name=made[0], steps=made[1]))
        return self.schedule[made[0]], self.schedule[made[1]]

    def shift(self, loop: str, amount: int) -> None:
        """Add a number to a loop's counter, for this stage alone. See `Shift`."""
        self._apply(Shift(_name(loop), _factor(amount)))

    def inline(self) -> None:
        """Compute this stage wherever it is read. See `Inline`."""
        self._apply(Inline())

    def compute_root(self) -> None:
        """Compute this stage as a whole, before its readers: the default. See `ComputeRoot`."""
        self._apply(ComputeRoot())

    def compute_at(self, consumer: Stage | Tensor | str, loop: str) -> None:
        """Compute what each iteration of a consumer's loop needs of this stage in that iteration. See `ComputeAt`."""
        self._apply(ComputeAt(_stage_name(consumer), _name(loop)))

    def compute_with(self, other: Stage | Tensor | str, loop: str) -> None:
        """Run this stage in the loops of another one, down to `loop`. See `ComputeWith`."""
        self._apply(ComputeWith(_stage_name(other), _name(loop)))

    def store_at(self, consumer: Stage | Tensor | str | None = None, loop: str | None = None) -> None:
        """Keep what is computed for all iterations inside a loop further out, or for the whole call. See `StoreAt`."""
        if (consumer is None) != (loop is None):
            raise ScheduleError(
                "store_at takes a consumer and one of its loops, or neither to store the stage at the root"
            )
        if consumer is None or loop is None:
            self._apply(StoreAt())
        else:
            self._apply(StoreAt(_stage_name(consumer), _name(loop)))

    def store_root(self) -> None:
        """Keep what is computed for the whole call. See `StoreAt`."""
        self._apply(StoreAt())

    def cache_read(
        self,
        tensor: Stage | Tensor | str,
        at: str | None = None,
        *,
        layout: Sequence[str] = (),
        name: str | None = None,
    ) -> Stage:
        """Read a tensor through a copy made in a loop of this stage; returns the copy. See `CacheRead`."""
        read = _stage_name(tensor)
        made = _new(name, f"{read}_cache", "name")
        self._apply(CacheRead(read, "" if at is None else _name(at), name=made, layout=_terms(layout)))
        return self.schedule[made]

    def pack(
        self, tensor: Stage | Tensor | str, at: str | None = None, *, layout: Sequence[str], name: str | None = None
    ) -> Stage:
        """Read a tensor through a copy in another layout; returns the copy. See `CacheRead`."""
        return self.cache_read(tensor, at, layout=layout, name=name)

    def cache_operand(self, *axes: str, name: str | None = None) -> Stage:
        """Keep what this equation reads at these axes alone in a stage of its own; returns it. See `CacheOperand`."""
        names = tuple(map(_name, axes))
        made = _new(name, "_".join((self.tensor.name, *names)), "name")
        self._apply(CacheOperand(names, name=made))
        return self.schedule[made]

    def cache_write(self, at: str | None = None, *, name: str | None = None) -> Stage:
        """Compute this stage in a buffer of its own and copy it from there; returns that stage. See `CacheWrite`."""
        made = _new(name, f"{self.tensor.name}_cache", "name")
        self._apply(CacheWrite("" if at is None else _name(at), name=made))
        return self.schedule[made]

    def rfactor(self, loop: str, *, name: str | None = None) -> Stage:
        """Accumulate partial results, one a value of a reduction loop; returns their stage. See `Rfactor`."""
        made = _new(name, f"{self.tensor.name}_rf", "name")
        self._apply(Rfactor(_name(loop), made))
        return self.schedule[made]

    def narrow(self, dtype: str) -> None:
        """Compute and store integers in a type of fewer bits, which all are proven to fit into. See `Narrow`.

        >>> import polysched as ps
        >>> B = ps.compute((100,), lambda i: i * 3 - 9, name="B")
        >>> s = ps.Schedule(ps.compute((100,), lambda i: B[i] + B[99 - i], name="C"))
        >>> s[B].narrow("int16")
        >>> s[B].tensor
        B: int16[100]
        """
        self._apply(Narrow(dtype))

    def fold_storage(self, axis: str, size: int) -> None:
        """Store only so many positions of a dimension at a time. See `FoldStorage`."""
        self._apply(FoldStorage("".join(_name(axis).split()), _factor(size)))

    def prefetch(self, tensor: Stage | Tensor | str, at: str, *, distance: int = 1, by: str | None = None) -> None:
        """Fetch what a loop will read of a tensor, some iterations ahead, into the cache. See `Prefetch`.

        >>> import polysched as ps
        >>> A = ps.placeholder((64, 1000), "float32", name="A")
        >>> B = ps.compute((64, 1000), lambda i, j: A[i, j] + 1, name="B")
        >>> s = ps.Schedule(B)
        >>> s[B].prefetch(A, at="i", distance=2)
        >>> print(s)
        B: float32[64, 1000]
            for i in 0..64:
                prefetch A for i + 2
                for j in 0..1000:
                    B[i, j] = A[i, j] + 1.0
        """
        loop = _name(at)
        self._apply(Prefetch(_stage_name(tensor), _factor(distance), at=loop, by=loop if by is None else _name(by)))

    def store_streaming(self, *, at_least: int = 0) -> None:
        """Write the elements of this stage past the caches, if they are so many bytes. See `StoreStreaming`.

        >>> import polysched as ps
        >>> n = ps.size_var("n")
        >>> A = ps.placeholder((n,), "float32", name="A")
        >>> s = ps.Schedule(ps.compute((n,), lambda i: A[i] + 1, name="B"))
        >>> s["B"].store_streaming(at_least=1 << 20)
        >>> s.commands
        ('B.store_streaming(at_least=1048576)',)
        """
        self._apply(StoreStreaming(at_least))

    def align_storage(self, term: str, multiple: int, *, offset: int = 0) -> None:
        """Pad a stored dimension to a multiple of a number of elements, and `offset` more. See `AlignStorage`.

        >>> import polysched as ps
        >>> A = ps.placeholder((8, 100), "float32", name="A")
        >>> B = ps.compute((8, 100), lambda i, j: A[i, j] + 1, name="B")
        >>> s = ps.Schedule(ps.compute((100, 8), lambda j, i: B[i, j] * 2, name="C"))
        >>> s[B].align_storage("j", 16)
        >>> s.build("x86-64-v3").source("loops").splitlines()[0]
        'heap B: float32[8, 112]'
        """
        self._apply(AlignStorage(_terms([term])[0], _factor(multiple), _factor(offset)))

    def reorder_storage(self, *layout: str) -> None:
        """Store the elements of this stage in another order. See `ReorderStorage`."""
        self._apply(ReorderStorage(_terms(layout)))

    def why_not(self, word: str, *args: Any, **options: Any) -> ScheduleError | None:
        """Why a command would be refused here, or None if it would be accepted; nothing is changed.

        >>> import polysched as ps
        >>> r = ps.reduce_axis((0, 9), name="r")
        >>> A = ps.placeholder((4, 9), "float32", name="A")
        >>> B = ps.compute((4,), lambda i: ps.sum(A[i, r], axis=r), name="B")
        >>> s = ps.Schedule(B)
        >>> s[B].why_not("parallel", "i") is None
        True
        >>> s[B].why_not("parallel", "r").cell
        ('B', (0,))
        """
        if word not in REGISTRY:
            raise ScheduleError(f"{word!r} is no command; commands are {', '.join(sorted(REGISTRY))}")
        trial = replace(self, schedule=self.schedule.copy())
        try:
            getattr(trial, word)(*args, **options)
        except ScheduleError as refusal:
            return refusal
        return None

    def parallel_loops(self) -> tuple[str, ...]:
        """The loops, outermost first, whose iterations may run at the same time."""
        nest = self.nest
        serial = (loop.name for loop in nest.loops if loop.kind == "serial")
        trial = self.schedule.copy()
        trial.advises = False
        allowed = {name for name in serial if replace(self, schedule=trial).why_not("parallel", name) is None}
        return tuple(loop.name for loop in nest.loops if loop.kind == "parallel" or loop.name in allowed)

    def _apply(self, command: Primitive) -> None:
        self.schedule.apply(self.tensor, command if self.number is None else Equation(self.number, command))


def _stage_name(stage: object) -> str:
    """The name of a stage, given as itself, its tensor or its name."""
    if isinstance(stage, Stage):
        return stage.tensor.name
    if isinstance(stage, Tensor):
        return stage.name
    if isinstance(stage, str):
        return stage
    raise ScheduleError(f"a stage is given as a tensor, as s[tensor], or by its name, not by {shown(stage)}")
