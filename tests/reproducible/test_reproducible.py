"""The same definition and schedule give the same LLVM IR, byte for byte, in every process and under every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels.py"


def digests(seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.check_output([sys.executable, str(KERNELS)], env=environment, text=True, timeout=120)


def test_llvm_ir_is_the_same_in_every_process() -> None:
    first = digests("0")
    assert len(first.split()) == 8
    assert [digests(seed) for seed in ("1", "4242", "random")] == [first] * 3
