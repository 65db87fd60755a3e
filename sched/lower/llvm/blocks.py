"""Blocks of heap memory that a kernel keeps from one call to the next.

A large block that is given back to the system at the end of a call comes back as pages that fault one by one, which
can take longer than the kernel's work. So each place that allocates keeps its last block in a cell: a call takes the
block out of the cell, or a new one where the cell is empty (another call has it) or its block too small, and puts it
back in the end. `@release_blocks` frees what the cells hold; the owner of the code calls it last.

A block begins with a header of one alignment, which holds the number of bytes behind it.
"""

from __future__ import annotations

from .module import Module

ALIGNMENT = 64
RELEASE_BLOCKS = "release_blocks"

_ALLOCATOR = (
    ' nounwind willreturn memory(inaccessiblemem: readwrite) allockind("alloc,uninitialized,aligned") allocsize(1) '
    '"alloc-family"="malloc"'
)
_RELEASE = (
    ' nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite) allockind("free") '
    '"alloc-family"="malloc"'
)
_TAKE = f"""define internal ptr @take_block(ptr %cell, i64 %size) noinline nounwind {{
  %kept = atomicrmw xchg ptr %cell, ptr null acq_rel
  %none = icmp eq ptr %kept, null
  br i1 %none, label %new, label %old
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
  br i1 %failed, label %out, label %made
out:
  ret ptr null
made:
  store i64 %size, ptr %block, align {ALIGNMENT}
  %start = getelementptr i8, ptr %block, i64 {ALIGNMENT}
  ret ptr %start
}}"""
_GIVE = f"""define internal void @give_block(ptr %cell, ptr %block) noinline nounwind {{
  %other = atomicrmw xchg ptr %cell, ptr %block acq_rel
  %none = icmp eq ptr %other, null
  br i1 %none, label %done, label %spare
spare:
  %header = getelementptr i8, ptr %other, i64 {-ALIGNMENT}
  call void @free(ptr %header)
  br label %done
done:
  ret void
}}"""


def new_cell(module: Module) -> str:
    """A cell for the blocks of one place that allocates."""
    module.declare("noalias ptr", "aligned_alloc", "i64 allocalign, i64", _ALLOCATOR)
    module.declare("void", "free", "ptr allocptr captures(none)", _RELEASE)
    module.helper("take_block", _TAKE)
    module.helper("give_block", _GIVE)
    return module.cell("block")


def release_function(cells: tuple[str, ...]) -> str:
    """The exported function that frees what the cells hold."""
    calls = "\n".join(f"  call void @give_block(ptr {cell}, ptr null)" for cell in cells)
    return f"define void @{RELEASE_BLOCKS}() {{\n{calls}\n  ret void\n}}"
