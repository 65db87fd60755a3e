"""`build`: from a schedule to a kernel."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import TargetError
from ..polyhedral.program import Program
from ..schedule.branches import Branch as SpecialCase
from ..schedule.schedule import Schedule
from . import cache as kernel_cache
from .description import Description
from .image import Image
from .jit import assembly
from .kernel import Kernel
from .machine import Target

if TYPE_CHECKING:
    from ..lower.llvm.emitter import Note
    from ..lower.pipeline import Lowered


def build(
    schedule: Schedule, target: Any = "native", *, name: str | None = None, check: bool = False, cache: bool = True
) -> Kernel:
    """Compile a schedule, or take what an earlier process compiled for the same definition, schedule and target.

    target  a `Target`, or what makes one: "native", a level such as "x86-64-v3", an LLVM triple
    name    what the kernel is called in messages; the names of its outputs by default
    check   verify the Program, the loop tree and the loop IR after every pass; also with POLYSCHED_CHECK=1 in the
            environment. A broken rule is an AssertionError, and a fault of polysched
    cache   whether the kernel may come from the cache on disk, and is put there (see `polysched.cache`); never with
            `check`, nor with POLYSCHED_CACHE=0 in the environment

    >>> import numpy as np, polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "int32", name="A")
    >>> B = ps.compute((n,), lambda i: A[i] + 1, name="B")
    >>> kernel = ps.build(ps.Schedule(B))
    >>> kernel(np.arange(3, dtype=np.int32))
    array([1, 2, 3], dtype=int32)
    """
    if not isinstance(schedule, Schedule):
        raise TargetError(f"build takes a Schedule, not a {type(schedule).__name__}; make one with ps.Schedule(output)")
    if schedule.condition is not None:
        raise TargetError(
            f"this schedule is for {schedule.condition} alone; build the schedule that it was specialized of"
        )
    _check_proven(schedule)
    machine = Target.of(target)
    name = name or "_".join(output.name for output in schedule.outputs)
    verified = check or os.environ.get("POLYSCHED_CHECK") == "1"
    key = None
    if cache and not verified and kernel_cache.is_on() and machine.can_run():
        key = kernel_cache.key_of(schedule, machine)
        if key is not None and (kernel := _kept(key, name, schedule, machine)) is not None:
            return kernel
    lowered = lowered_for(schedule, machine, verified)
    description = Description(lowered.signature, warnings_of(lowered, schedule), rounding(programs_of(schedule)))

    def keep(image: Image) -> None:
        if key is not None:
            kernel_cache.keep(key, description, image)

    return Kernel(
        name,
        lowered.signature,
        lowered.emitted.text,
        machine,
        sources=_sources(lowered, schedule, machine),
        timings=lowered.timings,
        warnings=description.warnings,
        rounding=description.rounding,
        made=keep,
    )


def _kept(key: str, name: str, schedule: Schedule, target: Target) -> Kernel | None:
    """The kernel from the cache; its sources are made when they are asked for."""
    start = time.perf_counter()
    found = kernel_cache.find(key)
    if found is None:
        return None
    description, image = found
    asked = schedule.copy()
    try:
        return Kernel(
            name,
            description.signature,
            image,
            target,
            sources=lambda: _sources(lowered_for(asked, target, verified=False), asked, target),
            timings={"cache": (time.perf_counter() - start) * 1e3},
            warnings=description.warnings,
            rounding=description.rounding,
        )
    except TargetError:  # it needs a function that this process does not have
        kernel_cache.forget(key)
        return None


def _check_proven(schedule: Schedule) -> None:
    if not all(variant.state.is_proven for variant in schedule.variants):
        raise TargetError("this schedule is in a transaction, whose commands are proven at its end; ask for this then")


def lowered_for(schedule: Schedule, target: Target, verified: bool, *, alone: bool = False) -> Lowered:
    """The schedule as loop IR and LLVM IR; `verified` checks every rule on the way. Without those that conditions have,
    if it is for itself `alone`."""
    _check_proven(schedule)
    with _without_collections():
        return _lowered(schedule, () if alone else schedule.branches, target, verified)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Lowering makes many nodes and next to no circles of them: looking for those takes up to a fifth of a build."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _lowered(schedule: Schedule, special: Sequence[SpecialCase], target: Target, verified: bool) -> Lowered:
    from ..lower.pipeline import Branch, lower  # noqa: PLC0415 - a kernel from the cache needs nothing of that room's code
    from ..polyhedral.doacross import doacross  # noqa: PLC0415 - as above

    each = [*(case.schedule for case in special), schedule]
    variants = [(one.program, doacross(one.program, one.tree(), one.state.pairs)) for one in each]
    if verified:
        from ..polyhedral.verify import verify_program, verify_tree  # noqa: PLC0415 - as above

        for program, tree in variants:
            verify_program(program)
            verify_tree(program, tree)
    branches = [Branch(case.condition, *variant) for case, variant in zip(special, variants, strict=False)]
    return lower(*variants[-1], target, branches, check=verified)


def programs_of(schedule: Schedule) -> tuple[Program, ...]:
    """The Program of a schedule, and those of its conditions."""
    return tuple(variant.program for variant in schedule.variants)


def _sources(lowered: Lowered, schedule: Schedule, target: Target) -> dict[str, Any]:
    from ..lower.printing import program_text  # noqa: PLC0415 - as above

    built = schedule.copy()
    return {
        "schedule": schedule.to_text(),
        "nest": lambda: str(built),
        "isl": lambda: _isl_text(lowered),
        "loops": lambda: program_text(lowered.program.body),
        **{f"loops-{stage}": (lambda s=stmt: program_text(s)) for stage, stmt in lowered.stages.items()},
        "llvm-raw": lowered.emitted.text,
        "asm-lines": lambda: _asm_lines(lowered, target),
    }


def _isl_text(lowered: Lowered) -> str:
    """isl's schedule trees, for each condition and for the sizes that are left, and then the loops that it made."""
    nests = [each for nest in lowered.nests for each in nest.each()]
    trees = "\n".join(nest.schedule.to_str() for nest in nests)
    return "\n\n".join([trees, *(nest.ast.to_C_str() for nest in nests)])


