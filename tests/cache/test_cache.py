"""Kernels from the cache: the same as built ones, found by every process, and never trusted when they are broken."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import polysched as ps
from polysched.errors import ArgumentError, BoundsError, TargetError
from polysched.target import build as building
from polysched.target import cache as kernel_cache
from polysched.target import store, versions
from polysched.target.description import Description

from ..kernel_cases import CASES, gather, matmul, results

pytestmark = pytest.mark.usefixtures("cached")
KINDS = ("schedule", "nest", "isl", "loops", "llvm", "llvm-raw", "asm")


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.kernel"))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch):
    """Nothing is lowered from now on, and nothing compiled."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a kernel was built that should have come from the cache")

    def forbid() -> None:
        monkeypatch.setattr(building, "lowered_for", never)
        monkeypatch.setattr(building.Kernel, "_compiled", never)

    return forbid


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_from_the_cache_is_the_same(name: str, cached: Path, no_compiler) -> None:
    schedule, arguments = CASES[name]()
    built = schedule.build()
    assert len(entries(cached)) == 1
    again, _ = CASES[name]()
    no_compiler()
    found = again.build()
    assert list(found.timings) == ["cache", "link"]
    assert (found.name, found.warnings, found.rounding) == (built.name, built.warnings, built.rounding)
    assert repr(found) == repr(built)
    assert Description(found.signature, (), "").as_json() == Description(built.signature, (), "").as_json()
    for _ in range(2):  # the slow way, then the fast one
        assert results(found, arguments) == results(built, arguments)
    assert (found._fast is None) == (built._fast is None)
    assert ps.cache.info().hits == 1
    assert ps.cache.info().misses == 1


@pytest.mark.parametrize("name", ["matmul", "gather"])
def test_its_sources_are_made_when_they_are_asked_for(name: str) -> None:
    schedule, _ = CASES[name]()
    built, found = schedule.build(), schedule.build()
    for kind in KINDS:
        assert found.source(kind) == built.source(kind), kind
    with pytest.raises(ArgumentError) as errors:
        found.source("c")
    with pytest.raises(ArgumentError, match=re.escape(errors.value.reason)):
        built.source("c")


def test_a_schedule_that_goes_on_does_not_change_the_sources() -> None:
    schedule, _ = matmul()
    built, found = schedule.build(), schedule.build()
    schedule[schedule.outputs[0]].unroll("i_i")
    assert found.source("nest") == built.source("nest")
    assert found.source("asm") == built.source("asm")


def test_errors_are_the_same() -> None:
    texts = []
    for _ in range(2):
        kernel = gather()[0].build()
        with pytest.raises(BoundsError) as failed:
            kernel(np.arange(9, dtype=np.int32), np.array([1, 17]))
        with pytest.raises(ArgumentError) as wrong:
            kernel(np.arange(8, dtype=np.int32), np.array([1]))
        texts.append((failed.value.reason, wrong.value.reason))
    assert texts[0] == texts[1]
    assert "kernel_cases.py:" in texts[0][0]


def test_what_is_different_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, _ = matmul()
    native = ps.Target()
    keys = [kernel_cache.key_of(schedule, native), kernel_cache.key_of(matmul()[0], native)]
    assert keys[0] == keys[1]
    assert keys[0] == kernel_cache.key_of(schedule, ps.Target(threads=3))  # which are decided at the call
    keys = keys[:1]
    keys.append(kernel_cache.key_of(schedule, ps.Target("x86-64-v3")))
    keys.append(kernel_cache.key_of(schedule, ps.Target("x86-64-v2")))
    other = schedule.copy()
    other[other.outputs[0]].unroll("i_i")
    keys.append(kernel_cache.key_of(other, native))
    keys.append(kernel_cache.key_of(ps.Schedule(schedule.outputs[0]), native))
    swapped = ps.Schedule(schedule.outputs[0], args=schedule.program.arguments[::-1])
    keys.append(kernel_cache.key_of(swapped, native))
    keys += [kernel_cache.key_of(case()[0], native) for name, case in CASES.items() if name != "matmul"]
    for what in ("llvm", "llvmlite", "islpy", "numpy", "python"):
        with monkeypatch.context() as patch:
            changed = {**versions.versions(), what: "0.0"}
            patch.setattr(versions, "versions", lambda changed=changed: changed)
            versions.build_identity.cache_clear()
            keys.append(kernel_cache.key_of(schedule, native))
    versions.build_identity.cache_clear()
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert kernel_cache.key_of(schedule, native) == keys[0]


