"""A run builds, checks and measures; what is wrong is said and not measured."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import polysched as ps
from polysched.target.bench import counters as hardware
from polysched.target.bench import run as running
from polysched.target.bench.files import load_workload
from polysched.target.bench.peaks import Peaks, measure_peaks

QUICK = {"seconds": 0.01, "peaks": False}


def test_all_schedules(workload_file: Path) -> None:
    results = load_workload(workload_file).benchmark(threads=[1, 2], **QUICK)
    rows = {(row.name, row.threads): row for row in results.rows}
    assert set(rows) == {
        *(("default", 1), ("tiled", 1), ("threads", 1), ("threads", 2), ("illegal", 1), ("illegal", 2), ("saved", 1))
    }
    assert rows["default", 1].checked.words.endswith(("of reference", "= reference"))  # of one NumPy and another
    assert all(rows[key].checked.words == "same bits" for key in (("tiled", 1), ("threads", 2), ("saved", 1)))
    assert rows["illegal", 1].benchmark is None and "LegalityError" in rows["illegal", 1].failure
    assert rows["tiled", 1].work.flops == 2 * 20 * 19 * 18
    assert results.right and results.schedules["tiled"].text.startswith("# polysched schedule")
    assert {title for title, _ in results.groups()} == {"n=20, m=19, k=18 (warm caches)"}


def test_sweeps(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    sizes = [{"n": 5}, {"n": 9, "m": 3}]
    results = workload.benchmark(
        "default", "tiled", sizes=sizes, parameters={"mr": [2, 4], "nr": [8]}, caches=["warm", "cold"], **QUICK
    )
    names = [row.name for row in results.rows]
    assert names == ["default", "tiled(mr=2, nr=8)", "tiled(mr=4, nr=8)"] * 4
    assert [row.sizes["m"] for row in results.rows[::6]] == [19, 3]
    assert [row.cache for row in results.rows[::3]] == ["warm", "cold"] * 2
    assert len({row.title for row in results.rows}) == 12
    assert all(row.benchmark.calls == 1 for row in results.rows if row.cache == "cold")


def test_refused_points_of_a_sweep_are_rows(workload_file: Path) -> None:
    results = load_workload(workload_file).benchmark("tiled", parameters={"mr": [0, 2]}, **QUICK)
    bad, good = results.rows
    assert bad.name == "tiled(mr=0)" and "ScheduleError" in bad.failure and bad.benchmark is None
    assert good.benchmark is not None


def test_peers(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    results = workload.benchmark("tiled", peers=["numpy", "einsum", "absent", "wrong"], threads=[1, 2], **QUICK)
    assert [(row.name, row.threads) for row in results.rows] == [
        ("tiled", 1), ("numpy", 1), ("numpy", 2), ("einsum", 1), ("einsum", 2), ("absent", 1), ("wrong", 1),
    ]  # fmt: skip
    rows = {row.name: row for row in results.rows}
    assert rows["numpy"].benchmark and rows["einsum"].benchmark and rows["numpy"].kind == "peer"
    assert rows["absent"].failure.startswith("not installed") and rows["absent"].checked is None
    assert not rows["wrong"].checked.right and rows["wrong"].benchmark is None
    assert not results.right and "WRONG: an error of" in str(results)
    broken = workload.benchmark("tiled", peers=["broken"], **QUICK).rows[-1]
    assert re.fullmatch(r"ValueError: shapes .* not aligned.* \(product\.py:\d+, in <lambda>\)", broken.failure)
    with pytest.raises(ps.DefinitionError, match=r"no peer 'nunpy'; its peers are .*did you mean numpy\?"):
        workload.benchmark("tiled", peers=["nunpy"], **QUICK)


def test_a_kernel_with_other_bits_is_wrong(workload_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = running.build

    def faulty(schedule: ps.Schedule, target: ps.Target, cache: bool) -> object:
        kernel = build(schedule, target, cache=cache)
        if not schedule.commands:
            return kernel

        class Wrong:
            rounding, warnings, timings, signature = kernel.rounding, (), kernel.timings, kernel.signature

            def __call__(self, *arguments: object, **options: object) -> object:
                result = kernel(*arguments, **options)
                result[0, 0] = np.nextafter(result[0, 0], np.float32(np.inf))
                return result

        return Wrong()

    monkeypatch.setattr(running, "build", faulty)
    results = load_workload(workload_file).benchmark("default", "tiled", **QUICK)
    default, tiled = results.rows
    assert default.benchmark is not None
    assert tiled.benchmark is None and tiled.checked.words == "1 elements differ from default"
    assert not results.right


def test_reassociable_reductions_are_compared_within_a_tolerance() -> None:
    @ps.Workload
    def total(n=1000):
        A = ps.placeholder((n,), name="A")
        r = ps.reduce_axis((0, n), name="r")
        return ps.compute((), lambda: ps.sum(A[r], axis=r, reassociate=True), name="S")

    @total.schedule
    def backwards(s):
        s["S"].reverse("r")

    row = total.benchmark("backwards", **QUICK).rows[0]
    assert row.checked.right and row.checked.words != "same bits" and row.benchmark is not None


def test_sizes_that_no_array_gives() -> None:
    @ps.Workload
    def constant(n=8, k=5):
        A = ps.placeholder((n,), name="A")
        r = ps.reduce_axis((0, k), name="r")
        return ps.compute((n,), lambda i: ps.sum(A[i], axis=r), name="B")

    results = constant.benchmark(**QUICK)
    assert results.right and results.rows[0].work.flops == 40


def test_names_that_are_not_there(workload_file: Path) -> None:
    workload = load_workload(workload_file)
    with pytest.raises(ps.ScheduleError, match="no schedule 'tild'"):
        workload.benchmark("tild", **QUICK)
    with pytest.raises(ps.ScheduleError, match="has a parameter mx; there are mr, nr"):
        workload.benchmark("tiled", parameters={"mx": [1]}, **QUICK)
    with pytest.raises(ps.DefinitionError, match="no size q"):
        workload.benchmark("tiled", sizes=[{"q": 1}], **QUICK)


def test_peaks_are_of_this_machine() -> None:
    peaks = measure_peaks(("float32", "int32"), 1, ("L1", "memory"), seconds=0.001)
    assert set(peaks.operations) == {"float32"} and peaks.operations["float32"] > 1e8
    assert set(peaks.bandwidth) == {"L1", "memory"} and min(peaks.bandwidth.values()) > 1e7
    best = peaks.at_least([Peaks(1, {"float32": 1e15}, {"L1": 1.0}, {})])
    assert best.operations["float32"] == 1e15 and best.bandwidth == peaks.bandwidth
    assert peaks.level_of(1) == "L1" and peaks.level_of(1 << 40) == "memory"


def test_counters_scale_and_close(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:

    file = tmp_path / "event"
    file.write_bytes(struct.pack("QQQ", 100, 30, 10))
    controls: list[int] = []
    monkeypatch.setattr(hardware, "_control", lambda _, request: controls.append(request))
    counters = hardware.Counters({"cycles": os.open(file, os.O_RDONLY)})
    counters.start()
    assert counters.stop() == {"cycles": 300.0}
    assert len(controls) == 3
    counters.close()
    assert counters.files == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOENT, "virtual machine"),
        (errno.EACCES, "perf_event_paranoid"),
        (errno.ENOSYS, os.strerror(errno.ENOSYS)),
    ],
)
def test_counters_that_are_refused_are_explained(code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system call is replaced: cycles are there, all other events are refused; then all of them are."""
    asked: list[tuple[int, int, int]] = []
    given: list[int] = []

    class Library:
        def __init__(self, *_: object, **__: object) -> None:
            self.syscall = self

        restype: object = None

        def __call__(self, _: object, attributes: ctypes.Array[ctypes.c_char], *__: object) -> int:
            kind, size, config = struct.unpack_from("IIQ", attributes.raw)
            asked.append((kind, size, config))
            if config == 0 and given:
                return given.pop()
            ctypes.set_errno(code)
            return -1

    monkeypatch.setattr(hardware.ctypes, "CDLL", Library)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert hardware.open_counters() is None
    assert [(kind, config) for kind, _, config in asked] == list(hardware.EVENTS.values())
    assert words in hardware.describe_counters() and hardware.describe_counters().startswith("none: ")
    given.append(os.open(os.devnull, os.O_RDONLY))
    assert hardware.describe_counters() == "cycles"
    given.append(os.open(os.devnull, os.O_RDONLY))
    counters = hardware.open_counters()
    assert counters is not None and list(counters.files) == ["cycles"]
    counters.close()


def test_counters_are_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.platform, "machine", lambda: "toaster")
    assert hardware.open_counters() is None
    monkeypatch.undo()
    found = hardware.open_counters()
    if found is not None:
        found.start()
        assert all(count >= 0 for count in found.stop().values())
        found.close()
