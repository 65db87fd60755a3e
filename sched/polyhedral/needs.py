"""What cells of a recurrence need of each other, directly or not: all that must be computed where one of them is.

Each need is a cell further on by a number between two, in each dimension; so what is needed in m steps is further on by
m times as much. That is more than is needed where the numbers of two dimensions depend on each other, as at the corners
of a five-point star, and never less.
"""

from __future__ import annotations

from collections.abc import Sequence

from .bounds import access_relation, guarded_reads
from .isl import Map, ranges
from .statement import Statement


def needs_of(statements: Sequence[Statement]) -> Map | None:
    """From each cell to the cells of its own stage that it reads; None where it reads none."""
    found: Map | None = None
    for statement in statements:
        for read, instances in guarded_reads(statement.value, statement.frame, statement.domain):
            if read.tensor is statement.stage and not statement.accumulates(read):
                elements = statement.writes().reverse().apply_range(access_relation(read, statement.frame, instances))
                found = elements if found is None else found.union(elements)
    return found


def closure_of(statements: Sequence[Statement]) -> Map | None:
    """From each cell to itself and all cells that it may need, directly or not; None where it needs no others.

    Closed: what a cell in the image of another one needs is in that image, too, as far as it is in the tensor."""
    needs = needs_of(statements)
    if needs is None:
        return None
    rank, parts = len(statements[0].indices), ["m >= 0"]
    for k, (low, high) in enumerate(ranges(needs.deltas())):
        parts += [] if low is None else [f"d{k} - c{k} >= {low}m"]
        parts += [] if high is None else [f"d{k} - c{k} <= {high}m"]
    cells, others = (", ".join(f"{name}{k}" for k in range(rank)) for name in "cd")
    text = f"{{ [{cells}] -> [{others}] : exists (m : {' and '.join(parts)}) }}"
    return statements[0].frame.world.from_text(text)
