"""Loops over waves of tiles that need not wait for each other: one team of threads for all of them.

Threads take items in order, wave after wave: an item is a few iterations of the parallel loop of one wave. Before one
is run, all items must be done that are before the first one of the wave before whose iterations all have greater
counters. How many items are done in a row from the first one on is the `front`; those beyond it that are done are noted
in a ring. A thread waits only for items that other threads are running: the first of those that are not done never
waits, so that all ends, also on one thread alone. (Cytron, Doacross: Beyond Vectorization for Multiprocessors, ICPP
1986; "ordered" loops with "depend(sink)" of OpenMP 4.5.)

What is emitted: `@item` runs one item, and has the buffers as noalias parameters, as the range of a parallel loop has;
`@bounds` gives the parallel loop's bounds in a wave. `@doacross` is the same for all loops, and reaches both through
the struct that the caller has filled.
"""

from __future__ import annotations

from ..ir import Allocate, For, statements
from .allocation import failure_label
from .emitter import Emitter
from .expressions import operand_of
from .lane_index import of_operand, times
from .module import Function
from .parallel import LoopBody, bare, define_range, failed, listed

_ITEMS_PER_THREAD = 16  # of a wave, at the least, where it has so many iterations
_RING = 64  # items that may be begun before the first one that is not done: a power of two
_FRONT, _FIRST, _LAST, _SHARE, _DONE = 8, 16, 17, 18, 24  # words of the struct; the first is the next item
_HEAD = _DONE + _RING
_SPINS = 2000  # looks at the front before the processor is left to others

_DOACROSS = f"""define internal void @doacross(ptr align 64 %data, ptr %bounds, ptr %item) {{
entry:
  %front = getelementptr i64, ptr %data, i64 {_FRONT}
  %first.field = getelementptr i64, ptr %data, i64 {_FIRST}
  %last.field = getelementptr i64, ptr %data, i64 {_LAST}
  %share.field = getelementptr i64, ptr %data, i64 {_SHARE}
  %ring = getelementptr i64, ptr %data, i64 {_DONE}
  %first = load i64, ptr %first.field
  %last = load i64, ptr %last.field
  %share = load i64, ptr %share.field
  %none = sub i64 %first, 1
  br label %take
take:
  %w.at = phi i64 [ %none, %entry ], [ %w, %ran ]
  %begin.at = phi i64 [ 0, %entry ], [ %begin, %ran ]
  %end.at = phi i64 [ 0, %entry ], [ %end, %ran ]
  %length.at = phi i64 [ 1, %entry ], [ %length, %ran ]
  %items.at = phi i64 [ 0, %entry ], [ %items, %ran ]
  %base.at = phi i64 [ 0, %entry ], [ %base, %ran ]
  %begin.was.at = phi i64 [ 0, %entry ], [ %begin.was, %ran ]
  %length.was.at = phi i64 [ 1, %entry ], [ %length.was, %ran ]
  %items.was.at = phi i64 [ 0, %entry ], [ %items.was, %ran ]
  %base.was.at = phi i64 [ 0, %entry ], [ %base.was, %ran ]
  %k = atomicrmw add ptr %data, i64 1 monotonic, align 8
  br label %look
look:
  %w = phi i64 [ %w.at, %take ], [ %w.next, %enter ]
  %begin = phi i64 [ %begin.at, %take ], [ %begin.next, %enter ]
  %end = phi i64 [ %end.at, %take ], [ %end.next, %enter ]
  %length = phi i64 [ %length.at, %take ], [ %length.next, %enter ]
  %items = phi i64 [ %items.at, %take ], [ %items.next, %enter ]
  %base = phi i64 [ %base.at, %take ], [ %past, %enter ]
  %begin.was = phi i64 [ %begin.was.at, %take ], [ %begin, %enter ]
  %length.was = phi i64 [ %length.was.at, %take ], [ %length, %enter ]
  %items.was = phi i64 [ %items.was.at, %take ], [ %items, %enter ]
  %base.was = phi i64 [ %base.was.at, %take ], [ %base, %enter ]
  %past = add i64 %base, %items
  %inside = icmp slt i64 %k, %past
  br i1 %inside, label %found, label %onwards
onwards:
  %w.next = add i64 %w, 1
  %more = icmp slt i64 %w.next, %last
  br i1 %more, label %enter, label %all
enter:
  %span = call {{ i64, i64 }} %bounds(ptr %data, i64 %w.next)
  %begin.next = extractvalue {{ i64, i64 }} %span, 0
  %end.next = extractvalue {{ i64, i64 }} %span, 1
  %extent = sub i64 %end.next, %begin.next
  %count = call i64 @llvm.smax.i64(i64 %extent, i64 0)
  %even = udiv i64 %count, %share
  %length.next = call i64 @llvm.umax.i64(i64 %even, i64 1)
  %up = add i64 %count, %length.next
  %up.less = sub i64 %up, 1
  %items.next = udiv i64 %up.less, %length.next
  br label %look
found:
  %number = sub i64 %k, %base
  %offset = mul i64 %number, %length
  %from = add i64 %begin, %offset
  %to.most = add i64 %from, %length
  %to = call i64 @llvm.smin.i64(i64 %to.most, i64 %end)
  %below = sub i64 %to, %begin.was
  %below.least = call i64 @llvm.smax.i64(i64 %below, i64 0)
  %below.up = add i64 %below.least, %length.was
  %below.less = sub i64 %below.up, 1
  %covering = udiv i64 %below.less, %length.was
  %covered = call i64 @llvm.umin.i64(i64 %covering, i64 %items.was)
  %needed = add i64 %base.was, %covered
  %lag = sub i64 %k, {_RING - 1}
  %need = call i64 @llvm.smax.i64(i64 %needed, i64 %lag)
  br label %wait
wait:
  %spins = phi i64 [ 0, %found ], [ %spins.next, %again ]
  %done = load atomic i64, ptr %front acquire, align 8
  %ready = icmp sge i64 %done, %need
  br i1 %ready, label %run, label %spin
spin:
  %spins.next = add i64 %spins, 1
  %patient = icmp ult i64 %spins, {_SPINS}
  br i1 %patient, label %pause, label %yield
pause:
  PAUSE
  br label %again
yield:
  %ignored = call i32 @sched_yield()
  br label %again
again:
  br label %wait
run:
  %failed = call i1 %item(ptr %data, i64 %w, i64 %from, i64 %to)
  %k.slot = and i64 %k, {_RING - 1}
  %k.note = getelementptr i64, ptr %ring, i64 %k.slot
  %k.next = add i64 %k, 1
  store atomic i64 %k.next, ptr %k.note seq_cst, align 8
  br label %settle
settle:
  %f = load atomic i64, ptr %front seq_cst, align 8
  %f.slot = and i64 %f, {_RING - 1}
  %f.note = getelementptr i64, ptr %ring, i64 %f.slot
  %f.next = add i64 %f, 1
  %noted = load atomic i64, ptr %f.note seq_cst, align 8
  %further = icmp eq i64 %noted, %f.next
  br i1 %further, label %move, label %ran
move:
  %moved = cmpxchg ptr %front, i64 %f, i64 %f.next seq_cst seq_cst, align 8
  br label %settle
ran:
  br i1 %failed, label %all, label %take
all:
  ret void
}}"""

