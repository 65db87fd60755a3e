"""A cache of the test's own, switched on, and builds that are not verified, which would go past it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polysched.target import cache


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a new cache that this process has not used yet."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("POLYSCHED_CACHE", "1")
    monkeypatch.setenv("POLYSCHED_CACHE_DIR", str(directory))
    monkeypatch.delenv("POLYSCHED_CHECK", raising=False)
    monkeypatch.setattr(cache, "_process", cache._Process())
    return directory