def test_a_change_of_the_sources_is_another_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity() -> str:
        monkeypatch.setattr(versions, "_SOURCES", versions.sources_digest(str(tmp_path)))
        versions.build_identity.cache_clear()
        return versions.build_identity()

    (tmp_path / "lower").mkdir()
    (tmp_path / "lower" / "unroll.py").write_text("a")
    first = identity()
    assert identity() == first
    (tmp_path / "lower" / "unroll.py").write_text("b")
    second = identity()
    (tmp_path / "lower" / "unroll.py").rename(tmp_path / "lower" / "roll.py")
    third = identity()
    assert len({first, second, third}) == 3
    (tmp_path / "target" / "bench").mkdir(parents=True)
    (tmp_path / "target" / "bench" / "table.py").write_text("c")
    assert identity() == third  # it makes no code
    monkeypatch.undo()
    versions.build_identity.cache_clear()


def test_the_sources_count_as_they_were_when_polysched_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that goes on after a file was changed runs the code from before, and must not leave kernels for
    processes that run the code from after."""
    before = versions.build_identity()
    versions.build_identity.cache_clear()
    monkeypatch.setattr(versions, "sources_digest", lambda _: "changed")
    assert versions.build_identity() == before


def test_without_sources_there_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    versions.build_identity.cache_clear()
    monkeypatch.setattr(versions, "_SOURCES", OSError("no sources"))
    assert kernel_cache.key_of(matmul()[0], ps.Target()) is None
    assert ps.cache.info().problem == "no sources"


def test_what_is_left_out_of_the_identity_takes_no_part_in_a_build() -> None:
    program = r"""
