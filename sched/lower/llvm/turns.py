"""The lines of several copies of the same instructions, one of each after another."""

from __future__ import annotations

import re
from collections import deque

NAMES = re.compile(r"%v\d+")


def by_turns(copies: list[list[str]]) -> list[str]:
    """A line of each copy by turns; one that uses what an earlier copy computes comes after it."""
    pending = {name for copy in copies for line in copy for name in NAMES.findall(line)[:1]}
    rest, ordered = [deque(copy) for copy in copies], list[str]()
    while any(rest):
        for lines in rest:
            if lines:
                result, *operands = NAMES.findall(lines[0])
                if pending.isdisjoint(operands):
                    pending.discard(result)
                    ordered.append(lines.popleft())
    return ordered
