"""Loop IR to the text of an LLVM module."""

from .emitter import EmittedKernel, Machine, Note, NoteKind
from .kernel import emit_kernel

__all__ = ["emit_kernel", "EmittedKernel", "Machine", "Note", "NoteKind"]
