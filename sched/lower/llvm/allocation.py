"""Memory for the buffers of `Allocate`: stack slots that LLVM turns into registers, and aligned blocks of the heap.

Where the heap has no memory left, control goes to `Emitter.on_failure`: through the release of everything that is held
to the end of the function, which reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir import Allocate, Buffer, Stmt
from . import lane_index
from .blocks import ALIGNMENT, new_cell
from .emitter import Emitter
from .expressions import operand_of
from .lane_index import Operand
from .storage import Storage, row_major
from .values import memory_element

_TOO_LARGE = 1 << 62  # bytes; no machine has them, and a third of that again does not overflow


def allocate(e: Emitter, stmt: Allocate, body: Callable[[Emitter, Stmt], None]) -> None:
    """The statement's body with its buffer."""
    buffer = stmt.buffer
    shape = tuple(operand_of(e, extent) for extent in buffer.shape)
    match buffer.scope:
        case "stack" | "register":
            e.buffers[buffer] = _on_stack(e, buffer, shape)
            body(e, stmt.body)
        case "heap":
            _heap(e, buffer, shape, stmt.body, body)
        case "argument":
            raise AssertionError(f"{buffer.name} is an argument and cannot be allocated")


def bind(e: Emitter, buffer: Buffer, shape: tuple[Operand, ...], pointer: str, attributes: str, align: int) -> Storage:
    """Storage at `pointer`, with the strides that the buffer asks for."""
    strides = row_major(e.fn, shape) if buffer.strides is None else tuple(operand_of(e, s) for s in buffer.strides)
    packed = buffer.strides is None
    size = lane_index.times(e.fn, strides[0], shape[0]) if packed and shape and buffer.streaming else None
    return Storage(
        buffer.name,
        pointer,
        buffer.dtype,
        strides,
        attributes,
        align,
        packed=packed,
        streaming=buffer.streaming,
        size=size,
    )


def _on_stack(e: Emitter, buffer: Buffer, shape: tuple[Operand, ...]) -> Storage:
    slots = 1
    for extent in shape:
        assert isinstance(extent, int), f"{buffer.name} is not of constant size"
        slots *= extent
    assert buffer.strides is None, f"{buffer.name} has strides"
    pointer = e.fn.alloca(f"[{slots} x {memory_element(buffer.dtype)}]", ALIGNMENT)
    storage = bind(e, buffer, shape, pointer, f"noalias align {ALIGNMENT}", buffer.dtype.bytes)
    return replace(storage, slots=slots) if buffer.scope == "register" else storage


def _heap(
    e: Emitter, buffer: Buffer, shape: tuple[Operand, ...], inner: Stmt, body: Callable[[Emitter, Stmt], None]
) -> None:
    fn = e.fn
    assert buffer.strides is None, f"the heap buffer {buffer.name} has strides"
    cell = new_cell(e.module)
    size = _rounded_size(e, buffer, shape)
    pointer = fn.result(f"call noalias align {ALIGNMENT} ptr @take_block(ptr {cell}, i64 {size})")
    failed = fn.pure(f"icmp eq ptr {pointer}, null")
    outer_failure = failure_label(e)
    inside, after = fn.label(), fn.label()
    fn.branch(failed, outer_failure, inside, e.module.unlikely())
    fn.start(inside)
    e.buffers[buffer] = bind(e, buffer, shape, pointer, f"noalias align {ALIGNMENT}", buffer.dtype.bytes)
    e.on_failure = None
    with fn.region():
        body(e, inner)
    fn.do(f"call void @give_block(ptr {cell}, ptr {pointer})")
    fn.jump(after)
    if e.on_failure is not None:
        fn.start(e.on_failure)
        fn.do(f"call void @give_block(ptr {cell}, ptr {pointer})")
        fn.jump(outer_failure)
    e.on_failure = outer_failure
    fn.start(after)


def failure_label(e: Emitter) -> str:
    """Where to go when memory has run out; whoever opened the function or the allocation writes that block if it is
    used."""
    if e.on_failure is None:
        e.on_failure = e.fn.label()
    return e.on_failure


def _rounded_size(e: Emitter, buffer: Buffer, shape: tuple[Operand, ...]) -> Operand:
    """Bytes, at least one and a multiple of the alignment; more than there can be where the product overflows."""
    fn = e.fn
    constant = buffer.dtype.bytes
    overflow: str | None = None
    for extent in shape:
        if isinstance(extent, int):
            constant *= max(extent, 0)
    size: Operand = min(constant, _TOO_LARGE)
    for extent in shape:
        if isinstance(extent, int):
            continue
        some = fn.pure(f"call i64 @llvm.smax.i64(i64 {extent}, i64 0)")
        pair = fn.pure(f"call {{ i64, i1 }} @llvm.umul.with.overflow.i64(i64 {size}, i64 {some})")
        size = fn.pure(f"extractvalue {{ i64, i1 }} {pair}, 0")
        over = fn.pure(f"extractvalue {{ i64, i1 }} {pair}, 1")
        overflow = over if overflow is None else fn.pure(f"or i1 {overflow}, {over}")
    if isinstance(size, int):
        return (size + ALIGNMENT) // ALIGNMENT * ALIGNMENT
    bounded = fn.pure(f"call i64 @llvm.umin.i64(i64 {size}, i64 {_TOO_LARGE})")
    bounded = fn.pure(f"select i1 {overflow}, i64 {_TOO_LARGE}, i64 {bounded}")
    return fn.pure(f"and i64 {lane_index.plus(fn, bounded, ALIGNMENT)}, {-ALIGNMENT}")