import sys, polysched as ps
n = ps.size_var("n")
A = ps.placeholder((n,), "float32", name="A")
B = ps.compute((n,), lambda i: A[i] + 1, name="B")
s = ps.Schedule(B)
s[B].vectorize(s[B].split("i", 16)[1])
ps.build(s)
print(*sys.modules, sep="\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = [module.replace(".", "/") + "/" for module in done.stdout.splitlines()]
    assert any("target/build/" in module for module in loaded)
    assert versions._WITHOUT_CODE
    assert not [module for module in loaded if any(room in module for room in versions._WITHOUT_CODE)]


@pytest.mark.parametrize("off", ["0", "off", "no", "FALSE"])
def test_the_switch(cached: Path, monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    schedule, _ = matmul()
    schedule.build(cache=False)
    schedule.build(check=True)
    with monkeypatch.context() as patch:
        patch.setenv("POLYSCHED_CHECK", "1")
        schedule.build()
    monkeypatch.setenv("POLYSCHED_CACHE", off)
    schedule.build()
    assert not ps.cache.info().on
    assert not cached.exists()
    monkeypatch.setenv("POLYSCHED_CACHE", "on")
    schedule.build()
    assert len(entries(cached)) == 1


def test_settings_that_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, _ = matmul()
    for name, value in (("POLYSCHED_CACHE", "maybe"), ("POLYSCHED_CACHE_SIZE", "-1"), ("POLYSCHED_CACHE_SIZE", "1X")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(TargetError, match=f"{name} is '{value}'"):
                schedule.build()
    monkeypatch.setenv("POLYSCHED_CACHE_SIZE", "3k")
    assert ps.cache.info().limit == 3072


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("POLYSCHED_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for base, expected in ((str(tmp_path / "xdg"), "xdg"), ("relative", ".cache"), ("", ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert ps.cache.info().directory == tmp_path / expected / "polysched"


def test_other_targets_are_not_kept(cached: Path) -> None:
    matmul()[0].build("aarch64")
    assert not cached.exists()


@pytest.mark.parametrize("broken", ["cut", "flipped", "empty", "foreign", "link", "fifo"])
def test_a_broken_entry_is_built_anew(broken: str, cached: Path, tmp_path: Path) -> None:
    schedule, arguments = matmul()
    expected = results(schedule.build(), arguments)
    (entry,) = entries(cached)
    content = entry.read_bytes()
    match broken:
        case "cut":
            entry.write_bytes(content[: len(content) // 2])
        case "flipped":
            entry.write_bytes(content[:-40] + bytes([content[-40] ^ 4]) + content[-39:])
        case "empty":
            entry.write_bytes(b"")
        case "foreign":
            gather()[0].build()
            (other,) = (e for e in entries(cached) if e != entry)
            entry.write_bytes(other.read_bytes())
        case "link":
            (tmp_path / "poison").write_bytes(content)
            entry.unlink()
            entry.symlink_to(tmp_path / "poison")
        case "fifo":
            entry.unlink()
            os.mkfifo(entry)
    kernel = schedule.build()
    assert "codegen" in kernel.timings
    assert results(kernel, arguments) == expected
    assert not entry.is_symlink()
    assert "cache" in schedule.build().timings


def poisoned(content: bytes, change) -> bytes:
    """The entry with its record changed, under a checksum that is right."""
    import hashlib

    head, payload = content[:72], content[72:]
    end = 8 + int.from_bytes(payload[:8], "little")
    record, code = json.loads(payload[8:end]), payload[end:]
    text = json.dumps(change(record) or record).encode()
    rest = head[40:] + len(text).to_bytes(8, "little") + text + code
    return head[:8] + hashlib.sha256(rest).digest() + rest


POISON = {
    "another field": lambda r: r.update(more=1),
    "no field": lambda r: r.pop("uses_threads"),
    "no objects": lambda r: r.update(objects=[]),
    "too long an object": lambda r: r.update(objects=[10**9]),
    "too short an object": lambda r: r.update(objects=[r["objects"][0] - 1]),
    "negative": lambda r: r.update(objects=[-1, r["objects"][0] + 1]),
    "true is no length": lambda r: r.update(objects=[True, r["objects"][0] - 1]),
    "a strange object of Python's": lambda r: r["python"].append("open"),
    "a number": lambda r: 17,
    "a list": lambda r: [r],
    "a text for a truth": lambda r: r.update(keeps_blocks="no"),
    "keeps nothing": lambda r: r.update(keeps_blocks=True),  # and the function that frees it is not there
    "a strange type": lambda r: r["description"]["arrays"][0].update(dtype="object"),
}


@pytest.mark.parametrize("how", POISON)
def test_a_poisoned_entry_is_built_anew(how: str, cached: Path) -> None:
    schedule, arguments = matmul()
    expected = results(schedule.build(), arguments)
    (entry,) = entries(cached)
    entry.write_bytes(poisoned(entry.read_bytes(), POISON[how]))
    kernel = schedule.build()
    assert "codegen" in kernel.timings
    assert results(kernel, arguments) == expected
    assert "cache" in schedule.build().timings


def test_entries_that_are_not_json(cached: Path) -> None:
    schedule, arguments = matmul()
    schedule.build()
    (entry,) = entries(cached)
    key = entry.stem
    for payload in (b"", b"\0" * 7, b"\xff" * 80, (4).to_bytes(8, "little") + b"nope", (2**63).to_bytes(8, "little")):
        store.Store(cached, 1 << 20).write(key, payload)
        assert "codegen" in schedule.build().timings
    assert results(schedule.build(), arguments) == results(schedule.build(cache=False), arguments)


def test_a_directory_that_others_can_write_is_not_used(cached: Path) -> None:
    schedule, arguments = matmul()
    schedule.build()
    cached.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="polysched keeps no kernels: .* can be written by others"):
        kernel = schedule.build()
    assert "codegen" in kernel.timings
    results(schedule.build(), arguments)  # and there is one warning
    assert "can be written by others" in ps.cache.info().problem
    with pytest.raises(TargetError, match="can be written by others"):
        ps.cache.clear()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_no_error(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, arguments = matmul()

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store, "_created", refuse)
    for _ in range(2):
        results(schedule.build(), arguments)
    assert os.strerror(number) in ps.cache.info().problem
    assert ps.cache.info().entries == 0


def test_a_home_that_is_no_directory_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYSCHED_CACHE_DIR", "/dev/null/cache")
    schedule, arguments = matmul()
    results(schedule.build(), arguments)
    assert "Not a directory" in str(ps.cache.info())


def test_clear_and_info(cached: Path) -> None:
    assert ps.cache.info().entries == 0
    matmul()[0].build()
    gather()[0].build()
    info = ps.cache.info()
    assert (info.entries, info.on, info.directory) == (2, True, cached)
    assert info.bytes > 0
    assert str(info) == f"{cached}: on, 2 kernels, 0.0 of 512 MiB; 0 hits, 2 misses"
    assert ps.cache.clear() == 2
    assert ps.cache.info().entries == 0
    assert "codegen" in matmul()[0].build().timings


BUILDER = """
import sys
sys.path.insert(0, sys.argv[1])
from kernel_cases import CASES, results
for name in ("matmul", "gather"):
    schedule, arguments = CASES[name]()
    for _ in range(2):
        kernel = schedule.build()
        print(name, results(kernel, arguments))
import polysched as ps
info = ps.cache.info()
assert info.problem is None, info
print(info.hits, file=sys.stderr)
"""


def test_many_processes_build_at_once(cached: Path) -> None:
    arguments = [sys.executable, "-c", BUILDER, str(Path(__file__).parents[1])]
    first = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in first]
    assert all(process.returncode == 0 for process in first), outputs
    assert len({out for out, _ in outputs}) == 1
    last = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=240)
    assert last.stdout == outputs[0][0]
    assert int(last.stderr) == 4
    assert len(entries(cached)) == 2
    assert not list(cached.glob(".*.tmp"))


def test_a_forked_child_uses_the_cache() -> None:
    schedule, arguments = matmul()
    expected = results(schedule.build(), arguments)
    child = os.fork()
    if child == 0:
        ok = False
        try:
            kernel = schedule.build()
            ok = "cache" in kernel.timings and results(kernel, arguments) == expected
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
