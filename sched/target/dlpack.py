"""Arrays of bfloat16 through DLPack, which NumPy does not take: the structure is read as DLPack's header has it."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..compute.dtypes import BFLOAT16

Array = np.ndarray[Any, Any]
_CPU, _BFLOAT = 1, 4


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    """DLTensor, with which the capsule `dltensor` begins."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Exported:
    """Memory that stays as long as the capsule: what has no name but `dltensor` is given back with it."""

    def __init__(self, capsule: Any, address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.capsule = capsule
        self.__array_interface__ = {
            "version": 3, "data": (address, False), "shape": shape, "strides": strides, "typestr": "<u2",
        }  # fmt: skip


def bfloat16_array(given: Any) -> Array | None:
    """The array over the memory of an object with DLPack whose elements are of bfloat16; None if they are not."""
    capsule = given.__dlpack__()
    if not is_unversioned(capsule):
        return None
    tensor = _Tensor.from_address(_pointer(capsule, b"dltensor"))
    kind = tensor.dtype
    if (kind.code, kind.bits, kind.lanes, tensor.device.type) != (_BFLOAT, 16, 1, _CPU):
        return None
    shape = tuple(tensor.shape[: tensor.ndim])
    steps = tensor.strides[: tensor.ndim] if tensor.strides else _row_major(shape)
    strides = tuple(BFLOAT16.bytes * step for step in steps)
    if 0 in shape:
        return np.zeros(shape, BFLOAT16.numpy)
    memory = _Exported(capsule, tensor.data + tensor.byte_offset, shape, strides)
    return np.asarray(memory).view(BFLOAT16.numpy)


def is_unversioned(capsule: Any) -> bool:
    """Whether the capsule is one of DLPack's first version."""
    return bool(_is_capsule(capsule, b"dltensor"))


def _row_major(shape: tuple[int, ...]) -> list[int]:
    steps, step = [], 1
    for extent in reversed(shape):
        steps.append(step)
        step *= extent
    return steps[::-1]


_is_capsule = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
