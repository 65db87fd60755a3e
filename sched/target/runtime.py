"""The function that runs the bodies of parallel loops: GOMP_parallel of an OpenMP runtime, or one of our own.

    void parallel(void (*body)(ptr data), ptr data, i32 threads, i32 flags)

calls body(data) on the calling thread and on up to threads - 1 others at the same time, and returns when all calls
have returned. Kernels read its address from one variable at every call, because it changes when a process forks: the
threads of an OpenMP runtime do not exist in the child, which would wait for them for ever.

POLYSCHED_PARALLEL chooses: "openmp", "threads" (our own) or "serial"; by default OpenMP if there is one. It is read
once, when the first kernel with a parallel loop is made. A forked child never uses OpenMP.
"""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ..errors import TargetError
from .jit import NativeCode
from .machine import Target

Kind = Literal["openmp", "threads", "serial"]
_KINDS = ("openmp", "threads", "serial")
_OPENMP_NAMES = re.compile(r"lib(gomp|omp|iomp5)\b[^/]*\.(so|dylib)[^/]*")

# Threads that live for one call need no state that a fork could break, and no Python: a pool of Python threads would
# need the interpreter's lock to start each body, and could be torn away from a running body by a signal handler.
# A thread that cannot be started is left out; the others do its share.
THREADS = """
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(ptr, ptr)

define internal ptr @worker(ptr %task) {
  %body = load ptr, ptr %task
  %field = getelementptr ptr, ptr %task, i64 1
  %data = load ptr, ptr %field
  call void %body(ptr %data)
  ret ptr null
}

define void @threads(ptr %body, ptr %data, i32 %threads, i32 %flags) {
entry:
  %task = alloca [2 x ptr]
  store ptr %body, ptr %task
  %field = getelementptr ptr, ptr %task, i64 1
  store ptr %data, ptr %field
  %wanted = call i32 @llvm.smax.i32(i32 %threads, i32 1)
  %workers = alloca ptr, i32 %wanted
  br label %start
start:
  %n = phi i32 [ 1, %entry ], [ %next, %one ]
  %more = icmp slt i32 %n, %wanted
  br i1 %more, label %one, label %run
one:
  %place = getelementptr ptr, ptr %workers, i32 %n
  %error = call i32 @pthread_create(ptr %place, ptr null, ptr @worker, ptr %task)
  %next = add nsw i32 %n, 1
  %started = icmp eq i32 %error, 0
  br i1 %started, label %start, label %run
run:
  call void %body(ptr %data)
  br label %wait
wait:
  %left = phi i32 [ %n, %run ], [ %last, %join ]
  %any = icmp sgt i32 %left, 1
  br i1 %any, label %join, label %done
join:
  %last = sub nsw i32 %left, 1
  %which = getelementptr ptr, ptr %workers, i32 %last
  %worker = load ptr, ptr %which
  %ignored = call i32 @pthread_join(ptr %worker, ptr null)
  br label %wait
done:
  ret void
}
"""
SERIAL = """
define void @serial(ptr %body, ptr %data, i32 %threads, i32 %flags) {
  call void %body(ptr %data)
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A `parallel` function, and what it comes from: the name of its library or code of our own."""

    kind: Kind
    address: int
    library: str = ""
    code: NativeCode | None = None

    def __str__(self) -> str:
        return f"{self.kind} ({self.library})" if self.library else self.kind


@dataclass(slots=True)
class _Choice:
    """What this process uses; `forked` says that it is a child, where no OpenMP runtime can be trusted."""

    runtime: Runtime | None = None
    forked: bool = False


_choice = _Choice()
_cell = ctypes.c_void_p()


def parallel_cell(used: bool = True) -> int:
    """The address of the variable that holds the address of `parallel`; 0 may be in it for code that has no use for it.

    Raises TargetError if it is used, and POLYSCHED_PARALLEL asks for something that is not there.
    """
    if used:
        _runtime()
    return ctypes.addressof(_cell)


def parallel_address() -> int:
    """The address of `parallel` at this moment."""
    return _runtime().address


def runtime_name() -> str:
    """What runs parallel loops, for reports: "openmp (libgomp.so.1)", "threads" or "serial"."""
    return str(_runtime())


def _runtime() -> Runtime:
    """The runtime in use, chosen at the first call. Threads that choose at the same time choose the same."""
    return _choice.runtime or _set(_choose(os.environ.get("POLYSCHED_PARALLEL") or None))


def _set(runtime: Runtime) -> Runtime:
    _choice.runtime, _cell.value = runtime, runtime.address
    return runtime


def _choose(kind: str | None) -> Runtime:
    if kind not in (None, *_KINDS):
        raise TargetError(f"the environment variable POLYSCHED_PARALLEL is {kind!r}; accepted are {', '.join(_KINDS)}")
    if kind in (None, "openmp") and not _choice.forked:
        if (runtime := _openmp()) is not None:
            return runtime
        if kind is not None:
            raise TargetError('POLYSCHED_PARALLEL is "openmp", but there is no OpenMP runtime with GOMP_parallel')
    return _own("serial" if kind == "serial" or os.name != "posix" else "threads")


def _openmp() -> Runtime | None:
    """An OpenMP runtime that the process already has, so that there are not two; else the system's libgomp."""
    loaded = getattr(os, "RTLD_NOLOAD", 0)
    for name, mode in (*((path, loaded | os.RTLD_NOW) for path in _mapped_openmp()), ("libgomp.so.1", os.RTLD_NOW)):
        try:
            function = ctypes.CDLL(name, mode=mode).GOMP_parallel
        except (OSError, AttributeError):
            continue
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address is not None
        return Runtime("openmp", address, Path(name).name)
    return None


def _mapped_openmp() -> list[str]:
    """Paths of the OpenMP runtimes in this process, on Linux."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = dict.fromkeys(line.split(maxsplit=5)[5] for line in lines if "omp" in line and "/" in line)
    return [path for path in paths if _OPENMP_NAMES.fullmatch(Path(path).name)]


@cache
def _own(kind: Literal["threads", "serial"]) -> Runtime:
    """A runtime of our own, compiled once and never given back."""
    code = NativeCode(THREADS if kind == "threads" else SERIAL, Target(), [kind], {})
    return Runtime(kind, code.address(kind), code=code)


def _before_fork() -> None:
    """Compile what the child will need, which shall not have to wait for LLVM."""
    if _choice.runtime is not None and _choice.runtime.kind == "openmp":
        _own("threads")


def _in_child() -> None:
    """Leave OpenMP, which anything in the parent may have used, whether or not it was ours already."""
    _choice.forked = True
    if _choice.runtime is not None and _choice.runtime.kind == "openmp":
        _set(_own("threads"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
