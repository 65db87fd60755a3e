"""What a prefetch fetches: the cells of a tensor that an iteration further on reads.

In each iteration of the loop `at`, what that loop will need when the loop `by`, the same or one around it, is
`distance` iterations further on. The region is a box in the tensor's memory, as its layout has it: origins made of the
counters of the loops around, and extents that are the same everywhere. It holds all that is read there, and may hold
more, and cells that the tensor has not; the code generator leaves those out.

The prefetch directive of Halide (Func::prefetch), with footprints by isl.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Read, substitute, walk
from ..compute.simplify import constant_value, simplify
from ..compute.tensor import Tensor
from .affine import affine
from .bounds import access_relation, guarded_reads
from .counters import expand_fused
from .isl import Map, anything, widest, without
from .placement import Box, box_around
from .program import Program
from .statement import Statement
from .tree import Ahead, Leaf, LoopNode, Node, Tree, statements_below
from .tree import Sequence as InSequence

Path = tuple[LoopNode, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The cells to fetch: `box`, whose origins are made of `counters`, one axis for each of the loops `known`."""

    box: Box
    known: Path
    counters: tuple[Axis, ...]


def paths_of(tree: Tree, ahead: Ahead) -> Iterator[Path]:
    """The loops that fetch, each with all loops around it, outermost first."""

    def visit(node: Node, around: Path) -> Iterator[Path]:
        match node:
            case Leaf():
                return
            case InSequence(children):
                for child in children:
                    yield from visit(child, around)
            case LoopNode():
                path = (*around, node)
                if fetches(node, ahead):
                    yield path
                yield from visit(node.body, path)

    yield from visit(tree.root, ())


def fetches(loop: LoopNode, ahead: Ahead) -> bool:
    """Whether a loop is the one that a prefetch is in, and reads what is to be fetched."""
    if loop.name != ahead.at or loop.kind in ("position", "component"):
        return False
    statements = statements_below(loop)
    mine = loop.stage is ahead.stage or (loop.stage is None and any(s.stage is ahead.stage for s in statements))
    return mine and any(_reads(s, ahead.tensor) for s in statements)


def _reads(statement: Statement, tensor: Tensor) -> bool:
    return any(isinstance(node, Read) and node.tensor is tensor for node in walk(statement.value))


def region(program: Program, tree: Tree, ahead: Ahead, path: Path, known: Sequence[LoopNode]) -> Region | None:
    """What the last loop of `path` has to fetch, in terms of the counters of those loops of `known` that are affine;
    None where `by` is not among them."""
    statements = [s for s in statements_below(path[-1]) if _reads(s, ahead.tensor)]
    values = {loop.uid: _counters(tree, loop, statements) for loop in path}
    usable = tuple(loop for loop in path if values[loop.uid] is not None)
    counters = tuple(Axis(loop.name, Const(0, INDEX), Const(0, INDEX)) for loop in usable)
    read: Map | None = None
    for number, statement in enumerate(statements):
        at = [values[loop.uid] or () for loop in usable]
        elements = _elements(statement, ahead.tensor, [value[number] for value in at])
        read = elements if read is None else read.union(elements)
    assert read is not None, "a loop that fetches reads the tensor"
    cells, shape = _cells(program, ahead.tensor, read, usable, counters)
    for k in reversed(range(len(usable))):  # only now: the loops that are not known decide where cells are, too
        if usable[k] not in known:
            cells = without(cells, "in", k, 1)
    counters = tuple(axis for loop, axis in zip(usable, counters, strict=True) if loop in known)
    usable = tuple(loop for loop in usable if loop in known)
    by = _position(usable, ahead, path)
    if by is None:
        return None
    frame = program.world.frame(counters, "X")
    relation = frame.relation(cells.coalesce().detect_equalities())
    # Statements know the sizes that were there when they were made; counts of fused loops come later.
    box = box_around(relation.intersect_domain(frame.universe()), frame, shape)
    later = {counters[by]: counters[by] + ahead.distance}
    return Region(Box(tuple(simplify(substitute(o, later)) for o in box.origin), box.shape), usable, counters)


def _position(loops: Path, ahead: Ahead, path: Path) -> int | None:
    """The place of the loop `by` among others."""
    return next((k for k, loop in enumerate(loops) if loop.name == ahead.by and _same_stage(loop, path[-1])), None)


