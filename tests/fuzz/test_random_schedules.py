"""Random definition, random legal schedule, random sizes: every other batch; see batches.py."""

from __future__ import annotations

import pytest

from .batches import BATCHES, check_batch


@pytest.mark.parametrize("first", BATCHES[::2])
def test_schedules_do_not_change_results(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    check_batch(first, capsys)
