"""Bytes and operations of each loop level, and what bounds a nest of loops.

The caches are ideal ones, as in analytical models of tile sizes (Low et al., TOMS 43:2, 2016): what one iteration of a
loop touches stays in a cache that is large enough for it, and nothing of what comes before stays but what the next
iteration touches, too. Bytes moved are then upper bounds, apart from whole cache lines and conflicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ...compute.dtypes import INDEX
from ...compute.expr import Const, Expr, Op, Read
from ...compute.reductions import REDUCTIONS
from ...compute.simplify import constant_value, simplify
from ...errors import BudgetError
from ...polyhedral.affine import is_affine_condition
from ...polyhedral.footprints import Footprint, Iteration
from ...polyhedral.program import Program
from ...polyhedral.statement import Statement
from ..bench.counting import FREE, operations_of
from ..machine import Target

CACHES = ("L1", "L2", "L3")
# Bytes a cycle of one core, about those of today's: two vectors from L1, and less from what is further out.
BYTES_A_CYCLE = {"L1": 128, "L2": 64, "L3": 16, "memory": 8}
VECTORS_A_CYCLE = 2  # operations on vectors that begin in a cycle, multiply-adds among them
LATENCY = 4  # cycles of an addition or multiply-add that waits for the one before it


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One iteration of a loop, or of a whole nest.

    bytes       what it touches, all tensors together; None where that is not a number
    operations  at most, by instances; a fused multiply-add is two
    moved       bytes that move between a cache that holds one iteration and what is further out, in a call, at most
    """

    iteration: Iteration
    bytes: int | None
    operations: Expr
    moved: int | None
    children: tuple[Level, ...]

    @property
    def name(self) -> str:
        """The loop's name; empty for a whole nest."""
        return self.iteration.loop.name if self.iteration.loop else ""

    @property
    def stage(self) -> str:
        """The stage whose loop it is, or the stages that share it."""
        if self.iteration.loop is not None and self.iteration.loop.stage is not None:
            return self.iteration.loop.stage.name
        return ", ".join(dict.fromkeys(i.statement.stage.name for i in self.iteration.instances))

    def held_by(self, target: Target) -> str:
        """The innermost cache that one iteration fits into, or memory; empty where that is not known."""
        if self.bytes is None:
            return ""
        return next((n for n, size in capacities(target).items() if self.bytes <= size), "memory")

    @property
    def intensity(self) -> float | None:
        """Operations of a byte that one iteration touches."""
        operations = constant_value(self.operations)
        return operations / self.bytes if operations is not None and self.bytes else None

    def all_below(self) -> Iterator[Level]:
        yield self
        for child in self.children:
            yield from child.all_below()


@dataclass(frozen=True, slots=True)
class Roofline:
    """Cycles that a nest takes on one core, at least, by what it waits for; the most of them is what bounds it.

    moved  bytes into each cache ("L1": from L2 and so on), at most
    """

    operations: int
    moved: Mapping[str, int]
    cycles: Mapping[str, float]

    @property
    def bound(self) -> str:
        return max(self.cycles, key=lambda what: self.cycles[what])


def capacities(target: Target) -> dict[str, int]:
    return dict(zip(CACHES, (target.l1_bytes, target.l2_bytes, target.l3_bytes), strict=True))


def level_of(iteration: Iteration) -> Level:
    """The costs of an iteration and of all further in."""
    sizes = [constant_value(footprint.bytes) for footprint in iteration.footprints]
    known = [size for size in sizes if size is not None]
    total: Expr = Const(0, INDEX)
    for instances in iteration.instances:
        total = total + instances.count * operations_in(instances.statement)
    counts = [_traffic(footprint, iteration) for footprint in iteration.footprints]
    moved = [count for count in counts if count is not None]
    return Level(
        iteration,
        sum(known) if len(known) == len(sizes) else None,
        simplify(total),
        sum(moved) if len(moved) == len(counts) else None,
        tuple(level_of(child) for child in iteration.children),
    )


def operations_in(statement: Statement) -> int:
    """The operations of one instance that needs all of them."""
    reduce = statement.reduce
    compared = statement.kind == "update" and reduce is not None and REDUCTIONS[reduce.name].combine is None
    return sum(2 if node.name == "fma" else 1 for node in _counted(statement)) + compared


def _counted(statement: Statement) -> list[Op]:
    """The operations on data: indices of reads are none."""
    pending, seen, found = [statement.value], set[int](), list[Op]()
    while pending:
        node = pending.pop()
        if isinstance(node, Read) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Op) and node.name == "select" and is_affine_condition(node.operands[0], statement.frame):
            pending += node.operands[1:]
        else:
            pending += node.children
        if isinstance(node, Op) and node.name not in FREE and node.dtype.kind != "bool":
            found.append(node)
    return found


def _traffic(footprint: Footprint, iteration: Iteration) -> int | None:
    """Bytes of a tensor that move in a call if a cache holds one iteration."""
    if footprint.private:
        return 0
    size = constant_value(footprint.bytes)
    times = iteration.outer[footprint.depth - 1] if footprint.depth else 1
    if size is None or times is None:
        return None
    return size * times * (footprint.reads + footprint.writes)


def traffic_into(level: Level, capacity: int) -> int | None:
    """Bytes that move into a cache of this size, and back, in a call, at most."""
    if level.bytes is None:
        return None
    if level.bytes <= capacity or not level.children:
        return level.moved
    parts = [traffic_into(child, capacity) for child in level.children]
    return None if any(part is None for part in parts) else sum(part for part in parts if part is not None)


def roofline(
    level: Level, program: Program, target: Target, sizes: Mapping[str, int], lanes: Mapping[int, int],
    chains: Mapping[int, int],
) -> Roofline | None:  # fmt: skip
    """What bounds a nest; None where sizes are missing, or too much is to be counted.

    lanes   those used, by statement
    chains  the vectors of results that a sum in order is spread over, of statements whose updates wait for each other
    """
    moved = {name: traffic_into(level, size) for name, size in capacities(target).items()}
    if any(value is None for value in moved.values()):
        return None
    operations, arithmetic, waiting = 0, Fraction(0), Fraction(0)
    for instances in level.iteration.instances:
        statement = instances.statement
        try:
            with program.world.budgeted("counting operations"):
                count = sum(weight * times for weight, _, times in operations_of(program, statement, sizes))
        except BudgetError:
            return None
        each = operations_in(statement)
        issued = Fraction(sum(1 for _ in _counted(statement)) or 1, each or 1)
        operations += count
        arithmetic += count * issued / (VECTORS_A_CYCLE * lanes.get(statement.number, 1))
        if statement.number in chains and each:
            updates = Fraction(count, each * lanes.get(statement.number, 1))
            waiting += updates * LATENCY / chains[statement.number]
    known = {name: value for name, value in moved.items() if value is not None}
    in_registers = traffic_into(level, target.vector_registers * target.vector_bits // 8)
    assert in_registers is not None, "what moves is known for all capacities or for none"
    cycles = {"arithmetic": float(arithmetic), "L1": in_registers / BYTES_A_CYCLE["L1"]}
    if waiting:
        cycles["latency"] = float(waiting)
    for name, source in zip(CACHES, ("L2", "L3", "memory"), strict=True):
        cycles[source] = known[name] / BYTES_A_CYCLE[source]
    return Roofline(operations, known, cycles)
