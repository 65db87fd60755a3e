"""The store: what is read is what was written, or nothing; whoever wrote, however it broke."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polysched.target import store as module
from polysched.target.store import Store, UnsafeError

KEY, OTHER = "ab" * 32, "cd" * 32
PAYLOAD = bytes(range(256)) * 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "some" / "cache", 1 << 20)


@pytest.fixture
def entry(store: Store) -> Path:
    store.write(KEY, PAYLOAD)
    return store.directory / f"{KEY}.kernel"


@pytest.mark.usefixtures("entry")
def test_what_was_written_is_read(store: Store) -> None:
    assert store.read(KEY) == PAYLOAD
    assert store.read(OTHER) is None
    store.write(KEY, b"")
    assert store.read(KEY) == b""
    assert store.used() == (1, store.used()[1])
    assert store.clear() == 1
    assert store.read(KEY) is None
    assert store.used() == (0, 0)


def test_nothing_is_there_before_the_first_write(store: Store) -> None:
    assert store.read(KEY) is None
    assert store.used() == (0, 0)
    assert store.clear() == 0
    store.remove(KEY)
    assert not store.directory.exists()


def test_everything_is_private(store: Store, entry: Path) -> None:
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.directory.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert (store.directory / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_every_flipped_bit_is_seen(store: Store, entry: Path) -> None:
    content = entry.read_bytes()
    places = [*range(0, 80), *range(80, len(content), 97), len(content) - 1]
    for place in places:
        broken = bytearray(content)
        broken[place] ^= 1 << place % 8
        entry.write_bytes(broken)
        assert store.read(KEY) is None, place
        assert not entry.exists()


def test_every_cut_is_seen(store: Store, entry: Path) -> None:
    content = entry.read_bytes()
    for length in (0, 1, 8, 40, 71, 72, 100, len(content) - 1):
        entry.write_bytes(content[:length])
        assert store.read(KEY) is None, length
    for longer in (content + b"\0", content + content):
        entry.write_bytes(longer)
        assert store.read(KEY) is None


def test_an_entry_of_another_key_is_foreign(store: Store, entry: Path) -> None:
    entry.rename(store.directory / f"{OTHER}.kernel")
    assert store.read(OTHER) is None


def test_another_format_is_foreign(store: Store, entry: Path) -> None:
    content = entry.read_bytes()
    entry.write_bytes(b"psched\x00\x02" + content[8:])
    assert store.read(KEY) is None


def test_links_are_not_followed(store: Store, entry: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)
    assert store.read(KEY) is None
    assert elsewhere.exists()
    assert not entry.is_symlink()
    # Nor when an entry is written: the link goes, what it pointed to stays.
    victim = tmp_path / "victim"
    victim.write_text("precious")
    entry.symlink_to(victim)
    store.write(KEY, PAYLOAD)
    assert victim.read_text() == "precious"
    assert not entry.is_symlink()
    assert store.read(KEY) == PAYLOAD


def test_what_is_no_file_is_nothing(store: Store, entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)
    assert store.read(KEY) is None  # and it does not wait for a writer
    entry.unlink(missing_ok=True)
    entry.mkdir()
    assert store.read(KEY) is None
    with pytest.raises(IsADirectoryError):
        store.write(KEY, PAYLOAD)
    assert not list(store.directory.glob(".*.tmp"))


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o1777])
@pytest.mark.usefixtures("entry")
def test_a_directory_that_others_can_write_is_refused(store: Store, mode: int) -> None:
    store.directory.chmod(mode)
    for use in (lambda: store.read(KEY), lambda: store.write(KEY, b"x"), store.clear, store.used):
        with pytest.raises(UnsafeError, match="can be written by others, who could put code into it"):
            use()
    store.directory.chmod(0o755)
    assert store.read(KEY) == PAYLOAD


def test_an_entry_that_others_can_write_is_not_read(store: Store, entry: Path) -> None:
    entry.chmod(0o620)
    assert store.read(KEY) is None


@pytest.mark.usefixtures("entry")
def test_a_directory_of_another_user_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(UnsafeError, match="belongs to another user"):
        store.read(KEY)


def test_a_directory_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(OSError, match="Not a directory"):
            Store(directory, 1 << 20).write(KEY, PAYLOAD)


def test_a_full_disk_leaves_nothing_behind(store: Store, entry: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.write(OTHER, PAYLOAD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(file.name for file in store.directory.iterdir()) == ["CACHEDIR.TAG", entry.name]
    assert store.read(KEY) == PAYLOAD


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("entry")
def test_a_read_only_directory_is_an_error(store: Store) -> None:
    store.directory.chmod(0o500)
    assert store.read(KEY) == PAYLOAD
    with pytest.raises(PermissionError):
        store.write(OTHER, PAYLOAD)
    store.directory.chmod(0o700)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WRITES_PER_CHECK", 1)
    store = Store(tmp_path / "cache", 40 << 10)
    now = time.time()
    for number in range(8):
        store.write(key(number), b"x" * 4000)  # 4 KiB on the disk
        os.utime(store.directory / f"{key(number)}.kernel", (now - 100 + number, now - 100 + number))
    assert store.read(key(0)) is not None  # used now
    for number in range(8, 13):
        store.write(key(number), b"x" * 4000)
    count, size = store.used()
    assert size <= store.limit
    assert store.read(key(0)) is not None
    assert store.read(key(1)) is None
    assert store.read(key(12)) is not None
    assert count >= 6


@pytest.mark.usefixtures("entry")
def test_what_a_killed_writer_left_goes_later(store: Store) -> None:
    old, new = store.directory / ".0123456789abcdef.tmp", store.directory / ".123456789abcdef0.tmp"
    for file in (old, new):
        file.write_text("half")
    os.utime(old, (1, 1))
    Store(store.directory, store.limit).write(OTHER, PAYLOAD)
    assert not old.exists()
    assert new.exists()


@pytest.mark.usefixtures("entry")
def test_other_files_are_left_alone(store: Store) -> None:
    mine = store.directory / "notes.txt"
    mine.write_text("mine")
    Store(store.directory, 0).write(OTHER, PAYLOAD)
    store.clear()
    assert mine.read_text() == "mine"


def test_too_large_a_payload_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAYLOAD", 100)
    store.write(KEY, b"x" * 101)
    assert store.read(KEY) is None


WRITER = """
import sys
from pathlib import Path
from polysched.target.store import Store
store = Store(Path(sys.argv[1]), 60_000)
keys = [f"{k:02x}" * 32 for k in range(6)]
for turn in range(15):
    for k, key in enumerate(keys):
        store.write(key, bytes([k]) * (3000 + 100 * k))
        found = store.read(keys[turn % 6])
        assert found is None or found == bytes([turn % 6]) * (3000 + 100 * (turn % 6)), turn
    if turn % 6 == 5:
        store.clear()
"""


def test_many_processes_at_once(tmp_path: Path) -> None:
    directory = str(tmp_path / "cache")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, directory], stderr=subprocess.PIPE) for _ in range(3)]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]
    assert errors == [b""] * 3
    assert [writer.returncode for writer in writers] == [0] * 3
