"""Arguments that a kernel is tried with, made in the same way here and by the C driver, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compute.dtypes import DType
from ...compute.expr import Expr
from ...compute.sizes import evaluate_extent
from ...errors import BoundsError
from ...lower.abi import ArrayParameter, Signature
from ..kernel import Kernel

CHECK_BYTES, TIMED_BYTES = 1 << 20, 64 << 20
FNV_START, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_CHECKED, _TIMED = 21, (32, 64, 128, 256, 512)


def trial_sizes(signature: Signature, wanted: int, limit: int) -> dict[str, int] | None:
    """Sizes near `wanted`, all different, for which every array exists and they take at most `limit` bytes together.

    Intermediates, of which tiles may have one size at all sizes, leave the whole within what is timed. None if none
    were found.
    """
    while wanted >= 1:
        sizes = {}
        for k, size in enumerate(signature.sizes):
            least = max(size.min, wanted + (2 * k if wanted < 64 else 0), 1)
            sizes[size.name] = -(-least // size.multiple_of) * size.multiple_of
        held = [_bytes(array.shape, array.dtype.bytes, sizes) for array in signature.arrays]
        inside = [_bytes(shape, 8, sizes) for _, shape in signature.intermediates]
        taken, more = (sum(part or 0 for part in parts) for parts in (held, inside))
        if all(held) and None not in inside and taken <= limit and taken + more <= TIMED_BYTES:
            return sizes
        wanted = wanted * 3 // 4
    return None


def check_sizes(signature: Signature) -> dict[str, int] | None:
    """Small sizes, which leave tails."""
    return trial_sizes(signature, _CHECKED, CHECK_BYTES)


def timed_sizes(signature: Signature) -> list[dict[str, int]]:
    """Sizes that a driver may time, from small to large."""
    found = [trial_sizes(signature, wanted, TIMED_BYTES) for wanted in _TIMED]
    return [sizes for k, sizes in enumerate(found) if sizes is not None and sizes not in found[:k]]


def _bytes(shape: tuple[Expr, ...], size: int, sizes: Mapping[str, int]) -> int | None:
    """The bytes of an array; None if there is no such array."""
    for extent in shape:
        try:
            size *= max(0, evaluate_extent(extent, sizes))
        except ZeroDivisionError:
            return None
    return size


def filled(dtype: DType, count: int, seed: int) -> npt.NDArray[Any]:
    """Elements as the driver's `fill` makes them: floats in steps of 1/64 from -2 up to 2, integers from 1 to 4."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    m = ((x ^ (x >> np.uint32(15))) >> np.uint32(8)) & np.uint32(255)
    if dtype.is_float:
        return ((m.astype(np.float64) - 128) / 64).astype(dtype.numpy)
    return ((m & 1) if dtype.kind == "bool" else 1 + (m & 3)).astype(dtype.numpy)


def scalar_of(dtype: DType) -> float | int | bool:
    """What is passed for a scalar."""
    return 1.5 if dtype.is_float else True if dtype.kind == "bool" else 3


def expected_digest(kernel: Kernel, sizes: Mapping[str, int]) -> int | None:
    """The FNV-1a digest of the bytes of all outputs, in the order of the arrays; None if an index from data leaves its
    array."""
    values: dict[str, Any] = {}
    for seed, array in enumerate(kernel.signature.arrays):
        values[array.name] = _trial_array(array, seed, sizes)
    for scalar in kernel.signature.scalars:
        values[scalar.name] = scalar_of(scalar.dtype)
    positional = [values[p.name] for p in kernel.signature.positional]
    listed = [p.name for p in kernel.signature.positional]
    extra = tuple(values[o.name] for o in kernel.signature.arrays if o.name not in listed)
    try:
        kernel(*positional, out=extra or None, **sizes)
    except BoundsError:
        return None
    digest = FNV_START
    for output in (array for array in kernel.signature.arrays if array.output):
        for byte in values[output.name].tobytes():
            digest = (digest ^ byte) * FNV_PRIME % (1 << 64)
    return digest


def _trial_array(array: ArrayParameter, seed: int, sizes: Mapping[str, int]) -> npt.NDArray[Any]:
    shape = tuple(evaluate_extent(extent, sizes) for extent in array.shape)
    if array.output:
        return np.zeros(shape, array.dtype.numpy)
    return filled(array.dtype, int(np.prod(shape, dtype=np.int64)), seed).reshape(shape)
