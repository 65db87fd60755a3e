"""Compiled kernels kept on disk, so that the next process links what this one compiled: `polysched.cache`.

The key of a kernel is a digest of its definition (compute/canonical.py), its schedule's text, its target, and the
versions and sources of all that made it (versions.py). Whatever has no such key is built anew. An entry holds a
description (description.py) and object files; nothing in it is executed before its checksum and its key were checked,
and its directory must be this user's alone (store.py).

    POLYSCHED_CACHE       0 switches it off
    POLYSCHED_CACHE_DIR   the directory; by default polysched/ in $XDG_CACHE_HOME, or ~/.cache
    POLYSCHED_CACHE_SIZE  the most that it may hold, such as 64M or 2G; 512M by default
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..compute.canonical import canonical_text
from ..errors import TargetError
from ..lower.abi import RELEASE_BLOCKS
from ..schedule.schedule import Schedule
from .description import Description, MalformedError, Record, parse_json, require
from .entry import is_known_object
from .image import Image
from .machine import Target
from .store import Store, UnsafeError
from .versions import build_identity

__all__ = ["CacheInfo", "clear", "info"]

_DEFAULT_LIMIT = "512M"
_LIMIT = re.compile(r"([0-9]{1,12})([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SWITCH = {**dict.fromkeys(("", "1", "on", "yes", "true"), True), **dict.fromkeys(("0", "off", "no", "false"), False)}
_FORMAT = 1
# What code does not depend on: how a target was asked for, and what is decided when a kernel is called.
_TARGET_FIELDS = tuple(field.name for field in fields(Target) if field.name not in ("name", "threads"))


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """The state of the cache: where it is, what it holds, and what this process has done with it.

    on       whether it is switched on
    entries  kernels in it; they take `bytes` on the disk, of which there may be `limit`
    hits     kernels that this process found in it; `misses` were not there, and were compiled
    problem  why it could not be used when it was last tried, or None
    """

    directory: Path
    on: bool
    entries: int
    bytes: int
    limit: int
    hits: int
    misses: int
    problem: str | None

    def __str__(self) -> str:
        held = f"{self.entries} kernels, {self.bytes / 2**20:.1f} of {self.limit / 2**20:.0f} MiB"
        problem = f"; {self.problem}" if self.problem else ""
        return (
            f"{self.directory}: {'on' if self.on else 'off'}, {held}; {self.hits} hits, {self.misses} misses{problem}"
        )


@dataclass(slots=True)
class _Process:
    """What this process did; `stores` are the directories it used, by their settings."""

    hits: int = 0
    misses: int = 0
    problem: str | None = None
    stores: dict[tuple[Path, int], Store] = field(default_factory=dict)
    warned: set[Path] = field(default_factory=set)


_process = _Process()


def info() -> CacheInfo:
    """Where the cache is, what is in it, and how often this process found what it looked for.

    Raises TargetError for a setting in the environment that means nothing.

    >>> import polysched as ps
    >>> ps.cache.info().limit > 0
    True
    """
    store, problem = _store(), _process.problem
    entries = size = 0
    try:
        entries, size = store.used()
    except OSError as error:
        problem = str(error)
    return CacheInfo(store.directory, is_on(), entries, size, store.limit, _process.hits, _process.misses, problem)


def clear() -> int:
    """Remove all kernels from the cache; how many there were.

    Raises TargetError if the directory is not this user's alone, or the system refuses.
    """
    try:
        return _store().clear()
    except OSError as error:
        raise TargetError(f"the cache of kernels cannot be cleared: {error}") from None


def is_on() -> bool:
    """Whether POLYSCHED_CACHE leaves the cache on. Raises TargetError for a value that means nothing."""
    setting = os.environ.get("POLYSCHED_CACHE", "")
    if setting.lower() not in _SWITCH:
        raise TargetError(f"the environment variable POLYSCHED_CACHE is {setting[:40]!r}; accepted are 1 and 0")
    return _SWITCH[setting.lower()]


def key_of(schedule: Schedule, target: Target) -> str | None:
    """The key of the schedule's kernel, or None if it has none."""
    try:
        definition = canonical_text(schedule.outputs, schedule.program.arguments)
        identity = build_identity()
    except (OSError, TypeError) as error:
        _process.problem = str(error)
        return None
    facts = [_FORMAT, identity, definition, schedule.to_text(), *(getattr(target, name) for name in _TARGET_FIELDS)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def find(key: str) -> tuple[Description, Image] | None:
    """The kernel that was kept under the key."""
    store = _store()
    payload = None
    with _noting_problems(store):
        payload = store.read(key)
    try:
        found = None if payload is None else _unpacked(payload)
    except MalformedError:
        found = None
        forget(key)
    if found is None:
        _process.misses += 1
    else:
        _process.hits += 1
    return found


def keep(key: str, description: Description, image: Image) -> None:
    """Put a kernel into the cache; where that is not possible, nothing happens but a note of the problem."""
    store = _store()
    with _noting_problems(store):
        store.write(key, _packed(description, image))


def forget(key: str) -> None:
    """Take a kernel away that turned out to be of no use."""
    store = _store()
    with _noting_problems(store):
        store.remove(key)


@contextmanager
def _noting_problems(store: Store) -> Iterator[None]:
    """A cache that cannot be used makes a build slower and nothing worse; one that is not safe is worth a warning."""
    try:
        yield
    except UnsafeError as error:
        _process.problem = str(error)
        if store.directory not in _process.warned:
            _process.warned.add(store.directory)
            warnings.warn(f"polysched keeps no kernels: {error}", RuntimeWarning, stacklevel=2)
    except OSError as error:
        _process.problem = str(error)


def _store() -> Store:
    """The store that the environment asks for now."""
    directory, limit = _directory(), _limit(os.environ.get("POLYSCHED_CACHE_SIZE") or _DEFAULT_LIMIT)
    return _process.stores.setdefault((directory, limit), Store(directory, limit))


def _directory() -> Path:
    if given := os.environ.get("POLYSCHED_CACHE_DIR"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the XDG Base Directory Specification.
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~/.cache"))) / "polysched"


def _limit(setting: str) -> int:
    match = _LIMIT.fullmatch(setting)
    if match is None:
        raise TargetError(
            f"the environment variable POLYSCHED_CACHE_SIZE is {setting[:40]!r}; a number of bytes is expected, "
            "such as 64M or 2G"
        )
    return int(match[1]) << _UNITS[match[2].upper()]


def _packed(description: Description, image: Image) -> bytes:
    """The bytes of an entry: the length of a text of JSON, the text, and the object files."""
    record = {
        "description": description.as_json(),
        "objects": [len(code) for code in image.objects],
        "python": None if image.python is None else list(image.python),
        "keeps_blocks": image.last is not None,
        "uses_threads": image.uses_threads,
    }
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"".join((len(text).to_bytes(8, "little"), text, *image.objects))


def _unpacked(payload: bytes) -> tuple[Description, Image]:
    """What `_packed` packed. Raises MalformedError."""
    end = 8 + int.from_bytes(payload[:8], "little")
    record = Record(parse_json(payload[8:end]), "the entry")
    description = Description.of_json(record.take("description"))
    objects = []
    for length in record.list("objects"):
        require(type(length) is int and 0 < length <= len(payload) - end, "an object file is cut")
        assert isinstance(length, int)
        objects.append(payload[end : end + length])
        end += length
    require(end == len(payload) and bool(objects), "the lengths do not add up")
    python = None if record.left.get("python", "") is None else record.list("python")
    record.left.pop("python", None)
    require(python is None or all(map(is_known_object, python)), "the entry names an object that is not known")
    last = RELEASE_BLOCKS if record.truth("keeps_blocks") else None
    image = Image(
        tuple(objects), None if python is None else tuple(map(str, python)), last, record.truth("uses_threads")
    )
    record.done()
    return description, image
