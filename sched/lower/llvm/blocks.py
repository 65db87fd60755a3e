"""Blocks of heap memory that a kernel keeps from one call to the next.

A large block that is given back to the system at the end of a call comes back as pages that fault one by one, which
can take longer than the kernel's work. So each place that allocates keeps blocks in some cells, as threads and calls
that are there at the same time have one each: a call takes a block out of a cell, or a new one where all are empty
or the block is too small, and puts it back in the end. `@release_blocks` frees what the cells hold; the owner of the
code calls it last.

A block begins with a header of one alignment, which holds the number of bytes behind it. For large ones Linux is asked
for huge pages, as NumPy asks for its arrays: a stencil over planes goes to another page with every row, and the tables
of small pages are themselves more than the caches hold.
"""

from __future__ import annotations

from ..abi import RELEASE_BLOCKS
from .module import Module

ALIGNMENT = 64
CELLS = 64  # of one place; more threads than that go without
_LARGE = 4 << 20  # bytes from which on huge pages are asked for
_PAGE = 1 << 16  # a multiple of the size of small pages everywhere
_HUGE_PAGES = 14  # MADV_HUGEPAGE of Linux

_ALLOCATOR = (
    ' nounwind willreturn memory(inaccessiblemem: readwrite) allockind("alloc,uninitialized,aligned") allocsize(1) '
    '"alloc-family"="malloc"'
)
_RELEASE = (
    ' nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite) allockind("free") '
    '"alloc-family"="malloc"'
)
_TAKE = f"""define internal ptr @take_block(ptr %cells, i64 %size) noinline nounwind {{
  br label %look
look:
  %k = phi i64 [ 0, %0 ], [ %next, %none ]
  %cell = getelementptr ptr, ptr %cells, i64 %k
  %seen = load atomic ptr, ptr %cell monotonic, align 8
  %empty = icmp eq ptr %seen, null
  br i1 %empty, label %none, label %some
some:
  %kept = atomicrmw xchg ptr %cell, ptr null acq_rel
  %lost = icmp eq ptr %kept, null
  br i1 %lost, label %none, label %old
none:
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, {CELLS}
  br i1 %more, label %look, label %new
old:
  %header = getelementptr i8, ptr %kept, i64 {-ALIGNMENT}
  %bytes = load i64, ptr %header, align {ALIGNMENT}
  %enough = icmp uge i64 %bytes, %size
  br i1 %enough, label %reuse, label %grow
reuse:
  ret ptr %kept
grow:
  call void @free(ptr %header)
  br label %new
new:
  %all = add i64 %size, {ALIGNMENT}
  %block = call ptr @aligned_alloc(i64 {ALIGNMENT}, i64 %all)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out, label %got
out:
  ret ptr null
got:
ADVICE  br label %made
made:
  store i64 %size, ptr %block, align {ALIGNMENT}
  %start = getelementptr i8, ptr %block, i64 {ALIGNMENT}
  ret ptr %start
}}"""
# What the kernel does not do, it says; and goes on with small pages.
_ADVICE = f"""  %large = icmp uge i64 %all, {_LARGE}
  br i1 %large, label %advise, label %made
advise:
  %first = ptrtoint ptr %block to i64
  %end = add i64 %first, %all
  %up = add i64 %first, {_PAGE - 1}
  %page = and i64 %up, {-_PAGE}
  %length = sub i64 %end, %page
  %pages = inttoptr i64 %page to ptr
  %ignored = call i32 @madvise(ptr %pages, i64 %length, i32 {_HUGE_PAGES})
"""
_GIVE = f"""define internal void @give_block(ptr %cells, ptr %block) noinline nounwind {{
  br label %look
look:
  %k = phi i64 [ 0, %0 ], [ %next, %full ]
  %cell = getelementptr ptr, ptr %cells, i64 %k
  %seen = load atomic ptr, ptr %cell monotonic, align 8
  %empty = icmp eq ptr %seen, null
  br i1 %empty, label %put, label %full
put:
  %pair = cmpxchg ptr %cell, ptr null, ptr %block acq_rel monotonic
  %done = extractvalue {{ ptr, i1 }} %pair, 1
  br i1 %done, label %out, label %full
full:
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, {CELLS}
  br i1 %more, label %look, label %spare
spare:
  %header = getelementptr i8, ptr %block, i64 {-ALIGNMENT}
  call void @free(ptr %header)
  br label %out
out:
  ret void
}}"""
_DROP = f"""define internal void @drop_blocks(ptr %cells) noinline nounwind {{
  br label %look
look:
  %k = phi i64 [ 0, %0 ], [ %next, %done ]
  %cell = getelementptr ptr, ptr %cells, i64 %k
  %kept = atomicrmw xchg ptr %cell, ptr null acq_rel
  %empty = icmp eq ptr %kept, null
  br i1 %empty, label %done, label %held
held:
  %header = getelementptr i8, ptr %kept, i64 {-ALIGNMENT}
  call void @free(ptr %header)
  br label %done
done:
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, {CELLS}
  br i1 %more, label %look, label %out
out:
  ret void
}}"""


def new_cell(module: Module) -> str:
    """Cells for the blocks of one place that allocates."""
    module.declare("noalias ptr", "aligned_alloc", "i64 allocalign, i64", _ALLOCATOR)
    module.declare("void", "free", "ptr allocptr captures(none)", _RELEASE)
    if module.is_linux:
        module.declare("i32", "madvise", "ptr captures(none), i64, i32", " nounwind")
    module.helper("take_block", _TAKE.replace("ADVICE", _ADVICE if module.is_linux else ""))
    module.helper("give_block", _GIVE)
    module.helper("drop_blocks", _DROP)
    return module.cells_of("block", CELLS)


def release_function(cells: tuple[str, ...]) -> str:
    """The exported function that frees what the cells hold."""
    calls = "\n".join(f"  call void @drop_blocks(ptr {cell})" for cell in cells)
    return f"define void @{RELEASE_BLOCKS}() {{\n{calls}\n  ret void\n}}"
