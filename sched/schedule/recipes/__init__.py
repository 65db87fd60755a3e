"""Ready schedules, as plain functions of a stage and a target, to be called or copied."""

from .gemm import gemm
from .rowwise import rowwise
from .time_tile import time_tile

__all__ = ["gemm", "rowwise", "time_tile"]
