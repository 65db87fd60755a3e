"""Shared libraries, made by the system's C compiler, which knows its linker and where its libraries are."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ...errors import TargetError
from .. import processors
from ..machine import Target

_TIMEOUT = 120
_MAX_SHOWN = 600


def shared_library(name: str, file_name: str, code: bytes, target: Target) -> bytes:
    """The shared library of an object file. Raises TargetError where no compiler here can link for the target."""
    compiler = _compiler(target)
    system = processors.system(target.triple)
    flags = ["-shared", "-fPIC"]
    if system == "linux":
        flags += [f"-Wl,-soname,{file_name}", "-Wl,-z,defs", "-Wl,-z,noexecstack"]
    with tempfile.TemporaryDirectory(prefix="polysched-") as directory:
        source, library = Path(directory) / f"{name}.o", Path(directory) / file_name
        source.write_bytes(code)
        command = [compiler, *flags, "-o", str(library), str(source), "-lm", "-lpthread"]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetError(f"no shared library: {compiler} could not be run: {error}") from None
        if run.returncode or not library.exists():
            raise TargetError(f"no shared library: {compiler} could not link it: {run.stderr.strip()[:_MAX_SHOWN]}")
        return library.read_bytes()


def _compiler(target: Target) -> str:
    """A compiler that links for the target: $CC or the system's for this architecture, a cross compiler for others."""
    if target.is_native_arch:
        wanted = [*filter(None, [os.environ.get("CC")]), "cc", "gcc", "clang"]
    else:
        arch, system = processors.arch(target.triple), processors.system(target.triple)
        wanted = [f"{target.triple}-gcc", f"{arch}-{system}-gnu-gcc"]
    for name in wanted:
        if (found := shutil.which(name)) is not None:
            return found
    raise TargetError(
        f"no shared library: there is no C compiler to link for {target.triple}; looked for {', '.join(wanted)}"
    )
