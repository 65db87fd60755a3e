"""How a schedule becomes LLVM IR: the table of contents of this room."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce as fold

from ..compute.expr import Expr
from ..polyhedral.program import Program
from ..polyhedral.schedule_tree import Nest, make_nest
from ..polyhedral.tree import Tree
from ..target.machine import Target
from .abi import ArrayParameter, RuntimeCheck, ScalarParameter, Signature
from .extremes import chosen_by
from .ir import Allocate, If, LoopProgram, Stmt
from .llvm import EmittedKernel, emit_kernel
from .loops import LoopBuilder
from .passes.align_rows import align_rows
from .passes.carry_vectors import carry_vectors
from .passes.dot_products import dot_products
from .passes.fill_tiles import fill_tiles
from .passes.flatten_positions import flatten_positions
from .passes.hoist_allocations import hoist_allocations
from .passes.lanes_in_order import lanes_in_order
from .passes.lengthen_unrolled import lengthen_unrolled
from .passes.narrow_loops import narrow_loops
from .passes.parallel_reductions import parallel_reductions
from .passes.peel_guards import peel_guards
from .passes.peel_loops import peel_loops
from .passes.prefetch_lines import prefetch_lines
from .passes.promote_accumulators import promote_accumulators
from .passes.reduce_divisions import reduce_divisions
from .passes.rows import rows
from .passes.separate_full_tiles import separate_full_tiles
from .passes.split_vectors import split_vectors
from .passes.unroll import unroll
from .passes.vector_reductions import vector_reductions
from .passes.vectorize import vectorize
from .rewrite import simplified
from .statements import StatementLowering, argument_tensors, intermediate_shapes
from .verify import verify

Pass = Callable[[Stmt], Stmt]
Choice = Callable[[Expr, Stmt, Stmt], Stmt]


@dataclass(slots=True)
class Lowered:
    """Every stage of one kernel; `timings` are milliseconds. `nests` are those of conditions, and the one for the sizes
    that are left."""

    nests: tuple[Nest, ...]
    program: LoopProgram
    signature: Signature
    stages: dict[str, Stmt]
    emitted: EmittedKernel
    timings: dict[str, float] = field(default_factory=dict)


def passes(target: Target) -> tuple[tuple[str, Pass], ...]:
    """The passes over loop IR, in order."""
    return (
        ("lanes_in_order", lanes_in_order),
        ("parallel_reductions", parallel_reductions),
        ("hoist_allocations", hoist_allocations),
        ("narrow_loops", narrow_loops),
        ("reduce_divisions", reduce_divisions),
        ("lengthen_unrolled", lengthen_unrolled),
        ("vector_reductions", lambda stmt: vector_reductions(stmt, target.vector_bits, target.has_range)),
        ("promote_accumulators", promote_accumulators),
        ("peel_loops", peel_loops),
        ("align_rows", align_rows),
        ("rows", lambda stmt: rows(stmt, target.vector_bits, masks=target.has_mask_registers)),
        ("fill_tiles", lambda stmt: fill_tiles(stmt, target.vector_bits)),
        ("separate_full_tiles", separate_full_tiles),
        ("peel_guards", peel_guards),
        ("vectorize", vectorize),
        ("flatten_positions", flatten_positions),
        ("split_vectors", lambda stmt: split_vectors(stmt, target.vector_bits)),
        ("unroll", unroll),
        ("carry_vectors", carry_vectors),
        ("prefetch_lines", prefetch_lines),
        ("dot_products", lambda stmt: dot_products(stmt, target.dot_bits, vnni=target.has_vnni)),
        ("simplify", simplified),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """What runs instead where `condition` holds."""

    condition: Expr
    program: Program
    tree: Tree


def lower(
    program: Program, tree: Tree, target: Target, branches: Sequence[Branch] = (), *, check: bool = False
) -> Lowered:
    """Derive the loops of `tree` and take them through all passes to LLVM IR; `check` verifies the IR after each. The
    first of the branches whose condition holds runs instead."""
    timings: dict[str, float] = {}
    checks: list[RuntimeCheck] = []
    variants = [
        _variant(program, tree, target, checks, timings, check)
        for program, tree in (*((branch.program, branch.tree) for branch in branches), (program, tree))
    ]
    conditions = [branch.condition for branch in branches]
    general = variants[-1]
    stages = {name: _choice(conditions, [variant.stages[name] for variant in variants]) for name in general.stages}
    loop_program = LoopProgram(
        general.statements.arguments,
        _choice(conditions, [variant.body for variant in variants], _chosen(general.statements, target)),
        tuple(checks),
        tuple(variant.statements.arguments for variant in variants[:-1]),
    )
    programs = [program, *(branch.program for branch in branches)]
    signature = make_signature(programs, tuple(checks))
    clock = time.perf_counter()
    emitted = emit_kernel(loop_program, signature, target)
    timings["emit"] = (time.perf_counter() - clock) * 1e3
    nests = tuple(variant.nest for variant in variants)
    return Lowered(nests, loop_program, signature, stages, emitted, timings)


@dataclass(frozen=True, slots=True, eq=False)
class _Variant:
    """One loop tree in loop IR: after each pass, and as a body with the memory that it needs."""

    nest: Nest
    statements: StatementLowering
    stages: dict[str, Stmt]
    body: Stmt


def _variant(
    program: Program, tree: Tree, target: Target, checks: list[RuntimeCheck], timings: dict[str, float], check: bool
) -> _Variant:
    clock = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        timings[stage] = timings.get(stage, 0.0) + (now - clock) * 1e3
        clock = now

    nest = make_nest(program, tree)
    lap("isl")
    statements = StatementLowering(program, checks)
    stmt = LoopBuilder(nest, tree, statements).build()
    stages = {"loops": stmt}
    lap("loops")
    if check:
        verify(stmt, stages, (*statements.arguments, *statements.heap))
    for name, function in passes(target):
        stmt = stages[name] = function(stmt)
        lap(name)
        if check:
            verify(stmt, stages, (*statements.arguments, *statements.heap))
            lap("verify")
    for buffer in reversed(statements.heap):
        stmt = Allocate(buffer, stmt)
    return _Variant(nest, statements, stages, stmt)


def _choice(conditions: Sequence[Expr], bodies: Sequence[Stmt], choose: Choice = If) -> Stmt:
    """The body of the first condition that holds, and else the last one."""
    chosen = bodies[-1]
    for condition, body in reversed(list(zip(conditions, bodies, strict=False))):
        chosen = choose(condition, body, chosen)
    return chosen


def _chosen(general: StatementLowering, target: Target) -> Choice:
    """One of two statements, by a condition on sizes and on what is in these arguments."""

    def run(stmt: Stmt) -> Stmt:
        return fold(lambda stmt, each: each[1](stmt), passes(target), stmt)

    arguments = dict(zip((t.uid for t in argument_tensors(general.program)), general.arguments, strict=True))
    return lambda condition, then, otherwise: chosen_by(condition, then, otherwise, arguments, target.vector_bits, run)


def make_signature(programs: Sequence[Program], checks: tuple[RuntimeCheck, ...]) -> Signature:
    """What a kernel of a Program takes and gives, which runs one of several that differ in their schedules alone."""
    program = programs[0]
    arrays = {
        tensor.uid: ArrayParameter(
            tensor.name, tensor.dtype, tensor.shape, any(tensor is output for output in program.outputs), tensor.strides
        )
        for tensor in argument_tensors(program)
    }
    positional = tuple(
        ScalarParameter(argument.name, argument.dtype) if argument.uid not in arrays else arrays[argument.uid]
        for argument in program.arguments
    )
    return Signature(
        positional,
        tuple(arrays[output.uid] for output in program.outputs),
        program.sizes,
        tuple(shape for each in programs for shape in intermediate_shapes(each)),
        checks,
    )
