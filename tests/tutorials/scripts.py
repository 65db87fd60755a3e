"""Running the scripts in tutorials/, as a user does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
_LIMIT = 600  # seconds; a tutorial takes a few, and one that needs so many is stuck


def run(script: Path, *arguments: str) -> str:
    """What a script prints; its status must be 0."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_LIMIT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_tutorial(script: Path) -> None:
    """A tutorial from beginning to end, with its pictures."""
    printed = run(script)
    assert len(printed.splitlines()) >= 10
    for picture in re.findall(r"^see (tutorials/out/\S+\.png)$", printed, re.MULTILINE):
        assert (ROOT / picture).stat().st_size > 10_000
