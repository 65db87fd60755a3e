"""The recurrences that the tests define, with a program in NumPy for each, and that are measured here as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.recurrences.definitions import EXAMPLES

__all__ = ["EXAMPLES"]
