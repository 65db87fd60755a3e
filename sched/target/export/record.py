"""NAME.json: what an exported kernel is, with the digests of its files and of itself.

Tools may read it as a description of the function; `load` reads it back and accepts nothing that it would not write.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..description import Description, Record, parse_json, require
from .c_types import MAX_NAME, CSignature

FORMAT, VERSION = "polysched kernel", 1
_MAX_FEATURES = 1 << 14
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of an exported kernel, as it was written."""

    length: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> FileRecord:
        return cls(len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """What an export says of itself; `target` has the name, triple, cpu and features."""

    name: str
    target: Mapping[str, str]
    description: Description
    uses_threads: bool
    keeps_blocks: bool
    files: Mapping[str, FileRecord]


def record_text(c: CSignature, record: ExportRecord, messages: Mapping[int, str], versions: Mapping[str, str]) -> str:
    """The text of NAME.json."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": record.name,
        "target": dict(record.target),
        "kernel": record.description.as_json(),
        "uses_threads": record.uses_threads,
        "keeps_blocks": record.keeps_blocks,
        "c": {
            "parameters": [{"name": p.name, "type": p.type} for p in c.parameters],
            "codes": {str(code): words for code, words in messages.items()},
        },
        "files": {name: {"bytes": f.length, "sha256": f.sha256} for name, f in record.files.items()},
        "versions": dict(versions),
    }
    return json.dumps({**content, "digest": _digest(content)}, indent=2) + "\n"


def parse_record(text: bytes) -> ExportRecord:
    """What `record_text` wrote. Raises MalformedError."""
    value = parse_json(text)
    whole = Record(value, "the file")
    require(whole.words("format") == FORMAT, "it describes no kernel of polysched's")
    version = whole.integer("version")
    require(version == VERSION, f"it is of version {version}, and this polysched reads version {VERSION}")
    digest = whole.words("digest")
    assert isinstance(value, dict)
    content = {name: item for name, item in value.items() if name != "digest"}
    require(digest == _digest(content), "it was changed after it was written, or cut")
    name = whole.name("name")
    require(name.isascii() and len(name) <= MAX_NAME, "the name is no name in C")
    target = Record(whole.take("target"), "the target")
    named = {field: _text(target.take(field)) for field in ("name", "triple", "cpu", "features")}
    target.done()
    description = Description.of_json(whole.take("kernel"))
    files = _files(whole.take("files"))
    record = ExportRecord(name, named, description, whole.truth("uses_threads"), whole.truth("keeps_blocks"), files)
    for documentation in ("c", "versions"):
        whole.take(documentation)
    whole.done()
    return record


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _text(value: object) -> str:
    require(isinstance(value, str) and len(value) <= _MAX_FEATURES, "a text is expected in the target")
    return str(value)


def _files(value: object) -> dict[str, FileRecord]:
    listed = Record(value, "files")
    found = {}
    for name in list(listed.left):
        require(re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) is not None and name[0] != ".", "a file's name is none")
        file = Record(listed.take(name), name)
        digest = file.words("sha256")
        require(_DIGEST.fullmatch(digest) is not None, f"{name} has no digest")
        found[name] = FileRecord(file.integer("bytes"), digest)
        file.done()
    return found
