"""The fast way in: a function with CPython's fast calling convention, emitted as LLVM IR beside the kernel.

    PyObject *polysched_python(PyObject *self, PyObject *const *args, Py_ssize_t count)

takes the positional arguments of the signature, then the outputs that are not among them. It checks everything that
the kernel relies on and calls it without the interpreter's lock. It returns

    None            the kernel has run
    a tuple         (result, check, value): the kernel has run and failed
    NotImplemented  the kernel has not run, because something is not as this entry knows it. The slow way
                    (arguments.py) then takes it, or says what is wrong: this entry raises no error and explains none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..compute.dtypes import BFLOAT16, DTYPES, DType
from ..compute.sizes import SizePlan
from ..lower.abi import ArrayParameter, ScalarParameter, Signature
from . import cpython
from .calling import GLUE, llvm_type, parameter_types
from .ir_writer import Writer

PYTHON_ENTRY = "polysched_python"
PARALLEL_CELL, THREADS_CELL = "polysched_parallel", "polysched_threads"

_DECLARATIONS = f"""
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_Occurred()
declare double @PyFloat_AsDouble(ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare i64 @PyLong_AsUnsignedLongLong(ptr)
declare ptr @Py_BuildValue(ptr, ...)
declare void @Py_IncRef(ptr)
@{PARALLEL_CELL} = external global ptr
@{THREADS_CELL} = external global i32
@polysched_failure = private unnamed_addr constant [6 x i8] c"(iLL)\\00"
"""

# Where the fields of CPython's Py_buffer are, in bytes, and how long it is.
_BUF, _LEN, _ITEMSIZE, _NDIM, _FORMAT, _SHAPE, _STRIDES, _VIEW_BYTES = 0, 16, 24, 36, 40, 48, 56, 80
_WRITABLE, _WITH_FORMAT, _WITH_STRIDES, _C_CONTIGUOUS = 0x1, 0x4, 0x18, 0x38

# The buffer protocol's letters for native types of a kind; together with the size of an item they name a type.
_LETTERS = {"int": "bhilq", "uint": "BHILQ", "bool": "?"}
_BYTE_ORDER = "<" if sys.byteorder == "little" else ">"
_FLOAT_LETTERS = {16: "e", 32: "f", 64: "d"}


# The Python objects that an entry may compare with, which live for ever, by what their symbols are called.
_OBJECT = "polysched_object_"
_NUMBERS: tuple[type, ...] = (int, float, *(dtype.numpy.type for dtype in DTYPES.values() if dtype.kind != "bool"))
_OBJECTS: dict[str, object] = {
    **{"None": None, "NotImplemented": NotImplemented},
    **{"True": True, "False": False, "np_True": np.True_, "np_False": np.False_},
    **{f"type_{number.__name__}": number for number in _NUMBERS},
}


@dataclass(frozen=True, slots=True)
class PythonEntry:
    """The text of the entry, and the names of the Python objects in it."""

    text: str
    objects: tuple[str, ...]


def is_known_object(name: object) -> bool:
    """Whether this is the name of an object that entries may name."""
    return isinstance(name, str) and name in _OBJECTS


def entry_symbols(objects: Iterable[str]) -> dict[str, int]:
    """The addresses of what an entry names but neither defines nor finds in the process."""
    functions = cpython.functions()
    assert functions is not None, "there are entries only where CPython has what they call"
    return functions | {_OBJECT + name: cpython.object_address(_OBJECTS[name]) for name in objects}


def python_entry(signature: Signature, plan: SizePlan) -> PythonEntry | None:
    """The entry for kernels of the signature; `plan` solves its sizes from all of its arrays.

    None where there is none: not CPython, a size that no array determines, a scalar that is a float of 16 bits, an
    array of bfloat16, which the buffer protocol does not know.
    """
    if cpython.functions() is None or plan.missing or _only_slowly(signature):
        return None
    return _Entry(signature, plan).emit()


def _only_slowly(signature: Signature) -> bool:
    halves = any(s.dtype.is_float and s.dtype.bits == 16 for s in signature.scalars)
    return halves or any(array.dtype == BFLOAT16 for array in signature.arrays)


@dataclass(slots=True)
class _Array:
    """An array parameter with the names of the values that were read from its view."""

    parameter: ArrayParameter
    view: str
    extents: list[str]
    buffer: str = ""
    low: str = ""
    high: str = ""


class _Entry:
    def __init__(self, signature: Signature, plan: SizePlan) -> None:
        self.signature, self.plan = signature, plan
        self.out = Writer()
        self.objects: dict[str, None] = {}

    def emit(self) -> PythonEntry:
        out, arrays = self.out, self.signature.arrays
        extra = [a for a in arrays if not any(a is p for p in self.signature.positional)]
        parameters = (*self.signature.positional, *extra)
        out.do(f"%views = alloca [{max(1, len(arrays))} x [{_VIEW_BYTES} x i8]], align 16")
        out.do("%status = alloca [2 x i64]")
        out.require(out.compare("eq", "%count", str(len(parameters))))
        out.settle()
        places = {id(p): out.load("ptr", "%args", 8 * k) for k, p in enumerate(parameters)}
        taken = [self.take(k, array, places[id(array)]) for k, array in enumerate(arrays)]
        self.check_types(taken)
        sizes = self.solve(taken)
        strides = [stride for array in taken for stride in self.check_memory(array)]
        self.check_overlap(taken)
        scalars = [self.scalar(s, places[id(s)]) for s in self.signature.scalars]
        out.settle()
        self.call([*(a.buffer for a in taken), *sizes, *strides, *scalars])
        none, not_implemented = self.symbol("None"), self.symbol("NotImplemented")
        text = [
            _DECLARATIONS,
            *(f"@{_OBJECT}{name} = external constant i8" for name in self.objects),
            f"define ptr @{PYTHON_ENTRY}(ptr %self, ptr %args, i64 %count) {GLUE} {{",
            "entry:",
            *out.lines,
            _TAIL.format(exits=out.exits, view=_VIEW_BYTES, count=len(arrays), none=none, refused=not_implemented),
        ]
        return PythonEntry("\n".join(text), tuple(self.objects))

    def symbol(self, name: str) -> str:
        """The symbol of one of the known Python objects."""
        assert name in _OBJECTS, name
        self.objects[name] = None
        return f"@{_OBJECT}{name}"

    def take(self, index: int, parameter: ArrayParameter, argument: str) -> _Array:
        """Ask the argument for its buffer."""
        out = self.out
        flags = _WITH_FORMAT | (_WITH_STRIDES if parameter.strides == "any" else _C_CONTIGUOUS)
        flags |= _WRITABLE if parameter.output else 0
        view = out.offset("%views", _VIEW_BYTES * index)
        failed = out.value(f"call i32 @PyObject_GetBuffer(ptr {argument}, ptr {view}, i32 {flags})")
        out.require(out.compare("eq", failed, "0", "i32"))
        out.settle()
        out.held += 1
        return _Array(parameter, view, [])

    def check_types(self, arrays: list[_Array]) -> None:
        """Element types and numbers of dimensions."""
        out = self.out
        formats = [out.load("ptr", array.view, _FORMAT) for array in arrays]
        for array, letters in zip(arrays, formats, strict=True):
            ndim, itemsize = out.load("i32", array.view, _NDIM), out.load("i64", array.view, _ITEMSIZE)
            out.require(out.compare("eq", ndim, str(len(array.parameter.shape)), "i32"))
            out.require(out.compare("eq", itemsize, str(array.parameter.dtype.bytes)))
            out.require(out.compare("ne", letters, "null", "ptr"))
        out.settle()
        formats = [self.after_prefix(letters) for letters in formats]
        for array, letters in zip(arrays, formats, strict=True):
            letter = out.load("i8", letters)
            known = _letters(array.parameter.dtype)
            out.require(out.any_of([out.compare("eq", letter, str(ord(one)), "i8") for one in known]))
        out.settle()
        for letters in formats:
            out.require(out.compare("eq", out.load("i8", letters, 1), "0", "i8"))
        out.settle()

    def after_prefix(self, letters: str) -> str:
        """The address of the letter, past a sign that says no more than the machine's byte order: NumPy puts one
        before the letters of unaligned arrays."""
        out, sign = self.out, self.out.load("i8", letters)
        native = out.any_of([out.compare("eq", sign, str(ord(one)), "i8") for one in ("=", _BYTE_ORDER)])
        return out.value(f"getelementptr i8, ptr {letters}, i64 {out.value(f'zext i1 {native} to i64')}")

    def solve(self, arrays: list[_Array]) -> list[str]:
        """The sizes, with all promises about them and all extents checked."""
        out, values = self.out, dict[str, str]()
        for array in arrays:
            shape = out.load("ptr", array.view, _SHAPE)
            array.extents = [out.load("i64", shape, 8 * d) for d in range(len(array.parameter.shape))]
        for step in self.plan.steps:
            value = arrays[step.source.position].extents[step.source.dimension]
            if step.rest is not None:
                value = out.checked("sub", value, out.extent(step.rest, values))
            if step.coefficient != 1:
                out.require(out.compare("eq", out.value(f"srem i64 {value}, {step.coefficient}"), "0"))
                value = out.value(f"sdiv i64 {value}, {step.coefficient}")
            values[step.size.name] = value
        for size in self.plan.sizes:
            out.require(out.compare("sge", values[size.name], str(size.min)))
            if size.multiple_of != 1:
                out.require(out.compare("eq", out.value(f"srem i64 {values[size.name]}, {size.multiple_of}"), "0"))
        for check in self.plan.checks:
            extent = arrays[check.position].extents[check.dimension]
            out.require(out.compare("eq", extent, out.extent(check.extent, values)))
        for _, intermediate in self.signature.intermediates:
            for expr in intermediate:
                out.require(out.compare("sge", out.extent(expr, values), "0"))
        out.settle()
        return [values[size.name] for size in self.plan.sizes]

    def check_memory(self, array: _Array) -> list[str]:
        """The bytes that the array spans; the strides in elements, if the kernel takes them."""
        out, itemsize = self.out, array.parameter.dtype.bytes
        array.buffer = array.low = out.load("ptr", array.view, _BUF)
        length = out.load("i64", array.view, _LEN)
        if array.parameter.strides != "any":
            array.high = out.value(f"getelementptr i8, ptr {array.buffer}, i64 {length}")
            return []
        pointer, strides, low, high = out.load("ptr", array.view, _STRIDES), [], "0", str(itemsize)
        for dimension, extent in enumerate(array.extents):
            stride = out.load("i64", pointer, 8 * dimension)
            out.require(out.compare("eq", out.value(f"and i64 {stride}, {itemsize - 1}"), "0"))
            strides.append(out.value(f"ashr i64 {stride}, {itemsize.bit_length() - 1}"))
            span = out.value(f"mul i64 {out.value(f'sub i64 {extent}, 1')}, {stride}")
            low = out.value(f"add i64 {low}, {out.value(f'call i64 @llvm.smin.i64(i64 {span}, i64 0)')}")
            high = out.value(f"add i64 {high}, {out.value(f'call i64 @llvm.smax.i64(i64 {span}, i64 0)')}")
        empty = out.compare("eq", length, "0")
        low, high = (out.value(f"select i1 {empty}, i64 0, i64 {end}") for end in (low, high))
        array.low, array.high = (out.value(f"getelementptr i8, ptr {array.buffer}, i64 {end}") for end in (low, high))
        return strides

    def check_overlap(self, arrays: list[_Array]) -> None:
        """No output shares a byte's range with another array."""
        out = self.out
        for k, array in enumerate(arrays):
            for other in arrays[:k]:
                if array.parameter.output or other.parameter.output:
                    before = out.compare("ule", array.high, other.low, "ptr")
                    out.require(out.any_of([before, out.compare("ule", other.high, array.low, "ptr")]))

    def scalar(self, parameter: ScalarParameter, argument: str) -> str:
        """The value of a scalar argument of a type that is known to convert without running code of the user's."""
        out, dtype = self.out, parameter.dtype
        if dtype.kind == "bool":
            true = self.is_one_of(argument, ("True", "np_True"))
            false = self.is_one_of(argument, ("False", "np_False"))
            out.require(out.any_of([true, false]))
            return out.value(f"zext i1 {true} to i8")
        own = dtype.numpy.type
        accepted: tuple[type, ...] = (int, float, np.float64, own) if dtype.is_float else (int, own)
        if dtype.name == "uint64":
            accepted = (int,)  # the one conversion that takes nothing but an int
        kind = out.load("ptr", argument, cpython.TYPE_OFFSET)
        out.require(self.is_one_of(kind, (f"type_{t.__name__}" for t in accepted)))
        out.settle()
        return self.converted_float(dtype, argument) if dtype.is_float else self.converted_int(dtype, argument)

    def is_one_of(self, pointer: str, names: Iterable[str]) -> str:
        symbols = [self.symbol(name) for name in names]
        return self.out.any_of([self.out.compare("eq", pointer, symbol, "ptr") for symbol in symbols])

    def no_error(self) -> None:
        self.out.require(self.out.compare("eq", self.out.value("call ptr @PyErr_Occurred()"), "null", "ptr"))

    def converted_float(self, dtype: DType, argument: str) -> str:
        """Finite values must stay finite."""
        out = self.out
        value = out.value(f"call double @PyFloat_AsDouble(ptr {argument})")
        self.no_error()
        if dtype.bits == 64:
            return value
        rounded = out.value(f"fptrunc double {value} to float")
        infinite = [
            out.value(f"fcmp oeq {t} {out.value(f'call {t} @llvm.fabs.{s}({t} {v})')}, 0x7FF0000000000000")
            for t, s, v in (("double", "f64", value), ("float", "f32", rounded))
        ]
        out.require(out.value(f"icmp eq i1 {infinite[0]}, {infinite[1]}"))
        return rounded

    def converted_int(self, dtype: DType, argument: str) -> str:
        """Values must be in range."""
        out = self.out
        function = "PyLong_AsUnsignedLongLong" if dtype.name == "uint64" else "PyLong_AsLongLong"
        value = out.value(f"call i64 @{function}(ptr {argument})")
        self.no_error()
        if dtype.bits == 64:
            return value
        out.require(out.compare("sge", value, str(int(dtype.lowest))))
        out.require(out.compare("sle", value, str(int(dtype.highest))))
        return out.value(f"trunc i64 {value} to {llvm_type(dtype)}")

    def call(self, values: list[str]) -> None:
        """Run the kernel without the interpreter's lock."""
        out = self.out
        values = [*values, out.load("ptr", f"@{PARALLEL_CELL}"), out.load("i32", f"@{THREADS_CELL}"), "%status"]
        types = parameter_types(self.signature)
        arguments = ", ".join(f"{of_type} {value}" for of_type, value in zip(types, values, strict=True))
        out.do("store [2 x i64] zeroinitializer, ptr %status")
        out.do("%thread = call ptr @PyEval_SaveThread()")
        out.do(f"%result = call i32 @kernel({arguments})")
        out.do("call void @PyEval_RestoreThread(ptr %thread)")


def _letters(dtype: DType) -> str:
    return _FLOAT_LETTERS[dtype.bits] if dtype.is_float else _LETTERS[dtype.kind]


_TAIL = """
  %succeeded = icmp eq i32 %result, 0
  br i1 %succeeded, label %success, label %failure
success:
  call void @Py_IncRef(ptr {none})
  br label %release
failure:
  %check = load i64, ptr %status
  %second = getelementptr i64, ptr %status, i64 1
  %value = load i64, ptr %second
  %words = call ptr (ptr, ...) @Py_BuildValue(ptr @polysched_failure, i32 %result, i64 %check, i64 %value)
  br label %release
reject:
  %held = phi i64 {exits}
  call void @PyErr_Clear()
  call void @Py_IncRef(ptr {refused})
  br label %release
release:
  %answer = phi ptr [ {none}, %success ], [ %words, %failure ], [ {refused}, %reject ], [ %answer, %next ]
  %left = phi i64 [ {count}, %success ], [ {count}, %failure ], [ %held, %reject ], [ %last, %next ]
  %any = icmp sgt i64 %left, 0
  br i1 %any, label %next, label %done
next:
  %last = sub nsw i64 %left, 1
  %byte = mul i64 %last, {view}
  %view = getelementptr i8, ptr %views, i64 %byte
  call void @PyBuffer_Release(ptr %view)
  br label %release
done:
  ret ptr %answer
}}
"""
