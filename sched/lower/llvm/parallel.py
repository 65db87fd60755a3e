"""Parallel loops: the body becomes a function of a range of iterations, and threads take ranges until none are left.

Three functions: the caller fills a struct on its stack; `@work` is what every thread runs, and takes ranges from the
struct's counter; `@range` runs one range, and has the buffers as noalias parameters, so that LLVM knows as much about
them as it does in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..abi import OUT_OF_MEMORY
from ..ir import Allocate, For, Var, statements
from ..rewrite import variables
from .allocation import allocate, failure_label
from .emitter import Emitter
from .expressions import operand_of
from .lane_index import Operand, of_operand, plus, times
from .module import Function

_RANGES_PER_THREAD = 4
_HEAD = 5  # i64 each: next range, number of ranges, begin, length of a range, number of ranges that are longer by one

LoopBody = Callable[[Emitter, For, Operand, Operand], None]


def parallel_for(e: Emitter, loop: For, body: LoopBody) -> None:
    """Run the loop's iterations on all threads; `body` emits it over a range."""
    fn = e.fn
    begin, end = operand_of(e, loop.begin), operand_of(e, loop.end)
    if isinstance(begin, int) and isinstance(end, int) and end - begin <= 1:
        _with_memory(e, loop, begin, end, body)
        return
    can_fail = any(isinstance(s, Allocate) and s.buffer.scope == "heap" for s in statements(loop.body))
    runner = e.module.fresh_function("range")
    inner = define_range(e, loop, runner, can_fail, body)
    types = [bare(type_) for _, type_ in inner.imports.values()]
    flag = list(inner.imports).index(e.failure_flag()) if can_fail else None
    worker = e.module.fresh_function("work")
    _define_work(e, worker, runner, types, flag)

    threads = e.kernel_operand("%threads", "i32")
    extent = plus(fn, end, times(fn, begin, -1))
    alone = fn.pure(f"or i1 {fn.pure(f'icmp sle i64 {extent}, 1')}, {fn.pure(f'icmp sle i32 {threads}, 1')}")
    direct, spread, after = fn.label(), fn.label(), fn.label()
    operands = list(zip(types, inner.imports, strict=True))
    fn.branch(alone, direct, spread)
    fn.start(direct)
    fn.do(f"call void {runner}({listed(('i64', begin), ('i64', end), *operands)})")
    fn.jump(after)
    fn.start(spread)
    with fn.region():
        _spread(e, worker, begin, extent, operands)
    fn.jump(after)
    fn.start(after)
    if can_fail:
        onwards = fn.label()
        fn.branch(failed(fn, e.failure_flag()), failure_label(e), onwards, e.module.unlikely())
        fn.start(onwards)


def _with_memory(e: Emitter, loop: For, begin: Operand, end: Operand, body: LoopBody) -> None:
    """The range with the memory that an iteration has for itself; those of one range come one after the other, and can
    have the same."""
    match loop.body:
        case Allocate(buffer, inner) if loop.var not in set().union(*map(variables, buffer.shape)):
            bare = replace(loop, body=inner)
            allocate(e, loop.body, lambda within, _: _with_memory(within, bare, begin, end, body))
        case _:
            body(e, loop, begin, end)


def _spread(e: Emitter, worker: str, begin: Operand, extent: Operand, operands: list[tuple[str, str]]) -> None:
    """Fill the struct and start the threads."""
    fn = e.fn
    threads = fn.pure(f"zext i32 {e.kernel_operand('%threads', 'i32')} to i64")
    wanted = times(fn, threads, _RANGES_PER_THREAD)
    ranges = fn.pure(f"call i64 @llvm.umin.i64(i64 {extent}, i64 {wanted})")
    length, longer = (fn.pure(f"{opcode} i64 {extent}, {ranges}") for opcode in ("udiv", "urem"))
    struct = _struct([type_ for type_, _ in operands])
    data = fn.alloca(struct, 64)
    head = [("i64", str(field)) for field in (0, ranges, begin, length, longer)]
    for number, (type_, operand) in enumerate((*head, *operands)):
        fn.do(f"store {type_} {operand}, ptr {_field(fn, struct, data, number)}, align 1")
    team = fn.pure(f"call i64 @llvm.umin.i64(i64 {extent}, i64 {threads})")
    team = fn.pure(f"trunc i64 {team} to i32")
    spawn = e.kernel_operand("%parallel", "ptr")
    fn.do(f"call void {spawn}(ptr {worker}, ptr {data}, i32 {team}, i32 0)")


