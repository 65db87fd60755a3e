"""`Image`: the machine code of a kernel with the ways into it, as it is linked into a process, kept on disk or loaded.

An image has no address in it, so it is good for every process with the same CPython: the entry for Python names what
it compares with, and linking finds that.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

from ..compute.sizes import SizePlan
from ..lower.abi import RELEASE_BLOCKS, Signature
from . import jit, runtime
from .calling import PACKED_ENTRY, packed_entry
from .entry import PARALLEL_CELL, PYTHON_ENTRY, THREADS_CELL, entry_symbols, python_entry
from .machine import Target


@dataclass(frozen=True, slots=True)
class Image:
    """Object files of a kernel, and what linking them must know.

    objects       the files; together they define the kernel and its entries
    python        the Python objects that the fast entry names, or None where there is no fast entry
    last          the function that frees what the kernel keeps, if it keeps something
    uses_threads  whether the kernel reads its number of threads, as one with a parallel loop does; it then has to be
                  found at each call
    """

    objects: tuple[bytes, ...]
    python: tuple[str, ...] | None
    last: str | None
    uses_threads: bool

    def link(self, target: Target, threads: ctypes.c_int32) -> jit.NativeCode:
        """The image in this process; `threads` is where the fast entry finds their number."""
        exports, symbols = [PACKED_ENTRY], dict[str, int]()
        if self.python is not None:
            exports.append(PYTHON_ENTRY)
            parallel = runtime.parallel_cell(self.uses_threads)
            cells = {PARALLEL_CELL: parallel, THREADS_CELL: ctypes.addressof(threads)}
            symbols = entry_symbols(self.python) | cells
        return jit.NativeCode(self.objects, target, exports, symbols, self.last)


def make_image(
    text: str, signature: Signature, arrays: SizePlan, target: Target, timings: dict[str, float] | None = None
) -> Image:
    """Compile the module that defines `@kernel`, with entries for it; `arrays` solves the sizes from all its arrays."""
    entry = python_entry(signature, arrays)
    whole = text + packed_entry(signature) + (entry.text if entry is not None else "")
    last = RELEASE_BLOCKS if f"@{RELEASE_BLOCKS}(" in text else None
    python = None if entry is None else entry.objects
    return Image((jit.object_code(whole, target, timings),), python, last, uses_threads(text))


def uses_threads(text: str) -> bool:
    """Whether `@kernel` uses its parameter `threads`, the last but one."""
    header = re.search(r"^define [^\n]*@kernel\([^\n]*i32[^\n%]*(%[\w.$-]+), ptr[^\n,]*\)", text, re.MULTILINE)
    if header is None:
        return True
    return re.search(re.escape(header[1]) + r"(?![\w.$-])", text[header.end() :]) is not None
