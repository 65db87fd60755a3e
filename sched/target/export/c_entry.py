"""The function that C calls, as LLVM IR beside the kernel: it checks all that the kernel relies on, and calls it.

Every rule that an argument can break has a number of its own, which the function returns, and a sentence, which
`NAME_message` returns. Nothing is called that could end the program.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...lower.abi import CHECK_FAILED, OK, OUT_OF_MEMORY, RELEASE_BLOCKS, ArrayParameter, ScalarParameter, Signature
from ..calling import GLUE, llvm_type, parameter_types
from ..image import uses_threads
from ..ir_writer import Writer
from ..runtime import SERIAL, THREADS
from .c_types import CParameter, CSignature

FIRST_RULE = 16
MESSAGES = {
    OK: "success",
    OUT_OF_MEMORY: "there is no memory for intermediate results",
    CHECK_FAILED: "an index that was read from data is outside of its array; the outputs are undefined",
}
_CONTEXT = "{ i64, i64, i32, ptr }"  # as the header declares it

_WEAK_OPENMP = """
declare extern_weak void @GOMP_parallel(ptr, ptr, i32, i32)
define internal void @parallel_runtime(ptr %body, ptr %data, i32 %threads, i32 %flags) {
  %linked = icmp ne ptr @GOMP_parallel, null
  br i1 %linked, label %openmp, label %own
openmp:
  call void @GOMP_parallel(ptr %body, ptr %data, i32 %threads, i32 %flags)
  ret void
own:
  call void @threads(ptr %body, ptr %data, i32 %threads, i32 %flags)
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class CModule:
    """The text of a module for C, and the sentences for what its function returns."""

    text: str
    messages: dict[int, str]
    uses_threads: bool
    keeps_blocks: bool


def kernel_symbol(name: str) -> str:
    """What `@kernel` of lower/abi.py is called in an exported object file."""
    return f"{name}_kernel"


def release_symbol(name: str) -> str:
    return f"{name}_release"


def c_module(c: CSignature, text: str, system: str) -> CModule:
    """The module of the kernel's text with the functions for C around it; `system` is the target's as LLVM names it."""
    threaded, keeps = uses_threads(text), f"@{RELEASE_BLOCKS}(" in text
    entry = _Entry(c, threaded)
    function = entry.function()
    messages = MESSAGES | {FIRST_RULE + k: rule for k, rule in enumerate(entry.rules)}
    parts = [renamed(text, c.name), function, _message_function(c.name, messages)]
    if not keeps:
        parts.append(f"define void @{release_symbol(c.name)}() {{\n  ret void\n}}\n")
    if threaded:
        parts.append(_runtime(system))
    return CModule("\n".join(parts), messages, threaded, keeps)


def renamed(text: str, name: str) -> str:
    """The text of a kernel, or of what calls it, with names that other kernels in one program do not have."""
    text = text.replace("define i32 @kernel(", f"define hidden i32 @{kernel_symbol(name)}(")
    text = text.replace("call i32 @kernel(", f"call i32 @{kernel_symbol(name)}(")
    return text.replace(f"define void @{RELEASE_BLOCKS}(", f"define void @{release_symbol(name)}(")


def declarations(signature: Signature, name: str) -> str:
    """What a module needs that calls the kernel in an exported object file."""
    types = ", ".join(parameter_types(signature))
    return f"declare i32 @{kernel_symbol(name)}({types})\n"


def _runtime(system: str) -> str:
    """`@parallel_runtime`: OpenMP's where the program has it, else threads of our own, or one where there are none."""
    if system == "linux":
        return _internal(THREADS, "threads") + _WEAK_OPENMP
    if system in ("windows", "win32"):
        return _internal(SERIAL, "serial").replace("@serial(", "@parallel_runtime(")
    return _internal(THREADS, "threads").replace("@threads(", "@parallel_runtime(")


def _internal(text: str, name: str) -> str:
    return text.replace(f"define void @{name}(", f"define internal void @{name}(")


def _message_function(name: str, messages: dict[int, str]) -> str:
    lines, cases, blocks = [], [], []
    for code, words in {**messages, -1: "no code of this kernel's"}.items():
        value, size = _c_string(words)
        label = f"m{code}" if code >= 0 else "unknown"
        lines.append(f"@polysched_{label} = private unnamed_addr constant [{size} x i8] {value}")
        if code >= 0:
            cases.append(f"    i32 {code}, label %{label}")
        blocks.append(f"{label}:\n  ret ptr @polysched_{label}")
    lines.append(f"define ptr @{name}_message(i32 %code) {GLUE} {{")
    lines.append("  switch i32 %code, label %unknown [")
    return "\n".join([*lines, *cases, "  ]", *blocks, "}", ""])


def _c_string(words: str) -> tuple[str, int]:
    data = words.encode() + b"\0"
    return 'c"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data) + '"', len(data)


@dataclass(frozen=True, slots=True)
class _Span:
    """The bytes that an array takes, from `low` up to `high`; `empty` says that there are none."""

    array: ArrayParameter
    low: str
    high: str
    empty: str


class _Entry:
    def __init__(self, c: CSignature, threaded: bool) -> None:
        self.c, self.signature, self.threaded = c, c.signature, threaded
        self.out = Writer()
        self.rules: list[str] = []
        self.values = {id(p): f"%p{k}" for k, p in enumerate(c.parameters)}

    def function(self) -> str:
        """The text of `i32 @NAME(...)`."""
        out, c = self.out, self.c
        out.do("%status = alloca [2 x i64]")
        out.do("store [2 x i64] zeroinitializer, ptr %status")
        sizes = self.check_sizes()
        spans = [self.check_memory(array, sizes) for array in self.signature.arrays]
        for name, shape in self.signature.intermediates:
            self.rule(f"the extents of the intermediate {name} are negative or too large")
            for extent in shape:
                out.require(out.compare("sge", out.extent(extent, sizes), "0"))
            out.settle()
        self.check_overlap(spans)
        self.call(sizes)
        parameters = ", ".join(f"{self.llvm_type(p)} {self.values[id(p)]}" for p in c.parameters)
        code = f"phi i64 {out.exits}" if self.rules else f"add i64 {FIRST_RULE}, 0"
        reject = ["reject:", f"  %code = {code}", "  %rule = trunc i64 %code to i32", "  ret i32 %rule"]
        head = f"define i32 @{c.name}({parameters}{', ' if parameters else ''}ptr %context) {GLUE} {{"
        return "\n".join([head, "entry:", *out.lines, *(reject if out.exits else []), "}", ""])

    @staticmethod
    def llvm_type(parameter: CParameter) -> str:
        if isinstance(parameter.of, ScalarParameter):
            return "i16" if parameter.of.dtype.name == "float16" else llvm_type(parameter.of.dtype)
        return "i64" if parameter.of is None or parameter.dimension is not None else "ptr"

    def rule(self, words: str) -> None:
        """What is required from here on, in words."""
        self.out.held = FIRST_RULE + len(self.rules)
        self.rules.append(words)

    def check_sizes(self) -> dict[str, str]:
        out = self.out
        values = {p.size: self.values[id(p)] for p in self.c.parameters if p.size is not None}
        for size in self.signature.sizes:
            name = self.c.of_size(size.name)
            self.rule(f"{name} must be at least {size.min}")
            out.require(out.compare("sge", values[size.name], str(size.min)))
            out.settle()
            if size.multiple_of != 1:
                self.rule(f"{name} must be a multiple of {size.multiple_of}")
                out.require(out.compare("eq", out.value(f"srem i64 {values[size.name]}, {size.multiple_of}"), "0"))
                out.settle()
        return values

    def check_memory(self, array: ArrayParameter, sizes: dict[str, str]) -> _Span:
        out, name = self.out, self.c.of_array(array)
        pointer = next(self.values[id(p)] for p in self.c.parameters if p.of is array and p.dimension is None)
        self.rule(f"the extents of {name} are negative or too large")
        extents = [out.extent(extent, sizes) for extent in array.shape]
        length = str(array.dtype.bytes)
        for extent in extents:
            out.require(out.compare("sge", extent, "0"))
            length = out.checked("mul", length, extent)
        out.settle()
        empty = out.compare("eq", length, "0")
        self.rule(f"{name} is NULL")
        out.require(out.any_of([out.compare("ne", pointer, "null", "ptr"), empty]))
        out.settle()
        low, high = "0", length
        if array.strides == "any":
            low, high = self.reach(array, extents)
        first, last = (out.value(f"getelementptr i8, ptr {pointer}, i64 {end}") for end in (low, high))
        return _Span(array, first, last, empty)

    def reach(self, array: ArrayParameter, extents: list[str]) -> tuple[str, str]:
        """The bytes from the first element to the least address and past the greatest one."""
        out, size = self.out, array.dtype.bytes
        self.rule(f"the strides of {self.c.of_array(array)} are too large")
        low, high = "0", str(size)
        strides = (self.values[id(p)] for p in self.c.parameters if p.of is array and p.dimension is not None)
        for stride, extent in zip(strides, extents, strict=True):
            steps = out.value(f"call i64 @llvm.smax.i64(i64 {out.value(f'sub i64 {extent}, 1')}, i64 0)")
            span = out.checked("mul", out.checked("mul", stride, str(size)), steps)
            low = out.checked("add", low, out.value(f"call i64 @llvm.smin.i64(i64 {span}, i64 0)"))
            high = out.checked("add", high, out.value(f"call i64 @llvm.smax.i64(i64 {span}, i64 0)"))
        out.settle()
        return low, high

    def check_overlap(self, spans: list[_Span]) -> None:
        out = self.out
        for k, span in enumerate(spans):
            for other in spans[:k]:
                if not (span.array.output or other.array.output):
                    continue
                written, read = (span, other) if span.array.output else (other, span)
                self.rule(f"{self.c.of_array(written.array)} shares memory with {self.c.of_array(read.array)}")
                apart = [out.compare("ule", a.high, b.low, "ptr") for a, b in ((span, other), (other, span))]
                out.require(out.any_of([*apart, span.empty, other.empty]))
                out.settle()

    def call(self, sizes: dict[str, str]) -> None:
        """Call the kernel, and tell the context how it went."""
        out, c = self.out, self.c
        arrays = [next(self.values[id(p)] for p in c.parameters if p.of is array) for array in self.signature.arrays]
        strides = [self.values[id(p)] for p in c.parameters if p.dimension is not None]
        scalars = [self.scalar(scalar) for scalar in self.signature.scalars]
        ordered = [sizes[size.name] for size in self.signature.sizes]
        parallel, threads = self.context() if self.threaded else ("null", "1")
        values = [*arrays, *ordered, *strides, *scalars, parallel, threads, "%status"]
        types = parameter_types(self.signature)
        arguments = ", ".join(f"{of_type} {value}" for of_type, value in zip(types, values, strict=True))
        out.do(f"%result = call i32 @{kernel_symbol(c.name)}({arguments})")
        out.do("%tell = icmp ne ptr %context, null")
        out.do("br i1 %tell, label %report, label %return")
        out.begin("report")
        out.do("%failed = load [2 x i64], ptr %status")
        out.do("store [2 x i64] %failed, ptr %context")
        out.do("br label %return")
        out.begin("return")
        out.do("ret i32 %result")

    def scalar(self, scalar: ScalarParameter) -> str:
        value = next(self.values[id(p)] for p in self.c.parameters if p.of is scalar)
        return self.out.value(f"bitcast i16 {value} to half") if scalar.dtype.name == "float16" else value

    def context(self) -> tuple[str, str]:
        """The function that runs parallel loops, and the number of threads: the context's, or one thread."""
        out = self.out
        out.do("%given = icmp ne ptr %context, null")
        out.do("br i1 %given, label %read, label %chosen")
        before = out.block
        out.begin("read")
        fields = [out.value(f"getelementptr {_CONTEXT}, ptr %context, i32 0, i32 {field}") for field in (2, 3)]
        wanted = out.value(f"call i32 @llvm.smax.i32(i32 {out.load('i32', fields[0])}, i32 1)")
        own = out.load("ptr", fields[1])
        none = out.compare("eq", own, "null", "ptr")
        parallel = out.value(f"select i1 {none}, ptr @parallel_runtime, ptr {own}")
        out.do("br label %chosen")
        out.begin("chosen")
        out.do(f"%parallel = phi ptr [ @parallel_runtime, %{before} ], [ {parallel}, %read ]")
        out.do(f"%threads = phi i32 [ 1, %{before} ], [ {wanted}, %read ]")
        return "%parallel", "%threads"
