"""`Kernel`: what building a schedule gives, and what users call."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ArgumentError, BoundsError, TargetError
from ..lower.abi import CHECK_FAILED, OK, ArrayParameter, Signature
from ..schedule.suggestion import meant
from . import jit, runtime
from .arguments import Arguments
from .arrays import empty
from .calling import PACKED_ENTRY, packed_arguments
from .cpython import builtin
from .entry import PYTHON_ENTRY
from .image import Image, make_image
from .machine import Target

if TYPE_CHECKING:
    from .benchmark import Benchmark
    from .export import Exported

Source = str | Callable[[], str]
Sources = Mapping[str, Source]
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
        code: str | Image | None,
        target: Target,
        *,
        sources: Sources | Callable[[], Sources],
        timings: Mapping[str, float],
        warnings: tuple[str, ...],
        rounding: str,
        made: Callable[[Image], None] | None = None,
    ) -> None:
        """`code` is the LLVM IR that defines `@kernel`, or its image; None where this machine cannot run it. `made` is
        called with an image that is compiled here. `sources` may be a function, called when one is first asked for."""
        self.name, self.signature, self.target = name, signature, target
        self.timings = dict(timings)
        self.warnings, self.rounding = warnings, rounding
        self._given_sources = sources
        self._text = code if isinstance(code, str) else None
        self._sources: dict[str, Source] = {}
        self._arguments = Arguments(name, signature)
        self._threads = ctypes.c_int32(target.threads or 1)
        self._decides_threads = False
        self._code: jit.NativeCode | None = None
        self._fast: Callable[..., Any] | None = None
        if isinstance(code, Image):
            self._link(code)
        elif code is not None and target.can_run():
            image = self._compiled(code)
            if made is not None:
                made(image)
        self._returns = _return_places(signature)
        self._array_places = tuple(k for k, p in enumerate(signature.positional) if isinstance(p, ArrayParameter))
        self._extra = tuple((p.name, p.dtype.numpy) for p in self._arguments.extra)
        self._known_shapes: dict[tuple[_Shape, ...], tuple[_Shape, ...]] = {}

    def _compiled(self, text: str) -> Image:
        image = make_image(text, self.signature, self._arguments.all_arrays, self.target, self.timings)
        try:
            self._link(image)
        except TargetError as error:
            raise jit.missing_functions(jit.undefined(text) or [error.reason]) from None
        return image

    def _link(self, image: Image) -> None:
        self._code = image.link(self.target, self._threads)
        self.timings |= self._code.timings
        self._decides_threads = self.target.threads is None and image.uses_threads
        if image.python is not None:
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

        kind  "schedule", "nest", "loops", "isl", "llvm" (as optimised), "llvm-raw" (as generated) or "asm"; for every
              target
        """
        if not self._sources:
            self._sources = self._all_sources()
        if kind not in self._sources:
            raise ArgumentError(
                f"there is no source {kind!r} of {self.name}; there are {', '.join(self._sources)}"
                f"{meant(kind, self._sources)}"
            )
        source = self._sources[kind]
        if not isinstance(source, str):
            source = self._sources[kind] = source()
        return source

    def _all_sources(self) -> dict[str, Source]:
        given = dict(self._given_sources() if callable(self._given_sources) else self._given_sources)
        raw = given.pop("llvm-raw", self._text)
        if raw is None:
            return given
        return {**given, "llvm": self._optimized, "llvm-raw": raw, "asm": self._assembly}

    def _optimized(self) -> str:
        return jit.optimized_ir(self.source("llvm-raw"), self.target)

    def _assembly(self) -> str:
        return jit.assembly(self.source("llvm-raw"), self.target)

    def benchmark(
        self, *args: Any, out: Any = None, min_time: float = 0.2, rounds: int = 5, **kwargs: Any
    ) -> Benchmark:
        """Time calls with these arguments, after one that is not counted; outputs are made once.

        min_time  seconds of timed calls, at least
        rounds    samples, at least
        """
        from .benchmark import measure  # noqa: PLC0415 - a program that only calls kernels does without statistics

        results = self(*args, out=out, **kwargs)
        if out is None and self._arguments.extra:
            made = zip(self.signature.outputs, (results,) if len(self._returns) == 1 else results, strict=True)
            by_name = {output.name: array for output, array in made}
            out = tuple(by_name[parameter.name] for parameter in self._arguments.extra)
        return measure(lambda: self(*args, out=out, **kwargs), min_time, rounds)

    def export(
        self, directory: str | os.PathLike[str], *, name: str | None = None, products: Iterable[str] | None = None
    ) -> Exported:
        """Write the kernel as files for C; see `polysched.export`."""
        from .export import export  # noqa: PLC0415 - it is made of kernels, and few programs ask for it

        return export(self, directory, name=name, products=products)

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


def _why_not(target: Target) -> str:
    if not target.is_native_arch:
        return f"it was built for {target}"
    return f"it was built for {target}, and this CPU lacks {', '.join(target.missing_features())}"
