"""Two texts in columns, with what is only in one of them marked."""

from __future__ import annotations

from difflib import SequenceMatcher

_MOST = 120


def side_by_side(left: str, right: str, titles: tuple[str, str]) -> str:
    """Lines that agree stand beside each other; "<" is only in the left text, ">" only in the right, "|" both differ.

    >>> print(side_by_side("a\\nb", "a\\nc\\nd", ("L", "R")))
    L   R
    a   a
    b | c
      > d
    """
    a, b = left.expandtabs(8).splitlines(), right.expandtabs(8).splitlines()
    width = min(_MOST, max(map(len, (*a, titles[0])), default=0))
    lines = [(titles[0], " ", titles[1])]
    for kind, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [(x, " ", y) for x, y in zip(a[i:j], b[k:m], strict=True)]
            continue
        for row in range(max(j - i, m - k)):
            x = a[i + row] if i + row < j else None
            y = b[k + row] if k + row < m else None
            lines.append((x or "", "<" if y is None else ">" if x is None else "|", y or ""))
    return "\n".join(f"{x[:width]:{width}} {mark} {y}".rstrip() for x, mark, y in lines)
