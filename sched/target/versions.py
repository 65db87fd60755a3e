"""What machine code depends on besides its definition, schedule and target: the programs that made it."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np

from ..polyhedral.isl import ISL_VERSION
from . import cpython, jit

# What builds and links kernels imports none of these.
_WITHOUT_CODE = ("target/bench/", "target/explain/", "target/export/")


@cache
def versions() -> dict[str, str]:
    """Names and versions of what takes part in making a kernel, for records."""
    package = sys.modules[__name__.partition(".")[0]]
    return {
        "polysched": str(getattr(package, "__version__", "unknown")),
        **jit.VERSIONS,
        "islpy": ISL_VERSION,
        "numpy": np.__version__,
        "python": f"{sys.implementation.cache_tag} {sys.version.split()[0]}",
    }


@cache
def build_identity() -> str:
    """A digest of all that could make another kernel of the same definition, schedule and target.

    polysched counts with the text of its sources, and not with its version alone, so that a change to the code
    generator needs no new version to be seen. Raises OSError where the sources cannot be read.
    """
    if isinstance(_SOURCES, OSError):
        raise _SOURCES
    facts = (sys.byteorder, sys.hexversion, getattr(sys, "abiflags", ""), cpython.TYPE_OFFSET, os.name)
    return hashlib.sha256(repr((sorted(versions().items()), facts, _SOURCES)).encode()).hexdigest()


def sources_digest(package: str) -> str:
    """A digest of the sources of what builds and links kernels. Raises OSError."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources(package, "")):
        with open(path, "rb", buffering=0) as file:
            text = file.read()
        digest.update(f"{name} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


def _sources(directory: str, within: str) -> list[tuple[str, str]]:
    """The Python files of the package, with their names inside it."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                found.append((within + entry.name, entry.path))
            elif not entry.name.startswith("_") and entry.is_dir():
                inside = f"{within}{entry.name}/"
                found += [] if inside in _WITHOUT_CODE else _sources(entry.path, inside)
    return found


def _at_import() -> str | OSError:
    try:
        return sources_digest(str(Path(__file__).parents[1]))
    except OSError as error:
        return error


# Of the files that this process runs: they may be edited later, while it goes on with what it has loaded.
_SOURCES = _at_import()
