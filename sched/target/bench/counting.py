"""The work of a definition: its operations, and the bytes that it cannot help to move, counted by isl at given sizes.

An operation is counted at every instance that needs its value: where an affine guard of `select` leaves a side out, the
operations of that side are left out too. A fused multiply-add is two operations; additions, multiplications, divisions,
minima, roots and elementary functions are one each; comparisons, selections, conversions and index arithmetic are none.
The bytes are those of the distinct elements of inputs that are read and of outputs that are written, each once: the
least that any schedule moves between the kernel and memory, as in the roofline model (Williams, Waterman and Patterson,
CACM 52:4, 2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...compute.expr import Expr, Op, Read
from ...compute.operations import COMPARISONS
from ...compute.reductions import REDUCTIONS
from ...compute.tensor import Tensor
from ...polyhedral.affine import condition_sets, is_affine_condition
from ...polyhedral.bounds import access_relation, guarded_reads
from ...polyhedral.cardinality import cardinality
from ...polyhedral.isl import Set
from ...polyhedral.program import Program, Statement

FREE = COMPARISONS | {"select", "checked", "not"}


@dataclass(frozen=True, slots=True)
class Work:
    """What one call has to do: `flops` on floats, `operations` on data of all types, bytes read and written.

    >>> Work(flops=2000, operations=2000, bytes_read=800, bytes_written=200).intensity
    2.0
    """

    flops: int
    operations: int
    bytes_read: int
    bytes_written: int

    @property
    def bytes(self) -> int:
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes if self.bytes else float("inf")


def count_work(program: Program, sizes: Mapping[str, int]) -> Work:
    """The work of the Program of a default schedule at these sizes.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n, n), "float32", name="A")
    >>> r = ps.reduce_axis((0, n), name="r")
    >>> B = ps.compute((n,), lambda i: ps.sum(A[i, r], axis=r), name="B")
    >>> count_work(ps.Schedule(B).program, {"n": 10})
    Work(flops=100, operations=100, bytes_read=400, bytes_written=40)
    """
    flops = operations = 0
    for statement in program.statements:
        for weight, is_float, count in operations_of(program, statement, sizes):
            operations += weight * count
            flops += weight * count * is_float
    moved = dict(_elements(program))
    read, written = (
        sum(
            cardinality(points, program.world, sizes) * t.dtype.bytes
            for t, points in moved.items()
            if bool(t.equations) is w
        )
        for w in (False, True)
    )
    return Work(flops, operations, read, written)


def operations_of(program: Program, statement: Statement, sizes: Mapping[str, int]) -> Iterator[tuple[int, bool, int]]:
    """For every operation of a statement: its weight, whether it is one on floats, and how often it is needed."""
    needed: dict[int, tuple[Op, Set]] = {}
    pending: list[tuple[Expr, Set]] = [(statement.value, statement.domain)]
    while pending:
        node, domain = pending.pop()
        if isinstance(node, Read):
            continue
        if isinstance(node, Op):
            known = needed.get(id(node))
            if known is not None and domain.is_subset(known[1]):
                continue
            needed[id(node)] = (node, domain if known is None else known[1].union(domain))
        if isinstance(node, Op) and node.name == "select":
            condition, yes, no = node.operands
            holds, fails = condition_sets(condition, statement.frame)
            pending += [(yes, domain.intersect(holds)), (no, domain.intersect(fails))]
            if not is_affine_condition(condition, statement.frame):
                pending.append((condition, domain))
        else:
            pending += [(child, domain) for child in node.children]
    reduce = statement.reduce
    if statement.kind == "update" and reduce is not None and REDUCTIONS[reduce.name].combine is None:
        yield 1, reduce.operand.dtype.is_float, cardinality(statement.domain, program.world, sizes)
    everywhere: int | None = None
    for node, domain in needed.values():
        if node.name in FREE or node.dtype.kind == "bool":
            continue
        if domain is statement.domain:
            everywhere = cardinality(domain, program.world, sizes) if everywhere is None else everywhere
            count = everywhere
        else:
            count = cardinality(domain, program.world, sizes)
        yield 2 if node.name == "fma" else 1, node.dtype.is_float, count


def _elements(program: Program) -> Iterator[tuple[Tensor, Set]]:
    """The elements of each placeholder that are read, and of each output that are written."""
    found: dict[int, tuple[Tensor, Set]] = {}

    def add(tensor: Tensor, points: Set) -> None:
        known = found.get(tensor.uid)
        found[tensor.uid] = tensor, points if known is None else known[1].union(points)

    for statement in program.statements:
        if any(statement.stage is output for output in program.outputs):
            add(statement.stage, statement.writes().range())
        for read, needed in guarded_reads(statement.value, statement.frame, statement.domain):
            if not read.tensor.equations:
                add(read.tensor, access_relation(read, statement.frame, needed).range())
    yield from found.values()
