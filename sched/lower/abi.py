"""The calling convention of a compiled kernel, shared by the code generator and by the callers.

    i32 @kernel(ptr array..., i64 size..., i64 stride..., T scalar..., ptr parallel, i32 threads, ptr status)

Arrays are those of `Signature.arrays`, in order; sizes those of `Signature.sizes`; strides, in elements, one a
dimension for every array whose strides are "any", in the order of the arrays; scalars those of `Signature.scalars`
(a bool is an i8, a float16 a half). `parallel` is a function

    void parallel(void (*body)(ptr data), ptr data, i32 threads, i32 flags)        (GOMP_parallel's signature)

that runs `body(data)` at least once, on up to `threads` threads at the same time, and returns when all are done.
`status` points to two i64: the number of the first failed run-time check, and the value that failed. The result is
OK, OUT_OF_MEMORY or CHECK_FAILED.

A kernel that keeps blocks of memory from call to call also has `void @release_blocks()`, which frees them; whoever owns
the code calls it last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..compute.dtypes import DType
from ..compute.expr import Expr, Size

OK, OUT_OF_MEMORY, CHECK_FAILED = 0, 1, 2
RELEASE_BLOCKS = "release_blocks"


@dataclass(frozen=True, slots=True)
class ArrayParameter:
    """`shape` is made of sizes and integers with + - * // % min max; `output` arrays are written, others only read."""

    name: str
    dtype: DType
    shape: tuple[Expr, ...]
    output: bool = False
    strides: Literal["row-major", "any"] = "row-major"


@dataclass(frozen=True, slots=True)
class ScalarParameter:
    """A number passed by value."""

    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class RuntimeCheck:
    """What a failed check of an index is reported as."""

    tensor: str
    dimension: int
    location: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a kernel takes and gives.

    `positional` are the arguments a user passes in order: arrays, scalars, and outputs that `args=` lists. Outputs
    that are not among them are allocated, or given as `out=`. `outputs` are all outputs, in the order they are
    returned. `extents` are the shapes of intermediate tensors, which must not be negative either.
    """

    positional: tuple[ArrayParameter | ScalarParameter, ...]
    outputs: tuple[ArrayParameter, ...]
    sizes: tuple[Size, ...]
    intermediates: tuple[tuple[str, tuple[Expr, ...]], ...] = ()
    checks: tuple[RuntimeCheck, ...] = ()

    @property
    def arrays(self) -> tuple[ArrayParameter, ...]:
        """All arrays in ABI order: the positional ones, then the outputs that are not positional."""
        listed = tuple(p for p in self.positional if isinstance(p, ArrayParameter))
        return (*listed, *(p for p in self.outputs if not any(p is q for q in listed)))

    @property
    def scalars(self) -> tuple[ScalarParameter, ...]:
        return tuple(p for p in self.positional if isinstance(p, ScalarParameter))
