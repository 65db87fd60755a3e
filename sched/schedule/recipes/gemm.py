"""A matrix product in register tiles over packed operands."""

from __future__ import annotations

from dataclasses import dataclass

from ...compute.expr import Axis, Expr, Read, walk
from ...compute.simplify import constant_value
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage


def gemm(
    stage: Stage,
    target: Target | str | None = None,
    *,
    mr: int | None = None,
    nr: int | None = None,
    kc: int | None = None,
    mc: int | None = None,
    nc: int | None = None,
) -> None:
    """Schedule C[i, j] = sum of A[i, r] * B[r, j] over r as BLIS does, in five loops around a register tile.

    stage    the product, or a stage that reads it element by element (a bias, an activation), which is then computed
             on each tile while that is in the caches; either operand may be transposed, and further axes be in front
    target   the machine: its registers and caches give the sizes below; this machine by default. With more than one
             thread, blocks of rows are parallel
    mr, nr   rows and columns of the register tile: mr * nr accumulators, nr / lanes vectors of B and one of A are in
             registers at a time
    kc, mc, nc  the packed block of A is mc x kc (in L2), that of B is kc x nc (in L3)

    Works for any size, fixed or symbolic, and every dtype. Raises `ScheduleError` for stages that are no such product.

    The loops are those of Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication, TOMS 2008), the
    tile sizes follow Low et al. (Analytical Modeling Is Enough for High-Performance BLIS, TOMS 2016).

    >>> import polysched as ps
    >>> A, B = ps.placeholder((64, 32), name="A"), ps.placeholder((32, 48), name="B")
    >>> r = ps.reduce_axis((0, 32), name="r")
    >>> C = ps.compute((64, 48), lambda i, j: ps.sum(A[i, r] * B[r, j], axis=r), name="C")
    >>> s = ps.Schedule(C)
    >>> ps.recipes.gemm(s[C], ps.Target("x86-64-v4", threads=1))
    >>> s[C].loops
    ('r_c', 'i_c', 'j_c', 'j_o', 'i_o', 'r', 'i_i', 'j_i')
    """
    target = Target.of(target)
    product = _product_of(stage)
    sizes = _blocks(product, target, (mr, nr, kc, mc, nc))
    right = _blocked(stage, product, sizes) if product.stage is stage.tensor else _fused(stage, product, sizes)
    if target.thread_count() > 1:
        stage.parallel("j_c" if sizes.few else "i_c")
        if not sizes.few:
            right.parallel(f"{product.j}_o")