def define_range(e: Emitter, loop: For, name: str, can_fail: bool, body: LoopBody, wave: Var | None = None) -> Emitter:
    """void @range(i64 begin, i64 end, what the loop uses of the function around it); before all of these the variable
    `wave`, if there is one, of a loop around it in which the function does not stand."""
    inner = Emitter(e.module, e.machine, e)
    if wave is not None:
        inner.variables[wave] = of_operand("%wave")
    if can_fail:
        inner.failure_flag()
    _with_memory(inner, loop, "%begin", "%end", body)
    inner.finish("void")
    if inner.on_failure is not None:
        inner.fn.start(inner.on_failure)
        inner.fn.do(f"store atomic i32 {OUT_OF_MEMORY}, ptr {inner.failure_flag()} monotonic, align 4")
        inner.fn.do("ret void")
    parameters = ", ".join(f"{type_} {local}" for local, type_ in inner.imports.values())
    first = "" if wave is None else "i64 %wave, "
    header = f"internal void {name}({first}i64 %begin, i64 %end{', ' if parameters else ''}{parameters}) noinline"
    e.module.define(header, inner.fn.body())
    return inner


def _define_work(e: Emitter, name: str, runner: str, types: list[str], flag: int | None) -> None:
    """void @work(ptr data): run ranges until none are left, or until one has failed."""
    fn = Function()
    struct = _struct(types)
    fields = [
        fn.result(f"load {type_}, ptr {_field(fn, struct, '%data', number)}, align 1")
        for number, type_ in enumerate(("i64",) * (_HEAD - 1) + tuple(types), 1)
    ]
    ranges, begin, length, longer, *operands = fields
    take, run, done = fn.label(), fn.label(), fn.label()
    fn.jump(take)
    fn.start(take)
    taken = fn.result("atomicrmw add ptr %data, i64 1 monotonic, align 8")
    fn.branch(fn.pure(f"icmp slt i64 {taken}, {ranges}"), run, done)
    fn.start(run)
    before = fn.pure(f"call i64 @llvm.umin.i64(i64 {taken}, i64 {longer})")
    first = plus(fn, plus(fn, begin, times(fn, taken, length)), before)
    extra = fn.pure(f"zext i1 {fn.pure(f'icmp slt i64 {taken}, {longer}')} to i64")
    last = plus(fn, plus(fn, first, length), extra)
    arguments = listed(("i64", first), ("i64", last), *zip(types, operands, strict=True))
    fn.do(f"call void {runner}({arguments})")
    if flag is None:
        fn.jump(take)
    else:
        fn.branch(failed(fn, operands[flag]), done, take)
    fn.start(done)
    fn.do("ret void")
    e.module.define(f"internal void {name}(ptr align 64 %data)", fn.body())


def failed(fn: Function, flag: str) -> str:
    """Whether memory has run out somewhere."""
    state = fn.result(f"load atomic i32, ptr {flag} monotonic, align 4")
    return fn.pure(f"icmp eq i32 {state}, {OUT_OF_MEMORY}")


def _struct(types: list[str]) -> str:
    """Packed: its layout depends on no target's."""
    return f"<{{ {', '.join((*('i64',) * _HEAD, *types))} }}>"


def _field(fn: Function, struct: str, data: str, number: int) -> str:
    return fn.pure(f"getelementptr {struct}, ptr {data}, i32 0, i32 {number}")


def bare(type_: str) -> str:
    """The type of a parameter without its attributes."""
    return "ptr" if type_.startswith("ptr") else type_


def listed(*operands: tuple[str, Operand]) -> str:
    return ", ".join(f"{type_} {operand}" for type_, operand in operands)
