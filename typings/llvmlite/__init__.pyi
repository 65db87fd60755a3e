"""Stubs for the part of llvmlite that polysched calls. `llvmlite.ir` is left out: we emit IR as text."""

__version__: str
