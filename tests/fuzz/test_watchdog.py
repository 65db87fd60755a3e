"""The watchdog ends what computes for too long, and not what merely takes long."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def ended(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import watchdog, time\n{program}"]
    folder = Path(__file__).parent
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def test_processor_time_is_limited() -> None:
    done = ended("watchdog.watch(0.2, 50)\nwhile True: pass")
    assert done.returncode == -signal.SIGPROF
    assert 'File "<string>", line 3' in done.stderr


def test_time_in_which_nothing_runs_does_not_count() -> None:
    done = ended("watchdog.watch(0.2, 50)\ntime.sleep(0.6)\nwatchdog.rest()\nprint('on')")
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_a_process_that_waits_for_ever_is_ended() -> None:
    done = ended("watchdog.watch(50, 0.3)\ntime.sleep(50)")
    assert done.returncode == 1 and "Timeout" in done.stderr


def test_each_case_has_the_whole_time() -> None:
    spin = "end = time.process_time() + 0.15\n    while time.process_time() < end: pass"
    done = ended(f"for _ in range(4):\n    watchdog.watch(0.3, 50)\n    {spin}\n    watchdog.rest()\nprint('on')")
    assert (done.returncode, done.stdout) == (0, "on\n")
