"""Lanes and registers: what a kernel does with them, read off its loop tree and its loop IR."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ...compute.simplify import constant_value
from ...lower.ir import Allocate, For, Stmt, statements
from ...polyhedral.statement import Statement
from ...polyhedral.tree import LoopNode, Node, Tree
from ..machine import Target


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The vector loop of a statement: `used` of `there` lanes of a register in each of its vectors, on average; `loop`
    is None for scalar code."""

    statement: Statement
    loop: LoopNode | None
    used: float
    there: int

    @property
    def vectors(self) -> int:
        """The vectors of a run of the whole loop."""
        return -(-self.loop.most // self.there) if self.loop is not None and self.loop.most else 1


@dataclass(frozen=True, slots=True)
class Tile:
    """Accumulators that loops keep in registers: `rows` times `columns`, in `vectors` registers; `needed` are those
    with the operands of a step, columns / lanes + 1."""

    name: str
    rows: int
    columns: int
    lanes: int
    vectors: int
    needed: int

    def spills(self, target: Target) -> bool:
        return self.needed > target.vector_registers


def lanes_of(root: Node, statement: Statement, target: Target) -> Lanes:
    """The lanes that a statement runs in."""
    there = max(1, target.vector_bits // max(8, statement.stage.dtype.bits))
    loops = [node for node, _ in Tree(root).path_to(statement) if isinstance(node, LoopNode)]
    vector = next((loop for loop in reversed(loops) if loop.kind == "vectorize"), None)
    if vector is None:
        return Lanes(statement, None, 1.0, there)
    most = vector.most or there
    return Lanes(statement, vector, most / -(-most // there), there)


def tiles_of(loops: Stmt, target: Target) -> Iterator[Tile]:
    """The register tiles of loop IR after `promote_accumulators`, each shape of a name once."""
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for stmt in statements(loops):
        if not isinstance(stmt, Allocate) or stmt.buffer.scope != "register":
            continue
        shape = tuple(constant_value(extent) or 1 for extent in stmt.buffer.shape) or (1,)
        name = stmt.buffer.name.rpartition("_")[0]
        if (name, shape) in seen:
            continue
        seen.add((name, shape))
        lanes = max(1, target.vector_bits // max(8, stmt.buffer.dtype.bits)) if _in_lanes(stmt) else 1
        columns = -(-shape[-1] // lanes)
        vectors = prod(shape[:-1]) * columns
        yield Tile(name, prod(shape[:-1]), shape[-1], lanes, vectors, vectors + columns + 1)


def _in_lanes(stmt: Allocate) -> bool:
    """Whether vector loops, or partial results of lanes, fill the tile."""
    kinds = {loop.kind for loop in statements(stmt.body) if isinstance(loop, For)}
    return "vectorize" in kinds
