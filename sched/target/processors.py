"""What LLVM knows about processors: this machine's, which names exist, and what a name stands for.

LLVM is asked instead of a table of ours, so that a processor added to LLVM is known here too. A name that LLVM does
not know must never reach `target_machine`: LLVM prints to stderr, and may abort the process.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache

import llvmlite.binding as llvm


def _initialize(triple: str) -> None:
    """Register the back end for the triple; LLVM needs it once, before the first question."""
    if triple == host_triple():
        _initialize_native()
    else:
        _initialize_all()


@cache
def _initialize_native() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@cache
def _initialize_all() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@cache
def host_triple() -> str:
    """The triple of this process."""
    return llvm.get_process_triple()


@cache
def host_cpu() -> str:
    """LLVM's name of this processor; a hypervisor may make it a related one, `host_features` is exact."""
    return llvm.get_host_cpu_name()


@cache
def host_features() -> dict[str, bool]:
    """Whether this processor has each of the features that LLVM can detect."""
    return dict(sorted(llvm.get_host_cpu_features().items()))


@lru_cache(maxsize=256)
def arch(triple: str) -> str:
    """The architecture of a triple as LLVM names it, "" if it knows none."""
    name = llvm.get_triple_parts(triple).Arch
    return "" if name == "unknown" else {"arm64": "aarch64"}.get(name, name)


@lru_cache(maxsize=256)
def system(triple: str) -> str:
    """The operating system of a triple as LLVM names it."""
    return llvm.get_triple_parts(triple).OS


def has_backend(triple: str) -> bool:
    """Whether this build of LLVM generates code for the triple."""
    _initialize(triple)
    try:
        llvm.Target.from_triple(triple)
    except RuntimeError:
        return False
    return True


def target_machine(triple: str, cpu: str, features: str) -> llvm.TargetMachine:
    """LLVM's code generator: position-independent code in the small code model, which the JIT links too."""
    _initialize(triple)
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=2, reloc="pic", codemodel="small"
    )


# The levels of x86-64 are fixed (System V ABI, AMD64 supplement), and asking LLVM takes 10 ms: what each adds, of the
# features that LLVM detects on a host.
_ADDED = {
    "x86-64": ("64bit", "cmov", "cx16", "cx8", "fxsr", "mmx", "sahf", "sse", "sse2"),
    "x86-64-v2": ("crc32", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"),
    "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"),
    "x86-64-v4": ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
}


def implied(triple: str, cpu: str, features: str, names: tuple[str, ...]) -> frozenset[str]:
    """Those of `names`, features that LLVM detects on hosts, that a processor of the triple has, given by LLVM's cpu
    name and feature string."""
    if cpu in _ADDED and not features and arch(triple) == "x86_64":
        levels = list(_ADDED)[: list(_ADDED).index(cpu) + 1]
        return frozenset(names).intersection(name for level in levels for name in _ADDED[level])
    return ask(triple, cpu, features, names)


@lru_cache(maxsize=256)
def ask(triple: str, cpu: str, features: str, names: tuple[str, ...]) -> frozenset[str]:
    """What `implied` says, from LLVM.

    LLVM inlines a function only into one that has all of its features. So each name becomes a small function that
    needs it and a caller on the processor in question; where the call is gone, the feature is there.
    """
    base = f'"target-cpu"="{cpu}" "target-features"="{features}'
    lines = []
    for k, name in enumerate(names):
        more = f"{',' if features else ''}+{name}"
        lines.append(f'define i32 @needs{k}(i32 %x) {base}{more}" {{\n  %y = mul i32 %x, 3\n  ret i32 %y\n}}')
        lines.append(f'define i32 @has{k}(i32 %x) {base}" {{\n  %y = call i32 @needs{k}(i32 %x)\n  ret i32 %y\n}}')
    module = llvm.parse_assembly("\n".join(lines), llvm.create_context())
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(target_machine(triple, cpu, features), options)
    builder.getModulePassManager().run(module, builder)
    return frozenset(name for k, name in enumerate(names) if not _calls(module.get_function(f"has{k}")))


def _calls(function: llvm.ValueRef) -> bool:
    return any(i.opcode == "call" for block in function.blocks for i in block.instructions)


@cache
def known_names(triple: str) -> tuple[frozenset[str], frozenset[str]]:
    """The processors and the features that LLVM knows for the architecture of the triple.

    LLVM tells them only to stderr, which is why another process asks; about 0.1 s, once. Both are empty if there is
    no interpreter to start.
    """
    question = (
        "import llvmlite.binding as llvm; llvm.initialize_all_targets(); "
        f"llvm.Target.from_triple({triple!r}).create_target_machine(cpu='help')"
    )
    if not sys.executable:
        return frozenset(), frozenset()
    import subprocess  # noqa: PLC0415 - for names of processors that a user gives alone

    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    cpus, _, features = answer.stderr.partition("Available features")
    return _names(cpus), _names(features)


def _names(listing: str) -> frozenset[str]:
    """The first word of the lines of the form `  name - Words.`"""
    rows = (line.split() for line in listing.splitlines())
    return frozenset(row[0] for row in rows if len(row) > 2 and row[1] == "-")