def _asm_lines(lowered: Lowered, target: Target) -> str:
    """The assembly with .loc directives whose lines are those of the source "loops"."""
    from ..lower.llvm import emit_kernel, with_debug_lines  # noqa: PLC0415 - as above
    from ..lower.printing import line_numbers  # noqa: PLC0415 - as above

    lines = line_numbers(lowered.program.body)
    text = emit_kernel(lowered.program, lowered.signature, target, lines).text
    return assembly(with_debug_lines(text), target)


def rounding(programs: Sequence[Program]) -> str:
    """What a kernel promises about the order of accumulation, in each of the Programs of which it runs one."""
    free = [
        s.stage.name
        for program in programs
        for s in program.statements
        if s.kind == "update" and s.reduce is not None and s.reduce.reassociate and s.reduce.operand.dtype.is_float
        and s.reduce.name in ("sum", "prod")
    ]  # fmt: skip
    if free:
        names = ", ".join(dict.fromkeys(free))
        return f"re-associable: {names} may be accumulated in any order; all else is exact in order"
    return "exact order: the same bits under every schedule"


def warnings_of(lowered: Lowered, schedule: Schedule) -> tuple[str, ...]:
    """What a user would otherwise find out by measuring, numbered by kind."""
    from ..lower.remarks import loops_in_order, loops_without_partial_results  # noqa: PLC0415 - as above

    return (
        *(_note(note) for note in lowered.emitted.notes),
        *loops_without_partial_results(lowered.stages["vector_reductions"]),
        *loops_in_order(lowered.stages["loops"]),
        *_vectors_of_vectors(schedule),
    )


def _vectors_of_vectors(schedule: Schedule) -> list[str]:
    """Vector loops around another one."""
    return [
        f"P005: loop {loop.name} of {nest.label} has no vector form and runs lane by lane"
        for one in schedule.variants
        for shared in one.state.nests.values()
        for nest in shared.each()
        for loop in [loop for loop in nest.loops if loop.kind == "vectorize"][:-1]
    ]


def _note(note: Note) -> str:
    match note.kind:
        case "gather":
            return f"P002: {note.subject} is read with a stride in a vector loop: {note.lanes} elements one by one"
        case "scatter":
            return f"P003: {note.subject} is written with a stride in a vector loop: {note.lanes} elements one by one"
        case _:
            return f"P004: {note.subject} division by a variable is done once a lane, which is faster on this target"