_WIDEST = f"""define internal i64 @widest(ptr align 64 %data, ptr %bounds) {{
entry:
  %first.field = getelementptr i64, ptr %data, i64 {_FIRST}
  %last.field = getelementptr i64, ptr %data, i64 {_LAST}
  %first = load i64, ptr %first.field
  %last = load i64, ptr %last.field
  br label %head
head:
  %w = phi i64 [ %first, %entry ], [ %w.next, %body ]
  %most = phi i64 [ 0, %entry ], [ %more, %body ]
  %inside = icmp slt i64 %w, %last
  br i1 %inside, label %body, label %done
body:
  %span = call {{ i64, i64 }} %bounds(ptr %data, i64 %w)
  %begin = extractvalue {{ i64, i64 }} %span, 0
  %end = extractvalue {{ i64, i64 }} %span, 1
  %extent = sub i64 %end, %begin
  %more = call i64 @llvm.smax.i64(i64 %most, i64 %extent)
  %w.next = add i64 %w, 1
  br label %head
done:
  ret i64 %most
}}"""


def doacross_for(e: Emitter, waves: For, tiles: For, body: LoopBody) -> None:
    """Run all iterations of `tiles`, the parallel loop that is all of the body of `waves`, on one team of threads."""
    fn = e.fn
    can_fail = any(isinstance(s, Allocate) and s.buffer.scope == "heap" for s in statements(tiles.body))
    run_name, item, bounds, worker = (e.module.fresh_function(stem) for stem in ("range", "item", "bounds", "work"))
    run = define_range(e, tiles, run_name, can_fail, body, waves.var)
    operands = [(bare(type_), operand) for operand, (_, type_) in run.imports.items()]
    flag = list(run.imports).index(e.failure_flag()) if can_fail else None
    _define_item(e, item, run_name, [type_ for type_, _ in operands], flag)
    operands += _define_bounds(e, waves, tiles, bounds, [type_ for type_, _ in operands])
    struct = _struct([type_ for type_, _ in operands])
    _define_work(e, worker, item, bounds)

    data = fn.alloca(struct, 64)
    fn.do(f"store [{_HEAD} x i64] zeroinitializer, ptr {data}, align 64")
    for word, bound in ((_FIRST, waves.begin), (_LAST, waves.end)):
        fn.do(f"store i64 {operand_of(e, bound)}, ptr {_word(fn, data, word)}, align 8")
    for number, (type_, operand) in enumerate(operands):
        fn.do(f"store {type_} {operand}, ptr {_field(fn, struct, data, number)}, align 1")
    threads = fn.pure(f"zext i32 {e.kernel_operand('%threads', 'i32')} to i64")
    widest = fn.result(f"call i64 {e.module.helper('widest', _WIDEST)}(ptr {data}, ptr {bounds})")
    team = fn.pure(f"call i64 @llvm.smin.i64(i64 {widest}, i64 {threads})")
    alone = fn.pure(f"icmp sle i64 {team}, 1")
    share = fn.pure(f"select i1 {alone}, i64 1, i64 {times(fn, team, _ITEMS_PER_THREAD)}")
    fn.do(f"store i64 {share}, ptr {_word(fn, data, _SHARE)}, align 8")
    direct, spread, after = fn.label(), fn.label(), fn.label()
    fn.branch(alone, direct, spread)
    fn.start(direct)
    fn.do(f"call void {worker}(ptr {data})")
    fn.jump(after)
    fn.start(spread)
    count = fn.result(f"trunc i64 {team} to i32")
    fn.do(f"call void {e.kernel_operand('%parallel', 'ptr')}(ptr {worker}, ptr {data}, i32 {count}, i32 0)")
    fn.jump(after)
    fn.start(after)
    if can_fail:
        onwards = fn.label()
        fn.branch(failed(fn, e.failure_flag()), failure_label(e), onwards, e.module.unlikely())
        fn.start(onwards)


