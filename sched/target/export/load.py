"""`load`: a kernel that was exported, without its definition."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ...errors import TargetError
from ...lower.abi import RELEASE_BLOCKS
from .. import jit
from ..arguments import Arguments
from ..calling import packed_entry
from ..description import MAX_TEXT, MalformedError
from ..entry import python_entry
from ..image import Image
from ..kernel import Kernel, Source
from ..machine import Target
from .c_entry import declarations, release_symbol, renamed
from .record import ExportRecord, parse_record

_MAX_OBJECT = 64 << 20
_SOURCES = {"schedule": ".sched", "llvm": ".ll", "asm": ".s"}
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def load(directory: str | os.PathLike[str], name: str | None = None, *, threads: int | None = None) -> Kernel:
    """The kernel that `export` wrote into the directory. It checks its arguments as the original did.

    name     which, where the directory has several
    threads  of parallel loops, as for `Target`

    Loading runs machine code from the directory in this process: load what you would import. Raises TargetError for
    files that are missing, cut or changed, that another version wrote, or whose code this machine cannot run.
    """
    place = Path(directory).absolute()
    file = place / f"{_only_name(place) if name is None else name}.json"
    try:
        record = parse_record(_read(file, MAX_TEXT))
    except MalformedError as error:
        raise TargetError(f"{file} cannot be loaded: {error}") from None
    if f"{record.name}.json" != file.name:
        raise TargetError(f"{file} cannot be loaded: it describes {record.name}")
    target = _target(file, record, threads)
    code = _checked(place, f"{record.name}.o", record)

    def sources() -> dict[str, Source]:
        files = {kind: f"{record.name}{suffix}" for kind, suffix in _SOURCES.items()}
        return {
            kind: lambda file=file: _checked(place, file, record).decode()  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            for kind, file in files.items()
            if file in record.files
        }

    description = record.description
    return Kernel(
        record.name,
        description.signature,
        _image(code, record, target),
        target,
        sources=sources,
        timings={},
        warnings=description.warnings,
        rounding=description.rounding,
    )


def _only_name(directory: Path) -> str:
    try:
        names = sorted(path.stem for path in directory.glob("*.json"))
    except OSError as error:
        raise TargetError(f"{directory} cannot be read: {error}") from None
    if len(names) != 1:
        found = f"several, of which name= chooses one: {', '.join(names)[:200]}" if names else "none"
        raise TargetError(f"{directory} should have the .json file of an exported kernel, and there is {found}")
    return names[0]


def _read(file: Path, most: int) -> bytes:
    """A regular file of at most so many bytes; not through a link."""
    try:
        descriptor = os.open(file, _OPEN)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                raise TargetError(f"{file} cannot be loaded: it is no file of at most {most} bytes")
            return stream.read(most + 1)
    except OSError as error:
        raise TargetError(f"{file} cannot be loaded: {error.strerror or error}") from None


def _checked(directory: Path, name: str, record: ExportRecord) -> bytes:
    """The content of a file of the export, as it was written."""
    written = record.files.get(name)
    if written is None:
        raise TargetError(f"{directory} cannot be loaded: it was exported without {name}")
    content = _read(directory / name, _MAX_OBJECT)
    if len(content) != written.length or hashlib.sha256(content).hexdigest() != written.sha256:
        raise TargetError(f"{directory / name} cannot be loaded: it was changed after it was exported, or cut")
    return content


def _target(file: Path, record: ExportRecord, threads: int | None) -> Target:
    """The target of the code, which this machine can run."""
    name, triple, cpu, features = (record.target[field] for field in ("name", "triple", "cpu", "features"))
    try:
        target = Target(name, threads=threads)
        if (target.triple, target.cpu, target.features) != (triple, cpu, features):
            target = Target(triple, cpu or None, features or None, threads)
    except TargetError as error:
        raise TargetError(f"{file} cannot be loaded: {error.reason}") from None
    if not target.is_native_arch:
        raise TargetError(f"{file} cannot be loaded: it was exported for {target}")
    if missing := target.missing_features():
        raise TargetError(
            f"{file} cannot be loaded: it was exported for {target}, and this CPU lacks {', '.join(missing)}"
        )
    return target


def _image(code: bytes, record: ExportRecord, target: Target) -> Image:
    """The exported code, and the ways into it for Python, which are compiled now."""
    signature = record.description.signature
    entry = python_entry(signature, Arguments(record.name, signature).all_arrays)
    ways = packed_entry(signature) + (entry.text if entry is not None else "")
    last = ""
    if record.keeps_blocks:
        last = (
            f"declare void @{release_symbol(record.name)}()\n"
            f"define void @{RELEASE_BLOCKS}() {{\n  call void @{release_symbol(record.name)}()\n  ret void\n}}\n"
        )
    text = declarations(signature, record.name) + renamed(ways, record.name) + last
    glue = jit.object_code(text, target)
    python = None if entry is None else entry.objects
    return Image((code, glue), python, RELEASE_BLOCKS if record.keeps_blocks else None, record.uses_threads)
