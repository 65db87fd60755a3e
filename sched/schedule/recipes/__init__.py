"""Ready schedules, as plain functions of a stage and a target, to be called or copied."""

from .conv2d import conv2d
from .gemm import gemm
from .rowwise import rowwise
from .stencil2d import stencil2d
from .time_tile import time_tile
from .transpose import transpose

__all__ = ["conv2d", "gemm", "rowwise", "stencil2d", "time_tile", "transpose"]
