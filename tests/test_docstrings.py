"""Every example in a docstring of polysched runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import polysched

MODULES = ["polysched", *(m.name for m in pkgutil.walk_packages(polysched.__path__, "polysched."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) >= 12