def _define_item(e: Emitter, name: str, runner: str, types: list[str], flag: int | None) -> None:
    """i1 @item(ptr data, i64 wave, i64 begin, i64 end): run iterations of a wave; whether memory has run out."""
    fn = Function()
    operands = _fields(fn, types)
    arguments = listed(("i64", "%wave"), ("i64", "%begin"), ("i64", "%end"), *zip(types, operands, strict=True))
    fn.do(f"call void {runner}({arguments})")
    fn.do(f"ret i1 {'false' if flag is None else failed(fn, operands[flag])}")
    e.module.define(f"internal i1 {name}(ptr align 64 %data, i64 %wave, i64 %begin, i64 %end)", fn.body())


def _define_bounds(e: Emitter, waves: For, tiles: For, name: str, before: list[str]) -> list[tuple[str, str]]:
    """{ i64, i64 } @bounds(ptr data, i64 wave): where the parallel loop begins and ends in a wave. Returns what it uses
    of the function around, which is in the struct behind fields of the types `before`."""
    inner = Emitter(e.module, e.machine, e)
    inner.variables[waves.var] = of_operand("%wave")
    begin, end = operand_of(inner, tiles.begin), operand_of(inner, tiles.end)
    fn = Function()
    types = [bare(type_) for _, type_ in inner.imports.values()]
    fields = _fields(fn, [*before, *types])[len(before) :]
    runner = f"{name}.of"
    parameters = ", ".join(f"{type_} {local}" for local, type_ in inner.imports.values())
    pair = inner.fn.pure(f"insertvalue {{ i64, i64 }} poison, i64 {begin}, 0")
    inner.fn.do(f"ret {{ i64, i64 }} {inner.fn.pure(f'insertvalue {{ i64, i64 }} {pair}, i64 {end}, 1')}")
    e.module.define(
        f"internal {{ i64, i64 }} {runner}(i64 %wave{', ' if parameters else ''}{parameters})", inner.fn.body()
    )
    arguments = listed(("i64", "%wave"), *zip(types, fields, strict=True))
    fn.do(f"ret {{ i64, i64 }} {fn.result(f'call {{ i64, i64 }} {runner}({arguments})')}")
    e.module.define(f"internal {{ i64, i64 }} {name}(ptr align 64 %data, i64 %wave)", fn.body())
    return list(zip(types, inner.imports, strict=True))


def _define_work(e: Emitter, name: str, item: str, bounds: str) -> None:
    """void @work(ptr data): what every thread runs."""
    e.module.declare("i32", "sched_yield", "")
    pause = "call void @llvm.x86.sse2.pause()" if e.machine.triple.startswith(("x86_64", "i686")) else ""
    run = e.module.helper("doacross", _DOACROSS.replace("PAUSE", pause))
    fn = Function()
    fn.do(f"call void {run}(ptr %data, ptr {bounds}, ptr {item})")
    fn.do("ret void")
    e.module.define(f"internal void {name}(ptr align 64 %data)", fn.body())


def _struct(types: list[str]) -> str:
    """Packed: its layout depends on no target's."""
    return f"<{{ {', '.join((f'[{_HEAD} x i64]', *types))} }}>"


def _word(fn: Function, data: str, number: int) -> str:
    return fn.pure(f"getelementptr i64, ptr {data}, i64 {number}")


def _field(fn: Function, struct: str, data: str, number: int) -> str:
    return fn.pure(f"getelementptr {struct}, ptr {data}, i32 0, i32 {number + 1}")


def _fields(fn: Function, types: list[str]) -> list[str]:
    """What is in the struct behind its head."""
    struct = _struct(types)
    return [
        fn.result(f"load {type_}, ptr {_field(fn, struct, '%data', number)}, align 1")
        for number, type_ in enumerate(types)
    ]
