"""What all tests share: files of expected texts, which `pytest --refresh` writes anew."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Every build of every test verifies the Program, the loop tree, and the loop IR after each pass.
os.environ.setdefault("POLYSCHED_CHECK", "1")
# And compiles: a kernel that another run has left in the user's cache would test nothing.
os.environ["POLYSCHED_CACHE"] = "0"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh", action="store_true", help="write the expected texts anew instead of comparing them")


@pytest.fixture
def expect(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """expect(name, text): the text is that of expected/<name> beside the test's file."""

    def compare(name: str, text: str) -> None:
        path = Path(request.path).parent / "expected" / name
        text = text.rstrip() + "\n"
        if request.config.getoption("--refresh"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"{path} is missing; write it with pytest --refresh, and read it"
        wanted = path.read_text(encoding="utf-8")
        if text != wanted:
            shown = difflib.unified_diff(wanted.splitlines(), text.splitlines(), str(path.name), "now", lineterm="")
            pytest.fail("\n".join([*shown, "", "if this is better, accept it with pytest --refresh"]), pytrace=False)

    return compare
