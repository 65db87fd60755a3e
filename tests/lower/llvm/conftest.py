"""Compiling loop programs written by hand, and running them on NumPy arrays."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES, DType
from polysched.compute.expr import Expr, Size, const
from polysched.lower.abi import ArrayParameter, ScalarParameter, Signature
from polysched.lower.ir import Allocate, Block, Buffer, LoopProgram, Ramp, Stmt
from polysched.lower.llvm import EmittedKernel, emit_kernel

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()

_C_TYPES = {
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
    "bool": ctypes.c_int8,
    **{f"{sign}int{bits}": getattr(ctypes, f"c_{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def _half(value: float) -> ctypes.c_float:
    """A half as ctypes can pass it: in the low bits of the register that a float is passed in."""
    return ctypes.c_float(np.array([value, 0], np.float16).view(np.float32)[0].item())


@dataclass(frozen=True)
class Machine:
    """A stand-in for the target description."""

    triple: str
    cpu: str
    features: str
    has_fma: bool
    has_f16c: bool
    has_scalef: bool
    vector_bits: int
    dot_bits: int = 0
    has_vnni: bool = False
    has_range: bool = False
    has_rounding: bool = True
    vector_registers: int = 16


def native() -> Machine:
    features = llvm.get_host_cpu_features()
    bits = 512 if features.get("avx512f") else 256 if features.get("avx2") else 128
    return Machine(
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        features.flatten(),
        features.get("fma", False) or features.get("neon", False),
        features.get("f16c", False),
        features.get("avx512vl", False),
        bits,
        has_range=features.get("avx512dq", False) and features.get("avx512vl", False),
    )


NATIVE = native()
_X86 = NATIVE.triple.startswith("x86_64")
BASELINE = Machine(NATIVE.triple, "x86-64", "", False, False, False, 128) if _X86 else NATIVE
_HAS_AVX2 = llvm.get_host_cpu_features().get("avx2", False)
AVX2 = Machine(NATIVE.triple, "x86-64-v3", "", True, True, False, 256) if _HAS_AVX2 else BASELINE
AVX512 = Machine("x86_64-unknown-linux-gnu", "znver4", "", True, True, True, 512)
AARCH64 = Machine("aarch64-unknown-linux-gnu", "neoverse-n1", "", True, False, False, 128)


def target_machine(machine: Machine) -> Any:
    target = llvm.Target.from_triple(machine.triple)
    return target.create_target_machine(cpu=machine.cpu, features=machine.features, opt=3, jit=True, reloc="pic")


def optimised(text: str, machine: Machine, level: int = 3) -> tuple[Any, Any]:
    """The module after the new pass manager's pipeline of a level, and its target machine."""
    tm = target_machine(machine)
    module = llvm.parse_assembly(text)
    module.data_layout = str(tm.target_data)
    module.verify()
    if level:
        tuning = llvm.create_pipeline_tuning_options(speed_level=level)
        tuning.loop_vectorization = tuning.slp_vectorization = False
        passes = llvm.create_pass_builder(tm, tuning)
        passes.getModulePassManager().run(module, passes)
    return module, tm


def assembly(text: str, machine: Machine) -> str:
    module, tm = optimised(text, machine)
    return str(tm.emit_assembly(module))


