"""Bytes on disk under keys: private, checksummed, written atomically, limited in size, for many processes at once.

A `Store` is a directory that belongs to this user and that no one else can write; every other directory is refused. An
entry is one file, named by its key:

    magic, 8 bytes   SHA-256 of all that follows, 32 bytes   key, 32 bytes   payload

It is written beside its place and then renamed, so a reader sees all of it or nothing. What a reader finds to be cut,
changed, another key's, a link, or no file of ours, it takes for absent. Files are opened relative to the directory's
descriptor, after the directory has been checked, so that nobody can put another one in its place in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"psched\x00\x01"
_HEAD = len(_MAGIC) + 32 + 32
_ENTRY = re.compile(r"[0-9a-f]{64}\.kernel")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
MAX_PAYLOAD = 64 << 20
_ABANDONED = 3600.0  # seconds after which an unfinished file has no writer any more
_WRITES_PER_CHECK = 16
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Kernels compiled by polysched; may be deleted at any time.\n"
_READ = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class UnsafeError(OSError):
    """A directory that another user owns or can write."""


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    bytes: int
    used: float


class Store:
    """A directory of entries of at most `limit` bytes together, counted as the disk counts them.

    All methods raise OSError where the system refuses, and UnsafeError for a directory that is not private.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory, self.limit = directory, limit
        self._writes = 0

    def read(self, key: str) -> bytes | None:
        """What was written under the key (64 hexadecimal digits), None if there is no sound entry."""
        try:
            with self._opened(create=False) as directory:
                return self._read(directory, f"{key}.kernel", bytes.fromhex(key))
        except FileNotFoundError:
            return None

    def _read(self, directory: int, name: str, key: bytes) -> bytes | None:
        try:
            file = os.open(name, os.O_RDONLY | _READ, dir_fd=directory)
        except FileNotFoundError:
            return None
        except OSError:  # a link, for one
            self._discard(directory, name)
            return None
        try:
            content = _content(file)
            if _is_sound(content, key):
                with contextlib.suppress(OSError):  # what was used last goes last; a read-only disk cannot note it
                    os.utime(file)
                return content[_HEAD:]
        finally:
            os.close(file)
        self._discard(directory, name)
        return None

    def write(self, key: str, payload: bytes) -> None:
        """Put an entry under the key, in place of what was there; older entries go if there are too many."""
        if len(payload) > MAX_PAYLOAD:
            return
        rest = bytes.fromhex(key) + payload
        content = _MAGIC + hashlib.sha256(rest).digest() + rest
        with self._opened(create=True) as directory:
            temporary = f".{os.urandom(8).hex()}.tmp"
            try:
                with _created(temporary, directory) as stream:
                    stream.write(content)
                os.replace(temporary, f"{key}.kernel", src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                self._discard(directory, temporary)
                raise
            if self._writes % _WRITES_PER_CHECK == 0:
                self._evict(directory)
            self._writes += 1

    def remove(self, key: str) -> None:
        """Take the entry away, if there is one."""
        with contextlib.suppress(FileNotFoundError), self._opened(create=False) as directory:
            self._discard(directory, f"{key}.kernel")

    def clear(self) -> int:
        """Remove all entries; how many there were. Other files stay."""
        try:
            with self._opened(create=False) as directory:
                entries = list(_files(directory, _ENTRY))
                for file in entries:
                    self._discard(directory, file.name)
                self._discard_abandoned(directory)
                return len(entries)
        except FileNotFoundError:
            return 0

    def used(self) -> tuple[int, int]:
        """The number of entries and the bytes that they take."""
        try:
            with self._opened(create=False) as directory:
                entries = list(_files(directory, _ENTRY))
        except FileNotFoundError:
            return 0, 0
        return len(entries), sum(file.bytes for file in entries)

    def _evict(self, directory: int) -> None:
        """Make room: down to three quarters of the limit, what was used longest ago first."""
        self._discard_abandoned(directory)
        entries = sorted(_files(directory, _ENTRY), key=lambda file: file.used)
        total = sum(file.bytes for file in entries)
        goal = total if total <= self.limit else self.limit * 3 // 4
        for file in entries:
            if total <= goal:
                break
            self._discard(directory, file.name)
            total -= file.bytes

    @contextlib.contextmanager
    def _opened(self, create: bool) -> Iterator[int]:
        """The directory's descriptor, after it was found to be private."""
        if os.open not in os.supports_dir_fd or not hasattr(os, "geteuid"):
            raise OSError("this system has no way to open files relative to a directory that was checked")
        directory = _open_directory(self.directory, create)
        try:
            status = os.fstat(directory)
            if not _is_private(status):
                whose = "can be written by others" if status.st_uid == os.geteuid() else "belongs to another user"
                raise UnsafeError(f"{self.directory} {whose}, who could put code into it: chmod 700, or choose another")
            yield directory
        finally:
            os.close(directory)

    def _discard_abandoned(self, directory: int) -> None:
        for file in _files(directory, _TEMPORARY):
            if file.used < time.time() - _ABANDONED:
                self._discard(directory, file.name)

    @staticmethod
    def _discard(directory: int, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)


def _open_directory(path: Path, create: bool) -> int:
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        if not create:
            raise
    for parent in reversed(path.parents):
        with contextlib.suppress(FileExistsError):
            parent.mkdir(0o700)
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    directory = os.open(path, flags)
    with contextlib.suppress(OSError), _created("CACHEDIR.TAG", directory) as stream:
        stream.write(_TAG)  # a mark for programs that make backups
    return directory


def _created(name: str, directory: int) -> BinaryIO:
    """A new file that only this user can read or write."""
    return os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=directory), "wb")


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _content(file: int) -> bytes:
    """What a private regular file of no great length holds; nothing for all others."""
    status = os.fstat(file)
    if not (_is_private(status) and stat.S_ISREG(status.st_mode) and status.st_size <= _HEAD + MAX_PAYLOAD):
        return b""
    with os.fdopen(file, "rb", closefd=False) as stream:
        return stream.read(status.st_size + 1)


def _is_sound(content: bytes, key: bytes) -> bool:
    digest, rest = content[len(_MAGIC) : len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
    return content.startswith(_MAGIC) and rest.startswith(key) and hashlib.sha256(rest).digest() == digest


def _files(directory: int, names: re.Pattern[str]) -> Iterator[_File]:
    """The files of the directory with such names, also while others take them away."""
    with os.scandir(directory) as found:
        for file in found:
            if names.fullmatch(file.name):
                with contextlib.suppress(OSError):
                    status = file.stat(follow_symlinks=False)
                    size = max(status.st_size, getattr(status, "st_blocks", 0) * 512)
                    yield _File(file.name, size, status.st_mtime)
