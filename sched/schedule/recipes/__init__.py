"""Ready schedules, as plain functions of a stage and a target, to be called or copied."""

from .gemm import gemm

__all__ = ["gemm"]
