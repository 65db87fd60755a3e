"""Ends a process that hangs, with the lines where its threads are: by the processor time that it has used, and not by
the clock, which also runs while the process is stopped or waits for a processor. A process that uses none at all, as in
a deadlock, is ended after a much longer time by the clock."""

from __future__ import annotations

import faulthandler
import signal

CPU_SECONDS, WALL_SECONDS = 120.0, 1800.0


def watch(cpu_seconds: float = CPU_SECONDS, wall_seconds: float = WALL_SECONDS) -> None:
    """Begin to count; again, from 0 on."""
    # The handler writes, inside of isl or LLVM as well, and leaves the rest to the signal's default: the end.
    faulthandler.register(signal.SIGPROF, chain=True)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    faulthandler.dump_traceback_later(wall_seconds, exit=True)


def rest() -> None:
    """Count no longer."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()
