"""The values of command-line options: ranges, lists, and names with values."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Sequence

from .workload import Parameter

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?::(\d+))?")
_MOST = 10_000


def values(text: str) -> list[Parameter]:
    """4..8, 4..16:4, 16,32,64, or a mix; what is no number stays text.

    >>> values("4..8:2,16,x")
    [4, 6, 8, 16, 'x']
    """
    found: list[Parameter] = []
    for part in text.split(","):
        if match := _RANGE.fullmatch(part.strip()):
            low, high, step = int(match[1]), int(match[2]), int(match[3] or 1)
            if step < 1 or low > high or (high - low) // step >= _MOST:
                raise argparse.ArgumentTypeError(f"{part!r} is no range: write LOW..HIGH or LOW..HIGH:STEP")
            found += range(low, high + 1, step)
        elif part.strip():
            found.append(_value(part.strip()))
    if not found:
        raise argparse.ArgumentTypeError("a value, a list a,b,c or a range a..b is expected")
    return found


def _value(text: str) -> Parameter:
    if text in ("True", "true", "False", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


Assignment = tuple[tuple[str, ...], list[Parameter]]


def assignments(text: str) -> list[Assignment]:
    """NAME=VALUES, names that go together as in n=m=VALUES, and several of these with commas between them.

    >>> assignments("n=m=256,512,k=8")
    [(('n', 'm'), [256, 512]), (('k',), [8])]
    """
    return [_assignment(part) for part in re.split(r",(?=[^\W\d]\w*=)", text)]


def _assignment(text: str) -> Assignment:
    *names, value = (part.strip() for part in text.split("="))
    if not names or not all(name.isidentifier() for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUES, such as n=256,512 or mr=4..8")
    return tuple(names), values(value)


def integers(text: str) -> list[int]:
    """Positive integers, as for --threads."""
    found = [v for v in values(text) if isinstance(v, int) and not isinstance(v, bool) and v >= 1]
    if len(found) != len(values(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of positive integers")
    return found


def names(text: str) -> list[str]:
    """Names with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def combinations(assigned: Sequence[Assignment]) -> list[dict[str, int]]:
    """Every combination of sizes.

    >>> combinations([(("n", "m"), [1, 2]), (("k",), [3])])
    [{'n': 1, 'm': 1, 'k': 3}, {'n': 2, 'm': 2, 'k': 3}]
    """
    found = []
    for chosen in itertools.product(*(given for _, given in assigned)):
        sizes: dict[str, int] = {}
        for (together, _), value in zip(assigned, chosen, strict=True):
            if not isinstance(value, int) or isinstance(value, bool):
                raise argparse.ArgumentTypeError(f"the size {together[0]} is an integer, not {value!r}")
            sizes |= dict.fromkeys(together, value)
        found.append(sizes)
    return found