@dataclass(frozen=True, slots=True)
class _Product:
    """The stage that sums up, its last two axes and its reduction's, the operands with the first and the second, and
    the extents of the first and of the reduction."""

    stage: Tensor
    batch: tuple[str, ...]
    i: str
    j: str
    r: str
    left: Tensor
    right: Tensor
    extents: tuple[Expr, Expr]


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Sizes of tiles, and the elements of a vector; `few` says that all rows are one block, which is then packed once,
    outside of the columns."""

    mr: int
    nr: int
    kc: int
    mc: int
    nc: int
    lanes: int
    few: bool


def _product_of(stage: Stage) -> _Product:
    """What is multiplied in a stage, or in the one product that it reads."""
    definitions = stage.schedule.program.definitions
    known = {s.uid: s for s in definitions.live()}
    pending, found = [stage.tensor], list[Tensor]()
    while pending:
        tensor = pending.pop()
        if definitions.equations[tensor.uid].reduce is not None:
            found.append(tensor)
            continue
        reads = {node.tensor.uid for node in walk(definitions.values[tensor.uid]) if isinstance(node, Read)}
        pending += [known[uid] for uid in reads if uid in known]
    if len(found) != 1:
        raise ScheduleError(
            f"gemm schedules a stage that is, or reads, one matrix product; {stage.tensor.name} is none"
        )
    return _operands(found[0], stage)


def _operands(tensor: Tensor, stage: Stage) -> _Product:
    equation = stage.schedule.program.definitions.equations[tensor.uid]
    reduce = equation.reduce
    assert reduce is not None
    reads = [node for node in walk(reduce.operand) if isinstance(node, Read)]
    if len(reduce.axes) == 1 and len(equation.axes) >= 2 and len(reads) == 2:
        i, j, r = equation.axes[-2], equation.axes[-1], reduce.axes[0]
        left = [read for read in reads if _indexed(read, i, r) and not _indexed(read, j)]
        right = [read for read in reads if _indexed(read, r, j) and not _indexed(read, i)]
        if len(left) == len(right) == 1:
            batch = tuple(axis.name for axis in equation.axes[:-2])
            extents = i.upper, r.upper
            return _Product(tensor, batch, i.name, j.name, r.name, left[0].tensor, right[0].tensor, extents)
    raise ScheduleError(
        f"gemm schedules sums of products A[i, r] * B[r, j] over one axis r, with i and j the last axes, and "
        f"{tensor.name} is another reduction"
    )


def _indexed(read: Read, *axes: Axis) -> bool:
    return all(any(index is axis for index in read.indices) for axis in axes)


def _blocks(product: _Product, target: Target, given: tuple[int | None, ...]) -> _Blocks:
    """Tile sizes from the registers and caches of the target."""
    size = product.stage.dtype.bytes
    lanes = max(1, target.vector_bits // (8 * size))
    mr, nr, kc, mc, nc = given
    rows, terms = (constant_value(extent) for extent in product.extents)
    nr = nr or 2 * lanes
    most = max(1, (target.vector_registers - 1 - nr // lanes) // max(1, nr // lanes))
    mr = mr or _rows(rows, most)
    kc = kc or _even(terms, max(64, target.l2_bytes // (4 * nr * size)))
    mc = mc or max(1, target.l2_bytes // (2 * kc * size) // mr) * mr
    few = rows is not None and rows <= mc
    block = target.l2_bytes // (4 * kc * size) if few else min(target.l3_bytes // (4 * kc * size), 4096)
    nc = nc or max(1, block // nr) * nr
    return _Blocks(mr, nr, kc, mc, nc, lanes, few)


def _rows(rows: int | None, most: int) -> int:
    """Rows of the register tile: the most that there are registers for, or up to a quarter fewer where the last tile is
    fuller for it."""
    if rows is None:
        return most
    return min(range(most, max(1, most * 3 // 4), -1), key=lambda mr: -(-rows // mr) * mr, default=most)


def _even(terms: int | None, most: int) -> int:
    """The length of a block of the sum: blocks of nearly one length, where it is known."""
    return most if not terms else -(-terms // -(-terms // most))


def _blocked(c: Stage, product: _Product, blocks: _Blocks) -> Stage:
    """Both operands packed at the loops that reuse them; the result is updated block by block of the sum. Returns the
    copy of the right operand."""
    i, j, r = product.i, product.j, product.r
    c.split(j, blocks.nc, outer="j_c", inner=j)
    c.split(r, blocks.kc, outer="r_c", inner=r)
    c.split(i, blocks.mc, outer="i_c", inner=i)
    c.split(j, blocks.nr, outer="j_o", inner="j_i")
    c.split(i, blocks.mr, outer="i_o", inner="i_i")
    outer = ("r_c", "i_c", "j_c") if blocks.few else ("j_c", "r_c", "i_c")
    c.reorder(*product.batch, *outer, "j_o", "i_o", r, "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    right = _pack_right(c, product, blocks, "j_c" if blocks.few else "r_c")
    _pack_left(c, product, blocks, "i_c")
    return right


def _fused(d: Stage, product: _Product, blocks: _Blocks) -> Stage:
    """Each tile of the product is summed up in registers and then used. Returns the copy of the right operand."""
    i, j = (axis.name for axis in d.tensor.equations[0].axes[-2:])
    d.split(j, blocks.nc, outer="j_c", inner=j)
    d.split(i, blocks.mc, outer="i_c", inner=i)
    d.split(j, blocks.nr, outer="j_o", inner="j_i")
    d.split(i, blocks.mr, outer="i_o", inner="i_i")
    outer = ("i_c", "j_c") if blocks.few else ("j_c", "i_c")
    d.reorder(*(axis.name for axis in d.tensor.equations[0].axes[:-2]), *outer, "j_o", "i_o", "i_i", "j_i")
    d.unroll("i_i")
    d.vectorize("j_i")
    c = d.schedule[product.stage]
    for between in d.schedule.program.live_stages():
        if between not in (c.tensor, d.tensor) and _is_between(between, c, d):
            d.schedule[between].inline()
    c.compute_at(d, "i_o")
    c.reorder(product.r, product.i, product.j)
    c.unroll(product.i)
    c.vectorize(product.j)
    right = _pack_right(c, product, blocks, None)
    right.compute_at(d, "j_c")
    left = _pack_left(c, product, blocks, None)
    left.compute_at(d, "i_c")
    return right


def _is_between(stage: Tensor, c: Stage, d: Stage) -> bool:
    stages = c.schedule.program.stages
    return stages.index(c.tensor) < stages.index(stage) < stages.index(d.tensor)


def _pack_right(c: Stage, product: _Product, blocks: _Blocks, at: str | None) -> Stage:
    """Panels of nr columns."""
    return _packed(c, product.right, product.j, product.r, blocks.nr, blocks.lanes, at)


def _pack_left(c: Stage, product: _Product, blocks: _Blocks, at: str | None) -> Stage:
    """Panels of mr rows."""
    return _packed(c, product.left, product.i, product.r, blocks.mr, blocks.lanes, at)


def _packed(c: Stage, tensor: Tensor, axis: str, r: str, width: int, lanes: int, at: str | None) -> Stage:
    """A copy in panels of so many positions of an axis, in which the sum runs through memory; where the sum's elements
    lie side by side, it is transposed in registers."""
    copy = c.pack(tensor, at, layout=(*_batch(c, tensor, axis, r), f"{axis}/{width}", r, f"{axis}%{width}"))
    last = copy.loops[-1]
    outer, inner = copy.split(axis, width)
    if last == r:
        whole, part = copy.split(r, lanes)
        copy.reorder(outer, whole, inner, part)
        copy.unroll(inner)
        copy.vectorize(part)
        return copy
    copy.reorder(outer, r, inner)
    if last == axis:
        copy.vectorize(inner)
    else:
        copy.unroll(inner)
    return copy


def _batch(c: Stage, tensor: Tensor, *named: str) -> tuple[str, ...]:
    """The names that the other dimensions of an operand have in its copy."""
    reads = [node for node in walk(c.schedule.program.definitions.values[c.tensor.uid]) if isinstance(node, Read)]
    read = next(read for read in reads if read.tensor is tensor)
    names = [index.name if isinstance(index, Axis) else f"ax{k}" for k, index in enumerate(read.indices)]
    return tuple(name for name in names if name not in named)
