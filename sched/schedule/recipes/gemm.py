"""A matrix product in register tiles over packed operands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...compute.expr import Axis, Expr, Read, walk
from ...compute.simplify import constant_value
from ...compute.tensor import Tensor
from ...errors import ScheduleError
from ...target.machine import Target
from ..stage import Stage
from .gemm_blocks import Blocks, Extents, Operand, blocks, is_narrow
from .reading import group_of
from .rowwise import rowwise

# So many tiles of rows read the right operand from where it is, if sizes are symbolic: from memory each, or all but the
# first from the second-level cache.
_FEW_TILES, _FEW_FROM_CACHE = 3, 6


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
             registers at a time; by default the tile that wastes least at the edges
    kc, mc, nc  the block of A is mc x kc (in L2), that of B is kc x nc (in L3)

    Works for any size, fixed or symbolic, and every dtype; products of bytes or 16-bit integers that are summed into 32
    bits use the target's dot products. Operands are packed where that pays: the right one always if sizes are symbolic,
    and not for few rows, small operands, or rows that do not meet in a cache. So sizes that are known are worth saying.
    Where columns are known to be at most half a vector's lanes, rows are in lanes. Where there is one column, and sums
    may be added up in any order (`reassociate=True`), the terms of a row are, as in `rowwise`, which reads as fast as
    memory can. Few rows of symbolic sizes have a schedule of their own (`specialize`), if the product is all that is
    scheduled: for them nothing is packed.

    Raises `ScheduleError` for stages that are no such product.

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
    given = mr, nr, kc, mc, nc
    if given == (None,) * 5 and _is_sums_of_rows(stage, product):
        rowwise(stage, target)
        return
    if given == (None,) * 5 and is_narrow(product.known, product.stage.dtype.bytes, target):
        product = product.across()
    sizes = _blocks_of(product, target, given)
    if given == (None,) * 5 and _may_be_few(stage, product, sizes):
        _few_rows(stage, product, sizes, target)
    right = _blocked(stage, product, sizes) if product.stage is stage.tensor else _fused(stage, product, sizes)
    if target.thread_count() > 1:
        stage.parallel("j_c" if sizes.few else "i_c")
        panels = () if right is None else [x for x in (f"{product.j}_o", f"{product.i}_o") if x in right.loops]
        if right is not None and panels and not sizes.few:
            right.parallel(panels[0])


@dataclass(frozen=True, slots=True)
class _Product:
    """The stage that sums up, its last two axes and its reduction's, the operands with the first and the second, and
    the extents of the three; `swapped` if the last axis is the one of the rows."""

    stage: Tensor
    batch: tuple[str, ...]
    i: str
    j: str
    r: str
    left: Read
    right: Read
    extents: tuple[Expr, Expr, Expr]
    swapped: bool = False

    @property
    def known(self) -> Extents:
        rows, columns, terms = (constant_value(extent) for extent in self.extents)
        return Extents(rows, columns, terms)

    def across(self) -> _Product:
        """The same with rows for columns: the result and both operands transposed."""
        rows, columns, terms = self.extents
        return replace(
            self, i=self.j, j=self.i, left=self.right, right=self.left, extents=(columns, rows, terms), swapped=True
        )


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
            extents = i.upper, j.upper, r.upper
            return _Product(tensor, batch, i.name, j.name, r.name, left[0], right[0], extents)
    raise ScheduleError(
        f"gemm schedules sums of products A[i, r] * B[r, j] over one axis r, with i and j the last axes, and "
        f"{tensor.name} is another reduction"
    )


def _indexed(read: Read, *axes: Axis) -> bool:
    return all(any(index is axis for index in read.indices) for axis in axes)


def _blocks_of(product: _Product, target: Target, given: tuple[int | None, ...]) -> Blocks:
    """Tile sizes from the registers and caches of the target."""
    mr, nr, kc, mc, nc = given
    operands = _operand(product.left, product.r), _operand(product.right, product.r)
    return blocks(
        product.known,
        product.stage.dtype.bytes,
        operands,
        target,
        (mr, nr, kc, mc, nc),
        _group(product, target),
    )


def _group(product: _Product, target: Target) -> int:
    """How many products of narrow integers the target sums up into 32 bits at once."""
    return group_of(product.stage.dtype, (product.left.dtype, product.right.dtype), target)


def _operand(read: Read, r: str) -> Operand:
    """How an operand lies in memory."""
    tensor, last = read.tensor, read.indices[-1]
    width = constant_value(tensor.shape[-1])
    known = width is not None and tensor.strides == "row-major" and len(read.indices) == 2
    contiguous = "none" if not isinstance(last, Axis) else "sum" if last.name == r else "own"
    return Operand(tensor.dtype.bytes, width * tensor.dtype.bytes if known and width is not None else None, contiguous)


def _blocked(c: Stage, product: _Product, blocks: Blocks) -> Stage | None:
    """The operands packed at the loops that reuse them; the result is updated block by block of the sum. Returns the
    copy of the right operand, if there is one."""
    i, j, r = product.i, product.j, product.r
    c.split(j, blocks.nc, outer="j_c", inner=j)
    c.split(r, blocks.kc, outer="r_c", inner=r)
    c.split(i, blocks.mc, outer="i_c", inner=i)
    c.split(j, blocks.nr, outer="j_o", inner="j_i")
    c.split(i, blocks.mr, outer="i_o", inner="i_i")
    outer = ("r_c", "i_c", "j_c") if blocks.few else ("j_c", "r_c", "i_c")
    c.reorder(*product.batch, *outer, "j_o", "i_o", r, "i_i", "j_i")
    _sum_groups(c, r, blocks.group)
    c.unroll("i_i")
    c.vectorize("j_i")
    return _pack(c, product, blocks, "i_c", "j_c" if blocks.few else "r_c")[1]


def _is_sums_of_rows(stage: Stage, product: _Product) -> bool:
    """Whether it is a matrix times one column, the terms of a row side by side, and in any order."""
    reduce = stage.schedule.program.definitions.equations[product.stage.uid].reduce
    free = reduce is not None and reduce.reassociate and product.stage.dtype.is_float
    row = _operand(product.left, product.r).contiguous == "sum"
    return free and row and product.stage is stage.tensor and product.known.columns == 1


def _may_be_few(c: Stage, product: _Product, blocks: Blocks) -> bool:
    """Whether there may be so few rows that packing the right operand, which vectors can be read from as it lies, does
    not pay; if the product is all that there is, so that nothing else asks to be scheduled for few rows, too."""
    alone = product.stage is c.tensor and c.schedule.program.live_stages() == (c.tensor,)
    plain = blocks.group == 1 and _operand(product.right, product.r).contiguous == "own"
    return alone and plain and product.known.rows is None and c.schedule.condition is None


def _few_rows(stage: Stage, product: _Product, blocks: Blocks, target: Target) -> None:
    """A schedule of their own for few rows: nothing is packed, and the sum is not cut."""
    i, j, r = product.i, product.j, product.r
    rows, _, terms = product.extents
    kept = target.l2_bytes // (4 * blocks.nr * product.right.dtype.bytes)  # terms of a panel in a quarter of the cache
    few, cached = rows <= _FEW_TILES * blocks.mr, rows <= _FEW_FROM_CACHE * blocks.mr
    known = product.known.terms
    try:
        c = stage.specialize(few | (cached & (terms <= kept)) if known is None else cached if known <= kept else few)
    except ScheduleError:  # what is promised of the sizes decides it
        return
    c.split(j, blocks.nr, outer="j_o", inner="j_i")
    c.split(i, blocks.mr, outer="i_o", inner="i_i")
    c.reorder(*product.batch, "j_o", "i_o", r, "i_i", "j_i")
    c.unroll("i_i")
    c.vectorize("j_i")
    c.peel("i_o", first=0, last=0)  # one version, as there are few iterations
    if target.thread_count() > 1:
        c.parallel("j_o")


def _fused(d: Stage, product: _Product, blocks: Blocks) -> Stage | None:
    """Each tile of the product is summed up in registers and then used. Returns the copy of the right operand, if there
    is one."""
    i, j = (axis.name for axis in d.tensor.equations[0].axes[-2:][:: -1 if product.swapped else 1])
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
    _sum_groups(c, product.r, blocks.group)
    c.unroll(product.i)
    c.vectorize(product.j)
    left, right = _pack(c, product, blocks, None, None)
    for copy, loop in ((right, "j_c"), (left, "i_c")):
        if copy is not None:
            copy.compute_at(d, loop)
    return right


def _sum_groups(c: Stage, r: str, group: int) -> None:
    """Terms that one instruction sums up, written out."""
    if group > 1:
        c.split(r, group, outer=r, inner="r_g")
        c.unroll("r_g")


def _is_between(stage: Tensor, c: Stage, d: Stage) -> bool:
    stages = c.schedule.program.stages
    return stages.index(c.tensor) < stages.index(stage) < stages.index(d.tensor)


def _pack(
    c: Stage, product: _Product, blocks: Blocks, left: str | None, right: str | None
) -> tuple[Stage | None, Stage | None]:
    """Copies of the operands in panels of mr rows and nr columns, made at these loops, where packing is worth it."""
    i, j, r, lanes = product.i, product.j, product.r, blocks.lanes
    if blocks.group > 1:
        return _pack_groups(c, product, blocks, left, right)
    if product.left.tensor is product.right.tensor:  # one copy is read for both
        return None, _packed(c, product.left.tensor, i, r, blocks.nr, lanes, None)
    columns = _packed(c, product.right.tensor, j, r, blocks.nr, lanes, right) if blocks.right else None
    rows = _packed(c, product.left.tensor, i, r, blocks.mr, lanes, left) if blocks.left else None
    return rows, columns


def _pack_groups(
    c: Stage, product: _Product, blocks: Blocks, left: str | None, right: str | None
) -> tuple[Stage | None, Stage | None]:
    """As `_pack`, with the terms that one instruction sums up side by side: those of a column as one lane. Rows of the
    left operand are that as they lie, and else are copied to be."""
    i, j, r, group = product.i, product.j, product.r, blocks.group
    tensor = product.right.tensor
    columns = c.pack(
        tensor,
        right,
        layout=(*_batch(c, tensor, j, r), f"{j}/{blocks.nr}", f"{r}/{group}", f"{j}%{blocks.nr}", f"{r}%{group}"),
    )
    across = columns.loops[-1] == r
    outer, lane = columns.split(j, blocks.nr)
    whole, term = columns.split(r, group)
    columns.reorder(outer, whole, *((lane, term) if across else (term, lane)))
    columns.unroll(term)
    if not across:
        columns.vectorize(lane)
    if not blocks.left or product.left.tensor is tensor:
        return None, columns
    rows = c.pack(product.left.tensor, left, layout=(*_batch(c, product.left.tensor, i, r), i, r))
    if rows.loops[-1] == r:
        _, lane = rows.split(r, blocks.lanes * 4)
        rows.vectorize(lane)
    return rows, columns


def _packed(c: Stage, tensor: Tensor, axis: str, r: str, width: int, lanes: int, at: str | None) -> Stage:
    """A copy in panels of so many positions of an axis, in which the sum runs through memory; where the sum's elements
    lie side by side, it is transposed in registers."""
    front = _batch(c, tensor, axis, r)
    if width == 1:
        return c.pack(tensor, at, layout=(*front, axis, r))
    copy = c.pack(tensor, at, layout=(*front, f"{axis}/{width}", r, f"{axis}%{width}"))
    last = copy.loops[-1]
    outer, inner = copy.split(axis, width)
    if last == r:
        whole, part = copy.split(r, lanes)
        squares, row = copy.split(inner, lanes) if width % lanes == 0 and width > lanes else (None, inner)
        copy.reorder(outer, *(() if squares is None else (squares,)), whole, row, part)
        copy.unroll(row)
        copy.vectorize(part)
        copy.peel(squares or outer, first=0, last=0)  # rows beyond the last one are that one again, and cost nothing
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
