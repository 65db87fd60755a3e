"""Ready schedules, as plain functions of a stage and a target, to be called or copied."""

from .closure import closure
from .conv2d import conv2d
from .factorization import factorization
from .gemm import gemm
from .rowwise import rowwise
from .stencil2d import stencil2d
from .sweep import sweep
from .time_tile import time_tile
from .transpose import transpose
from .wavefront import wavefront

__all__ = [
    "closure", "conv2d", "factorization", "gemm", "rowwise", "stencil2d", "sweep", "time_tile", "transpose",
    "wavefront",
]  # fmt: skip
