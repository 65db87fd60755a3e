"""Loop IR to the text of an LLVM module."""

from .debug_lines import with_debug_lines
from .emitter import EmittedKernel, Machine, Note, NoteKind
from .kernel import emit_kernel

__all__ = ["emit_kernel", "EmittedKernel", "Machine", "Note", "NoteKind", "with_debug_lines"]
