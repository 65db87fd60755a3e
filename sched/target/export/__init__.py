"""Kernels for C: `export` writes one into a directory, `load` opens it again."""

from .exporting import PRODUCTS, Exported, export
from .load import load

__all__ = ["PRODUCTS", "Exported", "export", "load"]