@dataclass
class Compiled:
    """A kernel in memory."""

    emitted: EmittedKernel
    signature: Signature
    engine: Any
    address: int
    status: Any = field(default_factory=lambda: (ctypes.c_int64 * 2)(-1, -1))

    def __call__(
        self,
        *arrays: np.ndarray[Any, Any],
        sizes: tuple[int, ...] = (),
        scalars: tuple[Any, ...] = (),
        parallel: int = 0,
        threads: int = 1,
    ) -> int:
        arguments: list[Any] = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        arguments += [ctypes.c_int64(size) for size in sizes]
        for array, parameter in zip(arrays, self.signature.arrays, strict=True):
            assert array.dtype == parameter.dtype.numpy, parameter.name
            if parameter.strides == "any":
                arguments += [ctypes.c_int64(stride // array.itemsize) for stride in array.strides]
        for value, scalar in zip(scalars, self.signature.scalars, strict=True):
            arguments.append(_half(value) if scalar.dtype.name == "float16" else _C_TYPES[scalar.dtype.name](value))
        status = ctypes.c_void_p(ctypes.addressof(self.status))
        arguments += [ctypes.c_void_p(parallel), ctypes.c_int32(threads), status]
        function = ctypes.CFUNCTYPE(ctypes.c_int32, *(type(a) for a in arguments))(self.address)
        return int(function(*arguments))


def array(
    name: str, of: str, *shape: int | Expr, output: bool = False, strides: Any = "row-major"
) -> tuple[ArrayParameter, Buffer]:
    """A parameter and its buffer."""
    extents = tuple(const(s) if isinstance(s, int) else s for s in shape)
    return ArrayParameter(name, DTYPES[of], extents, output, strides), Buffer(name, DTYPES[of], extents, "argument")


Pair = tuple[ArrayParameter, Buffer]


def signature(
    arrays: tuple[Pair, ...], sizes: tuple[Size, ...] = (), scalars: tuple[tuple[str, DType], ...] = ()
) -> Signature:
    parameters = tuple(parameter for parameter, _ in arrays)
    numbers = tuple(ScalarParameter(name, dtype) for name, dtype in scalars)
    return Signature((*parameters, *numbers), tuple(p for p in parameters if p.output), sizes)


def emit(
    body: Stmt | list[Stmt],
    arrays: tuple[Pair, ...],
    sizes: tuple[Size, ...] = (),
    scalars: tuple[tuple[str, DType], ...] = (),
    machine: Machine = NATIVE,
) -> EmittedKernel:
    stmt = Block(tuple(body)) if isinstance(body, list) else body
    program = LoopProgram(tuple(buffer for _, buffer in arrays), stmt)
    return emit_kernel(program, signature(arrays, sizes, scalars), machine)


def build(
    body: Stmt | list[Stmt],
    arrays: tuple[Pair, ...],
    sizes: tuple[Size, ...] = (),
    scalars: tuple[tuple[str, DType], ...] = (),
    machine: Machine = NATIVE,
    level: int = 1,
    edit: Callable[[str], str] = str,
) -> Compiled:
    """A program compiled for this machine (or for less than it has)."""
    emitted = emit(body, arrays, sizes, scalars, machine)
    module, tm = optimised(edit(emitted.text), machine, level)
    engine = llvm.create_mcjit_compiler(module, tm)
    engine.finalize_object()
    return Compiled(emitted, signature(arrays, sizes, scalars), engine, engine.get_function_address("kernel"))


def ramp(base: Expr | int, lanes: int) -> Expr:
    """`lanes` indices from `base` on."""
    first = const(base) if isinstance(base, int) else base
    return Ramp(first, lanes) if lanes > 1 else first


def register(of: str, *shape: int) -> Buffer:
    return Buffer("tile", DTYPES[of], tuple(map(const, shape)), "register")


def allocate(buffer: Buffer, *body: Stmt) -> Allocate:
    return Allocate(buffer, Block(body))


def bits(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bits of the values, with one pattern for all NaNs: which NaN an operation gives is not specified."""
    values = np.ascontiguousarray(values)
    if values.dtype.kind != "f":
        return values
    plain = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return plain.view(f"u{values.dtype.itemsize}")


def assert_same_bits(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], what: str = "") -> None:
    assert found.dtype == expected.dtype, (what, found.dtype, expected.dtype)
    wrong = np.flatnonzero(bits(found).ravel() != bits(expected).ravel())
    assert wrong.size == 0, f"{what}: at {wrong[0]} {found.ravel()[wrong[0]]!r} for {expected.ravel()[wrong[0]]!r}"


def edges(dtype: DType) -> np.ndarray[Any, Any]:
    """Values at which operations are known to go wrong."""
    t = dtype.numpy
    if dtype.kind == "bool":
        return np.array([False, True])
    if dtype.is_int:
        low, high = int(dtype.lowest), int(dtype.highest)
        values = [0, 1, 2, 3, 5, 7, 8, low, low + 1, high, high - 1, high // 2, dtype.bits, dtype.bits - 1]
        return np.array(values + ([-1, -2, -3, -7, -8] if dtype.kind == "int" else []), t)
    info = np.finfo(t)
    special = [np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 0.0]
    signed = [*special, 1, 0.5, 1.5, 2.5, 3, 7, 10.1, 0.3]
    return np.array([*signed, *(-x for x in signed), info.eps, 1 + info.eps], t)


def pairs(dtype: DType, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """All pairs of edges, and some of everything."""
    random = np.random.default_rng(seed)
    a, b = (x.ravel() for x in np.meshgrid(edges(dtype), edges(dtype)))

    def some() -> np.ndarray[Any, Any]:
        if dtype.is_float:
            return (random.standard_normal(64) * random.choice([1e-3, 1, 1e3], 64)).astype(dtype.numpy)
        high = int(dtype.highest)
        return random.integers(
            int(dtype.lowest), high, 64, np.uint8 if high == 1 else dtype.numpy, endpoint=True
        ).astype(dtype.numpy)

    return np.concatenate([a, some()]), np.concatenate([b, some()])


def libm(name: str, dtype: DType, arity: int = 1) -> Any:
    """The C library's function of a name, in float64 or float32."""
    kind = ctypes.c_double if dtype.bits == 64 else ctypes.c_float
    function = getattr(ctypes.CDLL(None), name if dtype.bits == 64 else f"{name}f")
    function.restype, function.argtypes = kind, [kind] * arity
    return function


@pytest.fixture(scope="session")
def lab() -> ModuleType:
    """This file, as a module: tests are not a package, and import nothing of each other."""
    return sys.modules[__name__]
