"""The kernel as LLVM sees it from outside: the types of its parameters, and an entry that takes them from memory.

    i32 @polysched_packed(ptr slots)

reads one 8-byte slot a parameter of `@kernel` (in the order of lower/abi.py), each holding its value in the first
bytes, and calls it. It serves callers that cannot build the call themselves: a C type for float16 is not everywhere.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable

from ..compute.dtypes import DType
from ..lower.abi import Signature

PACKED_ENTRY = "polysched_packed"
SLOT_BYTES = 8

# Attributes of code around the kernel: it is quick to run as it is written, and optimising it takes longer than the
# kernels that it is for.
GLUE = "nounwind noinline optnone"


def llvm_type(dtype: DType) -> str:
    """How a scalar of the type is passed."""
    if dtype.is_float:
        return {"float16": "half", "bfloat16": "bfloat", "float32": "float"}.get(dtype.name, "double")
    return f"i{dtype.bits}"


def parameter_types(signature: Signature) -> tuple[str, ...]:
    """The LLVM types of the parameters of `@kernel`."""
    strides = sum(len(array.shape) for array in signature.arrays if array.strides == "any")
    return (
        *("ptr" for _ in signature.arrays),
        *("i64" for _ in signature.sizes),
        *("i64" for _ in range(strides)),
        *(llvm_type(scalar.dtype) for scalar in signature.scalars),
        *("ptr", "i32", "ptr"),
    )


def packed_entry(signature: Signature) -> str:
    """The text of the entry, for the module that defines `@kernel`."""
    types = parameter_types(signature)
    lines = [f"define i32 @{PACKED_ENTRY}(ptr %slots) {GLUE} {{"]
    for k, of_type in enumerate(types):
        lines.append(f"  %slot{k} = getelementptr i8, ptr %slots, i64 {SLOT_BYTES * k}")
        lines.append(f"  %value{k} = load {of_type}, ptr %slot{k}, align {SLOT_BYTES}")
    arguments = ", ".join(f"{of_type} %value{k}" for k, of_type in enumerate(types))
    lines += [f"  %result = call i32 @kernel({arguments})", "  ret i32 %result", "}"]
    return "\n".join(lines) + "\n"


def packed_arguments(signature: Signature, values: Iterable[int | float]) -> bytes:
    """The slots for the values of all parameters, addresses being integers."""
    slots = (_slot(of_type, value) for of_type, value in zip(parameter_types(signature), values, strict=True))
    return b"".join(slot.ljust(SLOT_BYTES, b"\0") for slot in slots)


def _slot(of_type: str, value: int | float) -> bytes:
    match of_type:
        case "bfloat":
            return struct.pack("=f", value)[2 if sys.byteorder == "little" else 0 :][:2]
        case "half" | "float" | "double":
            return struct.pack({"half": "=e", "float": "=f", "double": "=d"}[of_type], value)
        case _:
            bits = 64 if of_type == "ptr" else int(of_type[1:])
            return (int(value) % (1 << bits)).to_bytes(bits // 8, sys.byteorder)
