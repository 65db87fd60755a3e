"""The threads of NumPy's own BLAS, so that it can be compared on as many as a kernel uses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

_NAMES = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads")


@cache
def _setter() -> Callable[[int], object] | None:
    package = Path(np.__file__).parent
    for library in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        try:
            loaded = ctypes.CDLL(str(library))
        except OSError:
            continue
        for name in _NAMES:
            function: Callable[[int], object] | None = getattr(loaded, name, None)
            if function is not None:
                return function
    return None


def limit_threads(threads: int) -> Callable[[], object] | None:
    """What makes NumPy's OpenBLAS use this many threads, or None where NumPy does not come with one."""
    setter = _setter()
    return None if setter is None else lambda: setter(threads)
