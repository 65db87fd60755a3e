"""What a measurement depends on: the machine and the versions."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path
from typing import Any

from ..machine import Target
from ..runtime import runtime_name
from ..versions import versions

_VARIABLES = ("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "HL_", "NUMBA_", "POLYSCHED_")


def cpu_name() -> str:
    """The processor's name, as the system has it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or platform.machine()


def mhz() -> int:
    """The clock as the system tells it at this moment, 0 if it does not."""
    try:
        match = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        match = None
    return round(float(match[1])) if match else 0


def scaling() -> bool:
    """Whether the system changes the clock by load."""
    try:
        governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text(encoding="utf-8")
    except OSError:
        return False
    return governor.strip() != "performance"


def load() -> list[float]:
    """The load average: others that want the processors make measurements noisy."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return []


def environment() -> dict[str, str]:
    """The variables that change what threads and other libraries do."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)}


def describe_machine(target: Target | None = None) -> dict[str, Any]:
    """The context of a run, with the keys of Google Benchmark's and further ones of ours."""
    target = target or Target()
    sizes = zip((1, 2, 3), (target.l1_bytes, target.l2_bytes, target.l3_bytes), strict=True)
    caches = [
        {"type": "Data" if k == 1 else "Unified", "level": k, "size": size, "num_sharing": 0} for k, size in sizes
    ]
    return {
        "date": datetime.datetime.now(datetime.UTC).astimezone().isoformat(timespec="seconds"),
        "host_name": platform.node(),
        "executable": "polysched",
        "num_cpus": os.cpu_count() or 1,
        "mhz_per_cpu": mhz(),
        "cpu_scaling_enabled": scaling(),
        "caches": caches,
        "load_avg": load(),
        "library_build_type": "release",
        "cpu": cpu_name(),
        "llvm_cpu": target.cpu,
        "triple": target.triple,
        "vector_bits": target.vector_bits,
        "vector_registers": target.vector_registers,
        "threads": target.thread_count(),
        "parallel_runtime": runtime_name(),
        "versions": versions(),
        "environment": environment(),
    }
