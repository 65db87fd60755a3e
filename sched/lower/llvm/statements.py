"""Statements: loops, conditions, bindings, stores and checks."""

from __future__ import annotations

from itertools import chain
from typing import assert_never

from ...compute.dtypes import INDEX
from ..abi import CHECK_FAILED
from ..ir import Allocate, Block, Check, Comment, For, If, Let, Prefetch, Stmt, Store
from . import called, horizontal, in_step, interleaved, lane_index, memory, streaming, transposed
from .allocation import allocate
from .casts import cast
from .comparisons import compare
from .debug_lines import MARK
from .doacross import doacross_for
from .emitter import Emitter
from .expressions import index_of, mask_of, offset, operand_of, value_of
from .lane_index import Operand
from .parallel import parallel_for
from .values import Value

Statement = Block | For | If | Let | Store | Check | Prefetch | Allocate | Comment

# The first failed check is kept. What it leaves in memory is read after all threads have come together.
_REPORT = f"""define internal void @report(ptr %flag, ptr %status, i64 %check, i64 %value) cold noinline nounwind {{
  %pair = cmpxchg ptr %flag, i32 0, i32 {CHECK_FAILED} monotonic monotonic, align 4
  %first = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %first, label %write, label %done
write:
  store i64 %check, ptr %status, align 8
  %place = getelementptr i64, ptr %status, i64 1
  store i64 %value, ptr %place, align 8
  br label %done
done:
  ret void
}}"""


def emit(e: Emitter, stmt: Stmt, called_from: int = called.LONG) -> None:
    """Emit a statement at the end of the current block; functions of so many operations and more are called in it."""
    assert isinstance(stmt, Statement), f"{type(stmt).__name__} is not a statement"
    e.memo, e.indices, e.called_from = {}, {}, called_from
    around, line = e.fn.mark, e.module.lines.get(id(stmt))
    e.fn.mark = around if line is None else f"{MARK}{line}"
    _emit(e, stmt)
    e.fn.mark = around


def _emit(e: Emitter, stmt: Statement) -> None:
    match stmt:
        case Block(body):
            _block(e, body)
        case For(kind="parallel"):
            parallel_for(e, stmt, _loop)
        case For(doacross=True, body=For(kind="parallel") as tiles) if not e.is_windows:
            doacross_for(e, stmt, tiles, _loop)
        case For(kind=kind):
            assert kind != "vectorize", "vector loops are gone by now"
            begin, end = operand_of(e, stmt.begin), operand_of(e, stmt.end)
            streaming.in_versions(e, stmt, lambda: _loop(e, stmt, begin, end))
        case If():
            _if(e, stmt)
        case Let(var, value, body):
            e.variables[var] = index_of(e, value) if var.dtype == INDEX else value_of(e, value)
            emit(e, body)
        case Store(buffer, indices, value, mask):
            transposed.load_tiles(e, stmt)
            if mask is not None:
                e.called_from = called.SHORT
            place, written = offset(e, buffer, indices), value_of(e, value)
            memory.store(e, e.storage(buffer), place, written, mask_of(e, mask))
        case Check():
            _check(e, stmt)
        case Prefetch(buffer, indices):
            memory.prefetch(e, e.storage(buffer), offset(e, buffer, indices))
        case Allocate():
            allocate(e, stmt, emit)
        case Comment():
            pass
        case _:
            assert_never(stmt)


def _block(e: Emitter, body: tuple[Stmt, ...]) -> None:
    body = interleaved.neighbours(body)
    functions = [called.functions(stmt) for stmt in body]
    called_from = called.from_(chain.from_iterable(functions))
    place = end = 0
    while place < len(body):
        e.memo, e.indices, e.called_from = {}, {}, called_from
        if place >= end:
            end = place + max(1, transposed.plan(e, body[place:]))
        copies: list[Store] = []
        if members := interleaved.group(e, body[place : place + interleaved.MOST]):
            interleaved.emit(e, members)
        elif copies := in_step.group(e, body[place:], functions[place:]):
            in_step.emit(e, copies)
        else:
            emit(e, body[place], called_from)
        place += max(1, len(members), len(copies))


def _loop(e: Emitter, loop: For, begin: Operand, end: Operand) -> None:
    """A loop that tests before it is entered and at its end; none for at most one iteration that is known."""
    fn = e.fn
    known = isinstance(begin, int) and isinstance(end, int)
    if isinstance(begin, int) and isinstance(end, int) and end - begin <= 1:
        if end > begin:
            e.variables[loop.var] = lane_index.of_operand(begin)
            emit(e, loop.body)
        return
    head, latch, after = fn.label(), fn.label(), fn.label()
    count, following = fn.fresh(), fn.fresh()
    if known:
        fn.jump(head)
    else:
        fn.branch(fn.pure(f"icmp slt i64 {begin}, {end}"), head, after)
    before = fn.block
    fn.start(head)
    fn.do(f"{count} = phi i64 [ {begin}, %{before} ], [ {following}, %{latch} ]")
    e.variables[loop.var] = lane_index.of_operand(count)
    with fn.region():
        emit(e, loop.body)
    fn.jump(latch)
    fn.start(latch)
    fn.do(f"{following} = add nsw i64 {count}, 1")
    again = fn.result(f"icmp slt i64 {following}, {end}")
    fn.branch(again, head, after, e.module.loop_metadata())
    fn.start(after)


def _if(e: Emitter, stmt: If) -> None:
    fn = e.fn
    condition = value_of(e, stmt.condition)
    assert condition.lanes == 1, "the condition of an If is a scalar"
    if condition.text in ("true", "false"):
        taken = stmt.then if condition.text == "true" else stmt.otherwise
        if taken is not None:
            emit(e, taken)
        return
    then, after = fn.label(), fn.label()
    otherwise = after if stmt.otherwise is None else fn.label()
    fn.branch(condition.text, then, otherwise)
    for label, body in ((then, stmt.then), (otherwise, stmt.otherwise)):
        if body is not None:
            fn.start(label)
            with fn.region():
                emit(e, body)
            fn.jump(after)
    fn.start(after)


def _check(e: Emitter, stmt: Check) -> None:
    """Report the first lane, of those that the mask does not leave out, whose value is out of range."""
    fn = e.fn
    value, low, high = e.level(*(value_of(e, x) for x in (stmt.value, stmt.low, stmt.high)))
    bad = e.binary("or", compare(e, "lt", value, low), compare(e, "ge", value, high))
    mask = mask_of(e, stmt.mask)
    if mask is not None:
        value, bad, mask = e.level(value, bad, mask)
        bad = e.binary("and", bad, mask)
    failed, after = fn.label(), fn.label()
    fn.branch(horizontal.any_lane(e, bad), failed, after, e.module.unlikely())
    fn.start(failed)
    with fn.region():
        found = cast(e, _first_where(e, value, bad), INDEX).text
        flag, status = e.failure_flag(), e.kernel_operand("%status", "ptr")
        report = e.module.helper("report", _REPORT)
        fn.do(f"call void {report}(ptr {flag}, ptr {status}, i64 {stmt.check}, i64 {found})")
    fn.jump(after)
    fn.start(after)


def _first_where(e: Emitter, value: Value, condition: Value) -> Value:
    """The value in the first lane where the condition holds."""
    if value.lanes == 1:
        return value
    count = value.lanes
    lane = e.fn.pure(f"call i64 @llvm.experimental.cttz.elts.i64.v{count}i1(<{count} x i1> {condition.text}, i1 false)")
    return Value(e.fn.pure(f"extractelement {value.type} {value.text}, i64 {lane}"), value.dtype)
