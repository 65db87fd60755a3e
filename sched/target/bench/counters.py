"""Hardware counters through Linux' perf_event_open(2), where the system has them and lets us; never required."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass

# Event names as perf(1) has them, with the type and number of linux/perf_event.h.
EVENTS = {
    "cycles": (0, 0),
    "instructions": (0, 1),
    "cache-misses": (0, 3),
    "branch-misses": (0, 5),
}
_SYSCALL = {"x86_64": 298, "aarch64": 241}
_SIZE = 112  # of struct perf_event_attr, version 5
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 0, 1 << 1, 1 << 5, 1 << 6
_TIMES = 1 | 2  # PERF_FORMAT_TOTAL_TIME_ENABLED, _RUNNING
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403
_REASONS = {
    errno.ENOENT: "this processor, or the virtual machine, has none",
    errno.EACCES: "perf_event_open is not allowed here (kernel.perf_event_paranoid)",
    errno.EPERM: "perf_event_open is not allowed here (kernel.perf_event_paranoid, or a container)",
}


@dataclass(slots=True)
class Counters:
    """Events of this thread, and of the threads that it starts afterwards, in user space."""

    files: dict[str, int]

    def start(self) -> None:
        for file in self.files.values():
            _control(file, _RESET)
            _control(file, _ENABLE)

    def stop(self) -> dict[str, float]:
        """Counts since `start`, scaled up where the processor has shared its counters among events."""
        for file in self.files.values():
            _control(file, _DISABLE)
        counts = {}
        for event, file in self.files.items():
            value, enabled, running = struct.unpack("QQQ", os.read(file, 24))
            if running:
                counts[event] = value * enabled / running
        return counts

    def close(self) -> None:
        for file in self.files.values():
            os.close(file)
        self.files = {}


def open_counters() -> Counters | None:
    """The counters that this system offers, or None."""
    files, _ = _opened()
    return Counters(files) if files else None


def describe_counters() -> str:
    """The events that can be counted here, or why there are none, in words."""
    files, problem = _opened()
    Counters(files).close()
    return ", ".join(files) if files else f"none: {problem}"


def _opened() -> tuple[dict[str, int], str]:
    """A file for each event that can be counted, and what the system said of one that cannot."""
    number = _SYSCALL.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return {}, f"they are read through perf_event_open of Linux, not on {sys.platform} on {platform.machine()}"
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    files, problem = {}, ""
    for event, (kind, config) in EVENTS.items():
        flags = _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR
        attributes = struct.pack("IIQQQQQ", kind, _SIZE, config, 0, 0, _TIMES, flags).ljust(_SIZE, b"\0")
        buffer = ctypes.create_string_buffer(attributes, _SIZE)
        arguments = (buffer, ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(-1), ctypes.c_ulong(0))
        file = call(ctypes.c_long(number), *arguments)
        if file >= 0:
            files[event] = int(file)
        else:
            error = ctypes.get_errno()
            problem = _REASONS.get(error, f"perf_event_open: {os.strerror(error)}")
    return files, problem


def _control(file: int, request: int) -> None:
    import fcntl  # noqa: PLC0415 - not on every system; neither are counters

    fcntl.ioctl(file, request, 0)
