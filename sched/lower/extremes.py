"""The least and the greatest elements of arguments that a condition compares, found before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..compute.dtypes import INDEX
from ..compute.expr import Cast, Const, Expr, Op, transform, walk
from ..compute.extremes import Extreme
from ..compute.operations import joined_by
from ..compute.reductions import REDUCTIONS
from ..compute.tensor import Tensor
from .ir import Accumulator, Allocate, Buffer, For, If, Load, Stmt, Store, Var
from .rewrite import block, both

_PLACE = (Const(0, INDEX),)


def chosen_by(
    condition: Expr,
    then: Stmt,
    otherwise: Stmt,
    arguments: Mapping[int, Buffer],
    vector_bits: int,
    run: Callable[[Stmt], Stmt],
) -> Stmt:
    """`then` where a condition holds, and `otherwise` if not, with what finds the extremes in it before: only if what
    it says of sizes holds. `arguments` are the buffers of tensors by their uids; `run` takes loops through the passes.
    """
    found = {(node.tensor.uid, node.name): node for node in walk(condition) if isinstance(node, Extreme)}
    if not found:
        return If(condition, then, otherwise)
    kept = {at: _accumulator(node) for at, node in found.items()}

    def known(node: Expr) -> Expr:
        if not isinstance(node, Extreme):
            return node
        return Cast(Load(kept[node.tensor.uid, node.name].buffers[0], _PLACE), INDEX)

    begin: list[Stmt] = []
    for (_, name), accumulator in kept.items():
        (buffer,) = accumulator.buffers
        begin.append(Store(buffer, _PLACE, Const(REDUCTIONS[name].identity(buffer.dtype), buffer.dtype)))
    tensors = {uid: found[uid, name].tensor for uid, name in found}
    loops = [
        _looked_through(tensor, arguments[uid], [kept[at] for at in kept if at[0] == uid], vector_bits)
        for uid, tensor in tensors.items()
    ]
    of_sizes: Expr | None = None
    for part in joined_by("and", condition):
        if not any(isinstance(node, Extreme) for node in walk(part)):
            of_sizes = both(of_sizes, part)
    looked = run(block(*loops))
    looked = looked if of_sizes is None else If(of_sizes, looked)
    chosen: Stmt = block(*begin, looked, If(transform(condition, known), then, otherwise))
    for accumulator in kept.values():
        chosen = Allocate(accumulator.buffers[0], chosen)
    return chosen


def _accumulator(extreme: Extreme) -> Accumulator:
    name = f"{extreme.name}_{extreme.tensor.name}"
    return Accumulator(name, extreme.name, (Buffer(name, extreme.tensor.dtype, (Const(1, INDEX),), "register"),))


def _looked_through(tensor: Tensor, buffer: Buffer, accumulators: list[Accumulator], vector_bits: int) -> Stmt:
    """Loops over all elements: the last dimension in vectors, and then one by one."""
    width = vector_bits // tensor.dtype.bits
    outer = [Var(f"{tensor.name}_{d}") for d in range(tensor.ndim - 1)]
    if not tensor.ndim:
        return block(*(_update(a, buffer, ()) for a in accumulators))
    last, (vector, lane, rest) = tensor.shape[-1], (Var(f"{tensor.name}_{word}") for word in ("o", "i", "rest"))
    whole = Op("floordiv", (last, Const(width, INDEX)), INDEX)
    shared = tuple(accumulators)
    zero = Const(0, INDEX)

    def updates(at: Expr) -> Stmt:
        return block(*(_update(a, buffer, (*outer, at)) for a in accumulators))

    here = Op("add", (Op("mul", (vector, Const(width, INDEX)), INDEX), lane), INDEX)
    vectors = For(lane, zero, Const(width, INDEX), updates(here), "vectorize", shared)
    first = Op("mul", (whole, Const(width, INDEX)), INDEX)
    loops: Stmt = block(
        For(vector, zero, whole, vectors, shared=shared), For(rest, first, last, updates(rest), shared=shared)
    )
    for var, extent in reversed(list(zip(outer, tensor.shape, strict=False))):
        loops = For(var, zero, extent, loops, shared=shared)
    return loops


def _update(accumulator: Accumulator, buffer: Buffer, at: tuple[Expr, ...]) -> Stmt:
    (own,) = accumulator.buffers
    before, element = Load(own, _PLACE), Load(buffer, at)
    return Store(own, _PLACE, Op(accumulator.reduction, (before, element), own.dtype), any_order=True)
