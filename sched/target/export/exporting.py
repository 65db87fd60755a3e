"""`export`: a kernel as files that other programs use without Python."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ArgumentError, TargetError
from ...schedule.schedule import Schedule
from .. import jit, processors
from ..build import build
from ..description import Description
from ..kernel import Kernel
from ..versions import versions
from .archive import archive
from .build_files import cmake_config, pkg_config
from .c_entry import CModule, c_module, release_symbol
from .c_types import CSignature, c_signature
from .driver import driver_text
from .header import header_text
from .linker import shared_library
from .record import ExportRecord, FileRecord, record_text
from .trial import check_sizes, expected_digest, timed_sizes

PRODUCTS = (
    "header", "object", "json", "schedule", "llvm", "assembly", "static", "shared", "driver", "cmake", "pkgconfig"
)  # fmt: skip
_ALWAYS = ("header", "object", "json")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: `files` by product, in `directory`; and why other products were not, in `missing`."""

    directory: Path
    name: str
    files: dict[str, Path]
    missing: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{product:<10} {path}" for product, path in self.files.items()]
        return "\n".join([*lines, *(f"{product:<10} not written: {why}" for product, why in self.missing.items())])


def export(
    kernel: Kernel | Schedule,
    directory: str | os.PathLike[str],
    target: Any = None,
    *,
    name: str | None = None,
    products: Iterable[str] | None = None,
) -> Exported:
    """Write a kernel as files for C, and for `polysched.load`.

    kernel     a Kernel, or a Schedule, which is built
    directory  is made if it is not there; files of the same names are replaced, each at once
    target     what a Schedule is built for, "native" by default
    name       what the function is called in C; the kernel's name by default
    products   some of "header", "object", "json" (these are always written), "schedule", "llvm", "assembly", "static",
               "shared", "driver", "cmake" and "pkgconfig"; by default all that can be made here

    Object code needs no C compiler; a shared library does. Where a product that was asked for cannot be made, that is a
    TargetError; without `products=`, the result says what is missing, and why. The header documents the function.
    Raises OSError where the directory cannot be written.

    >>> import tempfile
    >>> import numpy as np, polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "int32", name="A")
    >>> B = ps.compute((n,), lambda i: A[i] + 1, name="B")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     exported = ps.export(ps.Schedule(B), directory, name="increment", products=["header"])
    ...     sorted(path.name for path in exported.files.values())
    ...     ps.load(directory)(np.arange(3, dtype=np.int32))
    ['increment.h', 'increment.json', 'increment.o']
    array([1, 2, 3], dtype=int32)
    """
    wanted = _wanted(products)
    if isinstance(kernel, Schedule):
        kernel = build(kernel, "native" if target is None else target)
    elif not isinstance(kernel, Kernel):
        raise ArgumentError(f"export takes a Kernel or a Schedule, not a {type(kernel).__name__}")
    elif target is not None:
        raise ArgumentError(f"{kernel.name} is built for {kernel.target}; export its schedule for another target")
    files = _Files(kernel, c_signature(name or kernel.name, kernel.signature))
    made: dict[str, tuple[str, bytes]] = {}
    missing: dict[str, str] = {}
    for product in PRODUCTS:
        if product in wanted and product != "json":
            try:
                made[product] = files.make(product, made)
            except TargetError as error:
                if products is not None:
                    raise
                missing[product] = error.reason
    made["json"] = files.record(made)
    place = Path(directory).absolute()
    place.mkdir(parents=True, exist_ok=True)
    for file, content in made.values():
        _write(place, file, content)
    return Exported(place, files.c.name, {p: place / made[p][0] for p in PRODUCTS if p in made}, missing)


def _wanted(products: Iterable[str] | None) -> tuple[str, ...]:
    if isinstance(products, str):
        products = (products,)
    wanted = PRODUCTS if products is None else (*_ALWAYS, *products)
    for product in wanted:
        if product not in PRODUCTS:
            raise ArgumentError(f"there is no product {product!r}; there are {', '.join(PRODUCTS)}")
    return wanted


