"""The machine that code is generated for: `Target`. A leaf: every room may read it.

Schedules and recipes take vector widths, register counts and cache sizes from here; the JIT takes LLVM's names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..errors import TargetError
from . import processors

# Names that are no triples: the architecture and LLVM's name of the least processor that has it.
_LEVELS = {
    "x86-64": ("x86_64", "x86-64"),
    "x86-64-v2": ("x86_64", "x86-64-v2"),
    "x86-64-v3": ("x86_64", "x86-64-v3"),
    "x86-64-v4": ("x86_64", "x86-64-v4"),
    "aarch64": ("aarch64", "generic"),
}
_GENERIC = {"x86_64": "x86-64", "aarch64": "generic"}
_ACCEPTED = f"native, {', '.join(_LEVELS)}, and LLVM triples such as aarch64-unknown-linux-gnu"
_FEATURES = re.compile(r"[+-][\w.-]+(,[+-][\w.-]+)*")

# Features that code has only where an intrinsic asks for them, or that are of use to an operating system only: a
# processor that lacks one of them (a hypervisor hides many) runs the code all the same.
# fmt: off
_ASKED_FOR = frozenset((
    "aes", "cldemote", "clflushopt", "clwb", "clzero", "cmpccxadd", "enqcmd", "fsgsbase", "hreset", "invpcid",
    "kl", "lwp", "movdir64b", "movdiri", "movrs", "mwaitx", "pclmul", "pconfig", "pku", "prefetchi",
    "ptwrite", "raoint", "rdpid", "rdpru", "rdrnd", "rdseed", "rtm", "serialize", "sgx", "sha", "sha512",
    "shstk", "sm3", "sm4", "tsxldtrk", "uintr", "usermsr", "vaes", "vpclmulqdq", "waitpkg", "wbnoinvd",
    "widekl", "xsave", "xsavec", "xsaveopt", "xsaves", "avx512vp2intersect", "amx-avx512", "amx-bf16",
    "amx-complex", "amx-fp16", "amx-fp8", "amx-int8", "amx-movrs", "amx-tf32", "amx-tile",
))
# fmt: on
_MAX_THREADS = 4096


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Target:
    """What code is generated for.

    name      "native": this machine with all it has; a level of x86-64 from "x86-64" to "x86-64-v4"; "aarch64"; or an
              LLVM triple
    cpu       LLVM's name of a processor, such as "znver4"; by default the host's for "native", else the least one
    features  LLVM's feature string, such as "+avx2,-fma", in addition to the processor's; "+prefer-256-bit" keeps
              vectors at 256 bits on AVX-512 machines
    threads   of parallel loops; by default decided at each call: POLYSCHED_NUM_THREADS, else the processors that
              the calling thread may run on

    The facts: vectors have `vector_bits` bits and there are `vector_registers` of them; `l1_bytes` to `l3_bytes` are
    the sizes of the data caches (measured for "native" on Linux, a small machine's otherwise). `dot_bits` are those of
    the longest vectors in which pairs of 16-bit integers are multiplied and summed into 32 bits by one instruction, 0
    without such; `has_vnni` says that there is one for four bytes, too, and that both accumulate.

    Raises TargetError for a name, processor or feature that LLVM does not know.

    >>> import polysched as ps
    >>> target = ps.Target("x86-64-v3", threads=4)
    >>> target.vector_bits, target.vector_registers, target.has_fma
    (256, 16, True)
    """

    name: str
    triple: str
    cpu: str
    features: str
    threads: int | None
    vector_bits: int
    vector_registers: int
    dot_bits: int
    has_vnni: bool
    has_fma: bool
    has_f16c: bool
    has_scalef: bool
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int

    def __init__(
        self, name: str = "native", cpu: str | None = None, features: str | None = None, threads: int | None = None
    ) -> None:
        triple = _triple(name)
        arch = processors.arch(triple)
        if cpu is not None:
            _check_cpu(cpu, triple)
        if features:
            _check_features(features, triple)
        if threads is not None and not (isinstance(threads, int) and 1 <= threads <= _MAX_THREADS):
            raise TargetError(f"threads is {threads!r}; an integer from 1 to {_MAX_THREADS} or None is expected")
        given = features or ""
        if name == "native" and cpu is None:
            cpu, features = processors.host_cpu(), ",".join(filter(None, (_host_features(), given)))
        else:
            cpu = cpu or (_LEVELS[name][1] if name in _LEVELS else _GENERIC.get(arch, ""))
            features = given
        bits, registers, dots, vnni, fma, f16c, scalef = _vectors(triple, cpu, features)
        l1, l2, l3 = _caches() if name == "native" else _SMALL_CACHES
        values = (name, triple, cpu, features, threads, bits, registers, dots, vnni, fma, f16c, scalef, l1, l2, l3)
        for field, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, field, value)

    @classmethod
    def of(cls, target: Target | str | None) -> Target:
        """The target that is meant where a `Target`, its name or nothing (this machine) may be given."""
        return target if isinstance(target, Target) else cls("native" if target is None else target)

    def __repr__(self) -> str:
        threads = "" if self.threads is None else f", threads={self.threads}"
        return f"Target({self.name!r}, cpu={self.cpu!r}{threads})"

    def __str__(self) -> str:
        return f"{self.name} ({self.triple}, {self.cpu or 'generic'}, {self.vector_bits}-bit vectors)"

    @property
    def is_native_arch(self) -> bool:
        """Whether this process runs code of the target's architecture and operating system."""
        host = processors.host_triple()
        ours, theirs = ((processors.arch(t), processors.system(t)) for t in (host, self.triple))
        return ours == theirs

    def missing_features(self) -> tuple[str, ...]:
        """The features that code for the target may use and this processor does not have."""
        if not self.is_native_arch:
            return ()
        lacking = tuple(f for f, on in processors.host_features().items() if not on and f not in _ASKED_FOR)
        return tuple(sorted(_having(self.triple, self.cpu, self.features, lacking)))

    @property
    def has_range(self) -> bool:
        """Whether there is an instruction for the least and greatest of vectors that tells -0.0 from 0.0."""
        return self._is_x86 and len(self._having("avx512dq", "avx512vl")) == 2

    @property
    def has_mask_registers(self) -> bool:
        """Whether vectors of all types are loaded and stored under a mask as fast as whole ones."""
        return self._is_x86 and len(self._having("avx512bw", "avx512vl")) == 2

    @property
    def has_rounding(self) -> bool:
        """Whether vectors of floats are rounded to integers by an instruction: not by the oldest x86-64."""
        return not self._is_x86 or bool(self._having("sse4.1"))

    @property
    def _is_x86(self) -> bool:
        return processors.arch(self.triple) == "x86_64"

    def _having(self, *names: str) -> frozenset[str]:
        """Those of these features of x86-64 that the processor has."""
        return _having(self.triple, self.cpu, self.features, names)

    def can_run(self) -> bool:
        """Whether code for the target runs in this process."""
        return self.is_native_arch and not self.missing_features()

    def thread_count(self) -> int:
        """How many threads a parallel loop that starts now may use.

        Raises TargetError if POLYSCHED_NUM_THREADS is set to something else than a positive integer.
        """
        if self.threads is not None:
            return self.threads
        setting = os.environ.get("POLYSCHED_NUM_THREADS")
        if not setting:
            return min(_available_processors(), _MAX_THREADS)
        if not (setting.isascii() and setting.isdecimal() and 1 <= int(setting) <= _MAX_THREADS):
            raise TargetError(
                f"the environment variable POLYSCHED_NUM_THREADS is {setting[:40]!r}; an integer from 1 to "
                f"{_MAX_THREADS} is expected"
            )
        return int(setting)


def _available_processors() -> int:
    """The processors that the calling thread may run on, where the system tells; all of them otherwise."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _triple(name: str) -> str:
    if not isinstance(name, str):
        raise TargetError(f"the target is a {type(name).__name__}; accepted are {_ACCEPTED}")
    host = processors.host_triple()
    if name == "native":
        return host
    if name in _LEVELS:
        wanted = _LEVELS[name][0]
        return host if processors.arch(host) == wanted else f"{wanted}-{host.partition('-')[2]}"
    if not (re.fullmatch(r"\w+(-[\w.]+)+", name, re.ASCII) and processors.arch(name) and processors.has_backend(name)):
        raise TargetError(f"there is no target {name[:80]!r}; accepted are {_ACCEPTED}")
    return name


def _check_cpu(cpu: str, triple: str) -> None:
    known, _ = processors.known_names(triple)
    if cpu not in known:
        raise TargetError(f"LLVM knows no processor cpu={cpu!r} of {triple}; {_nearest(cpu, known)}")


def _check_features(features: str, triple: str) -> None:
    if not isinstance(features, str) or not _FEATURES.fullmatch(features):
        raise TargetError(f'features is {features!r}; a string such as "+avx2,-fma" is expected')
    _, known = processors.known_names(triple)
    for feature in features.split(","):
        if feature[1:] not in known:
            raise TargetError(f"LLVM knows no feature {feature!r} of {triple}; {_nearest(feature[1:], known)}")


def _nearest(name: object, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - for wrong names alone

    names = sorted(known)
    shown = difflib.get_close_matches(str(name), names, 8, 0.5) or names
    listing = ", ".join(shown[:200])
    return f"accepted are {listing}" if len(shown) == len(names) else f"the nearest of {len(names)} are {listing}"


def _host_features() -> str:
    """This processor's features as LLVM's feature string, empty if LLVM cannot tell."""
    return ",".join("-+"[on] + feature for feature, on in processors.host_features().items())


@lru_cache(maxsize=256)
def _having(triple: str, cpu: str, features: str, names: tuple[str, ...]) -> frozenset[str]:
    """Those of `names` that the processor has."""
    if features and features == _host_features():
        return frozenset(name for name in names if processors.host_features().get(name))
    return processors.implied(triple, cpu, features, names)


def _vectors(triple: str, cpu: str, features: str) -> tuple[int, int, int, bool, bool, bool, bool]:
    """Bits of a vector register, how many there are, the bits of one with dot products, and whether there are VNNI,
    fma, conversions of float16, and products with powers of two of any size."""
    match processors.arch(triple):
        case "x86_64":
            names = ("avx", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512vnni", "avxvnni", "fma", "f16c")
            has = _having(triple, cpu, features, names)
            wide = "avx512f" in has
            bits = 128 if "avx" not in has else 512 if wide and "+prefer-256-bit" not in features else 256
            dots = min(bits, 512 if "avx512bw" in has else 256 if "avx2" in has else 128)
            vnni = {"avx512vnni", "avx512vl"} <= has or (dots <= 256 and "avxvnni" in has)
            return bits, 32 if wide else 16, dots, vnni, "fma" in has, "f16c" in has, "avx512vl" in has
        case "aarch64":
            return 128, 32, 0, False, True, True, False
        case _:
            return 128, 16, 0, False, False, False, False


_SMALL_CACHES = (32 << 10, 512 << 10, 8 << 20)
_CACHE_DIRECTORY = "/sys/devices/system/cpu/cpu0/cache"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _caches() -> tuple[int, int, int]:
    """Bytes of the data caches of levels 1 to 3; what the system does not tell is a small machine's."""
    sizes = list(_SMALL_CACHES)
    try:
        found = sorted(entry.path for entry in os.scandir(_CACHE_DIRECTORY) if entry.name.startswith("index"))
    except OSError:
        found = []
    for index in found:
        try:
            level, kind, size = (_line(f"{index}/{what}") for what in ("level", "type", "size"))
        except OSError:
            continue
        if kind in ("Data", "Unified") and level in ("1", "2", "3") and re.fullmatch(r"\d+[KMG]", size):
            sizes[int(level) - 1] = int(size[:-1]) * _UNITS[size[-1]]
    return sizes[0], sizes[1], sizes[2]


def _line(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return file.read(64).decode(errors="replace").strip()
