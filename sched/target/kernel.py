"""`Kernel`: what building a schedule gives, and what users call."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..errors import ArgumentError, BoundsError, TargetError
from ..lower.abi import CHECK_FAILED, OK, ArrayParameter, Signature
from ..lower.llvm.blocks import RELEASE_BLOCKS
from . import jit, runtime
from .arguments import Arguments
from .arrays import empty
from .benchmark import Benchmark, measure
from .calling import PACKED_ENTRY, packed_arguments, packed_entry
from .cpython import builtin
from .entry import PARALLEL_CELL, PYTHON_ENTRY, THREADS_CELL, python_entry
from .machine import Target

Source = str | Callable[[], str]
_REMEMBERED_SHAPES = 256  # combinations of input shapes whose outputs' shapes are kept
_Shape = tuple[int, ...]


class Kernel:
    """A compiled computation, called with arrays.

    `kernel(a, b)` takes the arguments in the order they were built with, or by name; sizes that no array determines
    are given by name, too. It returns the output, or a tuple of them; `out=` (an array, or a tuple) gives the memory
    for them. Arrays are NumPy's or anything with DLPack or the buffer protocol, and are never copied. Several threads
    may call at the same time, and other Python threads run meanwhile.

    A call raises ArgumentError for arguments that do not fit, BoundsError for an index that was read from data and
    fails its run-time check (the outputs are then undefined), MemoryError if there is no memory for intermediates, and
    TargetError if this machine cannot run the code.

    name, target, signature  what it was built from
    timings   milliseconds that each stage of the build took
    warnings  what the build has to say, numbered
    rounding  how floating-point results are rounded, in words
    """

    def __init__(
        self,
        name: str,
        signature: Signature,
        llvm_text: str,
        target: Target,
        *,
        sources: Mapping[str, Source],
        timings: Mapping[str, float],
        warnings: tuple[str, ...],
        rounding: str,
    ) -> None:
        self.name, self.signature, self.target = name, signature, target
        self.timings = dict(timings)
        self.warnings, self.rounding = warnings, rounding
        self._text = llvm_text
        self._sources: dict[str, Source] = {
            **sources,
            "llvm": lambda: jit.optimized_ir(llvm_text, target),
            "llvm-raw": llvm_text,
            "asm": lambda: jit.assembly(llvm_text, target),
        }
        self._arguments = Arguments(name, signature)
        self._threads = ctypes.c_int32(target.threads or 1)
        self._decides_threads = target.threads is None and _reads_threads(llvm_text)
        self._code: jit.NativeCode | None = None
        self._fast: Callable[..., Any] | None = None
        if target.can_run():
            self._compile()
        self._returns = _return_places(signature)
        self._array_places = tuple(k for k, p in enumerate(signature.positional) if isinstance(p, ArrayParameter))
        self._extra = tuple((p.name, p.dtype.numpy) for p in self._arguments.extra)
        self._known_shapes: dict[tuple[_Shape, ...], tuple[_Shape, ...]] = {}

    def _compile(self) -> None:
        entry = python_entry(self.signature, self._arguments.all_arrays)
        text = self._text + packed_entry(self.signature)
        exports, symbols = [PACKED_ENTRY], dict[str, int]()
        last = RELEASE_BLOCKS if f"@{RELEASE_BLOCKS}(" in self._text else None
        if entry is not None:
            text += entry.text
            exports.append(PYTHON_ENTRY)
            cells = {PARALLEL_CELL: runtime.parallel_cell(), THREADS_CELL: ctypes.addressof(self._threads)}
            symbols = entry.symbols | cells
        self._code = jit.NativeCode(text, self.target, exports, symbols, last)
        self.timings |= self._code.timings
        if entry is not None:
            self._fast = builtin(self.name, self._code.address(PYTHON_ENTRY), (self._code, self._threads))
        self._slow = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(self._code.address(PACKED_ENTRY))

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        fast = self._fast
        if fast is not None and not kwargs:
            if out is not None:
                given = args + (out if isinstance(out, tuple) else (out,))
            else:
                given = self._with_outputs(args) if self._arguments.extra else args
            if self._decides_threads:
                self._threads.value = self.target.thread_count()
            result = fast(*given)
            if result is None:
                places = self._returns
                return given[places[0]] if len(places) == 1 else tuple([given[k] for k in places])
            if result is not NotImplemented:
                self._fail(*result)
        return self._call_slowly(args, kwargs, out)

    def _with_outputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments and new outputs, if shapes like these were seen before; otherwise the arguments, which the
        fast way then refuses because they are too few."""
        try:
            shapes = self._known_shapes.get(tuple([args[k].shape for k in self._array_places]), ())
        except (AttributeError, IndexError, TypeError):
            return args
        return args + tuple([empty(*what, shape) for what, shape in zip(self._extra, shapes, strict=False)])

    def _call_slowly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Any:
        if self._code is None:
            raise TargetError(f"{self.name} cannot run here: {_why_not(self.target)}; its source(kind) can be read")
        bound = self._arguments.bind(args, kwargs, out)
        status = (ctypes.c_int64 * 2)()
        slots = packed_arguments(
            self.signature,
            (
                *(array.ctypes.data for array in bound.arrays),
                *(*bound.sizes, *bound.strides, *bound.scalars),
                *(runtime.parallel_address(), self.threads, ctypes.addressof(status)),
            ),
        )
        result = self._slow(slots)
        if result != OK:
            self._fail(result, *status)
        if out is None and not kwargs and len(self._known_shapes) < _REMEMBERED_SHAPES:
            self._remember(bound.arrays)
        return bound.results[0] if len(bound.results) == 1 else bound.results

    def _remember(self, arrays: tuple[Any, ...]) -> None:
        listed = len(self._array_places)
        self._known_shapes[tuple(a.shape for a in arrays[:listed])] = tuple(a.shape for a in arrays[listed:])

    def _fail(self, result: int, check: int, value: int) -> NoReturn:
        """Raise what a kernel reported that has run and did not end well."""
        if result != CHECK_FAILED:
            raise MemoryError(f"{self.name}: no memory for the intermediate tensors")
        failed = self.signature.checks[check]
        where = f", at {failed.location}" if failed.location else ""
        raise BoundsError(
            f"{self.name} read the index {value} from its data, but dimension {failed.dimension} of {failed.tensor} "
            f"has no such element{where}; the outputs are undefined"
        )

    def source(self, kind: str) -> str:
        """The kernel in one of its forms on the way to machine code.

        kind  "loops", "isl", "llvm" (as optimised), "llvm-raw" (as generated) or "asm"; for every target
        """
        if kind not in self._sources:
            raise ArgumentError(f"there is no source {kind!r} of {self.name}; there are {', '.join(self._sources)}")
        source = self._sources[kind]
        if not isinstance(source, str):
            source = self._sources[kind] = source()
        return source

    def benchmark(
        self, *args: Any, out: Any = None, min_time: float = 0.2, rounds: int = 5, **kwargs: Any
    ) -> Benchmark:
        """Time calls with these arguments, after one that is not counted; outputs are made once.

        min_time  seconds of timed calls, at least
        rounds    samples, at least
        """
        results = self(*args, out=out, **kwargs)
        if out is None and self._arguments.extra:
            made = zip(self.signature.outputs, (results,) if len(self._returns) == 1 else results, strict=True)
            by_name = {output.name: array for output, array in made}
            out = tuple(by_name[parameter.name] for parameter in self._arguments.extra)
        return measure(lambda: self(*args, out=out, **kwargs), min_time, rounds)

    @property
    def threads(self) -> int:
        """How many threads a call that starts now would use for its parallel loops."""
        return self.target.thread_count()

    def __repr__(self) -> str:
        parameters = ", ".join(parameter.name for parameter in self.signature.positional)
        outputs = ", ".join(output.name for output in self.signature.outputs)
        return f"<Kernel {self.name}({parameters}) -> {outputs} for {self.target}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is machine code of this process and cannot be pickled or copied: keep the schedule, with "
            "Schedule.to_text(), and build again"
        )


def _return_places(signature: Signature) -> tuple[int, ...]:
    """Where the outputs are among the positional arguments followed by the other outputs."""
    given = list(signature.positional)
    given += [output for output in signature.arrays if not any(output is p for p in given)]
    return tuple(next(k for k, p in enumerate(given) if p is output) for output in signature.outputs)


def _reads_threads(text: str) -> bool:
    """Whether `@kernel` uses its parameter `threads`, the last but one: the count then has to be found at each call."""
    header = re.search(r"^define [^\n]*@kernel\([^\n]*i32[^\n%]*(%[\w.$-]+), ptr[^\n,]*\)", text, re.MULTILINE)
    if header is None:
        return True
    return re.search(re.escape(header[1]) + r"(?![\w.$-])", text[header.end() :]) is not None


def _why_not(target: Target) -> str:
    if not target.is_native_arch:
        return f"it was built for {target}"
    return f"it was built for {target}, and this CPU lacks {', '.join(target.missing_features())}"