def _write(directory: Path, name: str, content: bytes) -> None:
    """The file, at once: a link that stands in its place is replaced, and not followed."""
    temporary = directory / f".{name}.{secrets.token_hex(6)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        temporary.replace(directory / name)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class _Files:
    """The files of one kernel, made when they are asked for."""

    def __init__(self, kernel: Kernel, c: CSignature) -> None:
        self.kernel, self.c = kernel, c
        try:
            text = kernel.source("llvm-raw")
        except ArgumentError:
            raise TargetError(f"{kernel.name} was loaded from an export: copy that directory") from None
        self.module: CModule = c_module(c, text, processors.system(kernel.target.triple))
        self._code: bytes | None = None

    @property
    def code(self) -> bytes:
        if self._code is None:
            self._code = jit.object_code(self.module.text, self.kernel.target)
        return self._code

    def make(self, product: str, made: dict[str, tuple[str, bytes]]) -> tuple[str, bytes]:
        """The name and the content of a file; `made` are those before it."""
        name = self.c.name
        library = made["static"][0] if "static" in made else None
        texts: dict[str, tuple[str, Callable[[], str]]] = {
            "header": (f"{name}.h", self.header),
            "schedule": (f"{name}.sched", lambda: self.kernel.source("schedule")),
            "llvm": (f"{name}.ll", lambda: jit.optimized_ir(self.module.text, self.kernel.target)),
            "assembly": (f"{name}.s", lambda: jit.assembly(self.module.text, self.kernel.target)),
            "driver": (f"{name}_bench.c", self.driver),
            "cmake": (f"{name}-config.cmake", lambda: cmake_config(name, library)),
            "pkgconfig": (f"{name}.pc", lambda: pkg_config(name, library, versions()["polysched"])),
        }
        match product:
            case "object":
                return f"{name}.o", self.code
            case "static":
                return f"lib{name}.a", self.static()
            case "shared":
                suffix = "dylib" if self.system in ("darwin", "macosx") else "so"
                file = f"lib{name}.{suffix}"
                return file, shared_library(name, file, self.code, self.kernel.target)
            case _:
                file, text = texts[product]
                return file, text().encode()

    @property
    def system(self) -> str:
        return processors.system(self.kernel.target.triple)

    def header(self) -> str:
        return header_text(self.c, self.module, self.kernel.target, self.kernel.rounding)

    def static(self) -> bytes:
        if self.system in ("darwin", "macosx"):
            raise TargetError("no static library: Apple's linkers read another format; link the object file")
        name = self.c.name
        symbols = (name, f"{name}_message", release_symbol(name), f"{name}_kernel")
        return archive(f"{name[:13]}.o", self.code, symbols)

    def driver(self) -> str:
        check, timed = check_sizes(self.c.signature), timed_sizes(self.c.signature)
        if check is None or not timed:
            raise TargetError(f"no driver: there are no sizes at which {self.c.name} is small enough to be tried")
        runs = self.kernel.target.can_run()
        expected = expected_digest(self.kernel, check) if runs else None
        context = {"target": str(self.kernel.target), **versions(), "schedule": self.kernel.source("schedule")}
        return driver_text(self.c, check, timed, expected, context)

    def record(self, made: dict[str, tuple[str, bytes]]) -> tuple[str, bytes]:
        kernel, target = self.kernel, self.kernel.target
        record = ExportRecord(
            self.c.name,
            {"name": target.name, "triple": target.triple, "cpu": target.cpu, "features": target.features},
            Description(kernel.signature, kernel.warnings, kernel.rounding),
            self.module.uses_threads,
            self.module.keeps_blocks,
            {file: FileRecord.of(content) for file, content in made.values()},
        )
        return f"{self.c.name}.json", record_text(self.c, record, self.module.messages, versions()).encode()
