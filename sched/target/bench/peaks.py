"""What the machine can do, measured with kernels of our own: operations a second, and bytes a second from each level.

Peak operations: multiply-adds on registers, a tile of accumulators whose operands do not change; no memory in the loop.
Bandwidth: a panel that fits into half of a cache (or is twice the last one) is read over and over into vector
accumulators; for memory, copying is measured too, and the faster of the two is the level's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from ...compute.define import compute
from ...compute.dtypes import dtype as as_dtype
from ...compute.reductions import reduce_axis
from ...compute.reductions import sum as sum_of
from ...compute.tensor import placeholder, size_var
from ...schedule.schedule import Schedule
from ..arrays import empty
from ..benchmark import calls_per_sample, timed
from ..build import build
from ..machine import Target

Level = Literal["L1", "L2", "L3", "memory"]
LEVELS: tuple[Level, ...] = ("L1", "L2", "L3", "memory")
_SAMPLE_SECONDS = 3e-4  # so short that some samples see nothing of other programs
_REPEATS = 1 << 13  # multiply-adds of an accumulator in a call, which take long against the call itself
_PANEL_VECTORS = 8
_MOVED = 1 << 25  # bytes a call, so that what the call itself costs is no part of the bandwidth


@dataclass(frozen=True, slots=True)
class Peaks:
    """Measured limits of `threads` threads.

    operations  a second, by type: a multiply-add is two
    bandwidth   bytes a second, by level: "L1", "L2", "L3", "memory"
    capacity    bytes of the caches that these threads use, by level
    """

    threads: int
    operations: dict[str, float]
    bandwidth: dict[str, float]
    capacity: dict[str, int]

    def at_least(self, others: Sequence[Peaks]) -> Peaks:
        """The best of these and of others."""
        operations, bandwidth = dict(self.operations), dict(self.bandwidth)
        for other in others:
            operations = {name: max(value, other.operations.get(name, 0.0)) for name, value in operations.items()}
            bandwidth = {name: max(value, other.bandwidth.get(name, 0.0)) for name, value in bandwidth.items()}
        return Peaks(self.threads, operations, bandwidth, self.capacity)

    def level_of(self, footprint: float) -> str:
        """The innermost level that holds this many bytes."""
        return next((level for level, size in self.capacity.items() if footprint <= size), "memory")

    def roof(self, dtype: str, intensity: float, level: str) -> float | None:
        """Operations a second that the roofline allows at this many operations a byte, or None if not measured."""
        peak, bandwidth = self.operations.get(dtype), self.bandwidth.get(level)
        if peak is None or bandwidth is None:
            return None
        return min(peak, intensity * bandwidth)


def measure_peaks(
    dtypes: Sequence[str] = ("float32", "float64"),
    threads: int = 1,
    levels: Sequence[Level] = LEVELS,
    *,
    seconds: float = 0.05,
) -> Peaks:
    """Measure on this machine.

    dtypes   float types; others have no peak
    seconds  for each number

    Each number is the best of its samples: a limit is what the machine does when nothing else runs.
    """
    target = Target("native", threads=threads)
    operations = {name: _operations(name, target, seconds) for name in dtypes if as_dtype(name).is_float}
    bandwidth = {level: _bandwidth(level, target, seconds) for level in levels}
    private = {"L1": target.l1_bytes, "L2": target.l2_bytes}
    capacity = {level: size * threads for level, size in private.items()} | {"L3": target.l3_bytes}
    return Peaks(threads, operations, {level: bandwidth[level] for level in LEVELS if level in bandwidth}, capacity)


def _best(call: Callable[[], object], seconds: float) -> float:
    """Seconds of one call, at best."""
    calls, _ = calls_per_sample(call, _SAMPLE_SECONDS)
    best, spent, taken = float("inf"), 0.0, 0
    while spent < seconds or taken < 5:
        elapsed = timed(call, calls)
        best, spent, taken = min(best, elapsed / calls), spent + elapsed, taken + 1
    return best


def _longer(target: Target) -> int:
    """Starting threads takes time of its own, so that calls with threads are longer."""
    return 1 if target.thread_count() == 1 else 8


def _operations(name: str, target: Target, seconds: float) -> float:
    kernel, parts, rows, columns = _multiply_adds(name, target)
    rng, numpy_type = np.random.default_rng(0), as_dtype(name).numpy
    a, b = ((rng.random((parts, k)) * 1e-3).astype(numpy_type) for k in (rows, columns))
    times = np.empty(_REPEATS * _longer(target), np.uint8)
    result = kernel(a, b, times)
    return float(2 * parts * rows * columns * times.size / _best(lambda: kernel(a, b, times, out=result), seconds))


@lru_cache(maxsize=16)
def _multiply_adds(name: str, target: Target) -> tuple[Any, int, int, int]:
    """C[p, i, j] += A[p, i] * B[p, j], as often as a third array is long, which is not read."""
    rows, vectors = (12, 2) if target.vector_registers >= 32 else (5, 2)
    columns = vectors * target.vector_bits // as_dtype(name).bits
    parts = 4 * target.thread_count()
    repeats = size_var("repeats")
    A, B = placeholder((parts, rows), name, name="A"), placeholder((parts, columns), name, name="B")
    r = reduce_axis((0, repeats), name="r")
    C = compute((parts, rows, columns), lambda p, i, j: sum_of(A[p, i] * B[p, j], axis=r), name="C")
    schedule = Schedule(C, args=[A, B, placeholder((repeats,), "uint8", name="times")])
    stage = schedule[C]
    stage.reorder("p", "r", "i", "j")
    stage.unroll("i")
    stage.vectorize("j")
    if target.thread_count() > 1:
        stage.parallel("p")
    return build(schedule, target), parts, rows, columns


def _bandwidth(level: Level, target: Target, seconds: float) -> float:
    threads = target.thread_count()
    width = _PANEL_VECTORS * target.vector_bits // 32
    half = {"L1": target.l1_bytes // 2, "L2": target.l2_bytes // 2, "L3": target.l3_bytes // (2 * threads)}
    footprint = half.get(level, max(2 * target.l3_bytes, 1 << 26) // threads)
    rows = max(1, footprint // (4 * width))
    data = empty("data", np.dtype(np.float32), (threads, rows, width))
    data.fill(1)
    times = np.empty(max(1, _MOVED * _longer(target) // footprint), np.uint8)
    sums = _panel_sums(width, target)
    result = sums(data, times)
    read = data.nbytes * times.size / _best(lambda: sums(data, times, out=result), seconds)
    if level != "memory":
        return float(read)
    copy, other = _copy(width, target), empty("copy", data.dtype, data.shape)
    return float(max(read, 2 * data.nbytes / _best(lambda: copy(data, out=other), seconds)))


@lru_cache(maxsize=16)
def _panel_sums(width: int, target: Target) -> Any:
    """S[p, j] += A[p, r, j], as often as a second array is long: loads, and one addition a vector."""
    parts, rows, repeats = size_var("parts"), size_var("rows"), size_var("repeats")
    A = placeholder((parts, rows, width), "float32", name="A")
    q, r = reduce_axis((0, repeats), name="q"), reduce_axis((0, rows), name="r")
    S = compute((parts, width), lambda p, j: sum_of(A[p, r, j], axis=(q, r)), name="S")
    times = placeholder((repeats,), "uint8", name="times")
    return _over_parts(Schedule(S, args=[A, times]), ("p", "q", "r", "j"), target)


@lru_cache(maxsize=16)
def _copy(width: int, target: Target) -> Any:
    parts, rows = size_var("parts"), size_var("rows")
    A = placeholder((parts, rows, width), "float32", name="A")
    B = compute((parts, rows, width), lambda p, i, j: A[p, i, j], name="B")
    return _over_parts(Schedule(B), ("p", "i", "j"), target)


def _over_parts(schedule: Schedule, loops: tuple[str, ...], target: Target) -> Any:
    stage = schedule[schedule.outputs[0]]
    stage.reorder(*loops)
    stage.vectorize("j")
    if target.thread_count() > 1:
        stage.parallel("p")
    return build(schedule, target)