def furthest(program: Program, tree: Tree, ahead: Ahead, path: Path) -> int | None:
    """How far apart two iterations of the loop `by` are at most, in one iteration of the loops around it; None where
    there is no such bound for all sizes, or none is known."""
    by = _position(path, ahead, path)
    if by is None:
        return None
    statements = list(statements_below(path[by]))
    values = [_counters(tree, loop, statements) for loop in path[: by + 1]]
    if values[-1] is None:
        return None
    reached: Map | None = None
    for number, statement in enumerate(statements):
        known = [affine(value[number], statement.frame) for value in values if value is not None]
        usable = [value for value in known if value is not None]
        around = statement.frame.map_to(usable[:-1]).intersect_domain(statement.domain)
        counter = around.reverse().apply_range(statement.frame.map_to(usable[-1:]))
        reached = counter if reached is None else reached.union(counter)
    assert reached is not None, "there are statements in every loop"
    reached = reached.intersect_params(program.context)
    return widest(reached.reverse().apply_range(reached))


def _same_stage(loop: LoopNode, other: LoopNode) -> bool:
    return loop.stage is other.stage and loop.kind not in ("position", "component")


def _counters(tree: Tree, loop: LoopNode, statements: list[Statement]) -> tuple[Expr, ...] | None:
    """The counter in terms of each statement's axes, if it is affine for all of them."""
    values = tuple(expand_fused(loop.values[s.number], tree, linear=True) for s in statements)
    usable = all(affine(value, s.frame) is not None for value, s in zip(values, statements, strict=True))
    return values if usable else None


def _elements(statement: Statement, tensor: Tensor, counters: list[Expr]) -> Map:
    """From the counters to the elements that a statement reads there."""
    known = [affine(counter, statement.frame) for counter in counters]
    prefix = statement.frame.map_to([value for value in known if value is not None])
    found: Map | None = None
    for read, instances in guarded_reads(statement.value, statement.frame, statement.domain):
        if read.tensor is tensor:
            around = prefix.intersect_domain(instances).reverse()
            elements = around.apply_range(access_relation(read, statement.frame, instances))
            found = elements if found is None else found.union(elements)
    assert found is not None, "the statement reads the tensor"
    return found


def _cells(
    program: Program, tensor: Tensor, read: Map, loops: Path, counters: tuple[Axis, ...]
) -> tuple[Map, tuple[Expr, ...]]:
    """From the counters to the cells that hold the elements, and the extents of the memory."""
    placement, layout = program.placements.get(tensor.uid), program.layout(tensor)
    if placement is None or (not placement.kept and not layout.terms and not layout.folds):
        return read, tensor.shape if placement is None else layout.shape(placement.stored.shape)
    around = {(loop.stage.uid, loop.name): axis for loop, axis in zip(loops, counters, strict=True) if loop.stage}
    kept = placement.around.loops[: placement.around.kept]
    shape = layout.shape(placement.stored.shape)
    if any(loop not in around for loop in kept):  # the memory is that of iterations further in
        return anything(read.domain(), len(shape)), shape
    here = {axis: around[loop] for axis, loop in zip(placement.kept, kept, strict=True)}
    elements = tuple(Axis(f"e{k}", Const(0, INDEX), Const(0, INDEX)) for k in range(tensor.ndim))
    frame = program.world.frame((*counters, *elements), "Y")
    origins = (substitute(origin, dict(here)) for origin in placement.stored.origin)
    positions = tuple(simplify(element - origin) for element, origin in zip(elements, origins, strict=True))
    values = [affine(index, frame) for index in layout.indices(positions, placement.stored.shape)]
    assert all(value is not None for value in values), "layouts are affine"
    moved = frame.map_to([value for value in values if value is not None])
    points = frame.named(read.wrap().flatten())
    return without(moved.intersect_domain(points), "in", len(counters), len(elements)), shape


def fixed_bytes(region: Region, tensor: Tensor) -> int | None:
    """The size of the region, where it is the same for all sizes."""
    extents = [constant_value(extent) for extent in region.box.shape]
    known = [extent for extent in extents if extent is not None]
    return prod(known) * tensor.dtype.bytes if len(known) == len(extents) else None


def moves_with(region: Region) -> tuple[str, ...]:
    """The names of the loops whose iterations fetch different cells."""
    used = {node for origin in region.box.origin for node in walk(origin) if isinstance(node, Axis)}
    return tuple(loop.name for loop, axis in zip(region.known, region.counters, strict=True) if axis in used)
