"""Arrays between pages that may not be touched: an access outside them ends the process."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Pool:
    """Regions of pages, used again for every call; a region serves one array at a time."""

    def __init__(self) -> None:
        self._free: dict[int, list[mmap.mmap]] = {}
        self._used: list[tuple[int, mmap.mmap]] = []

    def array(self, like: np.ndarray[Any, Any], *, flush: str, fill: int | None = None) -> np.ndarray[Any, Any]:
        """A copy of `like`, or an array of its type and shape filled with a byte, whose memory begins ("left") or
        ends ("right") at a guard page. Strides are kept: an array that is not contiguous is a view of such memory.
        """
        base, view = _base(like)
        pages = max(1, -(-base.nbytes // _PAGE))
        region = self._region(pages)
        start = _PAGE if flush == "left" else (pages + 1) * _PAGE - base.nbytes
        copy = np.frombuffer(region, base.dtype, base.size, start if base.size else 0).reshape(base.shape)
        if fill is not None:
            copy.view(np.uint8).fill(fill) if base.ndim and base.size else copy.reshape(-1).view(np.uint8).fill(fill)
        else:
            copy[...] = base
        return view(copy)

    def _region(self, pages: int) -> mmap.mmap:
        free = self._free.setdefault(pages, [])
        region = free.pop() if free else _new_region(pages)
        self._used.append((pages, region))
        return region

    def release(self) -> None:
        """The arrays given so far are used no more."""
        for pages, region in self._used:
            self._free[pages].append(region)
        self._used.clear()


def _new_region(pages: int) -> mmap.mmap:
    region = mmap.mmap(-1, (pages + 2) * _PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(region))
    for guard in (address, address + (pages + 1) * _PAGE):
        if _LIBC.mprotect(guard, _PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return region


def _base(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Any]:
    """The contiguous memory of an array, and how to view it as the array."""
    if array.base is None or array.flags.c_contiguous or not isinstance(array.base, np.ndarray):
        return np.ascontiguousarray(array).reshape(array.shape), lambda copy: copy
    base = array.base
    offset = array.ctypes.data - base.ctypes.data

    def view(copy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.ndarray(array.shape, array.dtype, copy, offset, array.strides)

    return base, view


def strided(array: np.ndarray[Any, Any], how: int) -> np.ndarray[Any, Any]:
    """The same elements with other strides: transposed, every second one, or backwards."""
    match how % 4:
        case 1:
            return _owned(array.T).T
        case 2 if array.ndim:
            wide = np.zeros((*array.shape[:-1], array.shape[-1] * 2 + 1), array.dtype)
            wide[..., 1::2] = array
            return wide[..., 1::2]
        case 3 if array.ndim:
            return _owned(array[..., ::-1])[..., ::-1]
        case _:
            return array


def _owned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array(array, order="C", copy=True)
