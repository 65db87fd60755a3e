"""From LLVM IR text to machine code: optimised IR, assembly, object code, and code to call in this process.

LLVM must not second-guess the schedule: it does not vectorise, unroll or interleave loops. What it is for is the
clean-up of each function (registers for memory, common subexpressions, loop-invariant code, dead code) and the code
generation proper.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache

import llvmlite
import llvmlite.binding as llvm

from ..errors import TargetError
from .machine import Target
from .processors import target_machine

# llvmlite locks each of its calls. This lock spans whole builds, for the sake of fork alone: a child that is made
# while another thread is inside LLVM would wait for LLVM's lock for ever. So modules and code must also be disposed of
# while it is held.
_building = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)

_LIBRARY = "kernel"
_LEFT = b"code-generator-only"  # the attribute of functions whose IR is left as it is
_DECLARED = re.compile(r"^declare [^\n]*?@([\w.$-]+)\(", re.MULTILINE)
VERSIONS = {"llvm": ".".join(map(str, llvm.llvm_version_info)), "llvmlite": llvmlite.__version__}


def optimized_ir(text: str, target: Target) -> str:
    """The IR that code is generated from."""
    with _optimized(text, target, {}) as (module, _):
        return str(module)


def assembly(text: str, target: Target) -> str:
    """The machine code in the target's assembly language."""
    with _optimized(text, target, {}) as (module, machine):
        return machine.emit_assembly(module)


def object_code(text: str, target: Target, timings: dict[str, float] | None = None) -> bytes:
    """A relocatable object file of the target's format; the milliseconds of each stage are added to `timings`."""
    timings = {} if timings is None else timings
    with _optimized(text, target, timings) as (module, machine), _timed(timings, "codegen"):
        return machine.emit_object(module)


def undefined(text: str, symbols: Collection[str] = ()) -> list[str]:
    """The functions that a module's text declares and that are nowhere to be found: neither among `symbols` nor in the
    process. The linker's own error names none."""
    names = (name for name in _DECLARED.findall(text) if not name.startswith("llvm."))
    return [name for name in names if name not in symbols and llvm.address_of_symbol(name) is None]


def missing_functions(names: Iterable[str]) -> TargetError:
    """The error for code that calls functions of these names."""
    return TargetError(f"machine code needs functions that this process does not have: {', '.join(names)}")


class NativeCode:
    """Machine code in this process; its addresses are good for as long as this object lives.

    code     the text of an LLVM module, or object files that `object_code` made for the target
    exports  the functions whose addresses will be asked for
    symbols  addresses for names that the code declares; other names are looked up in the process
    last     a function without parameters that is called before the code goes away

    `timings` are the milliseconds of each stage. Raises TargetError if the code calls a function that is nowhere to be
    found.
    """

    __slots__ = ("_jit", "_last", "_library", "timings")

    def __init__(
        self,
        code: str | Sequence[bytes],
        target: Target,
        exports: Sequence[str],
        symbols: Mapping[str, int],
        last: str | None = None,
    ) -> None:
        self.timings: dict[str, float] = {}
        self._last: Callable[[], None] | None = None
        objects = [object_code(code, target, self.timings)] if isinstance(code, str) else code
        with _building, _timed(self.timings, "link"):
            # One linker a kernel: LLVM gives back all of a linker's memory when it goes, but not a library's.
            machine = _machine(target.triple, target.cpu, target.features)
            self._jit = llvm.create_lljit_compiler(machine, use_jit_link=os.name != "nt", suppress_errors=True)
            builder = llvm.JITLibraryBuilder()
            for one in objects:
                builder.add_object_img(one)
            builder.add_current_process()
            for name, address in symbols.items():
                builder.import_symbol(name, address)
            for name in (*exports, *((last,) if last else ())):
                builder.export_symbol(name)
            try:
                self._library = builder.link(self._jit, _LIBRARY)
            except RuntimeError as error:
                missing = undefined(code, symbols) if isinstance(code, str) else []
                raise missing_functions(missing or [str(error)]) from None
        if last is not None:
            self._last = ctypes.CFUNCTYPE(None)(self._library[last])

    def __del__(self, _building: threading.RLock = _building) -> None:
        last: Callable[[], None] | None = getattr(self, "_last", None)
        if last is not None:
            last()
        with _building:
            for part in ("_library", "_jit"):
                if hasattr(self, part):
                    getattr(self, part).close()

    def address(self, name: str) -> int:
        """The address of an exported function."""
        return self._library[name]


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = (time.perf_counter() - start) * 1e3


@contextmanager
def _optimized(
    text: str, target: Target, timings: dict[str, float]
) -> Iterator[tuple[llvm.ModuleRef, llvm.TargetMachine]]:
    """The module of the text after all passes over IR, and the code generator for it."""
    with (
        _building,
        closing(llvm.create_context()) as context,  # LLVM's global one keeps every constant it has ever seen
    ):
        compiler = _compiler(target.triple, target.cpu, target.features)
        with _timed(timings, "parse"), _at_fault():
            module = llvm.parse_assembly(text, context)
        with closing(module):  # always before its context
            with _timed(timings, "verify"), _at_fault():
                module.verify()
            module.triple, module.data_layout = target.triple, str(compiler.machine.target_data)
            with _timed(timings, "optimize"):
                compiler.optimize(module, has_slots=" = alloca " in text)
            yield module, compiler.machine


@contextmanager
def _at_fault() -> Iterator[None]:
    """What LLVM says of invalid IR, with the line, as the failed assertion that it is."""
    try:
        yield
    except RuntimeError as error:
        raise AssertionError(f"polysched wrote LLVM IR that is not valid, which is its fault: {error}") from None


@dataclass(frozen=True, slots=True)
class _Compiler:
    """LLVM for one target."""

    machine: llvm.TargetMachine
    options: llvm.PipelineTuningOptions
    inlining: llvm.ModulePassManager
    promotion: llvm.FunctionPassManager
    simplification: llvm.FunctionPassManager

    def optimize(self, module: llvm.ModuleRef, has_slots: bool) -> None:
        """Run all passes over IR. Accumulators, if the module has any memory of its own, go to registers first, so that
        all else sees values and not memory."""
        self.inlining.run(module, self.builder())
        for function in module.functions:
            if not function.is_declaration and not any(_LEFT in one for one in function.attributes):
                if has_slots:
                    self.promotion.run(function, self.builder())
                self.simplification.run(function, self.builder())

    def builder(self) -> llvm.PassBuilder:
        """What a run of passes asks for analyses. Each run needs a new one: llvmlite leaves pointers into the stack of
        a run in its builder, which the next run with it would follow."""
        return llvm.create_pass_builder(self.machine, self.options)


@lru_cache(maxsize=64)
def _machine(triple: str, cpu: str, features: str) -> llvm.TargetMachine:
    return target_machine(triple, cpu, features)


# Kept, because llvmlite never gives back the memory of a pass manager.
@lru_cache(maxsize=64)
def _compiler(triple: str, cpu: str, features: str) -> _Compiler:
    machine = _machine(triple, cpu, features)
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_vectorization = options.slp_vectorization = False
    options.loop_interleaving = options.loop_unrolling = False
    inlining = llvm.create_new_module_pass_manager()
    inlining.add_always_inliner_pass()
    inlining.add_global_dead_code_eliminate_pass()
    promotion = llvm.create_new_function_pass_manager()
    promotion.add_sroa_pass()
    promotion.add_simplify_cfg_pass()
    simplification = llvm.create_pass_builder(machine, options).getFunctionPassManager()
    return _Compiler(machine, options, inlining, promotion, simplification)
